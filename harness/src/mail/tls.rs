//! TLS as the strictest mail client does it: exactly one CA, the server's name checked, no session resumed.
//!
//! The cryptography is *ring*, chosen here and not process-wide. A certificate that cannot be believed is told apart
//! from a handshake that fails for another reason, since a tester repairs them in different places.

use crate::time::{Deadline, Expired};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::fmt;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The one CA that a client believes. Cheap to clone.
#[derive(Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
    authority: CertificateDer<'static>,
}

impl Trust {
    /// Trusts the single CA certificate in `pem`, and nothing else.
    pub fn from_ca_pem(pem: &[u8]) -> Result<Self, TrustError> {
        let certificates: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| TrustError::NotPem)?;
        let [authority] = <[_; 1]>::try_from(certificates).map_err(|many| TrustError::NotOne { count: many.len() })?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).map_err(|source| TrustError::NotACertificate { reason: source.to_string() })?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|source| TrustError::NotACertificate { reason: source.to_string() })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // A resumed session would show no certificate: each probe judges the server anew.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self { config: Arc::new(config), authority })
    }

    /// Speaks TLS over `stream` as a client of `name`.
    pub(super) async fn connect<S>(
        &self,
        stream: S,
        name: &ServerName<'static>,
        deadline: Deadline,
    ) -> Result<(TlsStream<S>, Established), TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = TlsConnector::from(self.config.clone()).connect(name.clone(), stream);
        let stream = deadline.bound(format!("TLS with {}", name.to_str()), handshake).await?.map_err(classify)?;
        // A trust anchor's own dates are nobody's business in rustls; OpenSSL and GnuTLS, and so real clients, do check.
        if is_out_of_date(&self.authority) {
            return Err(TlsError::Certificate(CertificateFailure::AuthorityExpired));
        }
        let established = Established::of(&stream);
        Ok((stream, established))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({})", subject(&self.authority))
    }
}

/// A CA file that cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not PEM.
    #[error("the CA is not in PEM form")]
    NotPem,
    /// None, or several.
    #[error("the CA file holds {count} certificates, and one is needed")]
    NotOne {
        /// How many.
        count: usize,
    },
    /// PEM, with something else inside.
    #[error("the CA is not a certificate that can be used: {reason}")]
    NotACertificate {
        /// The parser's words.
        reason: String,
    },
}

/// What was agreed in a handshake; `Display` is the transcript's note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Established {
    version: &'static str,
    subject: String,
}

impl Established {
    fn of<S>(stream: &TlsStream<S>) -> Self {
        let (_, connection) = stream.get_ref();
        let version = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS",
        };
        let leaf = connection.peer_certificates().and_then(|chain| chain.first());
        Self { version, subject: leaf.map_or_else(|| "unknown".to_owned(), subject) }
    }
}

impl fmt::Display for Established {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} established, server certificate {}", self.version, self.subject)
    }
}

/// Why TLS was not established.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The server's certificate cannot be believed.
    #[error("the server's certificate is not trusted: {0}")]
    Certificate(CertificateFailure),
    /// The handshake failed for another reason.
    #[error("TLS was not established: {reason}")]
    Handshake {
        /// What the TLS library or the system says.
        reason: String,
    },
    /// The deadline passed within the handshake.
    #[error(transparent)]
    Expired(#[from] Expired),
}

impl TlsError {
    /// Whether the certificate is at fault.
    pub fn is_about_trust(&self) -> bool {
        matches!(self, Self::Certificate(_))
    }
}

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFailure {
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come; often the clock of one side is wrong.
    #[error("it is not valid yet")]
    NotYetValid,
    /// Another CA signed it, or none.
    #[error("it was not issued by the CA that the client trusts")]
    UnknownIssuer,
    /// Its issuer bears the name of the trusted CA and has another key: often a CA that was made anew.
    #[error("its issuer has the name of the CA that the client trusts, and another key")]
    IssuerKey,
    /// The CA itself is out of date.
    #[error("the CA that issued it is out of date")]
    AuthorityExpired,
    /// It was made for another server.
    #[error("it is not valid for the name {expected} (it names {presented})")]
    WrongName {
        /// The name that was asked for.
        expected: String,
        /// The names in the certificate.
        presented: String,
    },
    /// Anything else, such as a purpose that is not a server's.
    #[error("{0}")]
    Other(String),
}

/// What tokio-rustls says about a failed handshake, in our terms. The library wraps its error in an I/O error.
#[expect(clippy::needless_pass_by_value, reason = "it is used as a mapping of errors")]
fn classify(error: std::io::Error) -> TlsError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(failure)) => TlsError::Certificate(certificate_failure(failure)),
        Some(rustls::Error::InvalidMessage(_)) => {
            TlsError::Handshake { reason: "the server answers something that is not TLS".into() }
        }
        Some(other) => TlsError::Handshake { reason: other.to_string() },
        None if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            TlsError::Handshake { reason: "the server closed the connection".into() }
        }
        None => TlsError::Handshake { reason: error.to_string() },
    }
}

fn certificate_failure(failure: &CertificateError) -> CertificateFailure {
    match failure {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateFailure::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => CertificateFailure::NotYetValid,
        CertificateError::UnknownIssuer => CertificateFailure::UnknownIssuer,
        CertificateError::BadSignature => CertificateFailure::IssuerKey,
        CertificateError::NotValidForNameContext { expected, presented } => CertificateFailure::WrongName {
            expected: expected.to_str().into_owned(),
            presented: presented_names(presented),
        },
        other => CertificateFailure::Other(other.to_string()),
    }
}

/// The names of a certificate, which the library writes as `DnsName("mail.lan.test")`.
fn presented_names(presented: &[String]) -> String {
    let bare = |name: &String| name.trim_start_matches("DnsName(\"").trim_end_matches("\")").to_owned();
    super::mask::escape(&presented.iter().map(bare).collect::<Vec<_>>().join(", "), 500)
}

/// The subject of a certificate in the form `CN=mail.lan.test`.
fn subject(certificate: &CertificateDer<'_>) -> String {
    X509Certificate::from_der(certificate)
        .map_or_else(|_| "unreadable".to_owned(), |(_, parsed)| parsed.subject().to_string())
}

fn is_out_of_date(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| !parsed.validity().is_valid())
}

#[cfg(test)]
mod tests;
