//! What of somebody's configuration must be something else in a lab: the file `rehearsal.toml` beside it.

use crate::diagnostic::{Diagnostics, FileDiagnostics};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// The name of the file.
pub(super) const FILE: &str = "rehearsal.toml";

/// A larger one is none.
const LARGEST: u64 = 1 << 20;

/// Something that is different in each lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// The lab's domain, such as `lan.test`.
    Domain,
    /// The root of the directory's tree, such as `dc=lan,dc=test`.
    BaseDn,
    /// The URI of the directory.
    LdapUri,
    /// The full name of the directory's host.
    DirectoryName,
    /// The address of the directory's host.
    DirectoryAddress,
    /// The account that sssd binds as.
    BindDn,
    /// Its password.
    BindPassword,
    /// The full name of the mail server.
    MailName,
    /// Its short name.
    MailShortName,
    /// Its address.
    MailAddress,
    /// The path of the authority's certificate.
    Authority,
    /// The path of the mail server's certificate.
    Certificate,
    /// The path of its key.
    Key,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Domain => "domain",
            Self::BaseDn => "base-dn",
            Self::LdapUri => "ldap-uri",
            Self::DirectoryName => "directory-name",
            Self::DirectoryAddress => "directory-address",
            Self::BindDn => "bind-dn",
            Self::BindPassword => "bind-password",
            Self::MailName => "mail-name",
            Self::MailShortName => "mail-short-name",
            Self::MailAddress => "mail-address",
            Self::Authority => "authority",
            Self::Certificate => "certificate",
            Self::Key => "key",
        })
    }
}

/// Keys whose values cannot be the same in a lab, whatever they are.
const KEYS: [(&str, Fact); 11] = [
    ("ldap_uri", Fact::LdapUri),
    ("ldap_backup_uri", Fact::LdapUri),
    ("ldap_tls_cacert", Fact::Authority),
    ("ldap_default_bind_dn", Fact::BindDn),
    ("ldap_default_authtok", Fact::BindPassword),
    ("smtpd_tls_cert_file", Fact::Certificate),
    ("smtpd_tls_key_file", Fact::Key),
    ("smtpd_tls_CAfile", Fact::Authority),
    ("tls_server_cert", Fact::Certificate),
    ("tls_server_key", Fact::Key),
    ("tls_server_ca_file", Fact::Authority),
];

/// How a file lies on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dress {
    /// Permissions in octal digits.
    pub(super) mode: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) group: Option<String>,
}

/// What `rehearsal.toml` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mapping {
    /// Texts, and what stands in their place in a lab; the longest first.
    pub(super) replace: BTreeMap<String, Fact>,
    /// Keys, and what their values are in a lab, besides those that are known.
    pub(super) set: BTreeMap<String, Fact>,
    /// Keys that are known and keep their values all the same.
    pub(super) keep: Vec<String>,
    /// Files that the server does not have, though the lab's mail server does.
    pub(super) absent: Vec<String>,
    /// Files of a format that is not known, whose lines reports may show all the same.
    pub(super) show: Vec<String>,
    /// Modes and owners, where they are not the usual ones.
    pub(super) files: BTreeMap<String, Dress>,
}

impl Mapping {
    /// Reads the file in `directory`, if it is there.
    pub(super) fn load(directory: &Path) -> Result<Self, super::EtcError> {
        let path = directory.join(FILE);
        // A pipe or a device of that name is somebody's mistake, and not the same as no file.
        match fs_err::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let text = crate::bounded::read_text(&path, LARGEST)?;
        Ok(Self::parse(&path, &text)?)
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, FileDiagnostics> {
        let mut diagnostics = Diagnostics::default();
        let mapping: Option<Self> = diagnostics.take(toml::from_str(text));
        diagnostics.or_value(mapping, path, text)
    }

    /// What the value of a key is in a lab.
    pub(super) fn key(&self, name: &str) -> Option<Fact> {
        let known = || KEYS.iter().find(|(key, _)| *key == name && !self.keep.iter().any(|kept| kept == name));
        self.set.get(name).copied().or_else(|| known().map(|(_, fact)| *fact))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::plain_text;

    #[test]
    fn keys_are_known_set_or_kept() {
        let text =
            "keep = ['ldap_tls_cacert']\n[set]\nmyhostname = 'mail-name'\n[replace]\n'dc=example,dc=org' = 'base-dn'\n";
        let mapping = Mapping::parse(Path::new("rehearsal.toml"), text).unwrap();
        assert_eq!(mapping.key("ldap_default_authtok"), Some(Fact::BindPassword));
        assert_eq!(mapping.key("ldap_tls_cacert"), None);
        assert_eq!(mapping.key("myhostname"), Some(Fact::MailName));
        assert_eq!(mapping.key("services"), None);
    }

    #[rstest::rstest]
    #[case::unknown_fact("[replace]\n'x' = 'base_dn'\n", "base-dn")]
    #[case::unknown_table("[replaces]\n", "unknown field `replaces`")]
    fn mistakes_have_a_place(#[case] text: &str, #[case] words: &str) {
        let message = plain_text(&Mapping::parse(Path::new("rehearsal.toml"), text).unwrap_err());
        assert!(message.contains(words) && message.contains("line"), "{message}");
    }
}
