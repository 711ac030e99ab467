//! A reply of an SMTP server: a code, its lines, and the enhanced status that they begin with.

use super::super::conversation::ConversationError;
use super::super::wire::{Allowance, Wire};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A reply (RFC 5321 §4.2). Its lines are escaped and carry no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// The lines, without the code.
    pub lines: Vec<String>,
}

impl Reply {
    /// The enhanced status that the first line begins with, such as 5.7.8 (RFC 2034, RFC 3463).
    pub fn enhanced(&self) -> Option<EnhancedStatus> {
        let word = self.lines.first()?.split(' ').next()?;
        let mut numbers = word.split('.').map(|number| number.parse::<u16>().ok());
        match (numbers.next()??, numbers.next()??, numbers.next()??, numbers.next()) {
            (class @ (2 | 4 | 5), subject, detail, None) => Some(EnhancedStatus { class, subject, detail }),
            _ => None,
        }
    }

    /// Whether the server did what it was asked (2xx) or waits for more (3xx).
    pub fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// Whether trying later may help (4xx).
    pub fn is_temporary(&self) -> bool {
        (400..500).contains(&self.code)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        for (position, line) in self.lines.iter().enumerate() {
            write!(f, "{}{line}", if position == 0 { " " } else { " / " })?;
        }
        Ok(())
    }
}

/// An enhanced status: class, subject and detail (RFC 3463).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnhancedStatus {
    /// 2 success, 4 for now, 5 for good.
    pub class: u16,
    /// What it is about: 1 addresses, 7 security and so on.
    pub subject: u16,
    /// What exactly.
    pub detail: u16,
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// A reply as it came. It may repeat a secret: only [`RawReply::clean`] leaves this module's parent.
#[derive(Debug)]
pub(super) struct RawReply {
    pub(super) code: u16,
    pub(super) lines: Vec<Vec<u8>>,
}

impl RawReply {
    /// The reply as it may be kept.
    pub(super) fn clean(&self, wire: &Wire) -> Reply {
        Reply { code: self.code, lines: self.lines.iter().map(|line| wire.recorder.clean(line)).collect() }
    }
}

/// Reads a reply with all its lines.
pub(super) async fn read(wire: &mut Wire, awaited: &str) -> Result<RawReply, ConversationError> {
    let mut allowance = Allowance::full();
    let mut reply: Option<RawReply> = None;
    loop {
        let line = wire.line(awaited, &mut allowance).await?;
        let parsed = parse_line(&line);
        let fits = parsed.as_ref().is_some_and(|part| reply.as_ref().is_none_or(|reply| reply.code == part.code));
        let (Some(part), true) = (parsed, fits) else {
            return Err(ConversationError::Unexpected {
                expected: format!("{awaited} by SMTP"),
                got: wire.recorder.clean(&line),
            });
        };
        reply.get_or_insert_with(|| RawReply { code: part.code, lines: Vec::new() }).lines.push(part.text);
        if part.is_last
            && let Some(reply) = reply
        {
            return Ok(reply);
        }
    }
}

struct Part {
    code: u16,
    is_last: bool,
    text: Vec<u8>,
}

/// `250-text`, `250 text` or `250`.
fn parse_line(line: &[u8]) -> Option<Part> {
    let digits = line.get(..3)?;
    if !digits.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&digits[0]) {
        return None;
    }
    let code = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let is_last = match line.get(3) {
        None | Some(b' ') => true,
        Some(b'-') => false,
        Some(_) => return None,
    };
    Some(Part { code, is_last, text: line.get(4..).unwrap_or_default().to_vec() })
}

/// Reads replies until one is none.
#[cfg(any(test, fuzzing))]
pub(in super::super) async fn fuzz(wire: &mut Wire) {
    while let Ok(raw) = read(wire, "a reply").await {
        let reply = raw.clean(wire);
        let _ = (reply.enhanced(), reply.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::last("535 5.7.8 Error", Some((535, true, "5.7.8 Error")))]
    #[case::more("250-PIPELINING", Some((250, false, "PIPELINING")))]
    #[case::bare("250", Some((250, true, "")))]
    #[case::html("<html>", None)]
    #[case::imap("* OK ready", None)]
    #[case::no_such_class("650 x", None)]
    #[case::four_digits("2500 x", None)]
    #[case::short("25", None)]
    fn lines_are_taken_apart(#[case] line: &str, #[case] expected: Option<(u16, bool, &str)>) {
        let part = parse_line(line.as_bytes());
        let seen = part.map(|part| (part.code, part.is_last, String::from_utf8(part.text).unwrap()));
        assert_eq!(seen, expected.map(|(code, last, text)| (code, last, text.to_owned())));
    }

    #[rstest]
    #[case(220, true, false)]
    #[case(354, true, false)]
    #[case(399, true, false)]
    #[case(400, false, true)]
    #[case(499, false, true)]
    #[case(500, false, false)]
    fn a_code_says_yes_later_or_no(#[case] code: u16, #[case] positive: bool, #[case] temporary: bool) {
        let reply = Reply { code, lines: Vec::new() };
        assert_eq!((reply.is_positive(), reply.is_temporary()), (positive, temporary));
    }

    #[rstest]
    #[case("5.7.8 Error: authentication failed", Some("5.7.8"))]
    #[case("2.0.0 Ok: queued", Some("2.0.0"))]
    #[case("mail.lan.test ESMTP", None)]
    #[case("10.20.0.5 greets you", None)]
    #[case("3.1.1 no such class", None)]
    fn enhanced_statuses_are_found(#[case] line: &str, #[case] expected: Option<&str>) {
        let reply = Reply { code: 250, lines: vec![line.to_owned()] };
        assert_eq!(reply.enhanced().map(|status| status.to_string()).as_deref(), expected);
    }
}
