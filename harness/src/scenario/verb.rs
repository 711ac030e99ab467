//! What the verbs of a step are told.

use crate::mail::causes::Cause;
use crate::mail::imap;
use crate::mail::smtp;
use serde::Deserialize;
use toml::Spanned;

/// Which password is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// The user's own.
    Right,
    /// Another one.
    Wrong,
}

/// How a login is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Yes.
    Accepted,
    /// No, by a server that works.
    Refused,
    /// Neither: the server cannot tell.
    Unavailable,
}

/// How a connection becomes private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Privacy {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS.
    Starttls,
}

/// A login by IMAP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImapLogin {
    /// Who.
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
    /// The answer.
    pub expect: Answer,
    /// What the server's words contain.
    pub reason: Option<String>,
}

/// A login by SMTP AUTH.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpLogin {
    /// Who.
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
    /// The answer.
    pub expect: Answer,
    /// What the server's words contain.
    pub reason: Option<String>,
}

/// A login by ssh.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshLogin {
    /// Who.
    pub user: Spanned<String>,
    /// The answer.
    pub expect: Answer,
}

/// A delivery.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deliver {
    /// The user who submits it after a login; without one it comes from a neighbour, on port 25.
    pub from: Option<Spanned<String>>,
    /// The user whose mailbox it arrives in.
    pub to: Spanned<String>,
    /// Where it is seen.
    pub seen: Seen,
}

/// Where a message is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// By the recipient, over IMAP.
    Imap,
    /// In the server's spool, by its Message-ID: when nobody can log in.
    Spool,
}

/// Mailboxes to make.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mailboxes {
    /// Whose.
    pub create: Vec<Spanned<String>>,
}

/// A command in the guest.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// For `/bin/sh`.
    pub command: String,
    /// This user's password is given on standard input.
    pub password_of: Option<Spanned<String>>,
    /// Its exit status.
    #[serde(default)]
    pub status: i64,
    /// What its output contains.
    #[serde(default)]
    pub contains: Vec<String>,
    /// What its output must not contain.
    #[serde(default)]
    pub lacks: Vec<String>,
}

/// The state of units.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// They are active.
    pub active: Vec<String>,
    /// They were not started again since this mark.
    pub same_since: Option<String>,
}

/// A local account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name.
    pub create: Spanned<String>,
}

/// Files of a machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// Absolute paths.
    pub paths: Vec<String>,
}

/// A moment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Its name.
    pub name: String,
    /// Units whose starts are remembered.
    #[serde(default)]
    pub units: Vec<String>,
}

/// Requests to the directory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// The machine that they come from.
    pub from: Spanned<String>,
    /// Since this mark.
    pub since: String,
    /// How many.
    pub expect: Amount,
}

/// How many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// Not one.
    None,
    /// One or more.
    Some,
}

/// Why a login was refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CauseOf {
    /// The user.
    pub user: Spanned<String>,
    /// The PAM service: `imap` or `smtp`.
    pub service: String,
    /// Since this mark of the mail server's.
    pub since: String,
    /// The cause.
    pub expect: Cause,
}

/// A state of the lab to come back to: all machines, their disks and RAM, at one moment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Its name.
    pub name: Spanned<String>,
}

/// A return.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewind {
    /// The checkpoint, which an earlier step made.
    pub to: Spanned<String>,
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

fn tls() -> Privacy {
    Privacy::Tls
}

fn starttls() -> Privacy {
    Privacy::Starttls
}
