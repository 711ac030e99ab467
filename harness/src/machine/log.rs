//! Logs of a machine: what its guest prints, and what its QEMU says. Neither is trusted: a log has an upper bound, is made harmless
//! for whoever looks into it, and holds no secret at any time, so that a run that is killed leaves none.

use crate::sanitize::{Shows, TerminalSanitizer};
use crate::secrets::{Redaction, Secrets};
use crate::size::Size;
use std::io;
use std::path::{Path, PathBuf};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

/// Where the logs of machines are.
#[derive(Debug, Clone, Copy)]
pub struct Logs<'a> {
    /// Their directory.
    pub directory: &'a Path,
    /// Where packets are kept that are captured.
    pub captures: &'a Path,
    /// What they may not hold.
    pub secrets: &'a Secrets,
}

impl Logs<'_> {
    /// Where this one is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// A log that is written.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    sieve: TerminalSanitizer,
    redaction: Redaction,
    limit: Size,
    /// How many bytes fit in.
    room: u64,
}

impl Log {
    /// An empty one, which ends with a note when it has reached the limit.
    pub(super) async fn create(path: &Path, limit: Size, secrets: &Secrets) -> io::Result<Self> {
        let file = File::create(path).await?;
        let (sieve, redaction) = (TerminalSanitizer::new(Shows::Text), Redaction::of(secrets));
        Ok(Self { file, sieve, redaction, limit, room: limit.as_bytes() })
    }

    /// What it may not hold.
    pub(super) fn secrets(&self) -> &Secrets {
        self.redaction.secrets()
    }

    /// Adds what was said. A full disk must not keep anybody from reading on, or the guest would hang.
    pub(super) async fn add(&mut self, bytes: &[u8]) {
        if self.room == 0 {
            return;
        }
        let mut text = self.redaction.pass(&self.sieve.pass(bytes));
        self.room = self.room.saturating_sub(text.len() as u64);
        if self.room == 0 {
            text = format!("{text}\n[this log is full with {}: more was said]\n", self.limit);
        }
        let _ = self.file.write_all(text.as_bytes()).await;
        let _ = self.file.flush().await;
    }

    /// Adds what was kept back, since it could have become a sequence, or a secret.
    pub(super) async fn end(mut self) -> io::Result<()> {
        let rest = self.redaction.pass(&self.sieve.end()) + &self.redaction.end();
        if self.room > 0 {
            self.file.write_all(rest.as_bytes()).await?;
        }
        self.file.flush().await
    }

    /// Writes down all that comes.
    pub(super) async fn follow(mut self, mut words: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut buffer = vec![0; 4 << 10];
        loop {
            match words.read(&mut buffer).await {
                Ok(0) | Err(_) => return self.end().await,
                Ok(count) => self.add(&buffer[..count]).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn logged(words: &[u8], limit: u64) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let secrets = Secrets::default();
        secrets.learn(["tulips".into()]);
        Log::create(&path, Size::bytes(limit), &secrets).await.unwrap().follow(words).await.unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    #[tokio::test]
    async fn what_it_holds_steers_nothing() {
        assert_eq!(
            logged(b"qemu: \x1b]0;owned\x07\x1b[2J\nwords\x1b", 1000).await,
            "qemu: \\u{1b}]0;owned\\u{7}\\u{1b}[2J\nwords\\u{1b}"
        );
    }

    /// Also where colours stand between its letters, which are left out.
    #[tokio::test]
    async fn what_it_holds_is_no_secret() {
        let words: &[u8] = b"login: tulips\r\nPassword: tul\x1b[1mips\x1b[0m\r\ntul";
        assert_eq!(logged(words, 1000).await, "login: ******\nPassword: ******\ntul");
    }

    #[tokio::test]
    async fn it_ends_at_its_limit_and_says_so() {
        let text = logged(&vec![b'x'; 100_000], 10_000).await;
        assert!(text.len() < 15_000, "{}", text.len());
        assert!(text.ends_with("x\n[this log is full with 9.7 KiB: more was said]\n"), "{}", &text[text.len() - 80..]);
    }
}
