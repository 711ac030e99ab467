//! Keys and their values in a line, whatever stands between them.

use super::names::{Strength, strength};
use std::ops::Range;

/// A key that is the name of a secret, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub(super) struct Pair {
    pub(super) strength: Strength,
    /// Where the value stands in the line, without the quotes around it.
    pub(super) value: Range<usize>,
    /// A sign stands between the two, such as `=` or `:`.
    pub(super) is_assigned: bool,
    pub(super) is_quoted: bool,
    /// Nothing but signs and words such as `export` stands before the key.
    pub(super) is_first: bool,
    /// A word such as `user` stands before the key.
    pub(super) follows_login: bool,
    /// Nothing stands behind the value, so it may go on in the next line.
    pub(super) may_go_on: bool,
}

/// Words that may stand before the first key of a line.
const BEFORE: [&str; 16] = [
    "export",
    "set",
    "setenv",
    "declare",
    "my",
    "our",
    "local",
    "const",
    "var",
    "let",
    "define",
    "env",
    "-o",
    "-",
    "*",
    "Environment",
];

/// Words that stand before a name, in whose line a password follows.
const OF_LOGINS: [&str; 8] = ["user", "username", "login", "account", "poll", "machine", "auth", "uid"];

/// Signs between a key and its value, the longest first.
const SIGNS: [&str; 7] = ["=>", ":=", "+=", "::", "=", ":", "<-"];

/// The pairs of a line whose keys are names of secrets, from left to right. In a time that grows with the line.
pub(super) fn of(line: &str) -> impl Iterator<Item = Pair> + '_ {
    let mut place = 0;
    let mut before = Before { is_first: true, has_login: false };
    std::iter::from_fn(move || {
        loop {
            let start = place + line[place..].find(is_of_word)?;
            let end = start + line[start..].find(|letter| !is_of_word(letter)).unwrap_or(line.len() - start);
            place = end;
            let here = before;
            before.take(line, start..end);
            let strength = strength(&line[start..end]);
            if let Some(pair) = strength.and_then(|strength| pair(line, start..end, strength, here)) {
                // What is a value is no key: `password = "my token is x"`.
                place = place.max(pair.value.end);
                return Some(pair);
            }
        }
    })
}

/// What is known of the words before a key.
#[derive(Clone, Copy)]
struct Before {
    is_first: bool,
    has_login: bool,
}

impl Before {
    fn take(&mut self, line: &str, word: Range<usize>) {
        // An array of PHP: `$config['servers'][$i]['password']`.
        let behind = line[word.end..].trim_start_matches(['\'', '"']);
        let is_array = behind.starts_with('[') || behind.starts_with("][");
        let word = &line[word];
        self.is_first &= is_array || BEFORE.contains(&word);
        self.has_login |= OF_LOGINS.contains(&word.to_ascii_lowercase().as_str());
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.')
}

/// The pair whose key is this word, if something could be its value.
fn pair(line: &str, key: Range<usize>, strength: Strength, before: Before) -> Option<Pair> {
    let behind = &line[key.end..];
    let is_element = line[..key.start].ends_with('<') && behind.starts_with('>');
    if is_element {
        let start = key.end + 1;
        let end = start + line[start..].find('<').unwrap_or(line.len() - start);
        return Some(Pair::new(line, start..end, strength, before).assigned());
    }
    let closed = behind.trim_start_matches(['"', '\'', ']', ')']);
    let is_closed = closed.len() < behind.len();
    let open = closed.trim_start();
    let sign =
        SIGNS.into_iter().find(|sign| open.starts_with(sign)).or((is_closed && open.starts_with(',')).then_some(","));
    let value = open[sign.map_or(0, str::len)..].trim_start();
    let has_blank = open.len() < closed.len();
    if sign.is_none() && !has_blank && !open.is_empty() {
        return None;
    }
    let start = line.len() - value.len();
    let is_assigned = sign.is_some();
    let to_the_end = start..line.len();
    let quoted = quoted(line, start);
    let range = match quoted.clone() {
        // In `"a"b` the quotes do not end the value.
        Some(inner) if !before.is_first || ends(line, inner.end + 1, is_assigned) => inner,
        _ if before.is_first && strength == Strength::Certain => trimmed(line, to_the_end),
        _ => word(line, start),
    };
    let pair = Pair::new(line, range, strength, before);
    let pair = Pair { is_quoted: quoted.is_some(), ..pair };
    Some(if is_assigned { pair.assigned() } else { pair })
}

impl Pair {
    fn new(line: &str, value: Range<usize>, strength: Strength, before: Before) -> Self {
        let may_go_on = line[value.end..].trim_start_matches(['"', '\'', ' ', '\\']).is_empty();
        let Before { is_first, has_login } = before;
        Self { value, strength, is_assigned: false, is_quoted: false, is_first, follows_login: has_login, may_go_on }
    }

    fn assigned(self) -> Self {
        Self { is_assigned: true, ..self }
    }
}

/// What stands between the quotes that open at `start`.
fn quoted(line: &str, start: usize) -> Option<Range<usize>> {
    let quote = line[start..].chars().next().filter(|letter| matches!(letter, '"' | '\''))?;
    let mut escaped = false;
    for (index, letter) in line[start + 1..].char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return Some(start + 1..start + 1 + index),
            _ => {}
        }
    }
    None
}

/// Whether a value ends where its quotes do.
fn ends(line: &str, behind: usize, is_assigned: bool) -> bool {
    let behind = &line[behind..];
    let rest = behind.trim_start();
    let is_end = rest.is_empty() || rest.starts_with([',', ';', ')', '}', ']', '#', '\\']) || rest.starts_with("//");
    is_end || (!is_assigned && rest.len() < behind.len())
}

/// The word at `start`, or what stands between quotes there.
pub(super) fn word(line: &str, start: usize) -> Range<usize> {
    quoted(line, start).unwrap_or_else(|| {
        let length = line[start..].find(char::is_whitespace).unwrap_or(line.len() - start);
        start..start + length
    })
}

fn trimmed(line: &str, range: Range<usize>) -> Range<usize> {
    let value = line[range.clone()].trim_end_matches([',', ';']).trim_end();
    range.start..range.start + value.len()
}

/// Whether a value is a sign of YAML that the value follows.
pub(super) fn is_block(value: &str) -> bool {
    value.starts_with(['|', '>']) && value.len() <= 3
}

/// Whether a line begins with a key of its own, and is no continuation such as `c2VjcmV0==`.
pub(super) fn is_assignment(line: &str) -> bool {
    let line = line.trim_start();
    let behind = line.trim_start_matches(is_of_word);
    let value = behind.trim_start().strip_prefix(['=', ':']);
    behind.len() < line.len() && value.is_some_and(|value| !value.trim_matches('=').is_empty())
}
