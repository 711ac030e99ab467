//! Files that other distributions have in other places than a lab's mail server, and in another form.
//!
//! Its saslauthd reads `default/saslauthd`, and its postfix looks for `smtpd.conf` in `postfix/sasl`, as Debian's do. SUSE and Red Hat
//! have both elsewhere. Such a file is laid where it belongs, and beside that, what it says is laid where it is read.

use std::path::Path;

/// The directory of saslauthd's socket where nothing else is said: SUSE's, with and without the old link, and the lab's.
const SOCKETS: [&str; 2] = ["/var/run/sasl2", "/run/sasl2"];
const LAB_SOCKET: &str = "/run/saslauthd";

const SYSCONFIG: &str = "sysconfig/saslauthd";
const DEFAULTS: &str = "default/saslauthd";

/// Where a lab's mail server reads what another distribution has at this path below `/etc`, if that is elsewhere.
pub(super) fn lab_place(path: &str) -> Option<String> {
    if path == SYSCONFIG {
        return Some(DEFAULTS.into());
    }
    let name = path.strip_prefix("sasl2/")?;
    let is_conf = Path::new(name).extension().is_some_and(|extension| extension == "conf");
    (is_conf && !name.contains('/')).then(|| format!("postfix/sasl/{name}"))
}

/// What a file says, in the form in which it is read there.
pub(super) fn translated(path: &str, content: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(content);
    if path == SYSCONFIG { defaults(&text).into_bytes() } else { in_lab_sockets(&text).into_bytes() }
}

/// Debian's form of SUSE's (`SASLAUTHD_…`) or Red Hat's (`MECH`, `FLAGS`) variables.
fn defaults(sysconfig: &str) -> String {
    let value = |names: [&str; 2]| names.into_iter().find_map(|name| variable(sysconfig, name));
    let mechanism = value(["SASLAUTHD_AUTHMECH", "MECH"]).unwrap_or("pam");
    let threads = value(["SASLAUTHD_THREADS", "THREADS"]).unwrap_or("5");
    let options = in_lab_sockets(value(["SASLAUTHD_PARAMS", "FLAGS"]).unwrap_or_default());
    let socket = if options.split_whitespace().any(|word| word.starts_with("-m")) { "" } else { "-m /run/saslauthd " };
    let options = format!("{socket}{options}");
    format!(
        "# What sysconfig/saslauthd says, for the saslauthd of this machine.\nSTART=yes\nDESC=\"SASL Authentication Daemon\"\n\
         NAME=\"saslauthd\"\nMECHANISMS=\"{mechanism}\"\nMECH_OPTIONS=\"\"\nTHREADS={threads}\nOPTIONS=\"{}\"\n",
        options.trim_end()
    )
}

/// The value of a variable of the shell; the last one counts.
fn variable<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut values = text.lines().filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
    values.next_back().map(|value| value.trim().trim_matches(['"', '\'']))
}

fn in_lab_sockets(text: &str) -> String {
    SOCKETS.iter().fold(text.to_owned(), |text, socket| text.replace(socket, LAB_SOCKET))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("sysconfig/saslauthd", Some("default/saslauthd"))]
    #[case("sasl2/smtpd.conf", Some("postfix/sasl/smtpd.conf"))]
    #[case("sasl2/submission.conf", Some("postfix/sasl/submission.conf"))]
    #[case("sasl2/old/smtpd.conf", None)]
    #[case("sysconfig/postfix", None)]
    #[case("postfix/sasl/smtpd.conf", None)]
    fn knows_where_others_have_files(#[case] path: &str, #[case] place: Option<&str>) {
        assert_eq!(lab_place(path).as_deref(), place);
    }

    #[rstest::rstest]
    #[case::suse(
        "SASLAUTHD_AUTHMECH=shadow\nSASLAUTHD_THREADS=\"2\"\nSASLAUTHD_PARAMS=\"-r -c\"\n",
        "MECHANISMS=\"shadow\" THREADS=2 OPTIONS=\"-m /run/saslauthd -r -c\""
    )]
    #[case::red_hat(
        "SOCKETDIR=/run/saslauthd\nMECH=ldap\nFLAGS=\"-O /etc/saslauthd.conf\"\n",
        "MECHANISMS=\"ldap\" THREADS=5 OPTIONS=\"-m /run/saslauthd -O /etc/saslauthd.conf\""
    )]
    #[case::socket_of_suse(
        "SASLAUTHD_PARAMS='-m /var/run/sasl2'\n",
        "MECHANISMS=\"pam\" THREADS=5 OPTIONS=\"-m /run/saslauthd\""
    )]
    #[case::own_socket("SASLAUTHD_PARAMS=\"-m /srv/mux\"\n", "MECHANISMS=\"pam\" THREADS=5 OPTIONS=\"-m /srv/mux\"")]
    #[case::commented("# SASLAUTHD_AUTHMECH=shadow\n", "MECHANISMS=\"pam\" THREADS=5 OPTIONS=\"-m /run/saslauthd\"")]
    fn says_the_same_in_the_form_of_the_lab(#[case] sysconfig: &str, #[case] expected: &str) {
        let text = String::from_utf8(translated("sysconfig/saslauthd", sysconfig.as_bytes())).unwrap();
        let lines = ["MECHANISMS=", "THREADS=", "OPTIONS="]
            .map(|begin| text.lines().find(|line| line.starts_with(begin)).unwrap());
        assert_eq!(lines.join(" "), expected);
    }

    #[test]
    fn the_socket_of_smtpd_is_the_labs() {
        let text = translated("sasl2/smtpd.conf", b"pwcheck_method: saslauthd\nsaslauthd_path: /run/sasl2/mux\n");
        assert_eq!(text, b"pwcheck_method: saslauthd\nsaslauthd_path: /run/saslauthd/mux\n");
    }
}
