//! Hostile text, made harmless: what a guest said may hold whatever steers a terminal or turns a line round.

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

fn clean(text: &str, keeps_lines: bool) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' if keeps_lines => clean.push(c),
            '\r' if keeps_lines => {}
            _ if is_steering(c) => drop(write!(clean, "\\u{{{:x}}}", u32::from(c))),
            _ => clean.push(c),
        }
    }
    clean
}

/// Controls, and the marks of Unicode that change the order of what is shown or show nothing (UAX #9; UTS #39).
fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Seconds as a person reads them.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = std::time::Duration::from_secs_f64(seconds.round()).as_secs();
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

/// A number of things.
#[must_use]
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
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

    #[rstest::rstest]
    #[case(0.04, "0.0 s")]
    #[case(59.94, "59.9 s")]
    #[case(59.96, "1 min 00 s")]
    #[case(642.1, "10 min 42 s")]
    #[case(7322.0, "2 h 02 min")]
    fn times_are_short(#[case] time: f64, #[case] words: &str) {
        assert_eq!(seconds(time), words);
    }
}
