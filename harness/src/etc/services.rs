//! Who reads a file below `/etc`, and so must start again when it has changed.

use std::collections::BTreeSet;

/// The daemons of a mail server, in the order in which they start.
pub const ALL: [&str; 4] = ["sssd", "saslauthd", "cyrus-imapd", "postfix"];

/// Beginnings of paths, and who reads what is there. PAM and its modules read their files at each login.
const READERS: [(&str, &[&str]); 19] = [
    ("pam.d/", &[]),
    ("pam.conf", &[]),
    ("security/", &[]),
    ("environment", &[]),
    ("login.defs", &[]),
    ("shells", &[]),
    ("nologin", &[]),
    ("sssd/", &["sssd"]),
    ("default/saslauthd", &["saslauthd"]),
    ("sysconfig/saslauthd", &["saslauthd"]),
    ("saslauthd.conf", &["saslauthd"]),
    ("imapd.conf", &["cyrus-imapd"]),
    ("cyrus.conf", &["cyrus-imapd"]),
    ("postfix/", &["postfix"]),
    ("sasl2/", &["postfix"]),
    ("nftables.conf", &[]),
    ("aliases", &["postfix"]),
    ("ssl/", &ALL),
    ("pki/", &ALL),
];

/// Files that every daemon has read at its start.
const FOR_ALL: [&str; 5] = ["nsswitch.conf", "hosts", "resolv.conf", "ldap/ldap.conf", "krb5.conf"];

/// Who must start again, in the order of starting, and files of which nobody is known who reads them.
#[must_use]
pub fn readers<'p>(paths: impl IntoIterator<Item = &'p str>) -> (Vec<&'static str>, Vec<&'p str>) {
    let (mut units, mut unread) = (BTreeSet::new(), Vec::new());
    for path in paths {
        match READERS.iter().find(|(begin, _)| path.starts_with(begin)) {
            Some((_, readers)) => units.extend(readers.iter().copied()),
            None if FOR_ALL.contains(&path) => units.extend(ALL),
            None => unread.push(path),
        }
    }
    (ALL.into_iter().filter(|unit| units.contains(unit)).collect(), unread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::pam(&["pam.d/imap"], &[], &[])]
    #[case::in_order(&["postfix/main.cf", "sssd/sssd.conf"], &["sssd", "postfix"], &[])]
    #[case::all(&["hosts"], &["sssd", "saslauthd", "cyrus-imapd", "postfix"], &[])]
    #[case::places_of_suse(&["sysconfig/saslauthd", "sasl2/smtpd.conf"], &["saslauthd", "postfix"], &[])]
    #[case::modules_of_pam(&["security/access.conf", "login.defs"], &[], &[])]
    #[case::unread(&["sysconfig/postfix"], &[], &["sysconfig/postfix"])]
    fn who_reads_a_file_starts_again(#[case] paths: &[&str], #[case] units: &[&str], #[case] unread: &[&str]) {
        let (found, others) = readers(paths.iter().copied());
        assert_eq!((found.as_slice(), others.as_slice()), (units, unread));
    }
}
