//! Passwords in files of configuration: what no report may show.

use secrecy::SecretString;

/// What a key that holds a password contains, in small letters.
const WORDS: [&str; 5] = ["authtok", "password", "passwd", "secret", "bindpw"];

/// Values of such keys that are none: the kind of a token, a table to look into, a switch.
const NONE: [&str; 8] = ["password", "obfuscated_password", "yes", "no", "true", "false", "on", "off"];

/// Texts that stand between spaces in a file of passwords (postfix' `sasl_passwd`), after the host.
const TABLES: [&str; 2] = ["sasl_passwd", "relay_passwd"];

/// The passwords in the file at `path` below `/etc`.
#[must_use]
pub fn secrets(path: &str, text: &str) -> Vec<SecretString> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let is_of_logins = path.rsplit('/').next().is_some_and(|name| TABLES.contains(&name));
    let listed = lines().filter(|_| is_of_logins).filter_map(|line| {
        let (_, login) = line.split_once(char::is_whitespace)?;
        login.trim().split_once(':').map(|(_, password)| password)
    });
    let by_key = lines().filter(|_| !is_pam(path)).filter_map(|line| {
        let (name, value) = line.split_at_checked(line.find(['=', ':'])?)?;
        let name = name.trim().trim_start_matches("-o ").to_ascii_lowercase();
        let value = value[1..].trim();
        let is_secret = WORDS.iter().any(|word| name.contains(word)) || name.ends_with("_pw");
        let is_secret = is_secret && !name.contains(char::is_whitespace);
        (is_secret && !is_none(value)).then_some(value)
    });
    let mut found: Vec<_> = listed.chain(by_key).flat_map(|value| [value, value.trim_matches(['"', '\''])]).collect();
    found.retain(|value| !value.is_empty());
    found.sort_by_key(|value| std::cmp::Reverse(value.len()));
    found.dedup();
    found.into_iter().map(SecretString::from).collect()
}

/// In PAM's files the word password is the name of a phase.
fn is_pam(path: &str) -> bool {
    path.starts_with("pam.d/")
}

fn is_none(value: &str) -> bool {
    let is_table = ["hash:", "lmdb:", "btree:", "cdb:", "texthash:", "proxy:", "/", "$"]
        .iter()
        .any(|begin| value.starts_with(begin));
    is_table || NONE.contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[rstest::rstest]
    #[case::sssd("sssd/sssd.conf", "ldap_default_authtok = tulip\n", &["tulip"])]
    #[case::its_kind("sssd/sssd.conf", "ldap_default_authtok_type = password\n", &[])]
    #[case::commented("sssd/sssd.conf", "# ldap_default_authtok = tulip\n", &[])]
    #[case::cyrus("imapd.conf", "sasl_sql_passwd: \"tulip\"\n", &["\"tulip\"", "tulip"])]
    #[case::a_table("postfix/main.cf", "smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\n", &[])]
    #[case::in_a_table("postfix/sasl_passwd", "[relay.example.org]:587 us:tu:lip\n", &["tu:lip"])]
    #[case::a_method("imapd.conf", "sasl_pwcheck_method: saslauthd\n", &[])]
    #[case::pam("pam.d/imap", "password required pam_unix.so\n", &[])]
    #[case::ldap("saslauthd.conf", "ldap_password: tulip\nldap_bind_pw: rose\n", &["tulip", "rose"])]
    fn passwords_are_found(#[case] path: &str, #[case] text: &str, #[case] expected: &[&str]) {
        let found = secrets(path, text);
        let found: Vec<_> = found.iter().map(SecretString::expose_secret).collect();
        assert_eq!(found, expected);
    }
}
