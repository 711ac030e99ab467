//! What verbs of mail are told: who logs in and how, and what is delivered to whom.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::mail::tls::Distrust;
use crate::mail::{Outcome, imap, smtp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// Which password is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// The user's own.
    Right,
    /// Another one.
    Wrong,
}

/// Whose clock verifies a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimeSource {
    /// This host's.
    #[default]
    Host,
    /// The machine's, read just before.
    Guest,
}

/// How a connection becomes private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Privacy {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS.
    Starttls,
}

/// A login by IMAP.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImapLogin {
    /// Who.
    #[schemars(with = "String")]
    pub user: Spanned<String>,
    /// With which password.
    #[serde(default = "right")]
    pub password: Credential,
    /// By which mechanism.
    #[serde(default = "imap_login")]
    pub mechanism: imap::Mechanism,
    /// Over which connection.
    #[serde(default = "tls")]
    pub security: Privacy,
    /// How it ends.
    pub expect: Outcome,
    /// The one thing that is wrong with the server's certificate; with `expect = "untrusted"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Distrust>")]
    pub because: Option<Spanned<Distrust>>,
    /// What the server's words contain.
    pub reason: Option<String>,
    /// Whose clock says whether the server's certificate is of this time; the host's, if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<TimeSource>")]
    pub clock: Option<Spanned<TimeSource>>,
}

/// A login by SMTP AUTH.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmtpLogin {
    /// Who.
    #[schemars(with = "String")]
    pub user: Spanned<String>,
    /// With which password.
    #[serde(default = "right")]
    pub password: Credential,
    /// By which mechanism.
    #[serde(default = "smtp_plain")]
    pub mechanism: smtp::Mechanism,
    /// Over which connection.
    #[serde(default = "starttls")]
    pub security: Privacy,
    /// How it ends.
    pub expect: Outcome,
    /// The one thing that is wrong with the server's certificate; with `expect = "untrusted"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Distrust>")]
    pub because: Option<Spanned<Distrust>>,
    /// What the server's words contain.
    pub reason: Option<String>,
    /// Whose clock says whether the server's certificate is of this time; the host's, if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<TimeSource>")]
    pub clock: Option<Spanned<TimeSource>>,
}

/// A login by ssh.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshLogin {
    /// Who.
    #[schemars(with = "String")]
    pub user: Spanned<String>,
    /// How it ends: by `"accepted"` or by `"refused"`.
    #[schemars(with = "Outcome")]
    pub expect: Spanned<Outcome>,
}

/// A delivery.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deliver {
    /// The user who submits it after a login; without one it comes from a neighbour, on port 25.
    #[schemars(with = "Option<String>")]
    pub from: Option<Spanned<String>>,
    /// The user whose mailbox it arrives in.
    #[schemars(with = "String")]
    pub to: Spanned<String>,
    /// Where it is seen; of a message that is accepted.
    pub seen: Option<Seen>,
    /// Whether the step waits until the message is seen. With `wait = false` it ends when the server has accepted the message, and a
    /// later step looks into the inbox.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub wait: bool,
    /// How handing it over ends.
    #[serde(default = "accepted")]
    pub expect: Outcome,
    /// The one thing that is wrong with the server's certificate; with `expect = "untrusted"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Distrust>")]
    pub because: Option<Spanned<Distrust>>,
    /// What the server's words contain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How a neighbour uses TLS; `"opportunistic"`, if it is not given. A user submits over TLS, to a server with a certificate that is
    /// trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<smtp::TransportTls>")]
    pub tls: Option<Spanned<smtp::TransportTls>>,
    /// Whose clock says whether the server's certificate is of this time; the host's, if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<TimeSource>")]
    pub clock: Option<Spanned<TimeSource>>,
}

/// What is expected of a login, or of a message that is handed over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// How it ends.
    pub(crate) outcome: Outcome,
    /// The one thing that is wrong with the server's certificate.
    pub(crate) because: Option<&'a Spanned<Distrust>>,
    /// What the server's words contain.
    pub(crate) reason: Option<&'a str>,
}

impl Expected<'_> {
    /// The server says yes.
    pub(crate) fn yes() -> Self {
        Self { outcome: Outcome::Accepted, because: None, reason: None }
    }

    /// What it says goes together.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        if let (Some(because), true) = (self.because, self.outcome != Outcome::Untrusted) {
            let diagnostic = Diagnostic::new(
                "only of a certificate that is not trusted it is known what is wrong with it",
                because.span(),
            );
            diagnostics.push(diagnostic.with_help(
                "`because` goes with `expect = \"untrusted\"`; what a server says is expected by `reason = \"…\"`",
            ));
        }
    }
}

impl ImapLogin {
    /// What is expected.
    pub(crate) fn expected(&self) -> Expected<'_> {
        Expected { outcome: self.expect, because: self.because.as_ref(), reason: self.reason.as_deref() }
    }
}

impl SmtpLogin {
    /// What is expected.
    pub(crate) fn expected(&self) -> Expected<'_> {
        Expected { outcome: self.expect, because: self.because.as_ref(), reason: self.reason.as_deref() }
    }
}

impl SshLogin {
    /// What is expected.
    pub(crate) fn expected(&self) -> Expected<'_> {
        Expected { outcome: *self.expect.get_ref(), because: None, reason: None }
    }

    /// It can come true.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        if !matches!(self.expect.get_ref(), Outcome::Accepted | Outcome::Refused) {
            let message = format!("a login by ssh is never found `{}`", self.expect.get_ref());
            let help = "expect \"accepted\" or \"refused\": where sshd cannot be reached, the step fails";
            diagnostics.push(Diagnostic::new(message, self.expect.span()).with_help(help));
        }
    }
}

impl Deliver {
    /// What is expected of handing it over.
    pub(crate) fn expected(&self) -> Expected<'_> {
        Expected { outcome: self.expect, because: self.because.as_ref(), reason: self.reason.as_deref() }
    }

    /// How a neighbour uses TLS.
    pub(crate) fn tls(&self) -> smtp::TransportTls {
        self.tls.as_ref().map(|tls| *tls.get_ref()).unwrap_or_default()
    }

    /// Whether somebody verifies a certificate: who submits, who reads, and a neighbour that is told to.
    fn verifies(&self) -> bool {
        self.from.is_some() || self.seen == Some(Seen::Imap) || self.tls() == smtp::TransportTls::Verified
    }

    /// What it says goes together.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        self.expected().check(diagnostics);
        let is_accepted = self.expect == Outcome::Accepted;
        if is_accepted && self.wait && self.seen.is_none() {
            let diagnostic = Diagnostic::new("where is this message seen, once it is accepted?", self.to.span());
            diagnostics.push(diagnostic.with_help(
                "write `seen = \"imap\"` or `seen = \"spool\"`; or `wait = false`, if another step looks for it",
            ));
        }
        if let (false, Some(_)) = (self.wait, self.seen) {
            let diagnostic = Diagnostic::new("a message that nobody waits for is not seen", self.to.span());
            diagnostics.push(diagnostic.with_help("leave out `seen`, or `wait = false`"));
        }
        if !is_accepted && !self.wait {
            let diagnostic =
                Diagnostic::new("there is nothing to wait for: this message is not accepted", self.to.span());
            diagnostics.push(diagnostic.with_help("leave out `wait = false`"));
        }
        if !is_accepted && self.seen.is_some() {
            let diagnostic = Diagnostic::new("a message that is not accepted is seen nowhere", self.to.span());
            diagnostics.push(diagnostic.with_help("leave `seen` out"));
        }
        if let (Some(tls), Some(_)) = (&self.tls, &self.from) {
            let diagnostic = Diagnostic::new("a user who submits a message always uses TLS", tls.span());
            diagnostics.push(diagnostic.with_help("`tls` is for a neighbour: leave out `tls`, or `from`"));
        }
        if let (Some(clock), false) = (&self.clock, self.verifies()) {
            let diagnostic = Diagnostic::new("nobody verifies a certificate here, so no clock matters", clock.span());
            diagnostics.push(diagnostic.with_help("a neighbour verifies it with `tls = \"verified\"`"));
        }
        if self.expect == Outcome::Untrusted && self.from.is_none() && self.tls() != smtp::TransportTls::Verified {
            let diagnostic = Diagnostic::new("this neighbour takes any certificate", self.to.span());
            diagnostics.push(diagnostic.with_help("it verifies it with `tls = \"verified\"`"));
        }
    }
}

/// Whether the machine's own clock is asked.
pub(crate) fn is_of_guest(clock: Option<&Spanned<TimeSource>>) -> bool {
    clock.is_some_and(|clock| *clock.get_ref() == TimeSource::Guest)
}

/// Where a message is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// By the recipient, over IMAP, exactly once in the inbox.
    Imap,
    /// In the server's spool, by its Message-ID: exactly once in the recipient's inbox, in no other mailbox, and in no queue any
    /// more. For when nobody can log in.
    Spool,
}

/// Mailboxes to make.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mailboxes {
    /// Whose.
    #[schemars(with = "Vec<String>")]
    pub create: Vec<Spanned<String>>,
}

fn right() -> Credential {
    Credential::Right
}

fn imap_login() -> imap::Mechanism {
    imap::Mechanism::Login
}

fn smtp_plain() -> smtp::Mechanism {
    smtp::Mechanism::Plain
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_yes(value: &bool) -> bool {
    *value
}

fn accepted() -> Outcome {
    Outcome::Accepted
}

fn tls() -> Privacy {
    Privacy::Tls
}

fn starttls() -> Privacy {
    Privacy::Starttls
}
