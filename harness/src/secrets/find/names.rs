//! Names of keys: which of them hold a secret.

/// How sure a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strength {
    /// The value is a secret, whatever it looks like.
    Certain,
    /// The value is a secret if it looks like one.
    Suspicious,
}

/// Last words of names that hold a secret.
const WORDS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "kennwort",
    "pwd",
    "pw",
    "pass",
    "psk",
    "secret",
    "authtok",
    "token",
    "apikey",
    "community",
];

/// Words that end in one of [`WORDS`] and mean something else.
const OTHERS: [&str; 9] =
    ["nopasswd", "nopassword", "nopass", "bypass", "compass", "encompass", "trespass", "surpass", "kpasswd"];

/// What stands before `key` where the key is a secret by itself.
const KEYS: [&str; 22] = [
    "access",
    "account",
    "api",
    "app",
    "auth",
    "blowfish",
    "cookie",
    "des",
    "encryption",
    "hmac",
    "host",
    "license",
    "master",
    "preshared",
    "principal",
    "private",
    "secret",
    "session",
    "shared",
    "signing",
    "stream",
    "wep",
];

/// Last words of names whose values are secrets if they look like random letters.
const SUSPICIOUS: [&str; 13] = [
    "key",
    "auth",
    "login",
    "cred",
    "creds",
    "credential",
    "credentials",
    "hash",
    "salt",
    "seed",
    "pin",
    "code",
    "digest",
];

/// What the name of a key says of its value; nothing, if it is no name of a secret.
pub(super) fn strength(name: &str) -> Option<Strength> {
    if !may_be_one(name) {
        return None;
    }
    let words = words(name);
    let last = words.last()?.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let before = words.len().checked_sub(2).map_or("", |index| words[index].as_str());
    if OTHERS.contains(&last) || (before == "no" && WORDS.contains(&last)) {
        return None;
    }
    // `client-key-data`, as in the files of kubectl.
    if WORDS.iter().any(|word| last.ends_with(word)) || (before == "key" && last == "data") {
        return Some(Strength::Certain);
    }
    if last == "key" && KEYS.contains(&before) || last.len() > 3 && KEYS.iter().any(|key| last == format!("{key}key")) {
        return Some(Strength::Certain);
    }
    SUSPICIOUS.contains(&last).then_some(Strength::Suspicious)
}

/// Whether the end of a name could be that of a secret: most names are done with here, without taking them apart.
fn may_be_one(name: &str) -> bool {
    let name = name.trim_end_matches(|digit: char| digit.is_ascii_digit()).as_bytes();
    let ends_in = |word: &str| {
        name.len().checked_sub(word.len()).is_some_and(|start| name[start..].eq_ignore_ascii_case(word.as_bytes()))
    };
    WORDS.iter().chain(&SUSPICIOUS).any(|word| ends_in(word)) || ends_in("data")
}

/// The words of a name in small letters: `ldap_bind_pw`, `smtp-pass`, `PreSharedKey`, `node.auth.password`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for letter in name.chars() {
        let begins = !letter.is_alphanumeric() || (letter.is_uppercase() && was_small);
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        was_small = letter.is_lowercase();
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("bindpw", Some(Strength::Certain))]
    #[case("ldap_default_authtok", Some(Strength::Certain))]
    #[case("PreSharedKey", Some(Strength::Certain))]
    #[case("wep_key0", Some(Strength::Certain))]
    #[case("HTTPProxyPassword", Some(Strength::Certain))]
    #[case("--pass", Some(Strength::Certain))]
    #[case("key", Some(Strength::Suspicious))]
    #[case("ldap_default_authtok_type", None)]
    #[case("PasswordAuthentication", None)]
    #[case("PASS_MAX_DAYS", None)]
    #[case("PassCmd", None)]
    #[case("passwordeval", None)]
    #[case("smtp_sasl_password_maps", None)]
    #[case("NOPASSWD", None)]
    #[case("tls_server_cert", None)]
    #[case("", None)]
    fn names_say_what_they_hold(#[case] name: &str, #[case] expected: Option<Strength>) {
        assert_eq!(strength(name), expected);
    }
}
