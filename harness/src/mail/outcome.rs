//! What a probe found, in the terms of the person who tests.

use super::conversation::ConversationError;
use super::tls::{Distrust, TlsError};
use super::transcript::{Recorder, Transcript};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// How an attempt to log in, or to hand over a message, ends. It is the one list: probes find these, and files expect them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The server says yes.
    // IMAP tagged `OK`, SMTP 235 (or 250 for a message).
    Accepted,
    /// The server works, and says no for good.
    // IMAP tagged `NO` to LOGIN or AUTHENTICATE, SMTP 535; for a message a permanent 5xx. The credentials, the account or the way to
    // verify them are at fault.
    Refused,
    /// The server shows a certificate that the client must not trust. No password is sent.
    Untrusted,
    /// Nothing listens, nothing answers in time, or the server cannot tell, or does not offer what is asked for.
    // A temporary failure (SMTP 421 and 454, IMAP `BYE`, `[UNAVAILABLE]`, `generic failure`), too. Nothing is known about the password.
    Unavailable,
    /// Something answers that does not speak the protocol, or breaks it.
    ProtocolError,
    /// The connection is made, and ends before the server has answered.
    Disconnected,
}

impl Outcome {
    /// The words for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Untrusted => "untrusted",
            Self::Unavailable => "unavailable",
            Self::ProtocolError => "protocol error",
            Self::Disconnected => "disconnected",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An outcome with what explains it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    outcome: Outcome,
    /// The words that explain it; none for yes.
    words: Option<String>,
    /// All that is wrong with the server's certificate, if it is not trusted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    distrust: BTreeSet<Distrust>,
}

impl Finding {
    /// The server said yes.
    #[must_use]
    pub fn accepted() -> Self {
        Self { outcome: Outcome::Accepted, words: None, distrust: BTreeSet::new() }
    }

    /// Anything else, in the words that explain it.
    pub fn of(outcome: Outcome, words: impl Into<String>) -> Self {
        Self { outcome, words: Some(words.into()), distrust: BTreeSet::new() }
    }

    /// The server's certificate is not trusted, for all of these reasons.
    pub fn untrusted(distrust: impl IntoIterator<Item = Distrust>, words: impl Into<String>) -> Self {
        Self { distrust: distrust.into_iter().collect(), ..Self::of(Outcome::Untrusted, words) }
    }

    /// How the attempt ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether the server said yes.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.outcome == Outcome::Accepted
    }

    /// Whether the server said no to these credentials or this message.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.outcome == Outcome::Refused
    }

    /// The words that explain it; none for yes.
    #[must_use]
    pub fn words(&self) -> Option<&str> {
        self.words.as_deref()
    }

    /// Whether `reason` is all that is wrong with the server's certificate.
    #[must_use]
    pub fn is_untrusted_for(&self, reason: Distrust) -> bool {
        self.outcome == Outcome::Untrusted && self.distrust.iter().eq([&reason])
    }

    /// All that is wrong with the server's certificate.
    #[must_use]
    pub fn distrust(&self) -> &BTreeSet<Distrust> {
        &self.distrust
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.outcome.fmt(f)?;
        self.words.as_ref().map_or(Ok(()), |words| write!(f, ": {words}"))
    }
}

impl From<&ConversationError> for Finding {
    fn from(error: &ConversationError) -> Self {
        let outcome = match error {
            ConversationError::Refused { reason, .. } => return Self::of(Outcome::Refused, reason),
            ConversationError::NotNow { reason, .. } => return Self::of(Outcome::Unavailable, reason),
            ConversationError::Tls(TlsError::Certificate(failures)) => {
                return Self::untrusted(failures.distrust(), error.to_string());
            }
            ConversationError::Closed { .. }
            | ConversationError::Broken { .. }
            | ConversationError::Tls(TlsError::Broken { .. }) => Outcome::Disconnected,
            ConversationError::Connect { .. }
            | ConversationError::Expired(_)
            | ConversationError::NotOffered { .. }
            | ConversationError::Tls(TlsError::Handshake { .. } | TlsError::Expired(_)) => Outcome::Unavailable,
            ConversationError::TooLong { .. }
            | ConversationError::PlaintextAfterStartTls { .. }
            | ConversationError::Unexpected { .. } => Outcome::ProtocolError,
        };
        Self::of(outcome, error.to_string())
    }
}

/// One finished attempt: what came of it, the dialogue, and how long it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// What came of it.
    pub finding: Finding,
    /// The dialogue, without secrets.
    pub transcript: Transcript,
    /// From the dialling to the server's verdict, in seconds of the host's clock.
    pub seconds: f64,
}

impl Probe {
    pub(super) fn ended(finding: Finding, seconds: f64, recorder: Recorder) -> Self {
        Self { finding, transcript: recorder.finish(), seconds }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (after {:.1} s)", self.finding, self.seconds)?;
        self.transcript.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::accepted(Finding::accepted(), true, false)]
    #[case::refused(Finding::of(Outcome::Refused, "no"), false, true)]
    #[case::unavailable(Finding::of(Outcome::Unavailable, "later"), false, false)]
    #[case::untrusted(Finding::untrusted([Distrust::Expired], "expired"), false, false)]
    #[case::no_protocol(Finding::of(Outcome::ProtocolError, "html"), false, false)]
    #[case::disconnected(Finding::of(Outcome::Disconnected, "closed"), false, false)]
    fn only_yes_is_yes_and_only_no_is_no(#[case] finding: Finding, #[case] accepted: bool, #[case] refused: bool) {
        assert_eq!((finding.is_accepted(), finding.is_refused()), (accepted, refused));
        assert_eq!(finding.words().is_none(), accepted);
    }

    #[rstest::rstest]
    #[case::this_one(&[Distrust::Expired], true)]
    #[case::another(&[Distrust::OtherName], false)]
    #[case::this_one_and_another(&[Distrust::Expired, Distrust::OtherName], false)]
    #[case::none_known(&[], false)]
    fn a_reason_is_the_only_one(#[case] found: &[Distrust], #[case] expected: bool) {
        let finding = Finding::untrusted(found.iter().copied(), "words");
        assert_eq!(finding.is_untrusted_for(Distrust::Expired), expected);
    }

    #[rstest::rstest]
    #[case::closed(ConversationError::Closed { awaited: "a greeting".into() }, Outcome::Disconnected)]
    #[case::reset(
        ConversationError::Broken { awaited: "a greeting".into(), source: std::io::ErrorKind::ConnectionReset.into() },
        Outcome::Disconnected
    )]
    #[case::closed_in_the_handshake(TlsError::Broken { reason: "closed".into() }.into(), Outcome::Disconnected)]
    #[case::no_tls(TlsError::Handshake { reason: "not TLS".into() }.into(), Outcome::Unavailable)]
    #[case::nobody_listens(
        ConversationError::Connect {
            address: ([127, 0, 0, 1], 25).into(),
            source: std::io::ErrorKind::ConnectionRefused.into(),
        },
        Outcome::Unavailable
    )]
    #[case::too_long(ConversationError::TooLong { what: "a line", limit: 1 }, Outcome::ProtocolError)]
    fn an_error_has_an_outcome(#[case] error: ConversationError, #[case] outcome: Outcome) {
        let finding = Finding::from(&error);
        assert_eq!((finding.outcome(), finding.words()), (outcome, Some(error.to_string().as_str())));
    }

    #[test]
    fn a_probe_tells_its_outcome_and_its_dialogue() {
        let probe = Probe { finding: Finding::accepted(), transcript: Transcript::default(), seconds: 1.25 };
        assert!(probe.to_string().starts_with("accepted (after 1.2 s)\n"), "{probe}");
    }
}
