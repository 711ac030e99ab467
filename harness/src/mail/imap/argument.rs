//! How a value is written in a command: as a quoted string where it can be, else as a literal (RFC 3501 §4.3).

/// The longest quoted string that is sent; servers bound their command lines.
const QUOTED_LIMIT: usize = 1000;

/// A value in the form in which it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Argument {
    /// On the command line itself.
    Inline(Vec<u8>),
    /// Announced by `{size}` and sent after the server's go-ahead.
    Literal(Vec<u8>),
}

impl Argument {
    /// The form that `value` needs.
    pub(super) fn of(value: &[u8]) -> Self {
        if !value.is_empty() && value.iter().all(|byte| is_plain(*byte)) && !value.eq_ignore_ascii_case(b"NIL") {
            return Self::Inline(value.to_vec());
        }
        if value.len() <= QUOTED_LIMIT && value.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            return Self::Inline(quoted(value));
        }
        Self::Literal(value.to_vec())
    }
}

/// Characters that may stand in an atom of any kind, and that no server reads as anything else.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/' | b'@')
}

fn quoted(value: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::word("alice", "alice")]
    #[case::mailbox("user/alice.b", "user/alice.b")]
    #[case::space("two words", r#""two words""#)]
    #[case::quotes(r#"a"b\c"#, r#""a\"b\\c""#)]
    #[case::empty("", r#""""#)]
    #[case::nil("nil", r#""nil""#)]
    #[case::message_id("<a.1@lan.test>", r#""<a.1@lan.test>""#)]
    #[case::looks_like_a_literal("{5}", r#""{5}""#)]
    #[case::wildcard("*", r#""*""#)]
    fn printable_values_stay_on_the_line(#[case] value: &str, #[case] sent: &str) {
        assert_eq!(Argument::of(value.as_bytes()), Argument::Inline(sent.into()));
    }

    #[rstest]
    #[case::umlaut("zürich".to_owned())]
    #[case::line_end("a\r\na2 LOGOUT".to_owned())]
    #[case::long("x y".repeat(1000))]
    fn others_become_literals(#[case] value: String) {
        assert_eq!(Argument::of(value.as_bytes()), Argument::Literal(value.into_bytes()));
    }
}
