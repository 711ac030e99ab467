//! Values that are secrets by what they look like, whatever stands before them.

use regex::Regex;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::LazyLock;

/// A form of secrets.
struct Form {
    /// What stands in each such secret, in small letters: to look for it is much quicker than to look for the pattern.
    mark: &'static str,
    /// Its first group is what nobody may see. Each is found in a time that grows with the text.
    pattern: Regex,
}

static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let forms = [
        // Private keys in PEM (RFC 7468) and its likes, also where line ends are written `\n`, also without an end.
        (
            "private key",
            r"(?s)-{4,5} ?BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-{4,5}(.*?)(?:-{4,5} ?END [A-Z0-9 ]*PRIVATE KEY|\z)",
        ),
        // Those of PuTTY.
        ("private-lines:", r"(?m)^Private-Lines: [0-9]+\r?\n((?:[A-Za-z0-9+/=]+\r?\n?)+)"),
        // Hashes as crypt(5) has them.
        (
            "$",
            r"(\$(?:1|2[abxy]?|5|6|7|y|gy|md5|sha1|apr1|argon2(?:id|i|d)|scrypt|pbkdf2[a-z0-9-]*)\$[^\s:;,'\x22<>]+)",
        ),
        // Passwords with the name of a scheme (RFC 2307, dovecot).
        (
            "}",
            r"(?i)\{(?:SSHA|SHA|SMD5|MD5|CRYPT|PLAIN|CLEARTEXT|CLEAR|ARGON2|BLF-CRYPT|PBKDF2|PKCS5S2|NT|NTLM|LANMAN|SCRAM-|CRAM-MD5|DIGEST-MD5|HMAC-MD5|OTP|RPA)[A-Z0-9.+-]*\}([^\s:'\x22]+)",
        ),
        // Logins in addresses: `scheme://user:password@host`.
        ("://", r"\b[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@'\x22<>]*:([^\s'\x22<>]+)@"),
        // Logins of programs: `--user name:password`.
        ("-u", r"(?:^|\s)(?:-u|--user|--proxy-user)[ =]['\x22]?[^\s:'\x22]+:([^\s'\x22]+)"),
        // Words that begin as the tokens of well-known services do.
        ("gh", r"\b((?:gh[pousr]_|github_pat_)[A-Za-z0-9_.-]{12,})"),
        ("gl", r"\b(glpat-[A-Za-z0-9_.-]{12,})"),
        ("xox", r"\b(xox[abposr]-[A-Za-z0-9_.-]{12,})"),
        ("ia", r"\b((?:AKIA|ASIA)[A-Z0-9]{12,})"),
        ("sk-", r"\b(sk-[A-Za-z0-9_.-]{12,})"),
        ("sg.", r"\b(SG\.[A-Za-z0-9_.-]{12,})"),
        ("eyj", r"\b(eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)"),
        ("age-secret-key", r"(AGE-SECRET-KEY-1[A-Z0-9]+)"),
        ("grub.pbkdf2", r"(grub\.pbkdf2\.[A-Za-z0-9.]+)"),
        // Headers of HTTP.
        (
            "authorization",
            r"(?i)\bauthorization['\x22]?\s*[:=]\s*['\x22]?(?:basic|bearer|token|digest)\s+([^\s'\x22]+)",
        ),
        // The password of a database in perl, as amavis has it.
        ("dbi:", r"(?i)\[\s*['\x22]DBI:[^'\x22]*['\x22]\s*,\s*['\x22][^'\x22]*['\x22]\s*,\s*['\x22]([^'\x22]*)['\x22]"),
        // Accounts and communities of SNMP.
        ("user", r"(?mi)^\s*(?:createUser|usmUser)\s+\S+\s+(.+)$"),
        ("com2sec", r"(?mi)^\s*com2sec6?\s+(?:-Cn\s+\S+\s+)?\S+\s+\S+\s+(\S+)"),
        ("sink", r"(?mi)^\s*(?:trapsink|trap2sink|informsink)\s+\S+\s+(\S+)"),
        // The account of a monitor of a power supply, of sendmail, and of samba.
        ("monitor", r"(?m)^\s*MONITOR\s+\S+\s+\S+\s+\S+\s+(\S+)"),
        ("\"p", r"(?i)\x22P[:=]([^\x22]+)\x22"),
        (":", r"(?m)^[^:\s]+:[0-9]+:([0-9A-FX]{32}:[0-9A-FX]{32})"),
        // Tables that stand in the value itself.
        ("static:", r"(?m)\bstatic:[^\s:]+:(\S+)"),
        ("inline:", r"(?m)\binline:\s*\{(.*)$"),
    ];
    let compiled = forms.map(|(mark, pattern)| Form { mark, pattern: regex(pattern) });
    compiled.into()
});

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant, and tests compile it")
}

/// Where secrets stand that can be told by their form.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let small = text.to_ascii_lowercase();
    let forms = FORMS.iter().filter(|form| small.contains(form.mark));
    let found = forms.flat_map(|form| form.pattern.captures_iter(text)).filter_map(|captures| captures.get(1));
    found.filter(|found| !is_port(found.as_str())).map(|found| found.range()).collect()
}

/// In `http://host:80/a@b` no login stands.
fn is_port(found: &str) -> bool {
    found.split_once('/').is_some_and(|(port, _)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Words that stand where a secret might, and are none.
const WORDS: [&str; 27] = [
    "yes",
    "no",
    "true",
    "false",
    "on",
    "off",
    "none",
    "null",
    "nil",
    "never",
    "always",
    "ask",
    "prompt",
    "password",
    "obfuscated_password",
    "required",
    "requisite",
    "sufficient",
    "optional",
    "include",
    "substack",
    "*",
    "!",
    "!!",
    "{",
    "[",
    "(",
];

/// Beginnings of places, tables and programs.
const PLACES: [&str; 28] = [
    "/etc/",
    "/usr/",
    "/var/",
    "/run/",
    "/srv/",
    "/home/",
    "/root/",
    "/opt/",
    "/tmp/",
    "/dev/",
    "/lib",
    "/mnt/",
    "~/",
    "./",
    "</",
    "file:",
    "hash:",
    "lmdb:",
    "btree:",
    "cdb:",
    "dbm:",
    "texthash:",
    "proxy:",
    "mysql:",
    "pgsql:",
    "ldap:",
    "socketmap:",
    "$(",
];

static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?:\$\{?[A-Z_][A-Z0-9_]*\}?|\$\{?[a-z]+(?:_[a-z]+)+\}?|\$[A-Za-z_]+/.*|%\([a-z_]+\)s|\{\{.*\}\}|[0-9]+/(?:tcp|udp))$",
    )
});

/// Whether a value is a switch, a place, or the name of something else.
pub(super) fn is_plain(value: &str) -> bool {
    let value = value.trim().trim_end_matches([',', ';']);
    value.is_empty()
        || WORDS.contains(&value.to_ascii_lowercase().as_str())
        || (!value.contains(char::is_whitespace) && PLACES.iter().any(|place| value.starts_with(place)))
        || REFERENCE.is_match(value)
}

/// Whether a word looks like random letters: long enough, of letters and digits, and few of them twice.
pub(super) fn is_random(word: &str) -> bool {
    let of_key = |letter: char| letter.is_ascii_alphanumeric() || "+/=_-!*.:".contains(letter);
    let letters = word.chars().filter(char::is_ascii_alphabetic).count();
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let distinct = word.chars().collect::<BTreeSet<_>>().len();
    word.len() >= 16
        && word.chars().all(of_key)
        && letters >= 4
        && digits >= 2
        && distinct >= 9
        && !is_plain(word)
        && word.parse::<IpAddr>().is_err()
        && !word.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("q7Zp0Lw3Xv9Rt5Bn", true)]
    #[case("9f86d081884c7d659a2feaa0c55ad015", true)]
    #[case("mail.example.org", false)]
    #[case("/etc/ssl/private/mail01.key", false)]
    #[case("aaaaaaaaaaaaaaaa11", false)]
    #[case("2001:db8:0:1:2:3:4:5", false)]
    fn random_letters_are_told_from_words(#[case] word: &str, #[case] expected: bool) {
        assert_eq!(is_random(word), expected);
    }
}
