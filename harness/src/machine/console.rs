//! The serial console: read, kept, and scanned for signs that the guest will not recover.
//!
//! A guest is not trusted: what it prints is bounded in the log and made harmless for whoever looks into it, and its lines are
//! cut before they are matched.

use super::log::Log;
use super::terminal::Terminal;
use crate::sanitize::{Shows, TerminalSanitizer};
use crate::secrets::Secrets;
use crate::size::Size;
use std::fmt;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::watch;

/// A line that means the end of the guest, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FatalPattern {
    /// What is looked for in a line of the console.
    pub text: &'static str,
    /// What it means to a person.
    pub meaning: &'static str,
}

/// What no guest recovers from.
pub const FATAL_PATTERNS: &[FatalPattern] = &[
    FatalPattern { text: "Kernel panic - not syncing", meaning: "the guest's kernel panicked" },
    FatalPattern { text: "You are in emergency mode", meaning: "the guest's systemd gave up the boot" },
    FatalPattern { text: "You are in rescue mode", meaning: "the guest's systemd went into rescue mode" },
    FatalPattern { text: "Freezing execution", meaning: "the guest's systemd crashed" },
    FatalPattern { text: "Dropping to a shell!", meaning: "the guest's initial RAM disk found no root file system" },
    FatalPattern { text: "Out of memory: Killed process", meaning: "the guest ran out of memory" },
    FatalPattern { text: "EXT4-fs error", meaning: "the guest's file system is damaged" },
    FatalPattern { text: "blk_update_request: I/O error", meaning: "the guest's disk failed" },
    FatalPattern { text: "I/O error, dev vd", meaning: "the guest's disk failed (is the host's disk full?)" },
];

/// A fatal line that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleFault {
    /// What it means.
    pub meaning: &'static str,
    /// The line, made harmless, and without secrets.
    pub line: String,
}

impl fmt::Display for ConsoleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.meaning, self.line)
    }
}

/// The log keeps this much of what a guest prints.
pub(super) const LOG_LIMIT: Size = Size::mebibytes(32);
/// How long an unfinished fatal line may take to say more.
const LINE_PATIENCE: Duration = Duration::from_millis(500);
/// A longer line is matched by its beginning only.
const LINE_LIMIT: usize = 4096;

/// Copies the console to `log` and to whoever watches, until the guest closes it, and publishes the first fatal line.
pub(super) async fn follow(
    mut console: OwnedReadHalf,
    terminal: &Terminal,
    mut log: Log,
    found: watch::Sender<Option<ConsoleFault>>,
) -> std::io::Result<()> {
    let mut scanner = Scanner { secrets: log.secrets().clone(), line: Vec::new() };
    let mut buffer = vec![0; 16 << 10];
    let mut publish = |badness: ConsoleFault| {
        found.send_if_modified(|seen| seen.is_none() && seen.replace(badness).is_none());
    };
    loop {
        let count = match scanner.judge() {
            None => console.read(&mut buffer).await,
            // The line may go on and say more; a guest that is at its end may also never finish it.
            Some(badness) => {
                if let Ok(read) = tokio::time::timeout(LINE_PATIENCE, console.read(&mut buffer)).await {
                    read
                } else {
                    publish(badness);
                    console.read(&mut buffer).await
                }
            }
        };
        let count = match count {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        terminal.show(&buffer[..count]);
        log.add(&buffer[..count]).await;
        scanner.scan(&buffer[..count]).into_iter().for_each(&mut publish);
    }
    terminal.close();
    scanner.judge().into_iter().for_each(publish);
    log.end().await
}

#[derive(Default)]
struct Scanner {
    secrets: Secrets,
    line: Vec<u8>,
}

impl Scanner {
    /// Takes what came, and hands back the first fatal line that ends in it.
    fn scan(&mut self, bytes: &[u8]) -> Option<ConsoleFault> {
        let mut found = None;
        for &byte in bytes {
            if byte == b'\n' {
                found = found.or_else(|| self.judge());
                self.line.clear();
            } else if self.line.len() < LINE_LIMIT {
                self.line.push(byte);
            }
        }
        found
    }

    /// The line as it is so far, if it is fatal already.
    fn judge(&self) -> Option<ConsoleFault> {
        let text = String::from_utf8_lossy(&self.line);
        let pattern = FATAL_PATTERNS.iter().find(|pattern| text.contains(pattern.text))?;
        let mut sieve = TerminalSanitizer::new(Shows::Text);
        let line = sieve.pass(text.as_bytes()) + &sieve.end();
        Some(ConsoleFault { meaning: pattern.meaning, line: self.secrets.redact(line.trim()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::UnixStream;

    async fn log_in(directory: &std::path::Path) -> Log {
        Log::create(&directory.join("console"), LOG_LIMIT, &Secrets::default()).await.unwrap()
    }

    #[rstest]
    #[case(&["[   12.3] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n"], Some("the guest's kernel panicked"))]
    #[case(&["You are in emer", "gency mode. After logging in\n"], Some("the guest's systemd gave up the boot"))]
    #[case(&["[  OK  ] Reached target Multi-User System.\r\n"], None)]
    fn fatal_lines_are_found_across_reads(#[case] reads: &[&str], #[case] meaning: Option<&str>) {
        let mut scanner = Scanner::default();
        let found = reads.iter().find_map(|read| scanner.scan(read.as_bytes()));
        assert_eq!(found.map(|badness| badness.meaning), meaning);
    }

    #[tokio::test]
    async fn a_fatal_line_is_told_whole_and_an_unfinished_one_too() {
        for (pieces, expected) in [
            (&["Kernel panic - not syncing", ": by hand\n"][..], "Kernel panic - not syncing: by hand"),
            (&["Kernel panic - not syncing"], "Kernel panic - not syncing"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let (output, input) = ours.into_split();
            let terminal = Terminal::new(input);
            let (sender, mut found) = watch::channel(None);
            let log = log_in(directory.path()).await;
            let following = tokio::spawn(async move { follow(output, &terminal, log, sender).await });
            for piece in pieces {
                theirs.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
            let line = found.wait_for(Option::is_some).await.unwrap().clone().unwrap().line;
            assert_eq!(line, expected);
            drop(theirs);
            following.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn whoever_looks_into_the_log_sees_text_only() {
        let directory = tempfile::tempdir().unwrap();
        let log = log_in(directory.path()).await;
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (output, input) = ours.into_split();
        let terminal = Terminal::new(input);
        let (sender, _found) = watch::channel(None);
        let following = tokio::spawn(async move { follow(output, &terminal, log, sender).await });
        theirs.write_all(b"\x1b[32mok\x1b[0m \x1b]52;c;cm0=\x07\r\n").await.unwrap();
        drop(theirs);
        following.await.unwrap().unwrap();
        assert_eq!(std::fs::read_to_string(directory.path().join("console")).unwrap(), "ok \\u{1b}]52;c;cm0=\\u{7}\n");
    }

    #[test]
    fn an_endless_line_takes_no_memory() {
        let mut scanner = Scanner::default();
        for _ in 0..100 {
            assert_eq!(scanner.scan(&[b'x'; 4096]), None);
        }
        assert_eq!(scanner.line.len(), LINE_LIMIT);
    }

    #[test]
    fn a_fatal_line_cannot_drive_the_terminal() {
        let found = Scanner::default().scan(b"\x1b[2JKernel panic - not syncing: \x07\n").unwrap();
        assert_eq!(found.line, "\\u{1b}[2JKernel panic - not syncing: \\u{7}");
    }

    #[test]
    fn a_fatal_line_holds_no_secret() {
        let mut scanner = Scanner::default();
        scanner.secrets.learn(["tulips".into()]);
        let found = scanner.scan(b"Kernel panic - not syncing: init=/bin/tulips\n").unwrap();
        assert_eq!(found.line, "Kernel panic - not syncing: init=/bin/******");
    }
}
