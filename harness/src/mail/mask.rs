//! Keeps secrets out of text, at the moment that the text is recorded, and makes untrusted text safe to show.
//!
//! A password is found as it stands, in the escaped form of an IMAP quoted string, and inside base64 at any alignment
//! (a server may echo what it was sent, alone or as a part of something longer). Case is ignored, since some servers
//! echo commands in capitals.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretSlice};
use std::ops::Range;

/// What stands in place of a secret.
pub(super) const MASK: &str = "******";

/// Decodes any run of base64 characters, however it was cut out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Base64 as SASL wants it: standard alphabet with padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The secrets of one conversation.
#[derive(Debug, Default)]
pub(super) struct Mask {
    needles: Vec<SecretSlice<u8>>,
}

impl Mask {
    /// Adds a password. An empty one hides nothing.
    pub(super) fn hide(&mut self, password: &str) {
        if password.is_empty() {
            return;
        }
        let escaped = password.replace('\\', "\\\\").replace('"', "\\\"");
        if escaped != password {
            self.needles.push(escaped.into_bytes().into());
        }
        self.needles.push(password.as_bytes().to_vec().into());
    }

    /// `raw` as text that can be kept and shown: secrets masked, control and direction characters escaped, at most
    /// `limit` characters of it.
    pub(super) fn clean(&self, raw: &[u8], limit: usize) -> String {
        let mut text = String::new();
        let mut rest = 0;
        for range in self.secret_ranges(raw) {
            text.push_str(&String::from_utf8_lossy(&raw[rest..range.start]));
            text.push_str(MASK);
            rest = range.end;
        }
        text.push_str(&String::from_utf8_lossy(&raw[rest..]));
        escape(&text, limit)
    }

    /// Where secrets stand in `raw`: sorted, apart from one another.
    fn secret_ranges(&self, raw: &[u8]) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> =
            self.needles.iter().flat_map(|needle| occurrences(raw, needle.expose_secret())).collect();
        if !self.needles.is_empty() {
            found.extend(base64_runs(raw).filter(|run| self.is_in_base64(&raw[run.clone()])));
        }
        found.sort_by_key(|range| range.start);
        let mut apart: Vec<Range<usize>> = Vec::new();
        for range in found {
            match apart.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => apart.push(range),
            }
        }
        apart
    }

    fn is_in_base64(&self, run: &[u8]) -> bool {
        let digits = run.trim_ascii_end_of(b'=');
        (0..4.min(digits.len())).any(|shift| {
            let digits = &digits[shift..];
            let whole = if digits.len() % 4 == 1 { &digits[..digits.len() - 1] } else { digits };
            LENIENT.decode(whole).is_ok_and(|decoded| {
                self.needles.iter().any(|needle| occurrences(&decoded, needle.expose_secret()).next().is_some())
            })
        })
    }
}

/// Every place where `needle` stands in `text`, whatever the case of its ASCII letters.
fn occurrences<'a>(text: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
    text.windows(needle.len())
        .enumerate()
        .filter(|(_, window)| window.eq_ignore_ascii_case(needle))
        .map(|(start, _)| start..start + needle.len())
}

/// The longest runs of base64 characters, with the padding that ends them.
fn base64_runs(text: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let mut position = 0;
    std::iter::from_fn(move || {
        let start = position + text[position..].iter().position(|byte| is_digit(*byte))?;
        let digits = text[start..].iter().take_while(|byte| is_digit(**byte)).count();
        let padding = text[start + digits..].iter().take_while(|byte| **byte == b'=').count();
        position = start + digits + padding;
        Some(start..position)
    })
}

trait TrimEnd {
    fn trim_ascii_end_of(&self, byte: u8) -> &Self;
}

impl TrimEnd for [u8] {
    fn trim_ascii_end_of(&self, byte: u8) -> &Self {
        let end = self.iter().rposition(|other| *other != byte).map_or(0, |last| last + 1);
        &self[..end]
    }
}

/// Escapes what could move a terminal's cursor or reverse its text, and cuts after `limit` characters.
pub(super) fn escape(text: &str, limit: usize) -> String {
    let mut escaped = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == limit {
            escaped.push('…');
            break;
        }
        if is_dangerous(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn mask(password: &str) -> Mask {
        let mut mask = Mask::default();
        mask.hide(password);
        mask
    }

    #[rstest]
    #[case::plain("a1 BAD unknown: LOGIN alice alicepw", "a1 BAD unknown: LOGIN alice ******")]
    #[case::capitals("500 ALICEPW?", "500 ******?")]
    #[case::twice("alicepw.alicepwalicepw", "******.******")]
    #[case::sasl_plain("535 AGFsaWNlAGFsaWNlcHc= bad", "535 ****** bad")]
    #[case::password_alone("334 YWxpY2Vwdw==", "334 ******")]
    #[case::not_at_a_group_start("334 xyAGFsaWNlAGFsaWNlcHc", "334 ******")]
    #[case::nothing_to_hide("a1 NO Login failed: authentication failure", "a1 NO Login failed: authentication failure")]
    fn the_password_is_masked(#[case] line: &str, #[case] shown: &str) {
        assert_eq!(mask("alicepw").clean(line.as_bytes(), 1000), shown);
    }

    #[rstest]
    #[case(0)]
    #[case(1)]
    #[case(2)]
    fn base64_is_searched_at_every_alignment(#[case] before: usize) {
        let text = encode([vec![b'.'; before], b"tulip".to_vec(), b"...".to_vec()].concat().as_slice());
        assert_eq!(mask("tulip").clean(text.as_bytes(), 1000), MASK);
    }

    #[rstest]
    #[case(0)]
    #[case(1)]
    #[case(2)]
    #[case(3)]
    fn digits_behind_base64_do_not_hide_it(#[case] more: usize) {
        let text = encode(b".tulip......") + &"A".repeat(more);
        assert_eq!(mask("tulip").clean(text.as_bytes(), 1000), MASK);
    }

    #[test]
    fn the_quoted_form_is_masked() {
        assert_eq!(mask(r#"a"b\c"#).clean(br#"LOGIN x "a\"b\\c""#, 1000), r#"LOGIN x "******""#);
    }

    #[rstest]
    #[case::colours(b"\x1b[31mred", "\\u{1b}[31mred")]
    #[case::carriage_return(b"good\rbad", "good\\rbad")]
    #[case::right_to_left("a\u{202e}b".as_bytes(), "a\\u{202e}b")]
    #[case::not_utf8(b"\xff", "\u{fffd}")]
    #[case::umlaut("zürich".as_bytes(), "zürich")]
    fn untrusted_text_is_escaped(#[case] raw: &[u8], #[case] shown: &str) {
        assert_eq!(Mask::default().clean(raw, 1000), shown);
    }

    #[test]
    fn the_mask_is_laid_before_the_cut() {
        let shown = mask("alicepw").clean(b"xxxxxx alicepw", 10);
        assert_eq!(shown, "xxxxxx ***…");
    }

    #[test]
    fn an_empty_password_hides_nothing() {
        assert_eq!(mask("").clean(b"a1 OK", 100), "a1 OK");
    }
}
