//! How a server's certificate is verified: all that is wrong with it, each thing for itself.
//!
//! The library ends at the first thing that is wrong, and looks at the time first: of a certificate that has expired it says no
//! more, whoever issued it and for whom. A tester has to know all of it: who renews such a certificate may have gained nothing.

use super::distrust::{CertificateFailure, CertificateFailures};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

/// Verifies one server's certificate, and keeps what is wrong with it.
#[derive(Debug)]
pub(super) struct Verifier {
    chains: Arc<WebPkiServerVerifier>,
    authority: CertificateDer<'static>,
    found: OnceLock<CertificateFailures>,
}

/// What a server has shown.
struct Shown<'a> {
    certificate: &'a CertificateDer<'a>,
    intermediates: &'a [CertificateDer<'a>],
    name: &'a ServerName<'a>,
}

impl Verifier {
    /// Trusts the `authority`, and the `chains` that lead to it.
    pub(super) fn new(chains: Arc<WebPkiServerVerifier>, authority: CertificateDer<'static>) -> Self {
        Self { chains, authority, found: OnceLock::new() }
    }

    /// What was wrong, if anything was.
    pub(super) fn failures(&self) -> Option<CertificateFailures> {
        self.found.get().cloned()
    }

    /// The first thing that the library finds wrong at a moment.
    fn at(&self, shown: &Shown<'_>, moment: UnixTime) -> Option<Error> {
        self.chains.verify_server_cert(shown.certificate, shown.intermediates, shown.name, &[], moment).err()
    }

    /// All that is wrong now, where `first` is the first thing that the library finds.
    fn all(&self, shown: &Shown<'_>, now: UnixTime, first: Option<&Error>) -> Vec<CertificateFailure> {
        let mut found = Vec::new();
        let mut add = |failure| {
            if !found.contains(&failure) {
                found.push(failure);
            }
        };
        let mut of_chain = first.cloned();
        if let Some(about_time) = of_chain.as_ref().and_then(failure).filter(CertificateFailure::is_about_time) {
            add(about_time);
            // At a moment of its own time the rest shows.
            of_chain = last_moment(shown.certificate).and_then(|moment| self.at(shown, moment));
        }
        match of_chain.as_ref().and_then(failure) {
            // The name is looked at below, whatever the chain is.
            None | Some(CertificateFailure::WrongName { .. }) => {}
            // Whatever else displeases in a certificate of nobody who is trusted, such as that it calls itself an authority, matters
            // less than that.
            Some(_) if !self.leads_to_authority(shown) => add(CertificateFailure::UnknownIssuer),
            Some(other) => add(other),
        }
        let parsed = ParsedCertificate::try_from(shown.certificate);
        let named = parsed.and_then(|parsed| verify_server_name(&parsed, shown.name));
        let is_wrong_name = |wrong: &CertificateFailure| matches!(wrong, CertificateFailure::WrongName { .. });
        named.err().as_ref().and_then(failure).filter(is_wrong_name).into_iter().for_each(&mut add);
        // A trust anchor's own dates are nobody's business in rustls; OpenSSL and GnuTLS, and so real clients, do check. Where the
        // certificate's own time is over, that says enough.
        if found.iter().all(is_wrong_name) && is_out_of_date(&self.authority, now) {
            found.push(CertificateFailure::AuthorityExpired);
        }
        found
    }

    /// Whether anything that the server has shown bears the authority's name as its issuer's.
    fn leads_to_authority(&self, shown: &Shown<'_>) -> bool {
        let Ok((_, authority)) = X509Certificate::from_der(&self.authority) else { return false };
        std::iter::once(shown.certificate).chain(shown.intermediates).any(|certificate| {
            let parsed = X509Certificate::from_der(certificate);
            parsed.is_ok_and(|(_, parsed)| parsed.issuer().as_raw() == authority.subject().as_raw())
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = Shown { certificate: end_entity, intermediates, name: server_name };
        let first = self.at(&shown, now);
        match (CertificateFailures::of(self.all(&shown, now, first.as_ref())), first) {
            (None, None) => Ok(ServerCertVerified::assertion()),
            (None, Some(first)) => Err(first),
            (Some(failures), first) => {
                // A connection shows one certificate.
                let _ = self.found.set(failures);
                // The library tells the server by an alert what it found first.
                Err(first.unwrap_or_else(|| CertificateError::Expired.into()))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// Takes any certificate, if only its owner speaks.
#[derive(Debug)]
pub(super) struct Unverified(Arc<WebPkiServerVerifier>);

impl Unverified {
    /// Knows the signatures that `chains` knows.
    pub(super) fn by(chains: Arc<WebPkiServerVerifier>) -> Self {
        Self(chains)
    }
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// What is wrong with a certificate, if the error is about one.
fn failure(error: &Error) -> Option<CertificateFailure> {
    match error {
        Error::InvalidCertificate(wrong) => Some(CertificateFailure::from(wrong)),
        _ => None,
    }
}

/// The last moment of a certificate's time.
fn last_moment(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
    Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

fn is_out_of_date(certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
    let now = i64::try_from(now.as_secs()).ok().and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
    let parsed = X509Certificate::from_der(certificate);
    parsed.is_ok_and(|(_, parsed)| now.is_none_or(|now| !parsed.validity().is_valid_at(now)))
}
