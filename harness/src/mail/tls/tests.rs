use super::*;
use crate::mail::client::{Client, Endpoint, Security};
use crate::mail::dialogue::{Authority, Script, Validity, alice, endpoint_at, signed_by_itself, soon};
use crate::mail::outcome::{Finding, Outcome};
use crate::mail::{imap, smtp};
use rstest::rstest;
use std::net::SocketAddr;
use tokio_rustls::TlsAcceptor;

fn imap_access(address: SocketAddr, security: Security) -> imap::Access {
    let credentials = alice("alicepw");
    imap::Access { endpoint: endpoint_at(address), security, credentials, mechanism: imap::Mechanism::Login }
}

fn rest_of_imap_login(script: Script, first: u32) -> Script {
    script
        .hears(&format!("a{first} CAPABILITY"))
        .says("* CAPABILITY IMAP4rev1 AUTH=PLAIN")
        .says(&format!("a{first} OK Completed"))
        .hears(&format!("a{} LOGIN alice alicepw", first + 1))
        .says(&format!("a{} OK User logged in", first + 1))
        .hears(&format!("a{} LOGOUT", first + 2))
        .says("* BYE")
        .says(&format!("a{} OK", first + 2))
}

#[tokio::test]
async fn imap_logs_in_over_implicit_tls() {
    let authority = Authority::new(Validity::Now);
    let script = Script::new().accepts_tls(&authority.server("mail.lan.test", Validity::Now)).says("* OK ready");
    let (address, server) = rest_of_imap_login(script, 1).listen().await;
    let probe = imap::login(&authority.client(), &imap_access(address, Security::ImplicitTls), soon()).await;
    assert_eq!(probe.finding.outcome(), Outcome::Accepted, "{probe}");
    server.await.unwrap();
    insta::with_settings!({ filters => vec![(r"127\.0\.0\.1:\d+", "127.0.0.1:[port]")] }, {
        insta::assert_snapshot!(probe.transcript, @r"
        *: connecting to mail.lan.test (127.0.0.1:[port])
        *: TLS 1.3 established, server certificate CN=mail.lan.test
        S: * OK ready
        C: a1 CAPABILITY
        S: * CAPABILITY IMAP4rev1 AUTH=PLAIN
        S: a1 OK Completed
        C: a2 LOGIN alice ******
        S: a2 OK User logged in
        C: a3 LOGOUT
        S: * BYE
        S: a3 OK
        ");
    });
}

#[tokio::test]
async fn imap_logs_in_over_starttls() {
    let authority = Authority::new(Validity::Now);
    let script = Script::new()
        .says("* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready")
        .hears("a1 STARTTLS")
        .says("a1 OK Begin TLS negotiation now")
        .accepts_tls(&authority.server("mail.lan.test", Validity::Now));
    let (address, server) = rest_of_imap_login(script, 2).listen().await;
    let probe = imap::login(&authority.client(), &imap_access(address, Security::StartTls), soon()).await;
    assert_eq!(probe.finding.outcome(), Outcome::Accepted, "{probe}");
    server.await.unwrap();
}

#[tokio::test]
async fn smtp_logs_in_over_starttls() {
    let authority = Authority::new(Validity::Now);
    let (address, server) = Script::new()
        .says("220 mail.lan.test ESMTP Postfix")
        .hears("EHLO [127.0.0.1]")
        .says("250-mail.lan.test")
        .says("250 STARTTLS")
        .hears("STARTTLS")
        .says("220 2.0.0 Ready to start TLS")
        .accepts_tls(&authority.server("mail.lan.test", Validity::Now))
        .hears("EHLO [127.0.0.1]")
        .says("250-mail.lan.test")
        .says("250 AUTH PLAIN LOGIN")
        .hears("AUTH PLAIN AGFsaWNlAGFsaWNlcHc=")
        .says("235 2.7.0 Authentication successful")
        .hears("QUIT")
        .says("221 2.0.0 Bye")
        .listen()
        .await;
    let access = smtp::Access {
        endpoint: endpoint_at(address),
        security: Security::StartTls,
        credentials: alice("alicepw"),
        mechanism: smtp::Mechanism::Plain,
    };
    let probe = smtp::authenticate(&authority.client(), &access, soon()).await;
    assert_eq!(probe.finding.outcome(), Outcome::Accepted, "{probe}");
    assert!(probe.transcript.to_string().contains("*: TLS 1.3 established, server certificate CN=mail.lan.test"));
    server.await.unwrap();
}

/// What comes of a server with a certificate for `name` by `authority`, for a client that trusts `trusted`.
async fn found_of(name: &str, validity: Validity, authority: &Authority, trusted: &Authority) -> Finding {
    found_at(&authority.server(name, validity), &trusted.client()).await
}

/// What a client finds at a server that shows a certificate, and closes.
async fn found_at(server: &TlsAcceptor, client: &Client) -> Finding {
    // After TLS the server hears nothing: a client that speaks in spite of its distrust would show in the transcript.
    let (address, server) = Script::new().accepts_tls(server).listen().await;
    let probe = imap::login(client, &imap_access(address, Security::ImplicitTls), soon()).await;
    server.await.unwrap();
    assert!(!probe.transcript.to_string().contains("C: "), "{probe}");
    probe.finding
}

#[rstest]
#[case::expired("mail.lan.test", Validity::Past, Validity::Now, "it has expired")]
#[case::not_yet_valid("mail.lan.test", Validity::Future, Validity::Now, "it is not valid yet")]
#[case::expired_ca("mail.lan.test", Validity::Now, Validity::Past, "the CA that issued it is out of date")]
#[case::another_name(
    "www.lan.test",
    Validity::Now,
    Validity::Now,
    "it is not valid for the name mail.lan.test (it names www.lan.test)"
)]
#[tokio::test]
async fn certificates_are_judged(
    #[case] name: &str,
    #[case] leaf: Validity,
    #[case] ca: Validity,
    #[case] reason: &str,
) {
    let authority = Authority::new(ca);
    let outcome = found_of(name, leaf, &authority, &authority).await;
    assert_eq!(outcome.to_string(), format!("untrusted: the server's certificate is not trusted: {reason}"));
}

/// Who has signed a server's certificate.
#[derive(Debug, Clone, Copy)]
enum Issuer {
    Trusted,
    Other,
    Itself,
}

/// All that is wrong is told, whatever a library would look at first.
#[rstest]
#[case::expired(Issuer::Trusted, "mail.lan.test", Validity::Past, &[Distrust::Expired])]
#[case::not_yet_valid(Issuer::Trusted, "mail.lan.test", Validity::Future, &[Distrust::NotYetValid])]
#[case::another_name(Issuer::Trusted, "www.lan.test", Validity::Now, &[Distrust::OtherName])]
#[case::expired_and_another_name(
    Issuer::Trusted,
    "www.lan.test",
    Validity::Past,
    &[Distrust::Expired, Distrust::OtherName]
)]
#[case::another_authority(Issuer::Other, "mail.lan.test", Validity::Now, &[Distrust::OtherAuthority])]
#[case::expired_and_another_authority(
    Issuer::Other,
    "mail.lan.test",
    Validity::Past,
    &[Distrust::Expired, Distrust::OtherAuthority]
)]
#[case::all_three(
    Issuer::Other,
    "www.lan.test",
    Validity::Past,
    &[Distrust::Expired, Distrust::OtherAuthority, Distrust::OtherName]
)]
#[case::by_itself(Issuer::Itself, "mail.lan.test", Validity::Now, &[Distrust::OtherAuthority])]
#[case::expired_and_by_itself(
    Issuer::Itself,
    "mail.lan.test",
    Validity::Past,
    &[Distrust::Expired, Distrust::OtherAuthority]
)]
#[tokio::test]
async fn all_that_is_wrong_is_told(
    #[case] issuer: Issuer,
    #[case] name: &str,
    #[case] validity: Validity,
    #[case] expected: &[Distrust],
) {
    let trusted = Authority::new(Validity::Now);
    let acceptor = match issuer {
        Issuer::Trusted => trusted.server(name, validity),
        Issuer::Other => Authority::called("Other CA", Validity::Now).server(name, validity),
        Issuer::Itself => signed_by_itself(name, validity),
    };
    let finding = found_at(&acceptor, &trusted.client()).await;
    assert_eq!(finding.distrust().iter().copied().collect::<Vec<_>>(), expected, "{finding}");
    assert_eq!(finding.outcome(), Outcome::Untrusted);
}

/// A client verifies by the clock that it is told, and by no other.
#[rstest]
#[case::of_its_time("2019-06-01T00:00:00Z", Validity::Past, Validity::Past, None)]
#[case::before("2018-06-01T00:00:00Z", Validity::Past, Validity::Past, Some(Distrust::NotYetValid))]
#[case::after("2091-06-01T00:00:00Z", Validity::Now, Validity::Now, Some(Distrust::Expired))]
#[case::after_its_authority("2030-06-01T00:00:00Z", Validity::Now, Validity::Past, Some(Distrust::AuthorityExpired))]
#[case::before_1970("1960-06-01T00:00:00Z", Validity::Now, Validity::Now, Some(Distrust::NotYetValid))]
#[tokio::test]
async fn another_clock_verifies(
    #[case] moment: &str,
    #[case] leaf: Validity,
    #[case] ca: Validity,
    #[case] expected: Option<Distrust>,
) {
    let authority = Authority::new(ca);
    let client = authority.client().at(moment.parse().unwrap());
    let finding = found_at(&authority.server("mail.lan.test", leaf), &client).await;
    match expected {
        Some(reason) => assert!(finding.is_untrusted_for(reason), "{finding}"),
        // It is trusted, and says no more.
        None => assert_eq!(finding.outcome(), Outcome::Disconnected, "{finding}"),
    }
}

#[rstest]
#[case::another_name("Other CA", "it was not issued by the CA that the client trusts")]
#[case::same_name("Lan CA", "its issuer has the name of the CA that the client trusts, and another key")]
#[tokio::test]
async fn another_ca_is_not_trusted(#[case] name: &str, #[case] reason: &str) {
    let (authority, trusted) = (Authority::new(Validity::Now), Authority::called(name, Validity::Now));
    let outcome = found_of("mail.lan.test", Validity::Now, &authority, &trusted).await;
    assert_eq!(outcome.to_string(), format!("untrusted: the server's certificate is not trusted: {reason}"));
}

#[rstest]
#[case::plaintext(
    "* OK no TLS here",
    "unavailable: TLS was not established: the server answers something that is not TLS"
)]
#[tokio::test]
async fn a_port_without_tls_is_unavailable(#[case] greeting: &str, #[case] outcome: &str) {
    let (address, _server) = Script::new().says(greeting).hears_until(b"nothing").listen().await;
    let client = Authority::new(Validity::Now).client();
    let probe = imap::login(&client, &imap_access(address, Security::ImplicitTls), soon()).await;
    assert_eq!(probe.finding.to_string(), outcome);
}

#[tokio::test]
async fn a_closed_port_is_unavailable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Authority::new(Validity::Now).client();
    let probe = imap::login(&client, &imap_access(address, Security::ImplicitTls), soon()).await;
    assert_eq!(probe.finding.outcome(), Outcome::Unavailable, "{probe}");
    assert!(probe.finding.to_string().contains("Connection refused"), "{probe}");
}

#[tokio::test]
async fn a_certificate_for_an_address_is_checked_as_well() {
    let authority = Authority::new(Validity::Now);
    let script = Script::new().accepts_tls(&authority.server("127.0.0.1", Validity::Now)).says("* BYE enough");
    let (address, _server) = script.listen().await;
    let access = imap::Access {
        endpoint: Endpoint::new(address, "127.0.0.1").unwrap(),
        ..imap_access(address, Security::ImplicitTls)
    };
    let probe = imap::login(&authority.client(), &access, soon()).await;
    assert_eq!(probe.finding.to_string(), "unavailable: enough");
}

#[rstest]
#[case::not_pem(b"hello".to_vec(), TrustError::NotOne { count: 0 })]
#[case::two([Authority::new(Validity::Now).pem(), Authority::new(Validity::Now).pem()].concat().into_bytes(), TrustError::NotOne { count: 2 })]
#[case::broken(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n".to_vec(), TrustError::NotPem)]
fn exactly_one_ca_is_trusted(#[case] pem: Vec<u8>, #[case] error: TrustError) {
    assert_eq!(Trust::from_ca_pem(&pem).unwrap_err(), error);
}

#[rstest]
#[case::closed(std::io::ErrorKind::UnexpectedEof, "TLS was not established: the server closed the connection")]
#[case::reset(std::io::ErrorKind::ConnectionReset, "TLS was not established: connection reset")]
fn a_handshake_that_ends_early_is_told(#[case] kind: std::io::ErrorKind, #[case] told: &str) {
    assert_eq!(classify(&kind.into()).to_string(), told);
}

#[test]
fn whom_a_client_trusts_is_shown() {
    let client = Authority::new(Validity::Now).client();
    assert!(format!("{client:?}").contains("Trust(CN=Lan CA)"), "{client:?}");
}
