//! A server for tests: it follows a script over a pipe, byte for byte.

use super::client::{Client, Credentials, Dialer, Dialing, Endpoint, HostDialer};
use super::tls::Trust;
use super::wire::Stream;
use crate::time::Deadline;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

enum Step {
    Say(Vec<u8>),
    SayByteByByte(Vec<u8>),
    Flood(usize),
    Hear(Vec<u8>),
    HearUntil(&'static [u8]),
    HearSome,
    AcceptTls(TlsAcceptor),
}

/// What the server says and hears, in order; then it closes.
#[derive(Default)]
pub(super) struct Script {
    steps: Vec<Step>,
}

impl Script {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Sends one line, with its CRLF.
    pub(super) fn says(self, line: &str) -> Self {
        self.says_raw(format!("{line}\r\n").as_bytes())
    }

    /// Sends bytes as they are.
    pub(super) fn says_raw(mut self, bytes: &[u8]) -> Self {
        self.steps.push(Step::Say(bytes.to_vec()));
        self
    }

    /// Sends one line, each byte in a packet of its own.
    pub(super) fn dribbles(mut self, line: &str) -> Self {
        self.steps.push(Step::SayByteByByte(format!("{line}\r\n").into_bytes()));
        self
    }

    /// Sends `bytes` bytes without a line end, or as many as the client takes.
    pub(super) fn floods(mut self, bytes: usize) -> Self {
        self.steps.push(Step::Flood(bytes));
        self
    }

    /// Waits for exactly this line.
    pub(super) fn hears(mut self, line: &str) -> Self {
        self.steps.push(Step::Hear(format!("{line}\r\n").into_bytes()));
        self
    }

    /// Waits for the end of a message.
    pub(super) fn hears_until(mut self, end: &'static [u8]) -> Self {
        self.steps.push(Step::HearUntil(end));
        self
    }

    /// Hears something, whatever it is, before it goes on.
    pub(super) fn hears_some(mut self) -> Self {
        self.steps.push(Step::HearSome);
        self
    }

    /// Puts TLS on the connection.
    pub(super) fn accepts_tls(mut self, acceptor: &TlsAcceptor) -> Self {
        self.steps.push(Step::AcceptTls(acceptor.clone()));
        self
    }

    /// Plays the script to the first who connects to the address.
    pub(super) async fn listen(self) -> (SocketAddr, JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let play = async move { self.run(Box::new(listener.accept().await.unwrap().0)).await };
        (address, tokio::spawn(play))
    }

    /// Plays a script to each who connects to the address, one after the other.
    pub(super) async fn listen_for<const N: usize>(scripts: [Self; N]) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let play = async move {
            for script in scripts {
                script.run(Box::new(listener.accept().await.unwrap().0)).await;
            }
        };
        (address, tokio::spawn(play))
    }

    /// Plays the script on one end of a pipe; the other end is for the client. The handle yields all that was heard.
    pub(super) fn play(self) -> (DuplexStream, JoinHandle<Vec<u8>>) {
        let (client, server) = tokio::io::duplex(64 * 1024);
        (client, tokio::spawn(self.run(Box::new(server))))
    }

    async fn run(self, mut stream: Box<dyn Stream>) -> Vec<u8> {
        let mut heard = Vec::new();
        for step in self.steps {
            match step {
                Step::Say(bytes) => stream.write_all(&bytes).await.unwrap(),
                Step::SayByteByByte(bytes) => {
                    for byte in bytes {
                        stream.write_all(&[byte]).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                }
                Step::Flood(bytes) => {
                    let chunk = vec![b'x'; 64 * 1024];
                    for _ in 0..bytes.div_ceil(chunk.len()) {
                        if stream.write_all(&chunk).await.is_err() {
                            break;
                        }
                    }
                }
                Step::Hear(expected) => {
                    let mut line = vec![0; expected.len()];
                    stream.read_exact(&mut line).await.unwrap();
                    assert_eq!(String::from_utf8_lossy(&line), String::from_utf8_lossy(&expected));
                    heard.extend_from_slice(&line);
                }
                Step::HearSome => {
                    let mut some = vec![0; 64 * 1024];
                    let bytes = stream.read(&mut some).await.unwrap();
                    heard.extend_from_slice(&some[..bytes]);
                }
                Step::AcceptTls(acceptor) => match acceptor.accept(stream).await {
                    Ok(private) => stream = Box::new(private),
                    // The client does not trust this server: nothing more will be said.
                    Err(_) => return heard,
                },
                Step::HearUntil(end) => {
                    while !heard.ends_with(end) {
                        heard.push(stream.read_u8().await.unwrap());
                    }
                }
            }
        }
        heard
    }
}

/// A CA made for a test, and the time in which it and its certificates are good.
pub(super) struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    certificate: rcgen::Certificate,
}

/// The time in which a certificate is good.
#[derive(Debug, Clone, Copy)]
pub(super) enum Validity {
    Now,
    Past,
    Future,
}

impl Validity {
    fn apply(self, params: &mut rcgen::CertificateParams) {
        let (from, to) = match self {
            Self::Now => (2020, 2090),
            Self::Past => (2019, 2020),
            Self::Future => (2089, 2090),
        };
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
    }
}

impl Authority {
    pub(super) fn new(validity: Validity) -> Self {
        Self::called("Lan CA", validity)
    }

    pub(super) fn called(name: &str, validity: Validity) -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name = named(name);
        validity.apply(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: rcgen::Issuer::new(params, key), certificate }
    }

    pub(super) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The server `name`, with a certificate of this CA.
    pub(super) fn server(&self, name: &str, validity: Validity) -> TlsAcceptor {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name = named(name);
        validity.apply(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        acceptor(&certificate, &key)
    }

    /// A client that trusts this CA and dials on this host.
    pub(super) fn client(&self) -> Client {
        Client::new(Arc::new(HostDialer), Trust::from_ca_pem(self.pem().as_bytes()).unwrap())
    }
}

/// The server `name`, with a certificate that is an authority's at the same time, as `openssl req -x509` makes it.
pub(super) fn signed_by_itself(name: &str, validity: Validity) -> TlsAcceptor {
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name = named(name);
    validity.apply(&mut params);
    let key = rcgen::KeyPair::generate().unwrap();
    acceptor(&params.self_signed(&key).unwrap(), &key)
}

fn acceptor(certificate: &rcgen::Certificate, key: &rcgen::KeyPair) -> TlsAcceptor {
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn named(name: &str) -> rcgen::DistinguishedName {
    let mut distinguished = rcgen::DistinguishedName::new();
    distinguished.push(rcgen::DnType::CommonName, name);
    distinguished
}

struct NoDialer;

impl Dialer for NoDialer {
    fn dial(&self, _: SocketAddr, _: Deadline) -> Dialing<'_> {
        Box::pin(async { Err(std::io::Error::other("this test has no network")) })
    }
}

/// A client that dials nowhere and trusts a CA of its own.
pub(super) fn client() -> Client {
    Client::new(Arc::new(NoDialer), Trust::from_ca_pem(Authority::new(Validity::Now).pem().as_bytes()).unwrap())
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::new("10.20.0.5:993".parse().unwrap(), "mail.lan.test").unwrap()
}

/// The mail server at an address of this host.
pub(super) fn endpoint_at(address: SocketAddr) -> Endpoint {
    Endpoint::new(address, "mail.lan.test").unwrap()
}

pub(super) fn alice(password: &str) -> Credentials {
    Credentials::new("alice", password.into()).unwrap()
}

/// A deadline that no test runs into that is right, however busy the host.
pub(super) fn soon() -> Deadline {
    Deadline::after(Duration::from_mins(1))
}
