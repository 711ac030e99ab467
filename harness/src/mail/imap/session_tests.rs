use super::*;
use crate::mail::client::Credentials;
use crate::mail::dialogue::{Script, alice, client, endpoint, soon};
use crate::mail::outcome::Outcome;
use rstest::rstest;

const GREETING: &str = "* OK [CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE STARTTLS LOGINDISABLED] mail Cyrus IMAP 3.6.1-Debian-3.6.1-4+deb12u4 server ready";
const PRIVATE: &str = "* CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE AUTH=PLAIN AUTH=LOGIN SASL-IR";
const NO_INITIAL_RESPONSE: &str = "* CAPABILITY IMAP4rev1 AUTH=PLAIN";

fn access(mechanism: Mechanism, credentials: Credentials) -> Access {
    Access { endpoint: endpoint(), security: Security::Cleartext, credentials, mechanism }
}

/// A server that has greeted and said what it can do.
fn ready(capabilities: &str) -> Script {
    Script::new().says(GREETING).hears("a1 CAPABILITY").says(capabilities).says("a1 OK Completed")
}

async fn attempt(script: Script, access: &Access) -> Probe {
    let (stream, server) = script.play();
    let mut session = Session::new(access, soon());
    session.wire.attach(stream);
    let entered = session.enter(&client(), access).await;
    let probe = match session.judged(entered).await {
        Ok(session) => {
            let seconds = session.opened_after();
            Probe { finding: Finding::accepted(), transcript: session.logout().await, seconds }
        }
        Err(probe) => *probe,
    };
    server.await.unwrap();
    probe
}

/// A session of alice, and a server that goes on by `script`.
async fn inside(script: Script) -> (Session, tokio::task::JoinHandle<Vec<u8>>) {
    let access = access(Mechanism::Login, alice("alicepw"));
    let (stream, server) = script.play();
    let mut session = Session::new(&access, soon());
    session.wire.attach(stream);
    session.enter(&client(), &access).await.unwrap();
    (session, server)
}

fn logged_in() -> Script {
    ready(PRIVATE).hears("a2 LOGIN alice alicepw").says("a2 OK User logged in SESSIONID=<cyrus-1>")
}

#[tokio::test]
async fn login_is_accepted() {
    let script = logged_in().hears("a3 LOGOUT").says("* BYE LOGOUT received").says("a3 OK Completed");
    let probe = attempt(script, &access(Mechanism::Login, alice("alicepw"))).await;
    assert_eq!(probe.finding.outcome(), Outcome::Accepted);
    insta::assert_snapshot!(probe.transcript, @r"
    S: * OK [CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE STARTTLS LOGINDISABLED] mail Cyrus IMAP 3.6.1-Debian-3.6.1-4+deb12u4 server ready
    C: a1 CAPABILITY
    S: * CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE AUTH=PLAIN AUTH=LOGIN SASL-IR
    S: a1 OK Completed
    C: a2 LOGIN alice ******
    S: a2 OK User logged in SESSIONID=<cyrus-1>
    C: a3 LOGOUT
    S: * BYE LOGOUT received
    S: a3 OK Completed
    ");
}

#[rstest]
#[case::with_initial_response(
    ready(PRIVATE).hears("a2 AUTHENTICATE PLAIN AGFsaWNlAGFsaWNlcHc="),
    "C: a2 AUTHENTICATE PLAIN ******\n"
)]
#[case::without(
    ready(NO_INITIAL_RESPONSE).hears("a2 AUTHENTICATE PLAIN").says("+ ").hears("AGFsaWNlAGFsaWNlcHc="),
    "C: a2 AUTHENTICATE PLAIN\nS: + \nC: ******\n"
)]
#[case::bare_continuation(
    ready(NO_INITIAL_RESPONSE).hears("a2 AUTHENTICATE PLAIN").says("+").hears("AGFsaWNlAGFsaWNlcHc="),
    "C: a2 AUTHENTICATE PLAIN\nS: +\nC: ******\n"
)]
#[tokio::test]
async fn authenticate_plain_follows_sasl_ir(#[case] script: Script, #[case] shown: &str) {
    let script = script.says("a2 OK [CAPABILITY IMAP4rev1] Success (tls protection) SESSIONID=<cyrus-1>");
    let probe = attempt(script, &access(Mechanism::AuthenticatePlain, alice("alicepw"))).await;
    assert_eq!(probe.finding.outcome(), Outcome::Accepted);
    assert!(probe.transcript.to_string().contains(shown), "{}", probe.transcript);
}

#[rstest]
#[case::wrong_password("a2 NO Login failed: authentication failure", "refused: Login failed: authentication failure")]
#[case::userdeny("a2 NO Login failed: authorization failure", "refused: Login failed: authorization failure")]
#[case::saslauthd_down("a2 NO Login failed: generic failure", "unavailable: Login failed: generic failure")]
#[case::layer("a2 NO Login only available under a layer", "unavailable: Login only available under a layer")]
#[case::unavailable("a2 NO [UNAVAILABLE] sorry", "unavailable: [UNAVAILABLE] sorry")]
#[case::bye("* BYE too many connections", "unavailable: too many connections")]
#[case::bad("a2 BAD what?", "protocol error: expected an answer to LOGIN, got: what?")]
#[case::other_tag("a9 OK done", "protocol error: expected an answer to LOGIN, got: done")]
#[case::garbage("!!", "protocol error: expected an answer to LOGIN by IMAP, got: !!")]
#[case::echo("a2 NO no such password: alicepw", "refused: no such password: ******")]
#[tokio::test]
async fn verdicts_are_told_apart(#[case] answer: &str, #[case] outcome: &str) {
    let script = ready(PRIVATE).hears("a2 LOGIN alice alicepw").says(answer);
    let probe = attempt(script, &access(Mechanism::Login, alice("alicepw"))).await;
    assert_eq!(probe.finding.to_string(), outcome);
    assert!(!serde_json::to_string(&probe).unwrap().contains("alicepw"));
}

#[rstest]
#[case::smtp(
    "220 mail.lan.test ESMTP Postfix",
    "protocol error: expected a greeting by IMAP, got: 220 mail.lan.test ESMTP Postfix"
)]
#[case::ssh("SSH-2.0-OpenSSH_9.2", "protocol error: expected a greeting by IMAP, got: SSH-2.0-OpenSSH_9.2")]
#[case::bye("* BYE not today", "unavailable: not today")]
#[case::preauth(
    "* PREAUTH welcome root",
    "protocol error: expected a greeting that asks for a login, got: welcome root"
)]
#[tokio::test]
async fn greetings_are_checked(#[case] greeting: &str, #[case] outcome: &str) {
    let probe = attempt(Script::new().says(greeting), &access(Mechanism::Login, alice("alicepw"))).await;
    assert_eq!(probe.finding.to_string(), outcome);
}

#[rstest]
#[case::at_once(Script::new())]
#[case::mid_greeting(Script::new().says_raw(b"* OK [CAPAB"))]
#[case::mid_reply(ready(PRIVATE).hears("a2 LOGIN alice alicepw").says_raw(b"a2 NO Login fai"))]
#[tokio::test]
async fn a_closed_connection_is_told_apart(#[case] script: Script) {
    let probe = attempt(script, &access(Mechanism::Login, alice("alicepw"))).await;
    let reason = probe.finding.words().unwrap_or_default();
    assert_eq!(probe.finding.outcome(), Outcome::Disconnected, "{}", probe.finding);
    assert!(reason.starts_with("the server closed the connection while the client waited for"), "{reason}");
}

#[tokio::test]
async fn a_silent_server_is_unavailable() {
    let access = access(Mechanism::Login, alice("alicepw"));
    let (stream, _server) = tokio::io::duplex(1024);
    let mut session = Session::new(&access, Deadline::after(Duration::from_millis(50)));
    session.wire.attach(stream);
    let entered = session.enter(&client(), &access).await;
    let probe = session.judged(entered).await.unwrap_err();
    assert_eq!(probe.finding.outcome(), Outcome::Unavailable, "{}", probe.finding);
    assert!(probe.finding.to_string().contains("for a greeting"), "{}", probe.finding);
}

#[tokio::test]
async fn an_endless_line_is_cut_off() {
    let script = Script::new().floods(1 << 30);
    let probe = attempt(script, &access(Mechanism::Login, alice("alicepw"))).await;
    assert_eq!(probe.finding.to_string(), "protocol error: the server sent a line of more than 65536 bytes");
    assert!(probe.transcript.to_string().len() < 10_000);
}

#[tokio::test]
async fn an_endless_reply_is_cut_off() {
    let flood = "* OK still here and still talking\r\n".repeat(50_000);
    let script = ready(PRIVATE).hears("a2 LOGIN alice alicepw");
    let access = access(Mechanism::Login, alice("alicepw"));
    let (stream, server) = script.says_raw(flood.as_bytes()).play();
    let mut session = Session::new(&access, soon());
    session.wire.attach(stream);
    let entered = session.enter(&client(), &access).await;
    let probe = session.judged(entered).await.unwrap_err();
    assert_eq!(probe.finding.to_string(), "protocol error: the server sent a reply of more than 1048576 bytes");
    server.abort();
}

#[tokio::test]
async fn a_literal_beyond_the_bound_is_not_read() {
    let script = ready("* CAPABILITY {99999999999}");
    let access = access(Mechanism::Login, alice("alicepw"));
    let (stream, server) = script.play();
    let mut session = Session::new(&access, soon());
    session.wire.attach(stream);
    let error = session.enter(&client(), &access).await.unwrap_err();
    assert!(matches!(error, ConversationError::TooLong { what: "literals", .. }), "{error}");
    server.abort();
}

#[rstest]
#[case::login(Mechanism::Login, "LOGIN")]
#[case::plain(Mechanism::AuthenticatePlain, "AUTHENTICATE PLAIN")]
#[tokio::test]
async fn no_password_is_sent_where_none_is_taken(#[case] mechanism: Mechanism, #[case] feature: &str) {
    // The script ends behind CAPABILITY: anything more that the client sends is lost, and would show in the transcript.
    let script = ready("* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED");
    let probe = attempt(script, &access(mechanism, alice("alicepw"))).await;
    assert_eq!(
        probe.finding.to_string(),
        format!("unavailable: the server does not offer {feature}: it offers IMAP4REV1 LOGINDISABLED STARTTLS")
    );
    assert!(!probe.transcript.to_string().contains("C: a2"), "{}", probe.transcript);
}

#[rstest]
#[case::capability("* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")]
#[case::half_a_line("* OK")]
#[tokio::test]
async fn plaintext_behind_starttls_is_an_attack(#[case] injected: &str) {
    let script =
        Script::new().says(GREETING).hears("a1 STARTTLS").says_raw(format!("a1 OK Begin TLS\r\n{injected}").as_bytes());
    let access = Access { security: Security::StartTls, ..access(Mechanism::Login, alice("alicepw")) };
    let probe = attempt(script, &access).await;
    assert_eq!(
        probe.finding.to_string(),
        format!(
            "protocol error: {} bytes of plaintext follow the reply to STARTTLS: somebody injects commands",
            injected.len()
        )
    );
    assert!(!probe.transcript.to_string().contains("LOGIN alice"), "{}", probe.transcript);
}

#[rstest]
#[case::bad("a1 BAD Unrecognized command")]
#[case::no("a1 NO TLS is not configured")]
#[tokio::test]
async fn a_server_without_starttls_is_unavailable(#[case] answer: &str) {
    let script = Script::new().says(GREETING).hears("a1 STARTTLS").says(answer);
    let access = Access { security: Security::StartTls, ..access(Mechanism::Login, alice("alicepw")) };
    let probe = attempt(script, &access).await;
    assert_eq!(probe.finding.outcome(), Outcome::Unavailable, "{}", probe.finding);
}

#[tokio::test]
async fn replies_may_come_byte_by_byte() {
    let script = Script::new()
        .dribbles(GREETING)
        .hears("a1 CAPABILITY")
        .dribbles(PRIVATE)
        .dribbles("a1 OK Completed")
        .hears("a2 LOGIN alice alicepw")
        .dribbles("* OK [ALERT] maintenance at noon")
        .dribbles("a2 NO Login failed: authentication failure");
    let probe = attempt(script, &access(Mechanism::Login, alice("alicepw"))).await;
    assert_eq!(probe.finding.to_string(), "refused: Login failed: authentication failure");
}

#[tokio::test]
async fn odd_passwords_are_quoted_or_sent_as_literals() {
    let script = ready(PRIVATE).hears(r#"a2 LOGIN alice "a \"b\\c""#).says("a2 OK in");
    let probe = attempt(script, &access(Mechanism::Login, alice(r#"a "b\c"#))).await;
    assert_eq!(probe.finding.outcome(), Outcome::Accepted);

    let script = ready(PRIVATE).hears("a2 LOGIN alice {7}").says("+ go ahead").hears("zürich").says("a2 OK in");
    let probe = attempt(script, &access(Mechanism::Login, alice("zürich"))).await;
    assert_eq!(probe.finding.outcome(), Outcome::Accepted);
    assert!(probe.transcript.to_string().contains("C: a2 LOGIN alice {7}\nS: + go ahead\nC: ******\n"));
}

#[tokio::test]
async fn a_literal_may_be_refused_before_it_is_sent() {
    let script = ready(PRIVATE).hears("a2 LOGIN alice {7}").says("a2 NO too long");
    let probe = attempt(script, &access(Mechanism::Login, alice("zürich"))).await;
    assert_eq!(probe.finding.to_string(), "refused: too long");
}

#[tokio::test]
async fn an_administrator_makes_mailboxes() {
    let script = logged_in()
        .hears("a3 CREATE user/bob")
        .says("a3 OK [MAILBOXID (x)] Completed")
        .hears("a4 SETACL user/bob cyrus lrswipkxtea")
        .says("a4 OK Completed")
        .hears("a5 CREATE user/bob")
        .says("a5 NO Mailbox already exists");
    let (mut session, server) = inside(script).await;
    let bob = MailboxName::of_user("bob").unwrap();
    session.create(&bob).await.unwrap();
    session.set_acl(&bob, "cyrus", "lrswipkxtea").await.unwrap();
    let error = session.create(&bob).await.unwrap_err();
    assert_eq!(error.to_string(), "the server refused CREATE: Mailbox already exists");
    server.await.unwrap();
}

#[tokio::test]
async fn messages_are_found_and_fetched() {
    let text = "Subject: hi {3}\r\n\r\n)alicepw\r\n";
    let literal = format!("* 1 FETCH (UID 7 BODY[] {{{}}}\r\n{text})\r\n", text.len());
    let script = logged_in()
        .hears("a3 SELECT INBOX")
        .says("* FLAGS (\\Answered \\Seen)")
        .says("* OK [PERMANENTFLAGS (\\Seen \\*)] Ok")
        .says("* 2 EXISTS")
        .says("* 0 RECENT")
        .says("* OK [UIDVALIDITY 1732437481] Ok")
        .says("* OK [UIDNEXT 8] Ok {5}")
        .says("a3 OK [READ-WRITE] Completed")
        .hears("a4 UID SEARCH ALL")
        .says("* SEARCH 7 4")
        .says("a4 OK Completed")
        .hears("a5 UID SEARCH SUBJECT \"two words\"")
        .says("* SEARCH")
        .says("a5 OK Completed")
        .hears("a6 UID FETCH 7 (BODY.PEEK[])")
        .says("* 2 FETCH (UID 9 FLAGS (\\Seen))")
        .says_raw(b"* 1 STORED (UID 7 BODY[] {5}\r\nother)\r\n")
        .says_raw(literal.as_bytes())
        .says("a6 OK Completed")
        .hears("a7 UID FETCH 8 (BODY.PEEK[])")
        .says("a7 OK Completed");
    let (mut session, server) = inside(script).await;
    let selected = session.select(&MailboxName::inbox()).await.unwrap();
    assert_eq!(selected, Selected { exists: 2, uid_validity: Some(1_732_437_481), uid_next: Some(8) });
    assert_eq!(session.uids().await.unwrap(), [Uid(4), Uid(7)]);
    assert_eq!(session.search(Criterion::Subject("two words")).await.unwrap(), []);
    assert_eq!(session.fetch(Uid(7)).await.unwrap().as_deref(), Some(text.as_bytes()));
    assert_eq!(session.fetch(Uid(8)).await.unwrap(), None);
    server.await.unwrap();
    let transcript = session.logout().await.to_string();
    assert!(transcript.contains("S: * 1 FETCH (UID 7 BODY[] {29}\nS: [literal of 29 bytes]\nS: )\n"), "{transcript}");
    assert!(!transcript.contains("alicepw"), "{transcript}");
}

#[tokio::test]
async fn a_message_is_fetched_with_its_flags_and_gets_more() {
    let script = logged_in()
        .hears("a3 UID FETCH 7 (FLAGS BODY.PEEK[])")
        .says_raw(b"* 1 STORED (FLAGS () UID 7 BODY[] {5}\r\nother)\r\n")
        .says_raw(b"* 1 FETCH (FLAGS (\\Seen $junk) UID 7 BODY[] {4}\r\nabcd)\r\n")
        .says("a3 OK Completed")
        .hears("a4 UID STORE 7 +FLAGS (\\Flagged)")
        .says("* 1 FETCH (FLAGS (\\Seen \\Flagged $junk) UID 7)")
        .says("a4 OK Completed");
    let (mut session, server) = inside(script).await;
    let fetched = session.fetch_with_flags(Uid(7)).await.unwrap().unwrap();
    let flags: Vec<_> = fetched.flags.iter().map(String::as_str).collect();
    assert_eq!((flags, fetched.body.as_slice()), (vec!["$JUNK", "\\SEEN"], b"abcd".as_slice()));
    session.flag(Uid(7), "\\Flagged").await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_literal_cut_short_is_a_closed_connection() {
    let script =
        logged_in().hears("a3 UID FETCH 7 (BODY.PEEK[])").says_raw(b"* 1 FETCH (UID 7 BODY[] {310}\r\nSubject");
    let (mut session, _server) = inside(script).await;
    let error = session.fetch(Uid(7)).await.unwrap_err();
    assert!(matches!(error, ConversationError::Closed { .. }), "{error}");
}

#[tokio::test]
async fn a_session_knows_what_the_server_can_do_and_how_long_it_took() {
    let access = access(Mechanism::Login, alice("alicepw"));
    let (stream, _server) = logged_in().play();
    let mut session = Session::new(&access, soon());
    session.wire.attach(stream);
    let entered = session.enter(&client(), &access).await;
    let session = session.judged(entered).await.unwrap();
    let expected: Vec<_> = ["AUTH=LOGIN", "AUTH=PLAIN", "ENABLE", "ID", "IMAP4REV1", "LITERAL+", "SASL-IR"].into();
    assert_eq!(session.capabilities().iter().map(String::as_str).collect::<Vec<_>>(), expected);
    let seconds = session.opened_after();
    assert!(seconds > 0.0 && seconds < session.wire.recorder.seconds(), "{seconds}");
    assert!(!format!("{session:?}").contains("alicepw") && format!("{session:?}").starts_with("Session { commands: 2"));
}

#[tokio::test]
async fn all_of_a_mailbox_is_held() {
    let script = logged_in()
        .hears("a3 SELECT INBOX")
        .says("* 1 EXISTS")
        .says("* OK [UIDVALIDITY 7] Ok")
        .says("a3 OK Completed")
        .hears("a4 UID SEARCH ALL")
        .says("* SEARCH 4")
        .says("a4 OK Completed")
        .hears("a5 UID FETCH 4 (FLAGS BODY.PEEK[])")
        .says_raw(b"* 1 FETCH (FLAGS (\\Seen \\Recent) UID 4 BODY[] {21}\r\nMessage-ID: <a>\r\n\r\nhi)\r\n")
        .says("a5 OK Completed");
    let (mut session, server) = inside(script).await;
    let holding = crate::mail::mailbox::Holding::read(&mut session, &MailboxName::inbox()).await.unwrap();
    server.await.unwrap();
    assert_eq!(holding.uid_validity, Some(7));
    let held = &holding.messages[&Uid(4)];
    assert_eq!((held.id.as_deref(), held.flags.iter().map(String::as_str).collect()), (Some("<a>"), vec!["\\SEEN"]));
    assert_eq!(held.digest, blake3::hash(b"Message-ID: <a>\r\n\r\nhi").to_hex().to_string());
}

#[test]
fn a_mailbox_is_told_by_its_name() {
    assert_eq!(MailboxName::of_user("alice").unwrap().to_string(), "user/alice");
}
