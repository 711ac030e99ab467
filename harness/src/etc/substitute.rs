//! A file of somebody's server, as it must be in a lab.

use super::mapping::{Fact, Mapping};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What the facts are in one lab.
pub type Facts = BTreeMap<Fact, String>;

/// The text for a lab, and what was put in the place of something else: texts and keys, never values.
#[must_use]
pub fn substitute(text: &str, mapping: &Mapping, facts: &Facts) -> (String, Vec<String>) {
    let mut done = Vec::new();
    let lines: Vec<_> = text.lines().map(|line| by_key(line, mapping, facts, &mut done)).collect();
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    let text = by_text(&text, mapping, facts, &mut done);
    done.sort();
    done.dedup();
    (text, done)
}

/// A line `key = value` (sssd, postfix) or `key: value` (cyrus) with the value of the lab.
fn by_key<'t>(line: &'t str, mapping: &Mapping, facts: &Facts, done: &mut Vec<String>) -> Cow<'t, str> {
    let Some(at) = line.find(['=', ':']) else { return Cow::Borrowed(line) };
    let name = line[..at].trim();
    let Some((fact, value)) = mapping.key(name).and_then(|fact| Some((fact, facts.get(&fact)?))) else {
        return Cow::Borrowed(line);
    };
    done.push(format!("{name}: the lab's {fact}"));
    Cow::Owned(format!("{} {value}", &line[..=at]))
}

/// All texts at once, so that what was put in is not replaced again; where several fit, the longest.
fn by_text(text: &str, mapping: &Mapping, facts: &Facts, done: &mut Vec<String>) -> String {
    let mut wanted: Vec<_> = mapping.replace.iter().filter(|(from, _)| !from.is_empty()).collect();
    wanted.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let fits = wanted.iter().find(|(from, _)| rest.starts_with(from.as_str()));
        if let Some((from, fact, value)) = fits.and_then(|(from, fact)| Some((from, fact, facts.get(fact)?))) {
            result.push_str(value);
            done.push(format!("{from}: the lab's {fact}"));
            rest = &rest[from.len()..];
        } else {
            result.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[rstest::rstest]
    #[case::key_of_sssd("ldap_default_authtok = s3cret\n", "ldap_default_authtok = inlab\n")]
    #[case::key_of_cyrus("tls_server_key: /etc/pki/own.key\n", "tls_server_key: /lab.key\n")]
    #[case::commented("#ldap_uri = ldaps://x\n", "#ldap_uri = ldaps://x\n")]
    #[case::longest_first("mail.example.org example.org\n", "mail.lan.test lan.test\n")]
    #[case::not_twice("lan.example\n", "example.org\n")]
    #[case::nothing("services = pam\n", "services = pam\n")]
    #[case::empty("", "")]
    fn what_must_be_different_is(#[case] text: &str, #[case] expected: &str) {
        let mapping =
            "[replace]\n'example.org' = 'domain'\n'mail.example.org' = 'mail-name'\n'lan.example' = 'directory-name'\n";
        let mapping = Mapping::parse(Path::new("x"), mapping).unwrap();
        let facts: Facts = [
            (Fact::BindPassword, "inlab"),
            (Fact::Key, "/lab.key"),
            (Fact::Domain, "lan.test"),
            (Fact::MailName, "mail.lan.test"),
            (Fact::DirectoryName, "example.org"),
            (Fact::LdapUri, "ldaps://directory"),
        ]
        .map(|(fact, value)| (fact, value.to_owned()))
        .into();
        let (text, done) = substitute(text, &mapping, &facts);
        assert_eq!(text, expected);
        assert!(done.iter().all(|words| !words.contains("s3cret") && !words.contains("inlab")), "{done:?}");
    }
}
