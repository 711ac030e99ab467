//! SMTP as a mail client speaks it (RFC 5321, submission RFC 6409): a login that is judged, and messages that are
//! handed over, with or without a login.
//!
//! [`authenticate`] is the probe of SMTP AUTH (RFC 4954); [`submit`] logs in and hands a message over; [`deliver`] hands
//! it over as a neighbour server does, on port 25 without a login.

mod reply;
mod session;
mod submission;

#[cfg(any(test, fuzzing))]
pub(super) use reply::fuzz;

pub use reply::{EnhancedStatus, Reply};
pub use submission::{RecipientRefusal, Stage, Submission};

use super::client::{Client, Credentials, Endpoint, Security};
use super::outcome::{Finding, Outcome, Probe};
use crate::mail::message::Message;
use crate::time::Deadline;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use session::Session;

/// The port of SMTP between servers.
pub const PORT: u16 = 25;
/// The port of submission with STARTTLS.
pub const SUBMISSION_PORT: u16 = 587;
/// The port of submission with TLS from the first byte.
pub const TLS_PORT: u16 = 465;

/// How the client shows its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// `AUTH PLAIN` with an initial response (RFC 4616).
    Plain,
    /// `AUTH LOGIN`: not standardised, and spoken by many clients.
    Login,
}

impl Mechanism {
    /// The name in the server's `AUTH` line.
    fn keyword(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }
}

/// How a server that hands a message over to another one uses TLS. The words of postfix' `smtp_tls_security_level` are in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TransportTls {
    /// Where it is offered and works, with any certificate; else in the clear (`may`).
    #[default]
    Opportunistic,
    /// Never (`none`).
    None,
    /// Always, with any certificate (`encrypt`).
    Required,
    /// Always, with a certificate that is trusted (`secure`).
    Verified,
}

impl TransportTls {
    /// What makes it another way than that of most servers.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Opportunistic => "",
            Self::None => " without TLS",
            Self::Required => " over TLS",
            Self::Verified => " over TLS, with a certificate that is trusted",
        }
    }
}

/// A way to send as somebody: which server, how the connection becomes private, who, and by which mechanism.
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

/// Logs in and leaves again, and tells how the server met the credentials.
pub async fn authenticate(client: &Client, access: &Access, deadline: Deadline) -> Probe {
    let mut session = Session::new(Some(&access.credentials), deadline);
    let result = session.open(client, access).await;
    session.into_probe(result).await
}

/// Logs in and hands `message` over.
pub async fn submit(client: &Client, access: &Access, message: &Message, deadline: Deadline) -> Submission {
    let mut session = Session::new(Some(&access.credentials), deadline);
    let opened = session.open(client, access).await;
    submission::hand_over(session, opened, message).await
}

/// Hands `message` over without a login, as another server does on port 25.
pub async fn deliver(
    client: &Client,
    endpoint: &Endpoint,
    tls: TransportTls,
    message: &Message,
    deadline: Deadline,
) -> Submission {
    let mut session = Session::new(None, deadline);
    let opened = session.open_for_transport(client, endpoint, tls).await;
    submission::hand_over(session, opened, message).await
}

/// What a negative reply to a command means, by its code.
fn finding_of(reply: &Reply) -> Finding {
    let outcome = if reply.is_temporary() { Outcome::Unavailable } else { Outcome::Refused };
    Finding::of(outcome, reply.to_string())
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
