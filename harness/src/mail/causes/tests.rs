use super::*;
use rstest::rstest;

const NOISE: [&str; 2] = [
    "pam_unix(imap:auth): check pass; user unknown",
    "pam_unix(imap:auth): authentication failure; logname= uid=0 euid=0 tty= ruser= rhost=",
];
const AUTH_FAILED: [&str; 2] = [
    "DEBUG: auth_pam: pam_authenticate failed: Authentication failure",
    "                : auth failure: [user=alice] [service=imap] [realm=] [mech=pam] [reason=PAM auth error]",
];
const ADMITTED: &str =
    "pam_sss(imap:auth): authentication success; logname= uid=0 euid=0 tty= ruser= rhost= user=alice";
const ACCOUNT_FAILED: &str =
    "                : auth failure: [user=alice] [service=imap] [realm=] [mech=pam] [reason=PAM acct error]";
const UNAVAILABLE: &str =
    "pam_sss(imap:auth): received for user alice: 9 (Authentication service cannot retrieve authentication info)";
const SSSD_SILENT: &str = "pam_sss(imap:auth): Request to sssd failed. Connection refused";

fn cause_of(lines: &[&str]) -> Diagnosis {
    likely_cause(RefusedLogin { service: "imap", user: "alice" }, lines.iter().copied())
}

#[rstest]
#[case::pam_file_missing(&[NOISE[0], NOISE[1], AUTH_FAILED[0], AUTH_FAILED[1]], Cause::PamServiceFile)]
#[case::pam_sss_in_common(
    &[NOISE[0], NOISE[1], ADMITTED, "DEBUG: auth_pam: pam_acct_mgmt failed: Authentication failure", ACCOUNT_FAILED],
    Cause::PamServiceFile
)]
#[case::other_missing_too(
    &[
        "PAM _pam_init_handlers: no default config other",
        "PAM error reading PAM configuration file",
        "PAM pam_start: failed to initialize handlers",
        "DEBUG: auth_pam: pam_start failed: Critical error - immediate abort",
        "                : auth failure: [user=alice] [service=imap] [realm=] [mech=pam] [reason=PAM start error]",
    ],
    Cause::NoPamFiles
)]
#[case::sssd_stopped(
    &[NOISE[0], NOISE[1], SSSD_SILENT, "DEBUG: auth_pam: pam_authenticate failed: Authentication service cannot retrieve authentication info"],
    Cause::SssdDown
)]
#[case::sssd_conf_mode(
    &[
        "SSSD couldn't load the configuration database [1432158322]: File ownership and permissions check failed",
        NOISE[0], NOISE[1], SSSD_SILENT,
    ],
    Cause::SssdConfiguration
)]
#[case::directory_down(
    &[NOISE[0], NOISE[1], UNAVAILABLE, "[be_mark_offline] Going offline!"],
    Cause::DirectoryUnreachable
)]
#[case::directory_hangs(
    &[
        "mail saslauthd[300]: pam_unix(imap:auth): check pass; user unknown",
        "mail sssd[275]: Child [319] ('lab':'%BE_lab') was terminated by own WATCHDOG. Consult corresponding logs to figure out the reason.",
        "mail saslauthd[300]: DEBUG: auth_pam: pam_authenticate failed: Authentication service cannot retrieve authentication info",
        "mail saslauthd[300]:                 : auth failure: [user=alice] [service=imap] [realm=] [mech=pam] [reason=PAM auth error]",
    ],
    Cause::DirectoryUnreachable
)]
#[case::another_process_could_not_ask(
    &[
        "mail saslauthd[300]: pam_unix(imap:auth): check pass; user unknown",
        "mail saslauthd[301]: DEBUG: auth_pam: pam_authenticate failed: Authentication service cannot retrieve authentication info",
        "mail saslauthd[300]:                 : auth failure: [user=alice] [service=imap] [realm=] [mech=pam] [reason=PAM auth error]",
    ],
    Cause::PamServiceFile
)]
#[case::ca_expired(
    &[NOISE[0], NOISE[1], UNAVAILABLE, "Could not start TLS encryption. (unknown error code)"],
    Cause::DirectoryUntrusted
)]
#[case::sssd_bind_password(
    &[
        NOISE[0], NOISE[1], UNAVAILABLE,
        r#"conn=1002 op=0 BIND dn="cn=sssd,dc=lan,dc=test" method=128"#,
        "conn=1002 op=0 RESULT tag=97 err=49 qtime=0.000010 etime=0.000200 text=",
    ],
    Cause::SssdBindRefused
)]
#[case::wrong_password(
    &[
        NOISE[0], NOISE[1],
        "pam_sss(imap:auth): received for user alice: 7 (Authentication failure)",
        AUTH_FAILED[0], AUTH_FAILED[1],
        "badlogin: mail.lan.test [10.77.0.1] plaintext (alice) [SASL(-13): authentication failure: checkpass failed]",
    ],
    Cause::WrongPassword
)]
#[case::unknown_user(
    &[NOISE[0], NOISE[1], "pam_sss(imap:auth): received for user alice: 10 (User not known to the underlying authentication module)"],
    Cause::UnknownUser
)]
#[case::host_attribute(
    &[
        NOISE[0], NOISE[1], ADMITTED,
        "pam_sss(imap:account): Access denied for user alice: 6 (Permission denied)",
        "DEBUG: auth_pam: pam_acct_mgmt failed: Permission denied",
        ACCOUNT_FAILED,
    ],
    Cause::HostDenied
)]
#[case::userdeny(
    &[
        NOISE[0], NOISE[1], ADMITTED,
        "user 'alice' denied access to service 'imaps'",
        "badlogin: mail.lan.test [10.77.0.1] plaintext (alice) [SASL(-14): authorization failure: user 'alice' is denied access to service 'imaps']",
    ],
    Cause::UserDenied
)]
#[case::saslauthd_stopped(
    &["SASL cannot connect to saslauthd server: No such file or directory"],
    Cause::SaslauthdDown
)]
#[case::smtpd_chrooted(
    &["warning: SASL authentication failure: cannot connect to saslauthd server: No such file or directory"],
    Cause::SaslauthdDown
)]
#[case::group_missing(
    &["warning: SASL authentication failure: cannot connect to saslauthd server: Permission denied"],
    Cause::SaslauthdForbidden
)]
#[case::silence(&[], Cause::Unknown)]
#[case::cached_or_unrelated(&["postfix/smtpd[12]: connect from unknown[10.20.0.9]"], Cause::Unknown)]
fn causes_are_told_apart(#[case] lines: &[&str], #[case] cause: Cause) {
    let diagnosis = cause_of(lines);
    assert_eq!(diagnosis.cause, cause, "{diagnosis}");
    assert_eq!(diagnosis.evidence.is_empty(), cause == Cause::Unknown);
    assert!(diagnosis.evidence.iter().all(|line| lines.contains(&line.as_str())), "evidence is quoted from the log");
}

#[test]
fn journal_prefixes_do_not_matter() {
    let prefixed: Vec<String> =
        NOISE.iter().map(|line| format!("2026-11-24T08:38:01.1+00:00 mail saslauthd[77]: {line}")).collect();
    let lines: Vec<&str> = prefixed.iter().map(String::as_str).collect();
    assert_eq!(cause_of(&lines).cause, Cause::PamServiceFile);
}

#[test]
fn another_user_or_service_proves_nothing() {
    let lines = [
        "pam_sss(imap:auth): received for user bob: 7 (Authentication failure)",
        "pam_sss(smtp:auth): received for user alice: 7 (Authentication failure)",
        "user 'bob' denied access to service 'imaps'",
    ];
    assert_eq!(cause_of(&lines).cause, Cause::Unknown);
}

#[test]
fn an_sssd_bind_is_refused_by_its_own_result() {
    let lines = [
        UNAVAILABLE,
        r#"conn=1002 op=0 BIND dn="cn=sssd,dc=lan,dc=test" method=128"#,
        "conn=1002 op=0 RESULT tag=97 err=0 qtime=0.000010 etime=0.000200 text=",
        r#"conn=1003 op=1 BIND dn="uid=bob,ou=people,dc=lan,dc=test" method=128"#,
        "conn=1003 op=1 RESULT tag=97 err=49 qtime=0.000010 etime=0.000200 text=",
    ];
    assert_eq!(cause_of(&lines).cause, Cause::DirectoryUnreachable);
}

#[test]
fn a_diagnosis_reads_well() {
    insta::assert_snapshot!(cause_of(&[NOISE[0], NOISE[1], AUTH_FAILED[0], AUTH_FAILED[1]]), @r"
    the service's PAM file is missing, empty or does not call pam_sss
      pam_unix(imap:auth): check pass; user unknown
      pam_unix(imap:auth): authentication failure; logname= uid=0 euid=0 tty= ruser= rhost=
                      : auth failure: [user=alice] [service=imap] [realm=] [mech=pam] [reason=PAM auth error]
    ");
}
