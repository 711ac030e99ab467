//! What a probe found, in the terms of the person who tests.

use super::conversation::ConversationError;
use super::transcript::{Recorder, Transcript};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a server met a login, or a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// The server said yes: IMAP tagged `OK`, SMTP 235 (or 250 for a message).
    Accepted,
    /// The server works and said no, for good: IMAP tagged `NO` to LOGIN or AUTHENTICATE, SMTP 535; for a message a
    /// permanent 5xx. The credentials, the account or the way to verify them are at fault.
    Refused {
        /// The server's words.
        reason: String,
    },
    /// No answer about the credentials was to be had: no connection, a connection closed, TLS not established, a
    /// temporary failure (SMTP 421 and 454, IMAP `BYE`, `[UNAVAILABLE]`, `generic failure`), or a server that does not
    /// offer the way that was asked for. Nothing is known about the password.
    Unavailable {
        /// What stood in the way.
        reason: String,
    },
    /// The server showed a certificate that the client must not believe: expired, of another CA, for another name.
    /// The password was not sent.
    Untrusted {
        /// What is wrong with the certificate.
        reason: String,
    },
    /// Something answers that does not speak the protocol, or breaks it.
    ProtocolError {
        /// What was seen instead.
        detail: String,
    },
}

impl Outcome {
    /// Whether the server said yes.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted)
    }

    /// Whether the server said no to these credentials or this message.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// The words that explain it; none for yes.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Accepted => None,
            Self::Refused { reason } | Self::Unavailable { reason } | Self::Untrusted { reason } => Some(reason),
            Self::ProtocolError { detail } => Some(detail),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Refused { reason } => write!(f, "refused: {reason}"),
            Self::Unavailable { reason } => write!(f, "unavailable: {reason}"),
            Self::Untrusted { reason } => write!(f, "untrusted: {reason}"),
            Self::ProtocolError { detail } => write!(f, "protocol error: {detail}"),
        }
    }
}

impl From<&ConversationError> for Outcome {
    fn from(error: &ConversationError) -> Self {
        let reason = error.to_string();
        match error {
            ConversationError::Refused { reason, .. } => Self::Refused { reason: reason.clone() },
            ConversationError::NotNow { reason, .. } => Self::Unavailable { reason: reason.clone() },
            ConversationError::Tls(tls) if tls.is_about_trust() => Self::Untrusted { reason },
            ConversationError::Connect { .. }
            | ConversationError::Closed { .. }
            | ConversationError::Broken { .. }
            | ConversationError::Expired(_)
            | ConversationError::NotOffered { .. }
            | ConversationError::Tls(_) => Self::Unavailable { reason },
            ConversationError::TooLong { .. }
            | ConversationError::PlaintextAfterStartTls { .. }
            | ConversationError::Unexpected { .. } => Self::ProtocolError { detail: reason },
        }
    }
}

/// One finished attempt: what came of it, the dialogue, and how long it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// What came of it.
    pub outcome: Outcome,
    /// The dialogue, without secrets.
    pub transcript: Transcript,
    /// From the dialling to the server's verdict, in seconds of the host's clock.
    pub seconds: f64,
}

impl Probe {
    pub(super) fn ended(outcome: Outcome, seconds: f64, recorder: Recorder) -> Self {
        Self { outcome, transcript: recorder.finish(), seconds }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (after {:.1} s)", self.outcome, self.seconds)?;
        self.transcript.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::accepted(Outcome::Accepted, true, false)]
    #[case::refused(Outcome::Refused { reason: "no".into() }, false, true)]
    #[case::unavailable(Outcome::Unavailable { reason: "later".into() }, false, false)]
    #[case::untrusted(Outcome::Untrusted { reason: "expired".into() }, false, false)]
    #[case::no_protocol(Outcome::ProtocolError { detail: "html".into() }, false, false)]
    fn only_yes_is_yes_and_only_no_is_no(#[case] outcome: Outcome, #[case] accepted: bool, #[case] refused: bool) {
        assert_eq!((outcome.is_accepted(), outcome.is_refused()), (accepted, refused));
        assert_eq!(outcome.reason().is_none(), accepted);
    }

    #[test]
    fn a_probe_tells_its_outcome_and_its_dialogue() {
        let probe = Probe { outcome: Outcome::Accepted, transcript: Transcript::default(), seconds: 1.25 };
        assert!(probe.to_string().starts_with("accepted (after 1.2 s)\n"), "{probe}");
    }
}
