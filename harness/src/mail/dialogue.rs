//! A server for tests: it follows a script over a pipe, byte for byte.

use super::client::{Client, Credentials, Dialer, Dialing, Endpoint};
use super::tls::Trust;
use crate::time::Deadline;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

enum Step {
    Say(Vec<u8>),
    SayByteByByte(Vec<u8>),
    Flood(usize),
    Hear(Vec<u8>),
    HearUntil(&'static [u8]),
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

    /// Plays the script on one end of a pipe; the other end is for the client. The handle yields all that was heard.
    pub(super) fn play(self) -> (DuplexStream, JoinHandle<Vec<u8>>) {
        let (client, server) = tokio::io::duplex(64 * 1024);
        (client, tokio::spawn(self.run(server)))
    }

    async fn run(self, mut stream: DuplexStream) -> Vec<u8> {
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

struct NoDialer;

impl Dialer for NoDialer {
    fn dial(&self, _: SocketAddr, _: Deadline) -> Dialing<'_> {
        Box::pin(async { Err(std::io::Error::other("this test has no network")) })
    }
}

/// A client that dials nowhere and trusts a CA of its own.
pub(super) fn client() -> Client {
    let ca = rcgen::generate_simple_self_signed(vec!["nobody.test".to_owned()]).unwrap();
    Client::new(Arc::new(NoDialer), Trust::from_ca_pem(ca.cert.pem().as_bytes()).unwrap())
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::new("10.20.0.5:993".parse().unwrap(), "mail.lan.test").unwrap()
}

pub(super) fn alice(password: &str) -> Credentials {
    Credentials::new("alice", password.into()).unwrap()
}

pub(super) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}
