use super::*;
use rstest::rstest;

const OWN: &str = "auth sufficient pam_unix.so\nauth required pam_sss.so use_first_pass\naccount sufficient pam_unix.so\naccount required pam_sss.so";
const LOCAL: &str = "auth requisite pam_unix.so\naccount required pam_unix.so";
const SSSD: &str = "[domain/lab]\naccess_provider = ldap\nldap_access_order = host\nldap_user_search_base = ou=people,dc=lan,dc=test\nldap_default_bind_dn = cn=sssd,dc=lan,dc=test\nldap_default_authtok = ******\nldap_tls_cacert = /etc/ssl/ca.crt\n";
const ENTRY: &str =
    "dn: uid=alice,ou=people,dc=lan,dc=test\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nhost: mail\n";

const FAILED: &str = "t mail saslauthd[7]:                 : auth failure: [user=alice] [service=imap] [realm=] [mech=pam] [reason=PAM auth error]";
const LOCAL_ONLY: &str = "t mail saslauthd[7]: pam_unix(imap:auth): check pass; user unknown";
const UNAVAILABLE: &str = "t mail saslauthd[7]: pam_sss(imap:auth): received for user alice: 9 (Authentication service cannot retrieve authentication info)";
const SILENT: &str = "t mail saslauthd[7]: pam_sss(imap:auth): Request to sssd failed. Connection refused";
const UNKNOWN: &str = "t mail saslauthd[7]: pam_sss(imap:auth): received for user alice: 10 (User not known to the underlying authentication module)";
const WRONG: &str = "t mail saslauthd[7]: pam_sss(imap:auth): received for user alice: 7 (Authentication failure)";
const NO_SOCKET: &str = "t mail postfix/submission/smtpd[9]: warning: SASL authentication failure: cannot connect to saslauthd server: No such file or directory";

/// A text of the collector, section by section.
#[derive(Clone)]
struct Sheet(Vec<(String, String)>);

impl Sheet {
    /// Of a mail server on which all is well.
    fn healthy() -> Self {
        let sections = [
            ("user alice", ""),
            ("now 1764000000", ""),
            ("file /etc/pam.d/imap 644 root root", OWN),
            ("file /etc/pam.d/smtp 644 root root", OWN),
            ("file /etc/pam.d/other 644 root root", LOCAL),
            ("file /etc/sssd/sssd.conf 600 root root", SSSD),
            (
                "units",
                "Id=sssd.service\nLoadState=loaded\nActiveState=active\nResult=success\nUnitFileState=enabled\n\nId=saslauthd.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled",
            ),
            ("saslauthd", "/usr/sbin/saslauthd\n-a\npam\n-m\n/run/saslauthd\n-n\n5"),
            ("master", "smtp inet n - n - - smtpd\nsubmission inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes"),
            ("socket /run/saslauthd d 710 root sasl", ""),
            ("socket /run/saslauthd/mux s 777 root sasl", ""),
            ("groups postfix postfix sasl mail", ""),
            ("groups cyrus mail sasl", ""),
            ("denied", ""),
            ("name directory.lan.test 0", ""),
            ("connect directory.lan.test 636 0", ""),
            ("tls 0", "Verify return code: 0 (ok)"),
            ("entry 0", ENTRY),
            ("log", ""),
            ("sssd-log", ""),
        ];
        Self(sections.map(|(head, text)| (head.to_owned(), text.to_owned())).into())
    }

    /// With another text, or another head, in the section that begins like this; without the section if there is no head.
    fn with(mut self, begin: &str, head: &str, text: &str) -> Self {
        let section =
            self.0.iter_mut().find(|(head, _)| head.starts_with(begin)).expect("a section of the healthy sheet");
        *section = (head.to_owned(), text.to_owned());
        self.0.retain(|(head, _)| !head.is_empty());
        self
    }

    fn without(self, begin: &str) -> Self {
        self.with(begin, "", "")
    }

    fn log(self, lines: &[&str]) -> Self {
        self.with("log", "log", &lines.join("\n"))
    }

    fn read(&self) -> Evidence {
        let mut text = "@rehearsal-evidence 1 mail mail.lan.test\n".to_owned();
        for (head, lines) in &self.0 {
            text.extend(["@", head, "\n"]);
            text.extend(lines.lines().map(|line| format!("|{line}\n")));
        }
        Evidence::read(&(text + "@end\n")).unwrap()
    }
}

fn diagnosed(sheet: &Sheet, service: Service) -> Diagnosis {
    diagnose(Login { user: "alice", service }, &sheet.read(), None)
}

fn units(sssd: &str, saslauthd: &str) -> String {
    format!(
        "Id=sssd.service\nLoadState=loaded\nActiveState={sssd}\nResult=x\n\nId=saslauthd.service\nLoadState=loaded\nActiveState={saslauthd}"
    )
}

#[rstest]
#[case::missing(|sheet: Sheet| sheet.without("file /etc/pam.d/imap").log(&[LOCAL_ONLY, FAILED]), RootCause::PamFileMissing)]
#[case::empty(|sheet: Sheet| sheet.with("file /etc/pam.d/imap", "file /etc/pam.d/imap 644 root root", "").log(&[LOCAL_ONLY, FAILED]), RootCause::PamFileEmpty)]
#[case::stock(|sheet: Sheet| sheet.with("file /etc/pam.d/imap", "file /etc/pam.d/imap 644 root root", LOCAL).log(&[LOCAL_ONLY, FAILED]), RootCause::PamFileStock)]
#[case::no_files(
    |sheet: Sheet| sheet.without("file /etc/pam.d/imap").without("file /etc/pam.d/other")
        .log(&["t mail saslauthd[7]: PAM _pam_init_handlers: no default config other", FAILED]),
    RootCause::PamFilesMissing
)]
#[case::sssd_down(|sheet: Sheet| sheet.with("units", "units", &units("inactive", "active")).log(&[SILENT, FAILED]), RootCause::SssdDown)]
#[case::sssd_mode(
    |sheet: Sheet| sheet.with("units", "units", &units("failed", "active")).with("file /etc/sssd", "file /etc/sssd/sssd.conf 644 root root", SSSD)
        .log(&[SILENT, FAILED]),
    RootCause::SssdConfiguration
)]
#[case::rejected(
    |sheet: Sheet| sheet.with("connect", "connect directory.lan.test 636 1", "bash: connect: Connection refused").without("entry").log(&[UNAVAILABLE, FAILED]),
    RootCause::DirectoryRejects
)]
#[case::dropped(
    |sheet: Sheet| sheet.with("connect", "connect directory.lan.test 636 124", "").without("entry").log(&[UNAVAILABLE, FAILED]),
    RootCause::DirectoryDrops
)]
#[case::unnamed(
    |sheet: Sheet| sheet.with("connect", "connect directory.lan.test 636 1", "bash: directory.lan.test: Name or service not known").without("entry").log(&[UNAVAILABLE, FAILED]),
    RootCause::DirectoryUnnamed
)]
#[case::unnamed_says_getent(
    |sheet: Sheet| sheet.with("name", "name directory.lan.test 2", "").without("connect").without("tls").without("entry").log(&[UNAVAILABLE, FAILED]),
    RootCause::DirectoryUnnamed
)]
#[case::silent_name_server(
    |sheet: Sheet| sheet.with("name", "name directory.lan.test 124", "").without("connect").without("tls").without("entry").log(&[UNAVAILABLE, FAILED]),
    RootCause::DirectoryUnnamed
)]
#[case::no_certificate(
    |sheet: Sheet| sheet.with("tls", "tls 124", "").without("entry").log(&[UNAVAILABLE, FAILED]),
    RootCause::DirectoryHangs
)]
#[case::no_entry(
    |sheet: Sheet| sheet.with("entry", "entry 124", "").log(&[UNAVAILABLE, FAILED]),
    RootCause::DirectoryHangs
)]
#[case::untrusted(
    |sheet: Sheet| sheet.with("tls", "tls 0", "verify error:num=20:unable to get local issuer certificate").with("entry", "entry 255", "").log(&[UNAVAILABLE, FAILED]),
    RootCause::DirectoryUntrusted
)]
#[case::untrusted_says_an_older_collector(
    |sheet: Sheet| sheet.with("tls", "tls", "verify error:num=20:unable to get local issuer certificate").with("entry", "entry 255", "").log(&[UNAVAILABLE, FAILED]),
    RootCause::DirectoryUntrusted
)]
#[case::bind(
    |sheet: Sheet| sheet.with("entry", "entry 49", "ldap_bind: Invalid credentials (49)").log(&[UNAVAILABLE, FAILED]),
    RootCause::SssdBindRefused
)]
#[case::wrong_password(|sheet: Sheet| sheet.log(&[WRONG, FAILED]), RootCause::WrongPassword)]
#[case::unknown_user(|sheet: Sheet| sheet.with("entry", "entry 0", "").log(&[UNKNOWN, FAILED]), RootCause::UnknownUser)]
#[case::no_posix_account(
    |sheet: Sheet| sheet.with("entry", "entry 0", "dn: uid=alice,ou=people\nobjectClass: inetOrgPerson\nhost: mail").log(&[UNKNOWN, FAILED]),
    RootCause::NotPosixAccount
)]
#[case::host(
    |sheet: Sheet| sheet.with("entry", "entry 0", "dn: uid=alice,ou=people\nobjectClass: posixAccount\nhost: other")
        .log(&["t mail saslauthd[7]: pam_sss(imap:account): Access denied for user alice: 6 (Permission denied)", FAILED]),
    RootCause::HostAttribute
)]
#[case::denied(
    |sheet: Sheet| sheet.with("denied", "denied", "alice\timap,imaps").log(&["t mail cyrus/imaps[3]: user 'alice' denied access to service 'imaps'"]),
    RootCause::UserDenied
)]
#[case::saslauthd_down(
    |sheet: Sheet| sheet.with("units", "units", &units("active", "inactive")).without("saslauthd")
        .log(&["t mail cyrus/imaps[3]: SASL cannot connect to saslauthd server: No such file or directory"]),
    RootCause::SaslauthdDown
)]
fn each_cause_is_told_apart(#[case] breaks: fn(Sheet) -> Sheet, #[case] cause: RootCause) {
    let diagnosis = diagnosed(&breaks(Sheet::healthy()), Service::Imap);
    let [only] = diagnosis.findings.as_slice() else { panic!("{diagnosis}") };
    assert_eq!((only.cause, only.certainty), (cause, Certainty::Certain), "{diagnosis}");
    assert!(!only.evidence.is_empty() && !only.cure.is_empty() && diagnosis.refused, "{diagnosis}");
}

#[rstest]
#[case::chroot(
    |sheet: Sheet| sheet.with("master", "master", "smtp inet n - n - - smtpd\nsubmission inet n - y - - smtpd"),
    &[NO_SOCKET], &[RootCause::SmtpdChrooted]
)]
#[case::chroot_of_port_25_only(
    |sheet: Sheet| sheet.with("master", "master", "smtp inet n - y - - smtpd\nsubmission inet n - n - - smtpd"), &[], &[]
)]
#[case::chroot_with_a_socket(
    |sheet: Sheet| sheet.with("master", "master", "submission inet n - y - - smtpd")
        .with("socket /run/saslauthd/mux", "socket /var/spool/postfix/run/saslauthd/mux s 777 root sasl", ""), &[], &[]
)]
#[case::forbidden(
    |sheet: Sheet| sheet.with("groups postfix", "groups postfix postfix mail", ""),
    &["t mail postfix/smtps/smtpd[9]: warning: SASL authentication failure: cannot connect to saslauthd server: Permission denied"],
    &[RootCause::SaslauthdForbidden]
)]
#[case::an_open_directory(
    |sheet: Sheet| sheet.with("groups postfix", "groups postfix postfix mail", "").with("socket /run/saslauthd ", "socket /run/saslauthd d 755 root root", ""),
    &[], &[]
)]
#[case::what_cyrus_meets(
    |sheet: Sheet| sheet, &["t mail cyrus/imaps[3]: SASL cannot connect to saslauthd server: Permission denied"], &[]
)]
fn postfix_has_causes_of_its_own(
    #[case] breaks: fn(Sheet) -> Sheet,
    #[case] log: &[&str],
    #[case] causes: &[RootCause],
) {
    let diagnosis = diagnosed(&breaks(Sheet::healthy()).log(log), Service::Smtp);
    let found: Vec<_> = diagnosis.findings.iter().map(|finding| finding.cause).collect();
    assert_eq!(found, causes, "{diagnosis}");
    assert!(diagnosis.findings.iter().all(|finding| finding.certainty == Certainty::Certain), "{diagnosis}");
}

#[test]
fn a_healthy_machine_has_no_cause() {
    for service in [Service::Imap, Service::Smtp] {
        let diagnosis = diagnosed(&Sheet::healthy(), service);
        assert_eq!(diagnosis.cause(), RootCause::Nothing, "{diagnosis}");
    }
}

#[test]
fn a_refusal_that_no_rule_explains_is_unknown() {
    let diagnosis = diagnosed(&Sheet::healthy().log(&[FAILED]), Service::Imap);
    assert_eq!((diagnosis.cause(), diagnosis.findings.len()), (RootCause::Unexplained, 0), "{diagnosis}");
}

#[test]
fn what_is_wrong_and_is_not_the_cause_comes_last() {
    let sheet =
        Sheet::healthy().with("entry", "entry 0", "dn: uid=alice,ou=people\nobjectClass: posixAccount\nhost: other");
    let diagnosis = diagnosed(&sheet.log(&[WRONG, FAILED]), Service::Imap);
    let found: Vec<_> = diagnosis.findings.iter().map(|finding| (finding.cause, finding.certainty)).collect();
    let expected = [(RootCause::WrongPassword, Certainty::Certain), (RootCause::HostAttribute, Certainty::Possible)];
    assert_eq!(found, expected);
}

#[test]
fn without_a_log_a_state_is_likely() {
    let diagnosis = diagnosed(&Sheet::healthy().without("file /etc/pam.d/imap"), Service::Imap);
    assert_eq!(diagnosis.findings[0].certainty, Certainty::Likely);
    assert_eq!(diagnosed(&Sheet::healthy().without("file /etc/pam.d/imap"), Service::Smtp).cause(), RootCause::Nothing);
}

#[test]
fn a_failure_that_is_over_is_likely() {
    let diagnosis = diagnosed(&Sheet::healthy().log(&[UNAVAILABLE, FAILED]), Service::Imap);
    assert_eq!(
        (diagnosis.cause(), diagnosis.findings[0].certainty),
        (RootCause::DirectoryUnreachable, Certainty::Likely)
    );
}

#[test]
fn a_local_user_needs_no_directory() {
    let sheet =
        Sheet::healthy().without("file /etc/pam.d/imap").with("entry", "entry 49", "").with("denied", "local", "");
    assert_eq!(diagnosed(&sheet, Service::Imap).cause(), RootCause::Nothing);
}

#[test]
fn a_cache_hides_the_loss_from_who_is_in_it() {
    let cached = "/usr/sbin/saslauthd\n-a\npam\n-c\n-m\n/run/saslauthd";
    let lost = Sheet::healthy().with("saslauthd", "saslauthd", cached).without("file /etc/pam.d/imap");
    let let_in = diagnosed(&lost, Service::Imap);
    assert!(let_in.cause() == RootCause::CacheHidesLoss && let_in.names(RootCause::PamFileMissing), "{let_in}");
    let refused = diagnosed(&lost.log(&[LOCAL_ONLY, FAILED]), Service::Imap);
    assert!(refused.cause() == RootCause::PamFileMissing && refused.names(RootCause::CacheHidesLoss), "{refused}");
}

#[test]
fn a_copy_beside_the_file_is_named_in_the_cure() {
    let sheet = Sheet::healthy().with("file /etc/pam.d/imap", "file /etc/pam.d/imap.rpmsave 644 root root", OWN);
    insta::assert_snapshot!(diagnosed(&sheet.log(&[LOCAL_ONLY, FAILED]), Service::Imap), @r"
    alice by imap: the service's PAM file is missing (certain)
        /etc/pam.d/imap is not there
        /etc/pam.d/other calls for auth: pam_unix.so
        t mail saslauthd[7]: pam_unix(imap:auth): check pass; user unknown
        t mail saslauthd[7]:                 : auth failure: [user=alice] [service=imap] [realm=] [mech=pam] [reason=PAM auth error]
        cure: compare /etc/pam.d/imap.rpmsave with a backup, and put it back as /etc/pam.d/imap. Nothing needs a restart
    ");
}
