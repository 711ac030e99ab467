//! A stream of a guest's terminal, of which only that passes which is harmless.
//!
//! Sequences are those of ECMA-48 and of xterm (ctlseqs). What does not pass: strings (titles, the clipboard, hyperlinks, queries of
//! DCS), whatever a terminal answers as if the person had typed it, printing, resizing, resets, mouse and focus reports.

use super::{escape, is_steering};

/// Longer sequences mean nothing to anybody.
const LONGEST: usize = 64;

/// Private modes that a program on a screen needs (`CSI ? n h`): cursor keys, wrapping, blinking, the cursor, bracketed
/// paste, the other screen.
const MODES: [&[u8]; 8] = [b"1", b"7", b"12", b"25", b"1047", b"1048", b"1049", b"2004"];

/// What undoes all that a guest may have set, for when a terminal is left.
pub const LEFT: &str =
    "\u{1b}[?1049l\u{1b}[?2004l\u{1b}[?1l\u{1b}[?7h\u{1b}[?25h\u{1b}[4l\u{1b}[r\u{1b}(B\u{1b}>\u{1b}[0m";

/// For whom a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// A log: text and line ends. Colours are left out, all other sequences are written as they are spelt.
    Text,
    /// A terminal: also what moves the cursor, erases and colours. Other sequences are left out.
    Screen,
}

/// A filter that keeps what is not complete yet.
#[derive(Debug)]
pub struct TerminalSanitizer {
    shows: Shows,
    state: State,
    /// The beginning of a character, or of a sequence without its introduction.
    held: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    /// Behind ESC.
    Escape,
    /// Behind ESC and what names a character set.
    Charset,
    /// Behind CSI.
    Csi,
    /// In a string, up to its end.
    Text,
    /// In a string, behind ESC.
    TextEscape,
}

impl TerminalSanitizer {
    /// An empty one.
    #[must_use]
    pub fn new(shows: Shows) -> Self {
        Self { shows, state: State::Ground, held: Vec::new() }
    }

    /// What passes of these bytes, and of those that were held back.
    #[must_use]
    pub fn pass(&mut self, bytes: &[u8]) -> String {
        let mut passed = String::with_capacity(bytes.len());
        for byte in bytes {
            self.take(*byte, &mut passed);
        }
        passed
    }

    /// What was held back, as the stream has ended.
    #[must_use]
    pub fn end(&mut self) -> String {
        let mut passed = String::new();
        match self.state {
            State::Ground => self.broken(&mut passed),
            State::Escape => self.spelt(b"\x1b", &mut passed),
            State::Csi | State::Charset => self.spelt(b"\x1b[", &mut passed),
            State::Text | State::TextEscape => {}
        }
        self.state = State::Ground;
        passed
    }

    fn take(&mut self, byte: u8, to: &mut String) {
        match self.state {
            State::Ground => self.ground(byte, to),
            State::Escape => self.escape(byte, to),
            State::Charset => {
                self.state = State::Ground;
                match (self.shows, byte) {
                    (Shows::Screen, b'0' | b'A' | b'B') => {
                        to.push('\u{1b}');
                        to.push(char::from(self.held[0]));
                        to.push(char::from(byte));
                        self.held.clear();
                    }
                    _ => self.held.clear(),
                }
            }
            State::Csi => self.csi(byte, to),
            State::Text => match byte {
                0x1b => self.state = State::TextEscape,
                // BEL ends what xterm calls OSC; CAN and SUB end everything.
                0x07 | 0x18 | 0x1a => self.state = State::Ground,
                _ => {}
            },
            State::TextEscape => {
                self.state = State::Ground;
                if byte != b'\\' {
                    self.state = State::Escape;
                    self.escape(byte, to);
                }
            }
        }
    }

    /// Text: whole characters of UTF-8.
    fn ground(&mut self, byte: u8, to: &mut String) {
        if byte < 0x80 {
            self.broken(to);
            return self.ascii(byte, to);
        }
        if byte & 0xc0 != 0x80 {
            self.broken(to);
        }
        self.held.push(byte);
        match std::str::from_utf8(&self.held) {
            Ok(text) => {
                let c = text.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
                self.held.clear();
                self.character(c, to);
            }
            // More of it may come.
            Err(error) if error.error_len().is_none() => {}
            Err(_) => self.broken(to),
        }
    }

    fn ascii(&mut self, byte: u8, to: &mut String) {
        match (self.shows, byte) {
            (_, 0x1b) => self.state = State::Escape,
            (Shows::Text, b'\r') => {}
            (_, b'\n' | b'\t') | (Shows::Screen, b'\r' | 0x07 | 0x08) => to.push(char::from(byte)),
            _ => self.character(char::from(byte), to),
        }
    }

    fn character(&self, c: char, to: &mut String) {
        match self.shows {
            _ if !is_steering(c) => to.push(c),
            Shows::Text => escape(c, to),
            Shows::Screen => {}
        }
    }

    /// What was held back is no character.
    fn broken(&mut self, to: &mut String) {
        if !self.held.is_empty() {
            self.held.clear();
            to.push(char::REPLACEMENT_CHARACTER);
        }
    }

    fn escape(&mut self, byte: u8, to: &mut String) {
        self.state = State::Ground;
        match (self.shows, byte) {
            (_, b'[') => self.state = State::Csi,
            (_, 0x1b) => {
                self.spelt(b"\x1b", to);
                self.state = State::Escape;
            }
            (_, b'(' | b')') => {
                self.held.push(byte);
                self.state = State::Charset;
            }
            (Shows::Text, _) => {
                self.spelt(b"\x1b", to);
                self.ground(byte, to);
            }
            // Cursor saved and restored, keypad, one line up or down.
            (Shows::Screen, b'7' | b'8' | b'=' | b'>' | b'D' | b'E' | b'M') => {
                to.push('\u{1b}');
                to.push(char::from(byte));
            }
            // DCS, SOS, OSC, PM, APC
            (Shows::Screen, b'P' | b'X' | b']' | b'^' | b'_') => self.state = State::Text,
            (Shows::Screen, b'\n' | b'\r') => to.push(char::from(byte)),
            (Shows::Screen, _) => {}
        }
    }

    fn csi(&mut self, byte: u8, to: &mut String) {
        match byte {
            0x20..=0x3f if self.held.len() < LONGEST => self.held.push(byte),
            0x40..=0x7e => {
                self.state = State::Ground;
                self.held.push(byte);
                self.finished(to);
            }
            // No sequence: it ends here, and what ended it counts.
            _ => {
                self.state = State::Ground;
                self.spelt(b"\x1b[", to);
                self.ground(byte, to);
            }
        }
    }

    fn finished(&mut self, to: &mut String) {
        match self.shows {
            Shows::Screen if passes(&self.held) => {
                to.push_str("\u{1b}[");
                to.extend(self.held.drain(..).map(char::from));
            }
            Shows::Text if self.held.ends_with(b"m") && plain(&self.held[..self.held.len() - 1]) => self.held.clear(),
            _ => self.spelt(b"\x1b[", to),
        }
    }

    /// A sequence that is not carried out.
    fn spelt(&mut self, introduction: &[u8], to: &mut String) {
        let held = std::mem::take(&mut self.held);
        if self.shows == Shows::Text {
            for byte in introduction.iter().chain(&held) {
                self.character(char::from(*byte), to);
            }
        }
    }
}

fn plain(parameters: &[u8]) -> bool {
    parameters.iter().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':'))
}

/// Whether a sequence, without its introduction, does nothing but draw.
fn passes(sequence: &[u8]) -> bool {
    let Some((last, parameters)) = sequence.split_last() else { return false };
    match (parameters.strip_prefix(b"?"), last) {
        (Some(modes), b'h' | b'l') => modes.split(|byte| *byte == b';').all(|mode| MODES.contains(&mode)),
        (Some(_), _) => false,
        (None, b'h' | b'l') => parameters == b"4",
        (None, last) => plain(parameters) && b"@ABCDEFGHIJKLMPSTXZ`adefmrsu".contains(last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(shows: Shows, said: &[u8]) -> String {
        let mut sieve = TerminalSanitizer::new(shows);
        sieve.pass(said) + &sieve.end()
    }

    #[rstest::rstest]
    #[case::systemd("[\u{1b}[0;32m  OK  \u{1b}[0m] Reached target\r\n", "[  OK  ] Reached target\n")]
    #[case::title("a\u{1b}]0;owned\u{7}b", "a\\u{1b}]0;owned\\u{7}b")]
    #[case::clipboard("\u{1b}]52;c;cm0gLXJmIC8K\u{1b}\\", "\\u{1b}]52;c;cm0gLXJmIC8K\\u{1b}\\")]
    #[case::asks("\u{1b}[6n", "\\u{1b}[6n")]
    #[case::eight_bit("\u{9b}2J", "\\u{9b}2J")]
    #[case::turned_round("a\u{202e}b", "a\\u{202e}b")]
    #[case::umlaut("söö – ✓", "söö – ✓")]
    #[case::unfinished("end\u{1b}[3", "end\\u{1b}[3")]
    fn a_log_is_text(#[case] said: &str, #[case] kept: &str) {
        assert_eq!(all(Shows::Text, said.as_bytes()), kept);
    }

    #[rstest::rstest]
    #[case::colour("\u{1b}[1;31mred\u{1b}[0m\r\n", "\u{1b}[1;31mred\u{1b}[0m\r\n")]
    #[case::an_editor(
        "\u{1b}[?1049h\u{1b}[2J\u{1b}[10;5Hx\u{1b}(0q\u{1b}(B",
        "\u{1b}[?1049h\u{1b}[2J\u{1b}[10;5Hx\u{1b}(0q\u{1b}(B"
    )]
    #[case::title("a\u{1b}]0;owned\u{7}b", "ab")]
    #[case::title_by_st("a\u{1b}]2;owned\u{1b}\\b", "ab")]
    #[case::a_string_without_end("a\u{1b}Pq#0;2;0", "a")]
    #[case::a_string_that_is_left("\u{1b}]0;x\u{1b}[31mred", "\u{1b}[31mred")]
    #[case::asks_where("a\u{1b}[6nb", "ab")]
    #[case::asks_who("\u{1b}[c\u{1b}[>c\u{1b}Z\u{5}", "")]
    #[case::asks_for_the_title("\u{1b}[21t", "")]
    #[case::asks_for_a_mode("\u{1b}[?2026$p", "")]
    #[case::mouse("\u{1b}[?1000h\u{1b}[?25;1006h", "")]
    #[case::prints("\u{1b}[5i", "")]
    #[case::reset("\u{1b}c", "")]
    #[case::eight_bit("\u{9b}6n\u{9d}0;x", "6n0;x")]
    #[case::line_feed_in_a_sequence("\u{1b}[3\n1mx", "\n1mx")]
    fn a_screen_is_drawn_on_and_nothing_else(#[case] said: &str, #[case] shown: &str) {
        assert_eq!(all(Shows::Screen, said.as_bytes()), shown);
    }

    #[test]
    fn raw_bytes_are_no_controls() {
        for shows in [Shows::Text, Shows::Screen] {
            assert_eq!(all(shows, b"a\x9b6nb\xc3"), "a\u{fffd}6nb\u{fffd}");
        }
    }

    proptest! {
        /// However a stream is cut, the same passes; nothing that passes would not pass again, and of a log nothing steers.
        #[test]
        fn it_does_not_depend_on_reads(said in prop::collection::vec(prop_oneof![
            Just(0x1b), Just(b'['), Just(b']'), Just(b'?'), Just(b'm'), Just(b'\\'), Just(0x9b), Just(0xc2), any::<u8>()
        ], 0..80), cut in 0usize..80) {
            for shows in [Shows::Text, Shows::Screen] {
                let whole = all(shows, &said);
                let (one, two) = said.split_at(cut.min(said.len()));
                let mut sieve = TerminalSanitizer::new(shows);
                let pieces = sieve.pass(one) + &sieve.pass(two) + &sieve.end();
                prop_assert_eq!(&pieces, &whole);
                prop_assert_eq!(&all(shows, whole.as_bytes()), &whole);
            }
            let log = all(Shows::Text, &said);
            prop_assert!(log.chars().all(|c| matches!(c, '\n' | '\t') || !is_steering(c)), "{log:?}");
        }

        #[test]
        fn it_holds_little(said in prop::collection::vec(prop_oneof![Just(0x1b), Just(b'['), Just(b'1')], 0..400)) {
            let mut sieve = TerminalSanitizer::new(Shows::Screen);
            let _ = sieve.pass(&said);
            prop_assert!(sieve.held.len() <= LONGEST + 1);
        }
    }
}
