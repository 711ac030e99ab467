use super::*;
use crate::mail::client::{Credentials, Security};
use crate::mail::dialogue::{Authority, Script, Validity, alice, endpoint_at};
use crate::mail::message::Address;
use crate::mail::outcome::Outcome;
use crate::mail::smtp::{RecipientRefusal, Reply, Stage};
use rstest::rstest;
use std::net::SocketAddr;
use std::time::Duration;

fn message() -> Message {
    let address = |text| Address::new(text).unwrap();
    Message::new(address("alice@lan.test"), [address("carol@lan.test")], "hello", "body")
}

fn sender(address: SocketAddr) -> smtp::Access {
    smtp::Access {
        endpoint: endpoint_at(address),
        security: Security::Cleartext,
        credentials: alice("alicepw"),
        mechanism: smtp::Mechanism::Plain,
    }
}

fn reader(address: SocketAddr) -> imap::Access {
    imap::Access {
        endpoint: endpoint_at(address),
        security: Security::Cleartext,
        credentials: Credentials::new("carol", "carolpw".into()).unwrap(),
        mechanism: imap::Mechanism::Login,
    }
}

fn submission_server() -> Script {
    Script::new()
        .says("220 mail.lan.test ESMTP Postfix")
        .hears("EHLO [127.0.0.1]")
        .says("250-mail.lan.test")
        .says("250 AUTH PLAIN")
        .hears("AUTH PLAIN AGFsaWNlAGFsaWNlcHc=")
        .says("235 2.7.0 Authentication successful")
        .hears("MAIL FROM:<alice@lan.test>")
        .says("250 2.1.0 Ok")
        .hears("RCPT TO:<carol@lan.test>")
        .says("250 2.1.5 Ok")
        .hears("DATA")
        .says("354 go")
        .hears_until(b"\r\n.\r\n")
        .says("250 2.0.0 Ok: queued as 4F1C2")
        .hears("QUIT")
        .says("221 2.0.0 Bye")
}

fn mailbox_server() -> Script {
    Script::new()
        .says("* OK ready")
        .hears("a1 CAPABILITY")
        .says("* CAPABILITY IMAP4rev1")
        .says("a1 OK Completed")
        .hears("a2 LOGIN carol carolpw")
        .says("a2 OK User logged in")
}

/// One look into the inbox that finds `uids`.
fn look(script: Script, tag: u32, message: &Message, uids: &str) -> Script {
    script
        .hears(&format!("a{tag} SELECT INBOX"))
        .says("* 0 EXISTS")
        .says(&format!("a{tag} OK Completed"))
        .hears(&format!("a{} UID SEARCH HEADER Message-ID \"{}\"", tag + 1, message.id()))
        .says(&format!("* SEARCH{uids}"))
        .says(&format!("a{} OK Completed", tag + 1))
}

fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

#[tokio::test]
async fn a_message_is_followed_to_its_reader() {
    let message = message();
    let (smtp, smtp_server) = submission_server().listen().await;
    let inbox = look(look(mailbox_server(), 3, &message, ""), 5, &message, " 7");
    let (imap, imap_server) = inbox.hears("a7 LOGOUT").says("* BYE").says("a7 OK").listen().await;
    let client = Authority::new(Validity::Now).client();
    let delivery = send_and_await(&client, &sender(smtp), &reader(imap), &message, deadline()).await;
    assert!(matches!(delivery.outcome, DeliveryOutcome::Arrived { uid: Uid(7), .. }), "{delivery}");
    smtp_server.await.unwrap();
    imap_server.await.unwrap();
    let reading = delivery.reading.as_ref().unwrap().to_string();
    assert_eq!(reading.matches("SELECT").count(), 1, "only the last look is kept: {reading}");
    assert!(reading.contains("a2 LOGIN carol ******"), "the login is kept: {reading}");
    assert!(reading.contains(&delivery.outcome.to_string()), "what was seen is noted: {reading}");
    let told = delivery.to_string();
    assert!(told.starts_with(&format!("{}: arrived after ", message.id())), "{told}");
    assert!(told.contains("\nsent: accepted (at: done, after ") && told.contains("\nread:\n"), "{told}");
    let json = serde_json::to_string(&delivery).unwrap();
    assert!(!json.contains("alicepw") && !json.contains("carolpw"), "{json}");
}

#[tokio::test]
async fn a_message_that_comes_twice_is_noticed() {
    let message = message();
    let (imap, _server) = look(mailbox_server(), 3, &message, " 7 8").listen().await;
    let client = Authority::new(Validity::Now).client();
    let (outcome, _) = await_arrival(&client, &reader(imap), message.id(), deadline()).await;
    assert_eq!(outcome, DeliveryOutcome::Duplicated { uids: vec![Uid(7), Uid(8)] });
}

#[tokio::test]
async fn a_message_that_does_not_come_is_waited_for() {
    let message = message();
    let (imap, _server) = look(mailbox_server(), 3, &message, "").hears_until(b"never").listen().await;
    let client = Authority::new(Validity::Now).client();
    let short = Deadline::after(Duration::from_millis(700));
    let (outcome, _) = await_arrival(&client, &reader(imap), message.id(), short).await;
    let DeliveryOutcome::NotSeen { detail } = outcome else { panic!("{outcome}") };
    assert!(detail.contains("an answer to SELECT") || detail.contains("an inbox without it"), "{detail}");
}

#[tokio::test]
async fn a_reader_that_is_not_admitted_proves_nothing() {
    let script = Script::new()
        .says("* OK ready")
        .hears("a1 CAPABILITY")
        .says("* CAPABILITY IMAP4rev1")
        .says("a1 OK Completed")
        .hears("a2 LOGIN carol carolpw")
        .says("a2 NO Login failed: authentication failure");
    let (imap, _server) = script.listen().await;
    let client = Authority::new(Validity::Now).client();
    let (outcome, _) = await_arrival(&client, &reader(imap), message().id(), deadline()).await;
    assert_eq!(outcome.to_string(), "the reader could not log in: refused: Login failed: authentication failure");
}

#[tokio::test]
async fn a_session_that_ends_is_not_a_missing_message() {
    let (imap, _server) = mailbox_server().hears("a3 SELECT INBOX").says("* BYE going down").listen().await;
    let client = Authority::new(Validity::Now).client();
    let (outcome, _) = await_arrival(&client, &reader(imap), message().id(), deadline()).await;
    assert_eq!(outcome.to_string(), "the reader's session ended: unavailable: going down");
}

#[rstest]
#[case::refused(Finding::of(Outcome::Refused, "554 no"), vec![])]
#[case::one_recipient_refused(
    Finding::accepted(),
    vec![RecipientRefusal {
        recipient: Address::new("nouser@lan.test").unwrap(),
        reply: Reply { code: 550, lines: vec!["5.1.1 unknown".into()] },
    }]
)]
#[tokio::test]
async fn what_was_not_taken_is_not_waited_for(#[case] finding: Finding, #[case] refused: Vec<RecipientRefusal>) {
    let submission = Submission {
        finding,
        stage: Stage::Recipients,
        accepted: vec![],
        refused,
        reply: None,
        transcript: Transcript::default(),
        seconds: 0.1,
    };
    let client = Authority::new(Validity::Now).client();
    let nowhere = reader("127.0.0.1:1".parse().unwrap());
    let delivery = follow(&client, submission, &nowhere, message().id(), deadline()).await;
    assert_eq!((delivery.outcome, delivery.reading), (DeliveryOutcome::NotSubmitted, None));
}

#[test]
fn probes_can_run_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    let client = Authority::new(Validity::Now).client();
    let message = message();
    let address = "127.0.0.1:1".parse().unwrap();
    let (sender, reader) = (sender(address), reader(address));
    is_send(&send_and_await(&client, &sender, &reader, &message, deadline()));
    is_send(&smtp::authenticate(&client, &sender, deadline()));
    is_send(&imap::login(&client, &reader, deadline()));
}
