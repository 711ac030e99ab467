//! The record of one dialogue: who said what, and when. It is data alone; secrets never enter it, since the recorder
//! masks each line before it is kept.

use super::mask::Mask;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// Characters of one line that are kept.
const LINE_LIMIT: usize = 2_000;
/// Lines that are kept.
const ENTRY_LIMIT: usize = 2_000;
/// Bytes of text that are kept.
const TEXT_LIMIT: usize = 256 * 1024;

/// Who speaks in an [`Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    /// The probe.
    Client,
    /// The server.
    Server,
    /// Nobody: what happened to the connection, such as TLS.
    Note,
}

/// One line of a dialogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Who said it.
    pub speaker: Speaker,
    /// Seconds since the dialogue began.
    pub seconds: f64,
    /// What was said: masked, escaped, without its line end.
    pub text: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.speaker {
            Speaker::Client => 'C',
            Speaker::Server => 'S',
            Speaker::Note => '*',
        };
        write!(f, "{mark}: {}", self.text)
    }
}

/// An ordered record of a dialogue. `Display` writes `C: …`, `S: …` and `*: …` lines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// The lines in the order of their time.
    pub entries: Vec<Entry>,
    /// How many further lines were not kept, since the dialogue was too long.
    pub omitted: usize,
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            writeln!(f, "{entry}")?;
        }
        if self.omitted > 0 {
            writeln!(f, "*: {} more lines were not kept", self.omitted)?;
        }
        Ok(())
    }
}

/// Writes a [`Transcript`] while the dialogue goes on.
#[derive(Debug)]
pub(super) struct Recorder {
    started: Instant,
    mask: Mask,
    transcript: Transcript,
    size: usize,
}

impl Recorder {
    /// A record that begins now and hides `password`.
    pub(super) fn new(password: Option<&SecretString>) -> Self {
        let mut mask = Mask::default();
        if let Some(password) = password {
            mask.hide(password.expose_secret());
        }
        Self { started: Instant::now(), mask, transcript: Transcript::default(), size: 0 }
    }

    /// A line of the client. What is secret in it must be replaced before.
    pub(super) fn client(&mut self, line: &[u8]) {
        self.record(Speaker::Client, line);
    }

    /// A line of the server.
    pub(super) fn server(&mut self, line: &[u8]) {
        self.record(Speaker::Server, line);
    }

    /// What happened beside the dialogue.
    pub(super) fn note(&mut self, note: impl fmt::Display) {
        self.record(Speaker::Note, note.to_string().as_bytes());
    }

    /// Untrusted text as it may be kept elsewhere: in outcomes and errors.
    pub(super) fn clean(&self, raw: &[u8]) -> String {
        self.mask.clean(raw, LINE_LIMIT)
    }

    /// How long the dialogue has lasted, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// A place to which [`Recorder::rewind`] can go back.
    pub(super) fn mark(&self) -> usize {
        self.transcript.entries.len()
    }

    /// Forgets what was recorded since `mark`: of a wait that looks again and again, only the last look is kept.
    pub(super) fn rewind(&mut self, mark: usize) {
        self.transcript.entries.truncate(mark);
        self.size = self.transcript.entries.iter().map(|entry| entry.text.len()).sum();
    }

    /// The record, ended.
    pub(super) fn finish(self) -> Transcript {
        self.transcript
    }

    fn record(&mut self, speaker: Speaker, line: &[u8]) {
        let text = self.mask.clean(line, LINE_LIMIT);
        if self.transcript.entries.len() == ENTRY_LIMIT || self.size + text.len() > TEXT_LIMIT {
            self.transcript.omitted += 1;
            return;
        }
        self.size += text.len();
        self.transcript.entries.push(Entry { speaker, seconds: self.seconds(), text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_reads_as_a_dialogue() {
        let mut recorder = Recorder::new(Some(&"alicepw".into()));
        recorder.note("TLS 1.3 established, server certificate CN=mail.lan.test");
        recorder.server(b"* OK ready");
        recorder.client(b"a1 LOGIN alice ******");
        recorder.server(b"a1 NO no such password: alicepw");
        insta::assert_snapshot!(recorder.finish(), @r"
        *: TLS 1.3 established, server certificate CN=mail.lan.test
        S: * OK ready
        C: a1 LOGIN alice ******
        S: a1 NO no such password: ******
        ");
    }

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let mut recorder = Recorder::new(None);
        for _ in 0..1000 {
            recorder.server(&[b'x'; 5000]);
        }
        let transcript = recorder.finish();
        let kept: usize = transcript.entries.iter().map(|entry| entry.text.len()).sum();
        assert!(kept <= TEXT_LIMIT, "{kept}");
        assert_eq!(transcript.entries.len() + transcript.omitted, 1000);
    }

    #[test]
    fn what_was_not_kept_is_told() {
        assert_eq!(Transcript::default().to_string(), "");
        let transcript = Transcript { omitted: 3, ..Transcript::default() };
        assert_eq!(transcript.to_string(), "*: 3 more lines were not kept\n");
    }

    #[test]
    fn what_fits_exactly_is_kept() {
        let mut recorder = Recorder::new(None);
        let (lines, rest) = (TEXT_LIMIT / LINE_LIMIT, TEXT_LIMIT % LINE_LIMIT);
        for _ in 0..lines {
            recorder.server(&[b'x'; LINE_LIMIT]);
        }
        recorder.server(&vec![b'x'; rest]);
        recorder.server(b"x");
        let transcript = recorder.finish();
        assert_eq!((transcript.entries.len(), transcript.omitted), (lines + 1, 1));
        assert_eq!(transcript.entries[lines].text.len(), rest);
    }

    #[test]
    fn a_wait_forgets_what_came_since_its_mark() {
        let mut recorder = Recorder::new(None);
        recorder.client(b"a1 LOGIN");
        recorder.client(b"a2 SELECT");
        let mark = recorder.mark();
        for look in ["a3 SEARCH", "a4 SEARCH"] {
            recorder.rewind(mark);
            recorder.client(look.as_bytes());
        }
        assert_eq!(recorder.finish().to_string(), "C: a1 LOGIN\nC: a2 SELECT\nC: a4 SEARCH\n");
    }

    #[test]
    fn time_passes() {
        let recorder = Recorder::new(None);
        let first = recorder.seconds();
        assert!(first > 0.0 && recorder.seconds() > first, "{first}");
    }

    #[test]
    fn a_transcript_survives_json() {
        let mut recorder = Recorder::new(None);
        recorder.client(b"EHLO probe");
        let transcript = recorder.finish();
        let json = serde_json::to_string(&transcript).unwrap();
        assert_eq!(serde_json::from_str::<Transcript>(&json).unwrap().entries[0].text, "EHLO probe");
    }
}
