//! What guests say, made harmless before a person sees it.
//!
//! A guest is not trusted, and text can do things: it moves the cursor of a terminal, renames its window, puts commands into the
//! clipboard, makes it type an answer, or turns a line round. [`line()`] and [`lines`] are for words in reports and messages, a
//! [`TerminalSanitizer`] is for streams of bytes: a console that is written to a log, or shown as it is.

mod terminal;

pub use terminal::{LEFT, Shows, TerminalSanitizer};

use std::fmt::Write as _;

/// The same text in one line, with everything escaped that is no visible character.
#[must_use]
pub fn line(text: &str) -> String {
    clean(text, false)
}

/// The same for text of several lines: line ends and tabs stay.
#[must_use]
pub fn lines(text: &str) -> String {
    clean(text, true)
}

/// The same for a program's output, as after a few words of ours: each further line begins with `indent` and a bar. So it is no
/// line of ours, and no command to a workflow of GitHub's, which takes what begins with two colons behind any space.
#[must_use]
pub fn quoted(text: &str, indent: &str) -> String {
    lines(text).trim_end().replace('\n', &format!("\n{indent}| "))
}

/// The same JSON, with everything escaped that steers, as JSON escapes it: [`serde_json`] does so for the first 32 characters only.
#[must_use]
pub fn json(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_steering(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(clean, "\\u{unit:04x}");
            }
        } else {
            clean.push(c);
        }
    }
    clean
}

/// The same for text of ours that has colours: sequences that choose one stay.
#[must_use]
pub fn coloured(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, sequence) = rest.split_at(at);
        clean.push_str(&lines(before));
        let length = colour(sequence).unwrap_or(1);
        clean.push_str(&if length > 1 { sequence[..length].to_owned() } else { lines(&sequence[..1]) });
        rest = &sequence[length..];
    }
    clean + &lines(rest)
}

/// How long the sequence is that chooses a colour (SGR of ECMA-48), if the text begins with one.
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
    parameters[end..].starts_with('m').then_some(2 + end + 1)
}

/// The same text in as many bytes, so that places in it stay: what steers is replaced, not escaped.
#[must_use]
pub fn in_place(text: &str) -> String {
    let replaced = |letter: char| match letter.len_utf8() {
        3 => "\u{fffd}",
        length => &"????"[..length],
    };
    let mut clean = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_steering(letter) && !matches!(letter, '\n' | '\t' | '\r') {
            clean.push_str(replaced(letter));
        } else {
            clean.push(letter);
        }
    }
    clean
}

/// The beginning of a text that is longer than `limit` bytes, and how much is left out.
#[must_use]
pub fn shortened(text: String, limit: usize) -> String {
    if text.len() <= limit {
        return text;
    }
    let end = text.floor_char_boundary(limit);
    format!("{}\n… and {} bytes more", &text[..end], text.len() - end)
}

fn clean(text: &str, keeps_lines: bool) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' if keeps_lines => clean.push(c),
            '\r' if keeps_lines => {}
            _ if is_steering(c) => escape(c, &mut clean),
            _ => clean.push(c),
        }
    }
    clean
}

fn escape(c: char, to: &mut String) {
    // A string takes all.
    let _ = write!(to, "\\u{{{:x}}}", u32::from(c));
}

/// Controls, and the marks of Unicode that change the order of what is shown or show nothing (UAX #9; UTS #39).
fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::plain("a1 NO no – söö", "a1 NO no – söö")]
    #[case::colour("\u{1b}[31mred\u{1b}[0m", "\\u{1b}[31mred\\u{1b}[0m")]
    #[case::title("\u{1b}]0;owned\u{7}", "\\u{1b}]0;owned\\u{7}")]
    #[case::eight_bit("\u{9b}2J", "\\u{9b}2J")]
    #[case::turned_round("user\u{202e}txt.exe", "user\\u{202e}txt.exe")]
    #[case::invisible("ro\u{200b}ot", "ro\\u{200b}ot")]
    #[case::another_line("one\ntwo\r\n", "one\\u{a}two\\u{d}\\u{a}")]
    fn what_steers_is_shown_and_not_done(#[case] said: &str, #[case] shown: &str) {
        assert_eq!(line(said), shown);
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(lines("one\r\n\ttwo\u{1b}c\n"), "one\n\ttwo\\u{1b}c\n");
    }

    #[test]
    fn no_further_line_begins_with_what_was_said() {
        assert_eq!(quoted("differs:\n::error::x\n  ::y\n", "  "), "differs:\n  | ::error::x\n  |   ::y");
    }

    #[test]
    fn json_stays_the_same_value() {
        let said = "\u{1b}[2J\u{9b}2J\u{202e}\u{e0041}ö";
        let clean = json(&serde_json::to_string(said).unwrap());
        assert_eq!(clean, r#""\u001b[2J\u009b2J\u202e\udb40\udc41ö""#);
        assert_eq!(serde_json::from_str::<String>(&clean).unwrap(), said);
    }

    #[rstest::rstest]
    #[case::colours("\u{1b}[1;31mred\u{1b}[0m\n", "\u{1b}[1;31mred\u{1b}[0m\n")]
    #[case::a_title("\u{1b}[31m\u{1b}]0;x\u{7}", "\u{1b}[31m\\u{1b}]0;x\\u{7}")]
    #[case::a_cursor("\u{1b}[2Jx\u{1b}[1A", "\\u{1b}[2Jx\\u{1b}[1A")]
    #[case::half("\u{1b}[31", "\\u{1b}[31")]
    #[case::turned("a\u{202e}b\u{1b}[m", "a\\u{202e}b\u{1b}[m")]
    fn colours_stay_and_nothing_else(#[case] said: &str, #[case] shown: &str) {
        assert_eq!(coloured(said), shown);
    }

    #[test]
    fn places_stay_where_they_are() {
        let said = "a\u{1b}[2J\u{9b}\u{202e}\u{e0041}ö\t\r\n";
        let clean = in_place(said);
        assert_eq!(clean, "a?[2J??\u{fffd}????ö\t\r\n");
        assert_eq!((clean.len(), clean.find('ö')), (said.len(), said.find('ö')));
    }

    #[test]
    fn what_is_left_out_is_told() {
        assert_eq!(shortened("short".into(), 5), "short");
        assert_eq!(shortened("söö".into(), 2), "s\n… and 4 bytes more");
    }
}
