//! Where a guest's bytes go: to a terminal through a sieve, else as they are.

use harness::sanitize::{LEFT, Shows, TerminalSanitizer};
use std::io::{self, IsTerminal, Write};

/// One of our own streams.
pub(super) struct Screen<W> {
    stream: W,
    /// Where a person looks.
    sieve: Option<TerminalSanitizer>,
}

impl<W: Write + IsTerminal> Screen<W> {
    pub(super) fn new(stream: W) -> Self {
        let sieve = stream.is_terminal().then(|| TerminalSanitizer::new(Shows::Screen));
        Self { stream, sieve }
    }
}

impl<W: Write> Screen<W> {
    /// Shows what came.
    pub(super) fn show(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.sieve {
            Some(sieve) => self.stream.write_all(sieve.pass(bytes).as_bytes())?,
            None => self.stream.write_all(bytes)?,
        }
        self.stream.flush()
    }

    /// Undoes what a guest's program may have left a terminal in.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        if self.sieve.is_some() {
            self.stream.write_all(LEFT.as_bytes())?;
            self.stream.flush()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gets_all_bytes_and_a_terminal_what_is_harmless() {
        for (sieve, expected) in
            [(None, &b"a\x1b[6n\xff\n"[..]), (Some(TerminalSanitizer::new(Shows::Screen)), "a\u{fffd}\n".as_bytes())]
        {
            let mut screen = Screen { stream: Vec::new(), sieve };
            screen.show(b"a\x1b[6").unwrap();
            screen.show(b"n\xff\n").unwrap();
            assert_eq!(screen.stream, expected);
        }
    }
}
