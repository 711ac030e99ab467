//! What verbs of mail are told: who logs in and how, and what is delivered to whom.

use crate::mail::imap;
use crate::mail::smtp;
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

/// How a login is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// The answer.
    pub expect: Answer,
    /// What the server's words contain.
    pub reason: Option<String>,
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
    /// The answer.
    pub expect: Answer,
    /// What the server's words contain.
    pub reason: Option<String>,
}

/// A login by ssh.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshLogin {
    /// Who.
    #[schemars(with = "String")]
    pub user: Spanned<String>,
    /// The answer.
    pub expect: Answer,
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
    /// Where it is seen.
    pub seen: Seen,
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
    /// Not yet: the step ends when the server has accepted it. Whether it came is for a later look into the inbox.
    Later,
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

fn tls() -> Privacy {
    Privacy::Tls
}

fn starttls() -> Privacy {
    Privacy::Starttls
}
