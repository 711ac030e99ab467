//! What TLS libraries say when a connection to the directory fails: OpenSSL, GnuTLS, and libldap above them.

use super::RootCause;

/// Words by cause. The first that fits wins, so the more special ones stand first.
const WORDS: [(RootCause, &[&str]); 5] = [
    (
        RootCause::CertificateExpired,
        &["certificate has expired", "certificate expired", "not yet valid", "cert is not activated"],
    ),
    (
        RootCause::CertificateName,
        &[
            "hostname does not match",
            "ostname mismatch",
            "does not match name",
            "does not match CN",
            "IP address mismatch",
            "ubject alternative name",
        ],
    ),
    (
        RootCause::CertificateWeak,
        &["key too weak", "md too weak", "key too small", "insecure algorithm", "signature algorithm"],
    ),
    (
        RootCause::DirectoryUntrusted,
        &[
            "self-signed certificate",
            "self signed certificate",
            "local issuer certificate",
            "unable to get issuer",
            "unknown ca",
            "unknown CA",
            "unable to verify the first",
            "peer cert untrusted",
            "certificate signature failure",
            "is not trusted",
            "issuer is unknown",
        ],
    ),
    (
        RootCause::DirectoryHandshake,
        &[
            "unsupported protocol",
            "handshake failure",
            "protocol version",
            "no shared cipher",
            "wrong version number",
            "no protocols available",
            "non-properly terminated",
            "unexpected eof",
            "unexpected length",
            "no peer certificate",
            "dh key",
            "inappropriate fallback",
            "nsupported extended operation",
            "Protocol error",
            "alert internal error",
            "packet length",
            "StartTLS",
            "unexpected message",
        ],
    ),
];

/// The cause that such words tell, if they are special enough.
pub(super) fn cause(said: &str) -> Option<RootCause> {
    WORDS.iter().find(|(_, words)| words.iter().any(|word| said.contains(word))).map(|(cause, _)| *cause)
}

/// Whether both may be the same trouble, seen by two libraries.
pub(super) fn agree(one: RootCause, other: RootCause) -> bool {
    use RootCause::{AuthorityExpired, AuthorityMissing, CertificateExpired, DirectoryHandshake, DirectoryUntrusted};
    let kind = |cause| match cause {
        AuthorityExpired | AuthorityMissing | CertificateExpired | DirectoryUntrusted => DirectoryUntrusted,
        other => other,
    };
    // A library that cannot say more calls everything a broken connection.
    one == other || kind(one) == kind(other) || [one, other].contains(&DirectoryHandshake)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::openssl("error:0A000102:SSL routines::unsupported protocol", Some(RootCause::DirectoryHandshake))]
    #[case::verify("certificate verify failed (certificate has expired)", Some(RootCause::CertificateExpired))]
    #[case::chain(
        "verify error:num=19:self-signed certificate in certificate chain",
        Some(RootCause::DirectoryUntrusted)
    )]
    #[case::name("TLS: hostname does not match name in peer certificate", Some(RootCause::CertificateName))]
    #[case::level("Verify return code: 66 (EE certificate key too weak)", Some(RootCause::CertificateWeak))]
    #[case::no_word("(unknown error code)", None)]
    fn words_of_libraries_are_understood(#[case] said: &str, #[case] expected: Option<RootCause>) {
        assert_eq!(cause(said), expected);
    }
}
