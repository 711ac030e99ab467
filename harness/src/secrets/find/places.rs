//! Paths of files: what is known of their format before a line of them is read.

/// How the secrets of a file lie in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Keys and values, whatever separates them.
    Keys,
    /// Keys and values of PAM, where `password` begins a line and is no key.
    Pam,
    /// No key in it holds a secret; a value may look like one all the same.
    Plain,
    /// Words one after another, over line ends, as in `.netrc`.
    Words,
    /// All of it.
    Whole,
    /// Something, a blank, and a login: `host user:password`.
    Login,
    /// Fields between colons, the second of which is secret: `user:hash:…`.
    Second,
    /// Fields between colons, the last of which is secret: `host:port:database:user:password`.
    Last,
    /// Fields between blanks, of which all but the first are secret.
    Rest,
    /// Fields between blanks, the third of which is secret.
    Third,
    /// A table of postfix: some value may be a login.
    Table,
}

/// The path of a file below `/etc`, taken apart.
struct Place<'p> {
    directory: &'p str,
    name: String,
}

impl<'p> Place<'p> {
    fn of(path: &'p str) -> Self {
        let path = path.trim_start_matches('/');
        let path = path.strip_prefix("etc/").unwrap_or(path);
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        // What stands beside a file by these names has its old or its new content.
        let second =
            [".rpmsave", ".rpmnew", ".rpmorig", ".dpkg-old", ".dpkg-new", ".dpkg-dist", ".bak", ".old", "~", "-"];
        let name = second.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        Self { directory, name: name.trim_start_matches('.').to_ascii_lowercase() }
    }

    fn extension(&self) -> &str {
        self.name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    fn is_below(&self, directory: &str) -> bool {
        self.directory.split('/').any(|name| name == directory)
    }
}

/// Names of files without a secret, in which words such as `passwd` stand for something else.
const PLAIN: [&str; 9] =
    ["nsswitch.conf", "services", "rpc", "protocols", "aliases", "passwd", "group", "sudoers", "login.defs"];

/// Beginnings of names of files that are a secret from their first to their last byte.
const WHOLE: [&str; 9] = [
    "ldap.secret",
    "pam_ldap.secret",
    "libnss-ldap.secret",
    "sasldb",
    "secrets.tdb",
    "authkey",
    "id_rsa",
    "id_ed25519",
    "id_ecdsa",
];

/// Extensions of such files.
const WHOLE_EXTENSIONS: [&str; 12] =
    ["keytab", "secret", "psk", "p12", "pfx", "jks", "kdbx", "gpg", "kbx", "key", "luks", "pass"];

/// How the secrets of the file at `path` lie in it.
pub(super) fn layout(path: &str) -> Layout {
    let place = Place::of(path);
    let name = place.name.as_str();
    let holds = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if place.is_below("pam.d") || name == "pam.conf" {
        Layout::Pam
    } else if PLAIN.contains(&name) {
        Layout::Plain
    } else if place.extension() == "keys" {
        // Of ntp and chrony.
        Layout::Third
    } else if is_whole(&place) {
        Layout::Whole
    } else if holds(&["netrc", "authinfo", "fetchmail"]) {
        Layout::Words
    } else if name == "pgpass" || name == "passwd.client" {
        Layout::Last
    } else if matches!(name, "shadow" | "gshadow" | "opasswd" | "htpasswd" | "rsyncd.secrets")
        || (place.is_below("dovecot") && matches!(name, "users" | "passwd"))
    {
        Layout::Second
    } else if matches!(name, "chap-secrets" | "pap-secrets" | "secrets") {
        Layout::Third
    } else if matches!(name, "ipsec.secrets" | "psk.txt") {
        Layout::Rest
    } else if !is_of_keys(&place) && holds(&["passw", "secret", "credential", "saslpass", "smtp_auth", "relay_auth"]) {
        Layout::Login
    } else if place.is_below("postfix") && !is_of_keys(&place) {
        Layout::Table
    } else {
        Layout::Keys
    }
}

fn is_whole(place: &Place<'_>) -> bool {
    let name = place.name.as_str();
    let is_host_key = name.starts_with("ssh_host_") && place.extension() != "pub";
    let is_public = place.extension() == "pub" || name.ends_with("rndc.key");
    let is_certificate = ["crt", "cer", "csr"].contains(&place.extension());
    !is_public
        && (WHOLE.iter().any(|whole| name.starts_with(whole))
            || WHOLE_EXTENSIONS.contains(&place.extension())
            || is_host_key
            || name.starts_with("k5.")
            || (place.is_below("private") && !is_certificate)
            || place.is_below("private-keys-v1.d"))
}

/// Extensions of files that have keys and values, sections, or statements of a known kind.
const OF_KEYS: [&str; 16] = [
    "cf", "cnf", "conf", "config", "ext", "ini", "json", "ldif", "list", "rules", "service", "socket", "timer", "toml",
    "yaml", "yml",
];

fn is_of_keys(place: &Place<'_>) -> bool {
    OF_KEYS.contains(&place.extension())
}

/// Names and directories of files whose formats are known, beside those with a known extension.
const KNOWN: [&str; 21] = [
    "hosts",
    "hosts.allow",
    "hosts.deny",
    "hostname",
    "mailname",
    "fstab",
    "crypttab",
    "crontab",
    "profile",
    "environment",
    "locale",
    "timezone",
    "os-release",
    "issue",
    "motd",
    "ssh_config",
    "sshd_config",
    "shells",
    "subuid",
    "subgid",
    "networks",
];
const KNOWN_DIRECTORIES: [&str; 7] = ["pam.d", "default", "sysconfig", "cron.d", "logrotate.d", "sudoers.d", "init.d"];

/// Names of tables of postfix that have no logins.
const TABLES: [&str; 12] = [
    "access",
    "canonical",
    "checks",
    "generic",
    "mailboxes",
    "networks",
    "recipients",
    "relocated",
    "restrictions",
    "senders",
    "transport",
    "virtual",
];

/// Whether the format of the file at `path` is known, so that what is no secret of it may be shown.
pub(super) fn is_known(path: &str) -> bool {
    let place = Place::of(path);
    let is_table = || place.is_below("postfix") && TABLES.iter().any(|table| place.name.contains(table));
    let is_certificate = || ["crt", "cer", "pem", "csr", "pub"].contains(&place.extension());
    match layout(path) {
        Layout::Pam
        | Layout::Plain
        | Layout::Words
        | Layout::Login
        | Layout::Second
        | Layout::Last
        | Layout::Rest
        | Layout::Third => true,
        Layout::Whole => false,
        Layout::Table => is_table(),
        Layout::Keys => {
            is_of_keys(&place)
                || place.name.contains(".conf.")
                || is_certificate()
                || KNOWN.contains(&place.name.as_str())
                || KNOWN_DIRECTORIES.iter().any(|directory| place.is_below(directory))
                || place.name.ends_with("rc")
                || place.name.ends_with("rndc.key")
        }
    }
}
