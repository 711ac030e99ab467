//! Messages of a guest, bounded: JSON in lines, of which a guest that is broken or hostile may send one without an end.
//!
//! The reader behind this keeps a line until it is whole, and makes a tree of it. So a line has an upper bound, and so has what
//! such a tree would have of branches: `[0,0,0,…]` takes sixteen times its length.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// How much one message may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes of one line.
    pub(super) bytes: usize,
    /// Values in it: what is counted are the commas and brackets outside of strings.
    pub(super) values: usize,
}

/// A stream of lines that ends with an error when one of them goes beyond its bounds.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    stream: S,
    bounds: Bounds,
    bytes: usize,
    values: usize,
    place: Place,
    exceeded: Arc<AtomicBool>,
}

/// Where in a line of JSON the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    InString,
    BehindBackslash,
}

impl<S> Bounded<S> {
    /// `exceeded` is set when a line goes beyond the bounds.
    pub(super) fn new(stream: S, bounds: Bounds, exceeded: Arc<AtomicBool>) -> Self {
        Self { stream, bounds, bytes: 0, values: 0, place: Place::Outside, exceeded }
    }

    /// Takes note of what came.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            self.bytes = self.bytes.saturating_add(1);
            self.place = match (self.place, byte) {
                (_, b'\n') => {
                    (self.bytes, self.values) = (0, 0);
                    Place::Outside
                }
                (Place::Outside, b'"') | (Place::BehindBackslash, _) => Place::InString,
                (Place::InString, b'"') => Place::Outside,
                (Place::InString, b'\\') => Place::BehindBackslash,
                (Place::Outside, b',' | b'[' | b'{') => {
                    self.values = self.values.saturating_add(1);
                    Place::Outside
                }
                (place, _) => place,
            };
            if self.bytes > self.bounds.bytes || self.values > self.bounds.values {
                self.exceeded.store(true, Ordering::Relaxed);
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is beyond all bounds"));
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let taken = self.take(&buffer.filled()[before..]);
        if taken.is_err() {
            // A read that failed has read nothing.
            buffer.set_filled(before);
        }
        Poll::Ready(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    async fn read(text: &str) -> (bool, bool) {
        let exceeded = Arc::new(AtomicBool::new(false));
        let mut bounded = Bounded::new(text.as_bytes(), Bounds { bytes: 40, values: 3 }, exceeded.clone());
        let read = bounded.read_to_end(&mut Vec::new()).await;
        (read.is_ok(), exceeded.load(Ordering::Relaxed))
    }

    #[rstest::rstest]
    #[case::short("{\"return\": {}}\n")]
    #[case::many_lines(&"{\"return\": [1, 2]}\n".repeat(100))]
    #[case::commas_in_a_string("{\"a\": \"[[[{{{,,,\\\",,,\"}\n")]
    #[tokio::test]
    async fn what_an_agent_says_passes(#[case] text: &str) {
        assert_eq!(read(text).await, (true, false));
    }

    #[rstest::rstest]
    #[case::endless(&"x".repeat(41))]
    #[case::a_long_line_behind_a_short_one(&format!("{{}}\n\"{}", "x".repeat(40)))]
    #[case::branches("[[[[")]
    #[case::values("[0,0,0,0]\n")]
    #[case::behind_a_string("[\"\\\\\",0,0,0]\n")]
    #[tokio::test]
    async fn what_takes_memory_does_not(#[case] text: &str) {
        assert_eq!(read(text).await, (false, true));
    }
}
