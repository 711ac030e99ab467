//! Where a probe stands: the network that it dials from, the CA that it trusts, the server that it means, and who logs in.

use super::tls::Trust;
use crate::time::Deadline;
use jiff::Timestamp;
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::TcpStream;

/// The connection that a [`Dialer`] is making.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = std::io::Result<TcpStream>> + Send + 'a>>;

/// Makes TCP connections inside some network: that of the host, or that of a lab, which is another network namespace.
pub trait Dialer: Send + Sync {
    /// Connects to `address`, or fails when the deadline passes (`ErrorKind::TimedOut`).
    fn dial(&self, address: SocketAddr, deadline: Deadline) -> Dialing<'_>;
}

/// Dials from the network that this process lives in.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostDialer;

impl Dialer for HostDialer {
    fn dial(&self, address: SocketAddr, deadline: Deadline) -> Dialing<'_> {
        Box::pin(async move {
            deadline
                .bound(format!("a connection to {address}"), TcpStream::connect(address))
                .await
                .unwrap_or_else(|expired| Err(std::io::Error::new(std::io::ErrorKind::TimedOut, expired.to_string())))
        })
    }
}

/// A mail client's place: the network that it dials from and the CA that it trusts. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    dialer: Arc<dyn Dialer>,
    trust: Trust,
}

impl Client {
    /// A client that dials through `dialer` and believes the servers that `trust` vouches for.
    pub fn new(dialer: Arc<dyn Dialer>, trust: Trust) -> Self {
        Self { dialer, trust }
    }

    /// The same client by another clock: it verifies certificates for that moment.
    #[must_use]
    pub fn at(&self, moment: Timestamp) -> Self {
        Self { trust: self.trust.at(moment), ..self.clone() }
    }

    pub(super) fn dialer(&self) -> &dyn Dialer {
        self.dialer.as_ref()
    }

    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("trust", &self.trust).finish_non_exhaustive()
    }
}

/// A server's address, and the name that its certificate must carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where to connect.
    pub address: SocketAddr,
    server_name: ServerName<'static>,
}

impl Endpoint {
    /// An endpoint whose certificate must be valid for `server_name`, a DNS name or an IP address.
    pub fn new(address: SocketAddr, server_name: &str) -> Result<Self, InvalidServerName> {
        let server_name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| InvalidServerName { name: server_name.escape_debug().to_string() })?;
        Ok(Self { address, server_name })
    }

    /// The name that the certificate must carry.
    pub fn server_name(&self) -> &ServerName<'static> {
        &self.server_name
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.server_name.to_str(), self.address)
    }
}

/// A name that no certificate can carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is neither a DNS name nor an IP address")]
pub struct InvalidServerName {
    /// What was given, escaped.
    pub name: String,
}

/// How a connection becomes private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Security {
    /// TLS from the first byte: IMAPS 993, submissions 465 (RFC 8314).
    ImplicitTls,
    /// Plaintext until STARTTLS: IMAP 143, submission 587 (RFC 3501 §6.2.1, RFC 3207).
    StartTls,
    /// No TLS at all: to see that a server refuses logins in the clear.
    Cleartext,
}

/// Who logs in, and with what. The password never appears in `Debug`, transcripts or outcomes.
#[derive(Debug, Clone)]
pub struct Credentials {
    user: String,
    password: SecretString,
}

impl Credentials {
    /// Credentials that the protocols can carry: SASL PLAIN separates its parts by NUL, and a name has no line ends.
    pub fn new(user: impl Into<String>, password: SecretString) -> Result<Self, InvalidCredentials> {
        let user = user.into();
        if user.is_empty() || user.chars().any(char::is_control) {
            return Err(InvalidCredentials::User);
        }
        if password.expose_secret().contains('\0') {
            return Err(InvalidCredentials::Password);
        }
        Ok(Self { user, password })
    }

    /// The login name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password.
    pub fn password(&self) -> &SecretString {
        &self.password
    }

    /// The message of SASL PLAIN, in base64: `NUL user NUL password` (RFC 4616), no authorization identity.
    pub(super) fn sasl_plain(&self) -> String {
        super::mask::encode(format!("\0{}\0{}", self.user, self.password.expose_secret()).as_bytes())
    }
}

/// Credentials that IMAP and SMTP cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredentials {
    /// The name is empty or has a control character.
    #[error("the user name is empty or contains a control character")]
    User,
    /// The password has a NUL.
    #[error("the password contains a NUL character")]
    Password,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::empty("", "x", InvalidCredentials::User)]
    #[case::line_end("alice\r\na2 LOGOUT", "x", InvalidCredentials::User)]
    #[case::nul_in_the_password("alice", "x\0y", InvalidCredentials::Password)]
    fn credentials_that_no_protocol_carries_are_refused(
        #[case] user: &str,
        #[case] password: &str,
        #[case] error: InvalidCredentials,
    ) {
        assert_eq!(Credentials::new(user, password.into()).unwrap_err(), error);
    }

    #[test]
    fn debug_output_hides_the_password() {
        let credentials = Credentials::new("alice", "tulip".into()).unwrap();
        assert!(!format!("{credentials:?}").contains("tulip"));
    }

    #[rstest]
    #[case::name("mail.lan.test", true)]
    #[case::address("10.20.0.5", true)]
    #[case::space("mail lan", false)]
    fn server_names_are_checked_at_the_edge(#[case] name: &str, #[case] good: bool) {
        assert_eq!(Endpoint::new("10.20.0.5:993".parse().unwrap(), name).is_ok(), good);
    }
}
