//! What can be wrong with a server's certificate: in words with all that is known, and as the reasons that files can expect.

use crate::mail::mask;
use rustls::CertificateError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Why a server's certificate is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Distrust {
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// An authority issued it that the client does not trust, or none did.
    OtherAuthority,
    /// The authority's own time is over.
    AuthorityExpired,
    /// It is for other names than the server's.
    OtherName,
    /// It is not for servers, or cannot be read.
    Unfit,
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::OtherAuthority => "other-authority",
            Self::AuthorityExpired => "authority-expired",
            Self::OtherName => "other-name",
            Self::Unfit => "unfit",
        })
    }
}

/// One thing that is wrong with a server's certificate.
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

impl CertificateFailure {
    /// The reason that a file can expect.
    #[must_use]
    pub fn distrust(&self) -> Distrust {
        match self {
            Self::Expired => Distrust::Expired,
            Self::NotYetValid => Distrust::NotYetValid,
            Self::UnknownIssuer | Self::IssuerKey => Distrust::OtherAuthority,
            Self::AuthorityExpired => Distrust::AuthorityExpired,
            Self::WrongName { .. } => Distrust::OtherName,
            Self::Other(_) => Distrust::Unfit,
        }
    }

    /// Whether it is about the time in which the certificate is valid.
    pub(super) fn is_about_time(&self) -> bool {
        matches!(self, Self::Expired | Self::NotYetValid)
    }
}

impl From<&CertificateError> for CertificateFailure {
    fn from(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::BadSignature => Self::IssuerKey,
            CertificateError::NotValidForNameContext { expected, presented } => {
                Self::WrongName { expected: expected.to_str().into_owned(), presented: presented_names(presented) }
            }
            other => Self::Other(other.to_string()),
        }
    }
}

/// All that is wrong with a server's certificate: at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFailures(Vec<CertificateFailure>);

impl CertificateFailures {
    /// These, unless there are none.
    pub(super) fn of(found: Vec<CertificateFailure>) -> Option<Self> {
        (!found.is_empty()).then_some(Self(found))
    }

    /// The reasons that a file can expect.
    #[must_use]
    pub fn distrust(&self) -> BTreeSet<Distrust> {
        self.0.iter().map(CertificateFailure::distrust).collect()
    }
}

impl fmt::Display for CertificateFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&words.join("; "))
    }
}

impl std::error::Error for CertificateFailures {}

/// The names of a certificate, which the library writes as `DnsName("mail.lan.test")`.
fn presented_names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "nobody".into();
    }
    let bare = |name: &String| name.trim_start_matches("DnsName(\"").trim_end_matches("\")").to_owned();
    mask::escape(&presented.iter().map(bare).collect::<Vec<_>>().join(", "), 500)
}
