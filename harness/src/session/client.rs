//! The other end: asking a holder from another process.

use super::protocol::{Refusal, Reply, Request, receive, send};
use super::record::reach;
use std::io;
use std::path::Path;
use tokio::net::UnixStream;

/// A connection that carries bytes as they are.
pub type Pipe = UnixStream;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// The holder said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The connection broke: the lab has just ended.
    #[error("the lab has gone: {0}")]
    Gone(#[source] io::Error),
    /// It answered something else than was asked.
    #[error("the lab's holder answered something else than was asked")]
    Unexpected,
}

/// One request, and the answers to it.
#[derive(Debug)]
pub struct Conversation {
    stream: UnixStream,
}

impl Conversation {
    /// Asks the holder of the lab whose directory this is.
    pub async fn begin(directory: &Path, request: &Request) -> Result<Self, TalkError> {
        let connected = reach(directory, |path| {
            let stream = std::os::unix::net::UnixStream::connect(path)?;
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream)
        });
        let mut stream = connected.map_err(TalkError::Gone)?;
        send(&mut stream, request).await.map_err(TalkError::Gone)?;
        Ok(Self { stream })
    }

    /// The next answer; a refusal is an error.
    pub async fn next(&mut self) -> Result<Reply, TalkError> {
        match receive(&mut self.stream).await.map_err(TalkError::Gone)? {
            Reply::Refused(refusal) => Err(refusal.into()),
            reply => Ok(reply),
        }
    }

    /// Completes when the holder closes the connection, as it does at its end.
    pub async fn closed(&mut self) {
        while self.next().await.is_ok() {}
    }

    /// Asks for one answer.
    pub async fn ask(directory: &Path, request: &Request) -> Result<Reply, TalkError> {
        Self::begin(directory, request).await?.next().await
    }

    /// Asks for a pipe.
    pub async fn pipe(directory: &Path, request: &Request) -> Result<Pipe, TalkError> {
        let mut conversation = Self::begin(directory, request).await?;
        match conversation.next().await? {
            Reply::Open => Ok(conversation.stream),
            _ => Err(TalkError::Unexpected),
        }
    }
}
