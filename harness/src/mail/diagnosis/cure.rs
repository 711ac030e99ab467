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
        RootCause::ServiceDown => "systemctl --failed, and journalctl -u of the service, tell why it does not run".into(),
        RootCause::DaemonDies => "the lines above say what it dies of: correct that, and start the daemon again".into(),
        RootCause::ServiceTls => "put the certificate and the key of the service where its configuration says, readable by its daemon; restart it".into(),
        RootCause::AuthOff => {
            "set smtpd_sasl_auth_enable = yes for the submission services in master.cf (-o smtpd_sasl_auth_enable=yes), and reload postfix".into()
        }
        RootCause::NoMechanisms => {
            "postfix needs one mechanism that smtpd_sasl_security_options leaves: for saslauthd smtpd_sasl_type = cyrus, PLAIN or LOGIN in \
             mech_list of smtpd.conf, no noplaintext, and SASL's modules installed (libsasl2-modules, cyrus-sasl-plain)"
                .into()
        }
        RootCause::PasswordVerifier => {
            let file = if service == "smtp" {
                "smtpd.conf where postfix looks (cyrus_sasl_config_path; /etc/postfix/sasl on Debian, /etc/sasl2 on SUSE and Fedora)"
            } else {
                "/etc/imapd.conf (as sasl_pwcheck_method)"
            };
            format!("write `pwcheck_method: saslauthd` into {file}, and restart the daemon")
        }
        RootCause::SecretMechanism => {
            let key = if service == "smtp" { "mech_list in smtpd.conf" } else { "sasl_mech_list in /etc/imapd.conf" };
            format!("offer what saslauthd can serve only: {key} is PLAIN LOGIN; then restart the daemon")
        }
        RootCause::Confined => "aa-status or ausearch -m avc tell which profile it is: let it have the path that the line names".into(),
        RootCause::SaslauthdElsewhere => {
            "let saslauthd make its socket where the daemons look (-m, without /mux), or set saslauthd_path (with /mux) in the daemon's SASL configuration".into()
        }
        RootCause::SaslauthdBusy => "give saslauthd more processes (-n), and look at what they wait for: a directory that is slow".into(),
        RootCause::SaslauthdSilent => "it can be reached now: try again; journalctl -u saslauthd tells why it was away".into(),
        RootCause::SaslauthdMechanism => {
            "let saslauthd ask PAM (-a pam): MECHANISMS in /etc/default/saslauthd on Debian, SASLAUTHD_AUTHMECH in /etc/sysconfig/saslauthd on \
             SUSE, MECH on Fedora; then systemctl restart saslauthd"
                .into()
        }
        RootCause::RealmStripped => {
            "let saslauthd hand the domain on: -r in its options (OPTIONS in /etc/default/saslauthd, SASLAUTHD_PARAMS in /etc/sysconfig/saslauthd); \
             then systemctl restart saslauthd"
                .into()
        }
        RootCause::PamFileBroken => {
            format!("correct that line of the PAM file of {service}: a phase, a control, a module. Nothing needs a restart")
        }
        RootCause::PamStackOrder | RootCause::PamIncludeMissing | RootCause::PamModuleMissing | RootCause::PamModuleRefuses => {
            format!("see the files of PAM for {service}, and their modules")
        }
        RootCause::SssdConfiguration => "sssctl config-check finds mistakes in sssd's configuration; then systemctl restart sssd".into(),
        RootCause::SssdCache => {
            "is there room on the file system of /var/lib/sss? If its cache is damaged: systemctl stop sssd; move /var/lib/sss/db/* away; systemctl start sssd".into()
        }
        RootCause::SssdWithoutPam => "add pam to `services` in /etc/sssd/sssd.conf, and restart sssd".into(),
        RootCause::SssdSilent => "it runs now: try again; journalctl -u sssd tells why it did not answer".into(),
        RootCause::SssdFails => "read /var/log/sssd/ of that minute; `sssctl debug-level 6` makes sssd say more".into(),
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
        RootCause::DirectoryHandshake => {
            "openssl s_client -connect to the directory tells what the two agree on: TLS versions and ciphers of slapd \
             (olcTLSProtocolMin, olcTLSCipherSuite) and of this machine (its crypto policy), and whether that port speaks TLS at all"
                .into()
        }
        RootCause::AuthorityMissing => "put the certificate of the authority where ldap_tls_cacert points to, and restart sssd".into(),
        RootCause::CertificateExpired => "renew the directory's certificate, on the directory, and restart slapd; or one of the clocks is wrong".into(),
        RootCause::CertificateName => {
            "use a name in ldap_uri that the directory's certificate has, or give the directory a certificate with that name".into()
        }
        RootCause::CertificateWeak => "give the directory a certificate with a larger key and SHA-256, of an authority with the same".into(),
        RootCause::DirectoryUntrusted => {
            "compare ldap_tls_cacert with who signed the directory's certificate; the directory must send what lies between the two".into()
        }
        RootCause::DirectoryWantsTls => {
            "the directory wants encryption or a name of who asks: ldaps:// or ldap_id_use_start_tls, ldap_default_bind_dn and its password in sssd.conf, or its access rules".into()
        }
        RootCause::SearchBaseMissing => "correct ldap_search_base and ldap_user_search_base in /etc/sssd/sssd.conf, and restart sssd".into(),
        RootCause::SssdBindRefused => {
            "set ldap_default_authtok in /etc/sssd/sssd.conf to the password that the directory has for ldap_default_bind_dn, and restart sssd".into()
        }
        RootCause::DirectoryUnreachable => "it can be reached now: try again; sssd asks again by itself after a while offline".into(),
        RootCause::UnknownUser => format!("add {user} to the directory below ldap_user_search_base, or correct the name"),
        RootCause::NotPosixAccount => {
            format!("give the entry of {user} the class posixAccount with uidNumber, gidNumber and homeDirectory")
        }
        RootCause::UserHidden => "change that setting in /etc/sssd/sssd.conf, restart sssd, and drop what it remembers: sss_cache -E".into(),
        RootCause::AccountLocked => format!("unlock {user} where it is locked: the directory's password policy, or faillock"),
        RootCause::PasswordExpired => format!("{user} needs a new password: neither IMAP nor SMTP can ask for one"),
        RootCause::AccountExpired => format!("prolong the account of {user} (shadowExpire, or what ldap_account_expire_policy reads)"),
        RootCause::AccessSimple => format!("admit {user} in simple_allow_users or simple_allow_groups in /etc/sssd/sssd.conf, and restart sssd"),
        RootCause::AccessFilter => {
            format!("let ldap_access_filter in /etc/sssd/sssd.conf fit the entry of {user}, or take `filter` out of ldap_access_order; restart sssd")
        }
        RootCause::AccessDenied => "the access rules are access_provider and what belongs to it in /etc/sssd/sssd.conf".into(),
        RootCause::WrongPassword => format!("nothing is broken: {user} needs the right password, or a new one"),
        RootCause::HostAttribute => {
            format!("add `host: {}` to the entry of {user}, if {user} is to use this machine", mail.machine())
        }
        RootCause::UserDenied => format!("su cyrus -s /bin/sh -c '/usr/lib/cyrus/bin/cyr_deny -a {user}' takes {user} off the list"),
        RootCause::Unexplained => "read the log of the time of the login, from saslauthd on".into(),
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
