use super::*;
use crate::mail::dialogue::{Script, soon};
use crate::mail::outcome::Outcome;

fn address(text: &str) -> Address {
    Address::new(text).unwrap()
}

fn message(recipients: &[&str]) -> Message {
    Message::new(address("alice@lan.test"), recipients.iter().map(|text| address(text)), "hello", ".hidden\n")
}

fn greeted() -> Script {
    Script::new()
        .says("220 mail.lan.test ESMTP Postfix")
        .hears("EHLO [127.0.0.1]")
        .says("250 mail.lan.test")
        .hears("MAIL FROM:<alice@lan.test>")
}

async fn deliver(script: Script, message: &Message) -> (Submission, Vec<u8>) {
    let (stream, server) = script.play();
    let mut session = Session::new(None, soon());
    session.wire.attach(stream);
    let opened = session.greeting().await;
    let submission = hand_over(session, opened, message).await;
    (submission, server.await.unwrap())
}

#[tokio::test]
async fn a_message_is_handed_over_and_each_refusal_kept() {
    let script = greeted()
        .says("250 2.1.0 Ok")
        .hears("RCPT TO:<nouser@lan.test>")
        .says("550 5.1.1 <nouser@lan.test>: Recipient address rejected: User unknown in virtual mailbox table")
        .hears("RCPT TO:<carol@lan.test>")
        .says("250 2.1.5 Ok")
        .hears("DATA")
        .says("354 End data with <CR><LF>.<CR><LF>")
        .hears_until(b"\r\n.\r\n")
        .says("250 2.0.0 Ok: queued as 4F1C2")
        .hears("QUIT")
        .says("221 2.0.0 Bye");
    let message = message(&["nouser@lan.test", "carol@lan.test"]);
    let (submission, heard) = deliver(script, &message).await;
    assert_eq!((submission.finding.outcome(), submission.stage), (Outcome::Accepted, Stage::Done));
    assert_eq!(submission.accepted, [address("carol@lan.test")]);
    assert_eq!(submission.refused[0].recipient, address("nouser@lan.test"));
    assert_eq!(submission.refused[0].reply.enhanced().unwrap().to_string(), "5.1.1");
    let heard = String::from_utf8(heard).unwrap();
    assert!(heard.contains("\r\n\r\n..hidden\r\n.\r\n"), "{heard}");
    insta::with_settings!({ filters => vec![(r"message of \d+ bytes", "message of [n] bytes")] }, {
        insta::assert_snapshot!(submission.transcript, @r"
        S: 220 mail.lan.test ESMTP Postfix
        C: EHLO [127.0.0.1]
        S: 250 mail.lan.test
        C: MAIL FROM:<alice@lan.test>
        S: 250 2.1.0 Ok
        C: RCPT TO:<nouser@lan.test>
        S: 550 5.1.1 <nouser@lan.test>: Recipient address rejected: User unknown in virtual mailbox table
        C: RCPT TO:<carol@lan.test>
        S: 250 2.1.5 Ok
        C: DATA
        S: 354 End data with <CR><LF>.<CR><LF>
        C: [message of [n] bytes]
        S: 250 2.0.0 Ok: queued as 4F1C2
        C: QUIT
        S: 221 2.0.0 Bye
        ");
    });
}

#[tokio::test]
async fn relaying_is_refused() {
    let script = greeted()
        .says("250 2.1.0 Ok")
        .hears("RCPT TO:<x@ext.test>")
        .says("554 5.7.1 <x@ext.test>: Relay access denied")
        .hears("QUIT");
    let (submission, _) = deliver(script, &message(&["x@ext.test"])).await;
    assert_eq!(submission.finding.to_string(), "refused: 554 5.7.1 <x@ext.test>: Relay access denied");
    assert_eq!(submission.stage, Stage::Recipients);
}

#[tokio::test]
async fn a_temporary_failure_is_not_a_refusal() {
    let script = greeted().says("451 4.3.0 queue file write error").hears("QUIT");
    let (submission, _) = deliver(script, &message(&["carol@lan.test"])).await;
    assert_eq!(submission.finding.to_string(), "unavailable: 451 4.3.0 queue file write error");
    assert_eq!(submission.stage, Stage::Sender);
}

#[tokio::test]
async fn a_server_that_leaves_after_the_text_did_not_take_it() {
    let script = greeted()
        .says("250 2.1.0 Ok")
        .hears("RCPT TO:<carol@lan.test>")
        .says("250 2.1.5 Ok")
        .hears("DATA")
        .says("354 go")
        .hears_until(b"\r\n.\r\n");
    let (submission, _) = deliver(script, &message(&["carol@lan.test"])).await;
    assert_eq!(submission.finding.outcome(), Outcome::Disconnected, "{}", submission.finding);
    assert_eq!(submission.stage, Stage::Text);
}

#[tokio::test]
async fn a_message_to_nobody_is_not_sent() {
    let script = greeted().says("250 2.1.0 Ok");
    let (submission, _) = deliver(script, &message(&[])).await;
    assert_eq!(submission.finding.to_string(), "unavailable: the message names no recipient");
}
