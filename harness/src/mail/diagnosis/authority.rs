//! The certificates of authorities that a program trusts: are they in date?

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Whom it is about, and between which seconds since 1970 it is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) subject: String,
    pub(super) from: i64,
    pub(super) until: i64,
}

/// The certificates of a PEM file. What cannot be read is left out: then nothing is said of it.
pub(super) fn validities(pem: &str) -> Vec<Validity> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
    certificates
        .filter_map(|der| {
            let (_, certificate) = X509Certificate::from_der(&der).ok()?;
            let validity = certificate.validity();
            Some(Validity {
                subject: certificate.subject().to_string(),
                from: validity.not_before.timestamp(),
                until: validity.not_after.timestamp(),
            })
        })
        .collect()
}

/// What is wrong, if none of the certificates is in date.
pub(super) fn out_of_date(pem: &str, now: i64) -> Vec<String> {
    let certificates = validities(pem);
    if certificates.iter().any(|certificate| (certificate.from..=certificate.until).contains(&now)) {
        return Vec::new();
    }
    certificates.iter().map(|certificate| sentence(certificate, now)).collect()
}

fn sentence(Validity { subject, from, until }: &Validity, now: i64) -> String {
    let day = |seconds: i64| {
        jiff::Timestamp::from_second(seconds)
            .map_or_else(|_| seconds.to_string(), |time| time.strftime("%Y-%m-%d").to_string())
    };
    format!("{subject} is valid from {} until {}, and this machine's clock says {}", day(*from), day(*until), day(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::in_date(2021, true)]
    #[case::too_late(2026, false)]
    #[case::too_early(2019, false)]
    fn an_authority_is_in_date_or_not(#[case] year: i32, #[case] good: bool) {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2025, 1, 1);
        let pem = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
        let now = rcgen::date_time_ymd(year, 6, 1).unix_timestamp();
        let said = out_of_date(&pem, now);
        assert_eq!(said.is_empty(), good, "{said:?}");
        assert!(said.iter().all(|words| words.contains("from 2020-01-01 until 2025-01-01")), "{said:?}");
        assert!(out_of_date("no certificate", now).is_empty());
    }
}
