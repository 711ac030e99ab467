//! One connection to a server, in lines: bounded reads, every wait under the deadline, everything recorded.
//!
//! Both protocols stand on it. It works over any byte stream, so a test can be the server.

use super::client::{Client, Endpoint, Security};
use super::conversation::ConversationError;
use super::tls::Verification;
use super::transcript::Recorder;
use crate::time::Deadline;
use std::future::Future;
use std::io::ErrorKind;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// The longest line that is read: far beyond the 1000 bytes of SMTP (RFC 5321 §4.5.3.1.6) and what IMAP servers send.
pub(super) const LINE_LIMIT: usize = 64 * 1024;
/// All lines that answer one command.
pub(super) const REPLY_LIMIT: usize = 1024 * 1024;
/// All literals (message texts) that answer one command.
pub(super) const LITERAL_LIMIT: usize = 64 * 1024 * 1024;

/// A byte stream in both directions: TCP, TLS, or a test's pipe.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How much one reply may still bring.
#[derive(Debug)]
pub(super) struct Allowance {
    lines: usize,
    literals: usize,
}

impl Allowance {
    /// The whole allowance of one command.
    pub(super) fn full() -> Self {
        Self { lines: REPLY_LIMIT, literals: LITERAL_LIMIT }
    }

    fn take_line(&mut self, bytes: usize) -> Result<(), ConversationError> {
        self.lines =
            self.lines.checked_sub(bytes).ok_or(ConversationError::TooLong { what: "a reply", limit: REPLY_LIMIT })?;
        Ok(())
    }

    fn take_literal(&mut self, bytes: usize) -> Result<(), ConversationError> {
        self.literals = self
            .literals
            .checked_sub(bytes)
            .ok_or(ConversationError::TooLong { what: "literals", limit: LITERAL_LIMIT })?;
        Ok(())
    }
}

/// A connection, its deadline and its record.
pub(super) struct Wire {
    stream: Option<BufReader<Box<dyn Stream>>>,
    deadline: Deadline,
    /// The record of all that passes.
    pub(super) recorder: Recorder,
}

impl Wire {
    /// A wire that leads nowhere yet.
    pub(super) fn new(deadline: Deadline, recorder: Recorder) -> Self {
        Self { stream: None, deadline, recorder }
    }

    /// The moment at which every wait on this wire gives up.
    pub(super) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Gives the rest of the dialogue less time.
    pub(super) fn hurry(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    /// Dials `endpoint`; with [`Security::ImplicitTls`] TLS is established at once.
    pub(super) async fn connect(
        &mut self,
        client: &Client,
        endpoint: &Endpoint,
        security: Security,
    ) -> Result<(), ConversationError> {
        self.recorder.note(format_args!("connecting to {endpoint}"));
        if let Some(moment) = client.trust().moment() {
            self.recorder.note(format_args!("certificates are verified as at {moment}"));
        }
        let dialling = client.dialer().dial(endpoint.address, self.deadline);
        let dialled = self.deadline.bound(format!("a connection to {endpoint}"), dialling).await?;
        let stream = dialled.map_err(|source| ConversationError::Connect { address: endpoint.address, source })?;
        // A dialogue of short lines: waiting to fill a segment only costs time. Without it, all works the same.
        let _ = stream.set_nodelay(true);
        self.attach(stream);
        if security == Security::ImplicitTls {
            self.start_tls(client, endpoint, Verification::Full).await?;
        }
        Ok(())
    }

    /// Continues on `stream`.
    pub(super) fn attach(&mut self, stream: impl Stream + 'static) {
        self.stream = Some(BufReader::new(Box::new(stream)));
    }

    /// Puts TLS on the connection. Bytes that came before it in the clear are an attack and end the dialogue.
    pub(super) async fn start_tls(
        &mut self,
        client: &Client,
        endpoint: &Endpoint,
        verification: Verification,
    ) -> Result<(), ConversationError> {
        let Some(stream) = self.stream.take() else { return Err(closed("TLS")) };
        let injected = stream.buffer().len();
        if injected > 0 {
            return Err(ConversationError::PlaintextAfterStartTls { bytes: injected });
        }
        let trust = client.trust();
        let connected = trust.connect(stream.into_inner(), endpoint.server_name(), verification, self.deadline).await;
        let (stream, established) = connected?;
        self.recorder.note(established);
        self.attach(stream);
        Ok(())
    }

    /// Sends one line and records it as it is.
    pub(super) async fn send(&mut self, line: &[u8]) -> Result<(), ConversationError> {
        self.send_as(line, line).await
    }

    /// Sends one line and records `shown` in its place.
    pub(super) async fn send_as(&mut self, line: &[u8], shown: &[u8]) -> Result<(), ConversationError> {
        self.recorder.client(shown);
        self.write(&[line, b"\r\n"].concat()).await
    }

    /// Sends bytes without recording them. A server that closed meanwhile may have said why: then the error is left to
    /// the next read, which sees those words first.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), ConversationError> {
        let awaited = "the server to take what it is sent";
        let deadline = self.deadline;
        let Some(stream) = self.stream.as_mut() else { return Err(closed(awaited)) };
        let writing = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        match bound(deadline, awaited, writing).await {
            Err(ConversationError::Closed { .. }) => {
                self.recorder.note("the server no longer reads");
                Ok(())
            }
            other => other,
        }
    }

    /// Reads one line, records it and hands it back without its line end.
    pub(super) async fn line(
        &mut self,
        awaited: &str,
        allowance: &mut Allowance,
    ) -> Result<Vec<u8>, ConversationError> {
        let mut line = Vec::new();
        let complete = self.fill_line(awaited, &mut line).await;
        let text = line.strip_suffix(b"\n").map_or(&line[..], |line| line.strip_suffix(b"\r").unwrap_or(line));
        if !line.is_empty() {
            self.recorder.server(text);
        }
        match complete {
            Ok(()) => {
                allowance.take_line(line.len())?;
                Ok(text.to_vec())
            }
            Err(error) => Err(error),
        }
    }

    /// Reads up to and with the next line end into `line`, which holds what came even when this fails.
    async fn fill_line(&mut self, awaited: &str, line: &mut Vec<u8>) -> Result<(), ConversationError> {
        let deadline = self.deadline;
        let Some(stream) = self.stream.as_mut() else { return Err(closed(awaited)) };
        loop {
            let available = bound(deadline, awaited, stream.fill_buf()).await?;
            if available.is_empty() {
                return Err(closed(awaited));
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            line.extend_from_slice(&available[..taken]);
            stream.consume(taken);
            if line.len() > LINE_LIMIT {
                return Err(ConversationError::TooLong { what: "a line", limit: LINE_LIMIT });
            }
            if end.is_some() {
                return Ok(());
            }
        }
    }

    /// Reads a literal of `size` bytes, which the server announced. Memory is taken as bytes come, not as announced.
    pub(super) async fn literal(
        &mut self,
        size: usize,
        allowance: &mut Allowance,
    ) -> Result<Vec<u8>, ConversationError> {
        allowance.take_literal(size)?;
        let awaited = format!("a literal of {size} bytes");
        let deadline = self.deadline;
        let Some(stream) = self.stream.as_mut() else { return Err(closed(&awaited)) };
        let mut literal = Vec::new();
        let mut announced = stream.take(size as u64);
        bound(deadline, &awaited, announced.read_to_end(&mut literal)).await?;
        if literal.len() < size {
            return Err(closed(&awaited));
        }
        self.recorder.server(format!("[literal of {size} bytes]").as_bytes());
        Ok(literal)
    }
}

/// Awaits I/O under the deadline, and tells a closed connection from a broken one.
async fn bound<T>(
    deadline: Deadline,
    awaited: &str,
    operation: impl Future<Output = std::io::Result<T>>,
) -> Result<T, ConversationError> {
    deadline.bound(awaited, operation).await?.map_err(|source| match source.kind() {
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected => closed(awaited),
        _ => ConversationError::Broken { awaited: awaited.to_owned(), source },
    })
}

fn closed(awaited: &str) -> ConversationError {
    ConversationError::Closed { awaited: awaited.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::dialogue::soon;
    use std::time::Duration;

    /// A wire from a server that has sent these bytes, and has left.
    async fn received(bytes: &[u8]) -> Wire {
        let (near, mut far) = tokio::io::duplex(bytes.len().max(1));
        far.write_all(bytes).await.unwrap();
        let mut wire = Wire::new(soon(), Recorder::new(None));
        wire.attach(near);
        wire
    }

    #[tokio::test]
    async fn a_line_has_a_largest_length() {
        let line = |length: usize| [vec![b'x'; length - 2], b"\r\n".to_vec()].concat();
        let mut wire = received(&line(LINE_LIMIT)).await;
        let read = wire.line("a line", &mut Allowance::full()).await.unwrap();
        assert_eq!(read.len(), LINE_LIMIT - 2);
        let mut wire = received(&line(LINE_LIMIT + 1)).await;
        let error = wire.line("a line", &mut Allowance::full()).await.unwrap_err();
        assert!(matches!(error, ConversationError::TooLong { what: "a line", .. }), "{error}");
    }

    #[tokio::test]
    async fn half_a_literal_is_none() {
        let literal = received(b"abc").await.literal(3, &mut Allowance::full()).await.unwrap();
        assert_eq!(literal, b"abc");
        let error = received(b"abc").await.literal(4, &mut Allowance::full()).await.unwrap_err();
        assert!(matches!(error, ConversationError::Closed { .. }), "{error}");
    }

    #[test]
    fn a_dialogue_can_be_given_less_time() {
        let mut wire = Wire::new(soon(), Recorder::new(None));
        wire.hurry(Deadline::after(Duration::ZERO));
        assert!(wire.deadline().passed());
    }

    #[rstest::rstest]
    #[case(ErrorKind::UnexpectedEof, true)]
    #[case(ErrorKind::ConnectionReset, true)]
    #[case(ErrorKind::ConnectionAborted, true)]
    #[case(ErrorKind::BrokenPipe, true)]
    #[case(ErrorKind::NotConnected, true)]
    #[case(ErrorKind::InvalidData, false)]
    #[tokio::test]
    async fn a_closed_connection_is_told_from_a_broken_one(#[case] kind: ErrorKind, #[case] closed: bool) {
        let error = bound(soon(), "an answer", async { Err::<(), _>(kind.into()) }).await.unwrap_err();
        assert_eq!(matches!(error, ConversationError::Closed { .. }), closed, "{error}");
        assert_eq!(matches!(error, ConversationError::Broken { .. }), !closed, "{error}");
    }
}
