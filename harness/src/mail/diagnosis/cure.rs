//! What to do about a cause, in commands where there are some.

use super::cause::RootCause;
use super::evidence::Evidence;
use super::rules::Login;

/// The next thing to do.
pub(super) fn cure(cause: RootCause, login: Login<'_>, mail: &Evidence) -> String {
    let service = login.service.pam();
    let user = login.user;
    match cause {
        RootCause::SaslauthdDown => "systemctl enable --now saslauthd; if it does not start: journalctl -u saslauthd".into(),
        RootCause::SaslauthdForbidden => {
            let account = if service == "smtp" { "postfix" } else { "cyrus" };
            format!("usermod -aG sasl {account}, and restart the daemon: a running one keeps its groups")
        }
        RootCause::SmtpdChrooted => "postconf -F '*/inet/chroot=n' && systemctl restart postfix, or let saslauthd make its socket in \
             the chroot (-m)"
            .into(),
        RootCause::PamFilesMissing
        | RootCause::PamFileMissing
        | RootCause::PamFileEmpty
        | RootCause::PamFileStock
        | RootCause::CacheHidesLoss => pam_file(cause, service, mail),
        RootCause::SssdConfiguration => {
            "chown root: /etc/sssd/sssd.conf && chmod 0600 /etc/sssd/sssd.conf && systemctl restart sssd; sssctl config-check \
             finds mistakes in it"
                .into()
        }
        RootCause::SssdDown => "systemctl enable --now sssd; if it does not start: journalctl -u sssd".into(),
        RootCause::DirectoryUnnamed => "getent hosts with the name in ldap_uri must answer: see /etc/hosts and /etc/resolv.conf".into(),
        RootCause::DirectoryRejects => {
            "on the directory: systemctl status slapd; if it runs, it listens elsewhere, or a packet filter rejects".into()
        }
        RootCause::DirectoryDrops => {
            "is the directory's host on, and in the network? Then look at the packet filters on the way: something drops packets".into()
        }
        RootCause::DirectoryHangs => {
            "on the directory: slapd runs, and does nothing: journalctl -u slapd, is its disk full or slow? Then systemctl restart slapd".into()
        }
        RootCause::AuthorityExpired => {
            "put a valid certificate of the authority where ldap_tls_cacert points to, and restart sssd; or this machine's clock is wrong".into()
        }
        RootCause::DirectoryUntrusted => {
            "compare ldap_tls_cacert with who signed the directory's certificate, and the name in it with ldap_uri".into()
        }
        RootCause::SssdBindRefused => {
            "set ldap_default_authtok in /etc/sssd/sssd.conf to the password that the directory has for ldap_default_bind_dn, and restart sssd".into()
        }
        RootCause::DirectoryUnreachable => "it can be reached now: try again; sssd asks again by itself after a while offline".into(),
        RootCause::UnknownUser => format!("add {user} to the directory below ldap_user_search_base, or correct the name"),
        RootCause::NotPosixAccount => {
            format!("give the entry of {user} the class posixAccount with uidNumber, gidNumber and homeDirectory")
        }
        RootCause::WrongPassword => format!("nothing is broken: {user} needs the right password, or a new one"),
        RootCause::HostAttribute => {
            format!("add `host: {}` to the entry of {user}, if {user} is to use this machine", mail.machine())
        }
        RootCause::UserDenied => format!("su cyrus -s /bin/sh -c '/usr/lib/cyrus/bin/cyr_deny -a {user}' takes {user} off the list"),
        RootCause::Unknown => "read the log of the time of the login, from saslauthd on".into(),
        RootCause::Nothing => "log in once more, and ask soon after that".into(),
    }
}

/// A copy that an upgrade or a person has left beside the file is the first thing to look for.
fn pam_file(cause: RootCause, service: &str, mail: &Evidence) -> String {
    let second = format!("/etc/pam.d/{service}.");
    let copy = mail.files.keys().find(|path| path.starts_with(&second));
    let put_back = match copy {
        Some(copy) => format!("compare {copy} with a backup, and put it back as /etc/pam.d/{service}"),
        None => {
            format!("put /etc/pam.d/{service} back from a backup, or write it: auth and account must call pam_sss.so")
        }
    };
    match cause {
        RootCause::PamFilesMissing => format!("{put_back}; /etc/pam.d/other is missing, too. Nothing needs a restart"),
        RootCause::CacheHidesLoss => {
            format!("{put_back}. Without -c in saslauthd's OPTIONS everybody would have noticed at once")
        }
        _ => format!("{put_back}. Nothing needs a restart"),
    }
}
