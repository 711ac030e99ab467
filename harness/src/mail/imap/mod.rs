//! IMAP as a mail client speaks it (RFC 3501, RFC 9051): a login that is judged, and the few operations that the suite
//! needs inside a session.
//!
//! [`login`] is the probe; [`Session`] stays open for more. Passwords are sent only where the server takes them: not
//! after `LOGINDISABLED`, not before STARTTLS was done when it was asked for.

mod argument;
mod response;
mod session;

#[cfg(any(test, fuzzing))]
pub(super) use response::fuzz;
pub use session::{Criterion, Fetched, Selected, Session, Uid};

use super::client::{Client, Credentials, Endpoint, Security};
use super::outcome::{Finding, Probe};
use crate::time::Deadline;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The port of IMAP, with STARTTLS.
pub const PORT: u16 = 143;
/// The port of IMAP with TLS from the first byte.
pub const TLS_PORT: u16 = 993;

/// How the client shows its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// The command `LOGIN`.
    Login,
    /// `AUTHENTICATE PLAIN` (RFC 4616), with an initial response where the server offers `SASL-IR` (RFC 4959).
    AuthenticatePlain,
}

/// A way into a mailbox: which server, how the connection becomes private, who, and by which mechanism.
#[derive(Debug, Clone)]
pub struct Access {
    /// The server.
    pub endpoint: Endpoint,
    /// How the connection becomes private.
    pub security: Security,
    /// Who.
    pub credentials: Credentials,
    /// How the credentials are shown.
    pub mechanism: Mechanism,
}

/// A mailbox as the server names it, such as `INBOX`, or `user/alice` for the administrator (with `unixhierarchysep`).
/// ASCII only: the modified UTF-7 of RFC 3501 §5.1.3 is not spoken here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(String);

impl MailboxName {
    /// A mailbox name, if it is printable ASCII and has no `&`, which begins modified UTF-7.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidMailboxName> {
        let name = name.into();
        let good = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'&';
        if name.is_empty() || !name.bytes().all(good) {
            return Err(InvalidMailboxName { name: name.escape_debug().to_string() });
        }
        Ok(Self(name))
    }

    /// The mailbox in which every user's mail arrives.
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// The mailbox of `user` in the administrator's view (Cyrus, `unixhierarchysep: yes`).
    pub fn of_user(user: &str) -> Result<Self, InvalidMailboxName> {
        Self::new(format!("user/{user}"))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that cannot be sent as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the mailbox name '{name}' is not plain ASCII")]
pub struct InvalidMailboxName {
    /// What was given, escaped.
    pub name: String,
}

/// Logs in and out again, and tells how the server met the credentials.
pub async fn login(client: &Client, access: &Access, deadline: Deadline) -> Probe {
    match Session::open(client, access, deadline).await {
        Ok(session) => {
            let seconds = session.opened_after();
            Probe { finding: Finding::accepted(), transcript: session.logout().await, seconds }
        }
        Err(probe) => *probe,
    }
}
