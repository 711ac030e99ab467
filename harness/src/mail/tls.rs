//! TLS as the strictest mail client does it: exactly one CA, the server's name checked, no session resumed.
//!
//! The cryptography is *ring*, chosen here and not process-wide. A certificate that cannot be believed is told apart
//! from a handshake that fails for another reason, since a tester repairs them in different places.

mod distrust;
mod verifier;

pub use distrust::{CertificateFailure, CertificateFailures, Distrust};

use crate::time::{Deadline, Expired};
use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use verifier::{Unverified, Verifier};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The one CA that a client believes, and the moment for which it verifies. Cheap to clone.
#[derive(Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
    chains: Arc<WebPkiServerVerifier>,
    authority: CertificateDer<'static>,
    moment: Option<Timestamp>,
}

/// Whether a server's certificate is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verification {
    /// It must be trusted: its time, its authority and its name.
    Full,
    /// Any will do, as between mail servers that have agreed on nothing.
    None,
}

impl Trust {
    /// Trusts the single CA certificate in `pem`, and nothing else. Verifies by the clock of this host.
    pub fn from_ca_pem(pem: &[u8]) -> Result<Self, TrustError> {
        let certificates: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| TrustError::NotPem)?;
        let [authority] = <[_; 1]>::try_from(certificates).map_err(|many| TrustError::NotOne { count: many.len() })?;
        let unusable = |source: &dyn fmt::Display| TrustError::NotACertificate { reason: source.to_string() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).map_err(|source| unusable(&source))?;
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
        let chains = chains.map_err(|source| unusable(&source))?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| unusable(&source))?
            .with_webpki_verifier(chains.clone())
            .with_no_client_auth();
        // A resumed session would show no certificate: each probe judges the server anew.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self { config: Arc::new(config), chains, authority, moment: None })
    }

    /// The same trust by another clock: certificates are verified for that moment.
    #[must_use]
    pub fn at(&self, moment: Timestamp) -> Self {
        Self { moment: Some(moment), ..self.clone() }
    }

    /// The moment for which it verifies; without one, the time of this host.
    pub(super) fn moment(&self) -> Option<Timestamp> {
        self.moment
    }

    /// Speaks TLS over `stream` as a client of `name`.
    pub(super) async fn connect<S>(
        &self,
        stream: S,
        name: &ServerName<'static>,
        verification: Verification,
        deadline: Deadline,
    ) -> Result<(TlsStream<S>, Established), TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut config = ClientConfig::clone(&self.config);
        if let Some(moment) = self.moment {
            config.time_provider = Arc::new(Moment(moment));
        }
        // One for each connection: it keeps what it found.
        let verifier = Arc::new(Verifier::new(self.chains.clone(), self.authority.clone()));
        match verification {
            Verification::Full => config.dangerous().set_certificate_verifier(verifier.clone()),
            Verification::None => {
                config.dangerous().set_certificate_verifier(Arc::new(Unverified::by(self.chains.clone())));
            }
        }
        let handshake = TlsConnector::from(Arc::new(config)).connect(name.clone(), stream);
        let connected = deadline.bound(format!("TLS with {}", name.to_str()), handshake).await?;
        let stream = connected.map_err(|error| verifier.failures().map_or_else(|| classify(&error), TlsError::from))?;
        let established = Established::of(&stream, verification);
        Ok((stream, established))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({})", subject(&self.authority))
    }
}

/// A clock that stands still.
#[derive(Debug)]
struct Moment(Timestamp);

impl TimeProvider for Moment {
    fn current_time(&self) -> Option<UnixTime> {
        // Certificates know no time before 1970 that would matter: a clock there finds none valid.
        let seconds = u64::try_from(self.0.as_second()).unwrap_or_default();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
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
    verification: Verification,
}

impl Established {
    fn of<S>(stream: &TlsStream<S>, verification: Verification) -> Self {
        let (_, connection) = stream.get_ref();
        let version = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS",
        };
        let leaf = connection.peer_certificates().and_then(|chain| chain.first());
        Self { version, subject: leaf.map_or_else(|| "unknown".to_owned(), subject), verification }
    }
}

impl fmt::Display for Established {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} established, server certificate {}", self.version, self.subject)?;
        match self.verification {
            Verification::Full => Ok(()),
            Verification::None => f.write_str(", which is not verified"),
        }
    }
}

/// Why TLS was not established.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The server's certificate cannot be believed.
    #[error("the server's certificate is not trusted: {0}")]
    Certificate(#[from] CertificateFailures),
    /// The handshake failed for another reason.
    #[error("TLS was not established: {reason}")]
    Handshake {
        /// What the TLS library or the system says.
        reason: String,
    },
    /// The connection ended within the handshake.
    #[error("TLS was not established: {reason}")]
    Broken {
        /// Who ended it, or what the system says.
        reason: String,
    },
    /// The deadline passed within the handshake.
    #[error(transparent)]
    Expired(#[from] Expired),
}

/// What tokio-rustls says about a handshake that failed for another reason than the certificate, in our terms. The library wraps its
/// error in an I/O error.
fn classify(error: &std::io::Error) -> TlsError {
    use std::io::ErrorKind;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (inner, error.kind()) {
        (Some(rustls::Error::InvalidMessage(_)), _) => {
            TlsError::Handshake { reason: "the server answers something that is not TLS".into() }
        }
        (Some(other), _) => TlsError::Handshake { reason: other.to_string() },
        (None, ErrorKind::UnexpectedEof) => TlsError::Broken { reason: "the server closed the connection".into() },
        (None, ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe) => {
            TlsError::Broken { reason: error.to_string() }
        }
        (None, _) => TlsError::Handshake { reason: error.to_string() },
    }
}

/// The subject of a certificate in the form `CN=mail.lan.test`.
fn subject(certificate: &CertificateDer<'_>) -> String {
    X509Certificate::from_der(certificate)
        .map_or_else(|_| "unreadable".to_owned(), |(_, parsed)| parsed.subject().to_string())
}

#[cfg(test)]
mod tests;
