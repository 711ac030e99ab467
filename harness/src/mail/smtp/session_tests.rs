use super::*;
use crate::mail::dialogue::{Script, alice, client, endpoint, soon};
use crate::mail::outcome::Outcome;
use rstest::rstest;

fn access(security: Security, mechanism: Mechanism) -> Access {
    Access { endpoint: endpoint(), security, credentials: alice("alicepw"), mechanism }
}

/// A server that has greeted and said what it can do.
fn ready(extensions: &[&str]) -> Script {
    let mut script = Script::new().says("220 mail.lan.test ESMTP Postfix").hears("EHLO [127.0.0.1]");
    script = script.says("250-mail.lan.test");
    for extension in extensions {
        script = script.says(&format!("250-{extension}"));
    }
    script.says("250 ENHANCEDSTATUSCODES")
}

async fn attempt(script: Script, access: &Access) -> Probe {
    let (stream, server) = script.play();
    let mut session = Session::new(Some(&access.credentials), soon());
    session.wire.attach(stream);
    let entered = session.enter(&client(), access).await;
    let probe = session.into_probe(entered).await;
    server.await.unwrap();
    probe
}

#[tokio::test]
async fn auth_plain_is_accepted() {
    let script = ready(&["PIPELINING", "AUTH PLAIN LOGIN"])
        .hears("AUTH PLAIN AGFsaWNlAGFsaWNlcHc=")
        .says("235 2.7.0 Authentication successful")
        .hears("QUIT")
        .says("221 2.0.0 Bye");
    let probe = attempt(script, &access(Security::Cleartext, Mechanism::Plain)).await;
    assert_eq!(probe.finding.outcome(), Outcome::Accepted);
    insta::assert_snapshot!(probe.transcript, @r"
    S: 220 mail.lan.test ESMTP Postfix
    C: EHLO [127.0.0.1]
    S: 250-mail.lan.test
    S: 250-PIPELINING
    S: 250-AUTH PLAIN LOGIN
    S: 250 ENHANCEDSTATUSCODES
    C: AUTH PLAIN ******
    S: 235 2.7.0 Authentication successful
    C: QUIT
    S: 221 2.0.0 Bye
    ");
}

#[tokio::test]
async fn auth_login_is_refused() {
    let script = ready(&["AUTH=PLAIN LOGIN"])
        .hears("AUTH LOGIN")
        .says("334 VXNlcm5hbWU6")
        .hears("YWxpY2U=")
        .says("334 UGFzc3dvcmQ6")
        .hears("YWxpY2Vwdw==")
        .says("535 5.7.8 Error: authentication failed: authentication failure")
        .hears("QUIT");
    let probe = attempt(script, &access(Security::Cleartext, Mechanism::Login)).await;
    assert_eq!(probe.finding.to_string(), "refused: 535 5.7.8 Error: authentication failed: authentication failure");
    insta::assert_snapshot!(probe.transcript, @r"
    S: 220 mail.lan.test ESMTP Postfix
    C: EHLO [127.0.0.1]
    S: 250-mail.lan.test
    S: 250-AUTH=PLAIN LOGIN
    S: 250 ENHANCEDSTATUSCODES
    C: AUTH LOGIN
    S: 334 VXNlcm5hbWU6
    C: YWxpY2U=
    S: 334 UGFzc3dvcmQ6
    C: ******
    S: 535 5.7.8 Error: authentication failed: authentication failure
    C: QUIT
    *: no goodbye: the server closed the connection while the client waited for a reply to QUIT
    ");
}

#[rstest]
#[case::saslauthd_down(
    "454 4.7.0 Temporary authentication failure: generic failure",
    "unavailable: 454 4.7.0 Temporary authentication failure: generic failure"
)]
#[case::shutting_down("421 4.3.2 bye", "unavailable: 421 4.3.2 bye")]
#[case::starttls_first(
    "530 5.7.0 Must issue a STARTTLS command first",
    "unavailable: 530 5.7.0 Must issue a STARTTLS command first"
)]
#[case::not_enabled(
    "503 5.5.1 Error: authentication not enabled",
    "unavailable: 503 5.5.1 Error: authentication not enabled"
)]
#[case::unknown_command("502 5.5.2 what?", "protocol error: expected a reply to AUTH, got: 502 5.5.2 what?")]
#[case::positive_but_wrong("250 fine", "protocol error: expected a reply to AUTH, got: 250 fine")]
#[case::garbage("<html>", "protocol error: expected a reply to AUTH by SMTP, got: <html>")]
#[case::echo("535 5.7.8 bad: AGFsaWNlAGFsaWNlcHc= (alicepw)", "refused: 535 5.7.8 bad: ****** (******)")]
#[tokio::test]
async fn verdicts_are_told_apart(#[case] answer: &str, #[case] outcome: &str) {
    let script = ready(&["AUTH PLAIN"]).hears("AUTH PLAIN AGFsaWNlAGFsaWNlcHc=").says(answer);
    let probe = attempt(script, &access(Security::Cleartext, Mechanism::Plain)).await;
    assert_eq!(probe.finding.to_string(), outcome);
    let json = serde_json::to_string(&probe).unwrap();
    assert!(!json.contains("alicepw") && !json.contains("AGFsaWNl"), "{json}");
}

#[rstest]
#[case::imap("* OK Cyrus IMAP ready", "protocol error: expected a greeting by SMTP, got: * OK Cyrus IMAP ready")]
#[case::no_service("554 no SMTP here", "unavailable: 554 no SMTP here")]
#[case::busy("421 4.7.0 too many", "unavailable: 421 4.7.0 too many")]
#[case::two_codes_in_one_reply("220-a\r\n250 b", "protocol error: expected a greeting by SMTP, got: 250 b")]
#[tokio::test]
async fn greetings_are_checked(#[case] greeting: &str, #[case] outcome: &str) {
    let probe = attempt(Script::new().says(greeting), &access(Security::Cleartext, Mechanism::Plain)).await;
    assert_eq!(probe.finding.to_string(), outcome);
}

#[rstest]
#[case::plain(Mechanism::Plain, "PLAIN")]
#[case::login(Mechanism::Login, "LOGIN")]
#[tokio::test]
async fn no_password_is_sent_where_none_is_taken(#[case] mechanism: Mechanism, #[case] keyword: &str) {
    let probe = attempt(ready(&["STARTTLS"]), &access(Security::Cleartext, mechanism)).await;
    assert_eq!(
        probe.finding.to_string(),
        format!("unavailable: the server does not offer AUTH {keyword}: it offers STARTTLS, ENHANCEDSTATUSCODES")
    );
    assert!(!probe.transcript.to_string().contains("C: AUTH"), "{}", probe.transcript);
}

#[tokio::test]
async fn a_server_without_starttls_is_unavailable() {
    let probe = attempt(ready(&["AUTH PLAIN"]), &access(Security::StartTls, Mechanism::Plain)).await;
    assert_eq!(probe.finding.outcome(), Outcome::Unavailable, "{}", probe.finding);
    assert!(!probe.transcript.to_string().contains("C: AUTH"), "{}", probe.transcript);
}

#[tokio::test]
async fn plaintext_behind_starttls_is_an_attack() {
    let script = ready(&["STARTTLS", "AUTH PLAIN"])
        .hears("STARTTLS")
        .says_raw(b"220 2.0.0 Ready to start TLS\r\n250-mail.lan.test\r\n250 AUTH PLAIN\r\n");
    let probe = attempt(script, &access(Security::StartTls, Mechanism::Plain)).await;
    assert_eq!(
        probe.finding.to_string(),
        "protocol error: 35 bytes of plaintext follow the reply to STARTTLS: somebody injects commands"
    );
    assert!(!probe.transcript.to_string().contains("C: AUTH"), "{}", probe.transcript);
}

#[rstest]
#[case::mid_line(Script::new().says_raw(b"220 mail.la"))]
#[case::mid_reply(Script::new().says("220 x").hears("EHLO [127.0.0.1]").says("250-mail.lan.test"))]
#[tokio::test]
async fn a_closed_connection_is_told_apart(#[case] script: Script) {
    let probe = attempt(script, &access(Security::Cleartext, Mechanism::Plain)).await;
    assert_eq!(probe.finding.outcome(), Outcome::Disconnected, "{}", probe.finding);
}

#[tokio::test]
async fn replies_may_come_byte_by_byte() {
    let script = Script::new()
        .dribbles("220 mail.lan.test ESMTP")
        .hears("EHLO [127.0.0.1]")
        .dribbles("250-mail.lan.test")
        .dribbles("250 AUTH LOGIN PLAIN")
        .hears("AUTH PLAIN AGFsaWNlAGFsaWNlcHc=")
        .dribbles("235 2.7.0 Authentication successful");
    let probe = attempt(script, &access(Security::Cleartext, Mechanism::Plain)).await;
    assert_eq!(probe.finding.outcome(), Outcome::Accepted);
}

#[tokio::test]
async fn an_endless_line_is_cut_off() {
    let probe = attempt(Script::new().floods(1 << 30), &access(Security::Cleartext, Mechanism::Plain)).await;
    assert_eq!(probe.finding.to_string(), "protocol error: the server sent a line of more than 65536 bytes");
}

#[rstest]
#[case::among_others("AUTH PLAIN LOGIN", true)]
#[case::as_old_servers_write("AUTH=PLAIN", true)]
#[case::another_mechanism("AUTH LOGIN", false)]
#[case::of_another_extension("XAUTH PLAIN", false)]
fn a_mechanism_is_one_of_auth(#[case] line: &str, #[case] offered: bool) {
    let extensions = Extensions { lines: vec![line.to_owned()] };
    assert_eq!(extensions.authenticates_by("PLAIN"), offered);
}

#[test]
fn an_extension_is_offered_by_its_first_word() {
    let extensions = Extensions { lines: vec!["STARTTLS".into(), "SIZE 1000".into(), "X STARTFOO".into()] };
    assert!(extensions.offers("STARTTLS") && extensions.offers("SIZE"));
    assert!(!extensions.offers("STARTFOO") && !extensions.offers("START"));
}
