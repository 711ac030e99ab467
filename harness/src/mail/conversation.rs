//! What can go wrong in a dialogue with a mail server, before anybody judges it.

use super::tls::TlsError;
use crate::time::Expired;
use std::net::SocketAddr;

/// Why a dialogue ended early. Texts of the server in it are escaped and carry no secret.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    /// No connection.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The server closed the connection.
    #[error("the server closed the connection while the client waited for {awaited}")]
    Closed {
        /// What the client waited for.
        awaited: String,
    },
    /// The connection broke in another way.
    #[error("the connection broke while the client waited for {awaited}: {source}")]
    Broken {
        /// What the client waited for.
        awaited: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The deadline passed.
    #[error(transparent)]
    Expired(#[from] Expired),
    /// TLS was not established.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server does not offer what the client was told to use; no secret was sent.
    #[error("the server does not offer {feature}: {offered}")]
    NotOffered {
        /// What was asked for.
        feature: String,
        /// What there is instead.
        offered: String,
    },
    /// A definite no.
    #[error("the server refused {command}: {reason}")]
    Refused {
        /// The command, without its arguments.
        command: String,
        /// The server's words.
        reason: String,
    },
    /// A no for now: trying later may help.
    #[error("the server cannot do {command} now: {reason}")]
    NotNow {
        /// The command, without its arguments.
        command: String,
        /// The server's words.
        reason: String,
    },
    /// The server sent more than any honest one would.
    #[error("the server sent {what} of more than {limit} bytes")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// The bound that was passed.
        limit: usize,
    },
    /// Plaintext came behind the go-ahead of STARTTLS: an attacker's words, to be taken for the server's once TLS
    /// stands (RFC 3207 §6, "NO STARTTLS" 2021).
    #[error("{bytes} bytes of plaintext follow the reply to STARTTLS: somebody injects commands")]
    PlaintextAfterStartTls {
        /// How many were seen.
        bytes: usize,
    },
    /// Words that are not the protocol.
    #[error("expected {expected}, got: {got}")]
    Unexpected {
        /// What the protocol asks for at this place.
        expected: String,
        /// What came.
        got: String,
    },
}
