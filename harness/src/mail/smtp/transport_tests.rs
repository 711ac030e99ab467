//! How a server delivers to another one, with TLS or without.

use super::*;
use crate::mail::dialogue::{Authority, Script, Validity, endpoint_at, soon};
use crate::mail::message::Address;
use rstest::rstest;
use tokio_rustls::TlsAcceptor;

fn message() -> Message {
    let [sender, recipient] = ["n@ext.test", "carol@lan.test"].map(|address| Address::new(address).unwrap());
    Message::new(sender, [recipient], "hello", "text")
}

fn greets(script: Script, extension: &str) -> Script {
    script
        .says("220 mail.lan.test ESMTP Postfix")
        .hears("EHLO [127.0.0.1]")
        .says("250-mail.lan.test")
        .says(&format!("250 {extension}"))
}

fn takes_the_message(script: Script) -> Script {
    script
        .hears("MAIL FROM:<n@ext.test>")
        .says("250 2.1.0 Ok")
        .hears("RCPT TO:<carol@lan.test>")
        .says("250 2.1.5 Ok")
        .hears("DATA")
        .says("354 go")
        .hears_until(b"\r\n.\r\n")
        .says("250 2.0.0 Ok: queued")
        .hears("QUIT")
        .says("221 2.0.0 Bye")
}

fn starts_tls(script: Script, acceptor: &TlsAcceptor) -> Script {
    let script = greets(script, "STARTTLS").hears("STARTTLS").says("220 2.0.0 Ready to start TLS");
    script.accepts_tls(acceptor).hears("EHLO [127.0.0.1]").says("250-mail.lan.test").says("250 PIPELINING")
}

/// What a neighbour finds that trusts the Lan CA.
async fn delivered(script: Script, tls: TransportTls) -> (Submission, bool) {
    let (address, server) = script.listen().await;
    let client = Authority::new(Validity::Now).client();
    let submission = deliver(&client, &endpoint_at(address), tls, &message(), soon()).await;
    let is_private = submission.transcript.to_string().contains("TLS 1.3 established");
    server.abort();
    (submission, is_private)
}

#[rstest]
#[case::where_it_is_offered(TransportTls::Opportunistic, true)]
#[case::required(TransportTls::Required, true)]
#[case::never(TransportTls::None, false)]
#[tokio::test]
async fn any_certificate_will_do(#[case] tls: TransportTls, #[case] expected: bool) {
    let acceptor = Authority::called("Other CA", Validity::Past).server("www.other.test", Validity::Past);
    let script = match tls {
        TransportTls::None => greets(Script::new(), "STARTTLS"),
        _ => starts_tls(Script::new(), &acceptor),
    };
    let (submission, is_private) = delivered(takes_the_message(script), tls).await;
    assert_eq!((submission.finding.outcome(), is_private), (Outcome::Accepted, expected), "{submission}");
    assert_eq!(submission.transcript.to_string().contains("which is not verified"), expected, "{submission}");
}

#[tokio::test]
async fn a_certificate_can_be_verified() {
    let acceptor = Authority::called("Other CA", Validity::Now).server("mail.lan.test", Validity::Now);
    let (submission, _) = delivered(starts_tls(Script::new(), &acceptor), TransportTls::Verified).await;
    assert_eq!(submission.finding.outcome(), Outcome::Untrusted, "{submission}");
    assert!(!submission.transcript.to_string().contains("C: MAIL"), "{submission}");
}

#[rstest]
#[case::where_it_is_offered(TransportTls::Opportunistic, Outcome::Accepted)]
#[case::never(TransportTls::None, Outcome::Accepted)]
#[case::required(TransportTls::Required, Outcome::Unavailable)]
#[case::verified(TransportTls::Verified, Outcome::Unavailable)]
#[tokio::test]
async fn a_server_without_tls_gets_mail_in_the_clear_or_none(#[case] tls: TransportTls, #[case] expected: Outcome) {
    let (submission, is_private) = delivered(takes_the_message(greets(Script::new(), "PIPELINING")), tls).await;
    assert_eq!((submission.finding.outcome(), is_private), (expected, false), "{submission}");
}

#[rstest]
#[case::where_it_is_offered(TransportTls::Opportunistic, Outcome::Accepted)]
#[case::required(TransportTls::Required, Outcome::Unavailable)]
#[tokio::test]
async fn a_server_that_has_no_tls_now_is_told_in_the_clear_or_nothing(
    #[case] tls: TransportTls,
    #[case] expected: Outcome,
) {
    let script = greets(Script::new(), "STARTTLS").hears("STARTTLS").says("454 4.7.0 TLS not available");
    let (submission, _) = delivered(takes_the_message(script), tls).await;
    assert_eq!(submission.finding.outcome(), expected, "{submission}");
}

/// Where the handshake fails, the dialogue is of no more use: another one begins.
#[rstest]
#[case::where_it_is_offered(TransportTls::Opportunistic, Outcome::Accepted)]
#[case::required(TransportTls::Required, Outcome::Unavailable)]
#[tokio::test]
async fn a_handshake_that_fails_is_followed_by_a_dialogue_in_the_clear(
    #[case] tls: TransportTls,
    #[case] expected: Outcome,
) {
    let broken =
        greets(Script::new(), "STARTTLS").hears("STARTTLS").says("220 go").hears_some().says("500 no TLS here");
    let sound = takes_the_message(greets(Script::new(), "STARTTLS"));
    let (address, server) = Script::listen_for([broken, sound]).await;
    let client = Authority::new(Validity::Now).client();
    let submission = deliver(&client, &endpoint_at(address), tls, &message(), soon()).await;
    server.abort();
    assert_eq!(submission.finding.outcome(), expected, "{submission}");
}

/// Words in the clear behind the go-ahead are an attack: whoever goes on without TLS would do what the attacker wants.
#[tokio::test]
async fn injected_words_end_an_opportunistic_dialogue() {
    let script = greets(Script::new(), "STARTTLS").hears("STARTTLS").says_raw(b"220 go\r\n250 x\r\n");
    let (submission, _) = delivered(script, TransportTls::Opportunistic).await;
    assert_eq!(submission.finding.outcome(), Outcome::ProtocolError, "{submission}");
}
