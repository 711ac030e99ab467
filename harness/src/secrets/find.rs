//! Finds the secrets in a file of configuration, whatever its format: the one finder for all that is shown or kept.
//!
//! Three things give a secret away: the place of its file, the name of its key, and its own
//! shape. The finder knows no grammar, so it takes `key = value`, `key: value`, `key value`, `"key": "value"`
//! and `<key>value</key>` alike, and follows a value over line ends. Where it is in doubt it finds too much: a masked
//! word costs a look into the file, a shown one costs a password.

mod names;
mod pairs;
mod places;
mod shapes;

use super::MASK;
use names::Strength;
use pairs::Pair;
use places::Layout;
use secrecy::SecretString;
use std::ops::Range;

/// How a private key begins or goes on (RFC 7468).
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// The text of the file at `path`, with a mask for each secret. Lines stay lines.
#[must_use]
pub fn masked(path: &str, text: &str) -> String {
    without(text, &find(path, text))
}

/// A text that is no file, such as a log or an answer, without what is a secret by its shape.
#[must_use]
pub fn masked_words(text: &str) -> String {
    without(text, &apart(shapes::find(text), text))
}

/// The secrets of the file at `path`, in the forms in which they may turn up elsewhere; the longest first.
#[must_use]
pub fn secrets_in(path: &str, text: &str) -> Vec<SecretString> {
    let mut forms: Vec<_> = find(path, text).into_iter().flat_map(|place| forms(&text[place])).collect();
    forms.sort_unstable();
    forms.dedup();
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms.into_iter().map(SecretString::from).collect()
}

/// Whether a file must be for its owner alone: it has a secret, or is one.
#[must_use]
pub fn is_private(path: &str, content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content);
    places::layout(path) == Layout::Whole || text.contains(PRIVATE_KEY) || !find(path, &text).is_empty()
}

/// Whether the format of the file at `path` is known, so that its other words may be shown.
#[must_use]
pub fn is_known(path: &str) -> bool {
    places::is_known(path)
}

/// What may be shown of the file at `path`: its text with masks. Nothing of one that is a secret, holds a private key, or
/// is no text.
#[must_use]
pub fn shown(path: &str, content: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content).ok().filter(|text| !text.contains('\0'))?;
    let is_secret = places::layout(path) == Layout::Whole || text.contains(PRIVATE_KEY);
    (!is_secret).then(|| masked(path, text))
}

/// Where the secrets are: in order, apart from one another, none beyond the end of its line.
fn find(path: &str, text: &str) -> Vec<Range<usize>> {
    let layout = places::layout(path);
    let mut found = shapes::find(text);
    let mut goes_on = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let line = Line { start, text: line.trim_end() };
        start += text[start..].find('\n').map_or(text.len() - start, |end| end + 1);
        match goes_on.take().and_then(|open: Open| open.after(&line)) {
            Some((range, open)) => {
                found.push(range);
                goes_on = open;
            }
            None => goes_on = line.secrets(layout, &mut found),
        }
    }
    apart(found, text)
}

/// A line, and where it begins in its text.
struct Line<'t> {
    start: usize,
    text: &'t str,
}

/// A secret whose value may go on in the next line.
struct Open {
    /// How far its line is indented.
    indent: usize,
    how: GoesOn,
}

/// What makes a line a part of the value before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GoesOn {
    /// Its line ends with a backslash.
    Backslash,
    /// The value has not begun yet: what is indented more is the value.
    Empty,
    /// What is indented more and is no key is a part of it.
    Indented,
    /// Line ends mean nothing: the next word is the value.
    Word,
}

impl Open {
    fn new(indent: usize, value: &str, behind: &str, layout: Layout) -> Self {
        let how = if behind.ends_with('\\') {
            GoesOn::Backslash
        } else if layout == Layout::Words && value.is_empty() {
            GoesOn::Word
        } else if value.is_empty() || pairs::is_block(value) {
            GoesOn::Empty
        } else {
            GoesOn::Indented
        };
        Self { indent, how }
    }

    /// What of the next line is the secret, if it goes on there.
    fn after(self, line: &Line<'_>) -> Option<(Range<usize>, Option<Self>)> {
        let whole = line.whole();
        if whole.is_empty() {
            return (self.how == GoesOn::Word).then_some((whole, Some(self)));
        }
        let is_deeper = line.indent() > self.indent;
        let how = match self.how {
            GoesOn::Word => return Some((line.at(pairs::word(line.text, line.indent())), None)),
            GoesOn::Backslash => Some(GoesOn::Backslash).filter(|_| line.text.ends_with('\\')),
            GoesOn::Empty if is_deeper => Some(GoesOn::Empty),
            // In a block of equal indentation only the next line can be the value.
            GoesOn::Empty if line.indent() > 0 && !pairs::is_assignment(line.text) => None,
            GoesOn::Indented if is_deeper && !pairs::is_assignment(line.text) => Some(GoesOn::Indented),
            GoesOn::Empty | GoesOn::Indented => return None,
        };
        Some((whole, how.map(|how| Self { how, ..self })))
    }
}

impl Line<'_> {
    fn at(&self, range: Range<usize>) -> Range<usize> {
        self.start + range.start..self.start + range.end
    }

    fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    /// All of it but the blanks around it.
    fn whole(&self) -> Range<usize> {
        self.at(self.indent()..self.text.len().max(self.indent()))
    }

    /// Adds the secrets of the line to `found`, and says whether the last one may go on in the next line.
    fn secrets(&self, layout: Layout, found: &mut Vec<Range<usize>>) -> Option<Open> {
        let text = self.text.trim_start();
        let is_comment = text.starts_with(['#', ';']) || text.starts_with("//");
        match layout {
            Layout::Whole => found.push(self.whole()),
            Layout::Plain => {}
            Layout::Keys | Layout::Pam | Layout::Words => return self.by_key(layout, is_comment, found),
            Layout::Table if !is_comment => {
                found.extend(self.login_of_table());
                return self.by_key(Layout::Pam, is_comment, found);
            }
            _ if is_comment => {}
            Layout::Login => {
                found.extend(self.login());
                return self.by_key(layout, is_comment, found);
            }
            Layout::Second => found.extend(self.second()),
            Layout::Last => found.extend(self.last()),
            Layout::Rest => found.extend(self.behind(char::is_whitespace)),
            Layout::Third => found.extend(self.third()),
            Layout::Table => {}
        }
        None
    }

    fn by_key(&self, layout: Layout, is_comment: bool, found: &mut Vec<Range<usize>>) -> Option<Open> {
        let mut open = None;
        for pair in pairs::of(self.text) {
            if !pair.counts(self.text, layout, is_comment) {
                continue;
            }
            let value = &self.text[pair.value.clone()];
            if pair.may_go_on && !is_comment {
                open = Some(Open::new(self.indent(), value.trim_end_matches('\\'), self.text, layout));
            }
            if !shapes::is_plain(value) {
                found.push(self.at(pair.value));
            }
        }
        open
    }

    /// The second half of `host user:password`, or its last word; of a line that has no blank, all behind the first colon.
    fn login(&self) -> Option<Range<usize>> {
        let rest = self.behind(char::is_whitespace);
        let login = rest.clone().unwrap_or_else(|| self.whole());
        let text = &self.text[login.start - self.start..login.end - self.start];
        if let Some(colon) = text.find(':') {
            return Some(login.start + colon + 1..login.end);
        }
        // A blank may have several bytes.
        let blank = text.char_indices().rev().find(|(_, letter)| letter.is_whitespace());
        let last = blank.map_or(0, |(at, blank)| at + blank.len_utf8());
        rest.map(|rest| rest.start + last..rest.end)
    }

    fn second(&self) -> Option<Range<usize>> {
        let rest = self.behind(|letter| letter == ':')?;
        let field = self.text[rest.start - self.start..].split(':').next().unwrap_or_default();
        let is_lock = field.trim_matches(['*', '!', 'x']).is_empty();
        (!is_lock).then(|| rest.start..rest.start + field.len())
    }

    fn last(&self) -> Option<Range<usize>> {
        let colon = self.text.rfind(':')?;
        Some(self.at(colon + 1..self.text.len()))
    }

    /// The third of some words.
    fn third(&self) -> Option<Range<usize>> {
        let word = self.text.split_whitespace().nth(2)?;
        // The words are parts of the line, so their addresses tell their places.
        let start = word.as_ptr().addr() - self.text.as_ptr().addr();
        Some(self.at(start..start + word.len()))
    }

    /// What stands behind the first such letter that follows something else, without the blanks around it.
    fn behind(&self, border: impl Fn(char) -> bool) -> Option<Range<usize>> {
        let from = self.indent();
        let (at, letter) = self.text[from..].char_indices().find(|(_, letter)| border(*letter))?;
        let after = from + at + letter.len_utf8();
        let rest = &self.text[after..];
        let start = after + (rest.len() - rest.trim_start().len());
        (start < self.text.len()).then(|| self.at(start..self.text.len()))
    }

    /// A login in a table of postfix whose name says nothing: `key user:password`, and no `transport:[host]`.
    fn login_of_table(&self) -> Option<Range<usize>> {
        const TRANSPORTS: [&str; 15] = [
            "smtp", "smtps", "lmtp", "relay", "local", "virtual", "error", "retry", "discard", "uucp", "redirect",
            "filter", "maildrop", "cyrus", "dovecot",
        ];
        let login = self.login()?;
        let value = self.behind(char::is_whitespace)?;
        let mut user =
            self.text[value.start - self.start..(login.start - self.start).max(value.start - self.start)].chars();
        user.next_back();
        let user = user.as_str();
        let behind = &self.text[login.start - self.start..];
        let is_login = login.start > value.start && !user.is_empty() && !user.contains([' ', '[', '/', '"']);
        let is_transport = TRANSPORTS.contains(&user) || behind.starts_with(['[', '/']) || behind.starts_with("unix:");
        (is_login && !is_transport && !behind.is_empty()).then_some(login)
    }
}

impl Pair {
    /// Whether its value is a secret, unless the value says otherwise.
    fn counts(&self, line: &str, layout: Layout, is_comment: bool) -> bool {
        let value = &line[self.value.clone()];
        let is_one_word = !value.contains(char::is_whitespace);
        match self.strength {
            Strength::Suspicious => shapes::is_random(value.trim_matches([',', ';'])),
            // Of prose, what has a sign between two words is taken.
            Strength::Certain if is_comment => self.is_assigned && is_one_word,
            Strength::Certain => {
                self.is_assigned
                    || layout == Layout::Words
                    || (layout != Layout::Pam
                        && (self.is_first || self.is_quoted || self.follows_login || value.ends_with(';')))
            }
        }
    }
}

/// In order, each within its line, what overlaps another put together.
fn apart(found: Vec<Range<usize>>, text: &str) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for range in found {
        let mut start = range.start;
        for line in text[range].split_inclusive('\n') {
            let content = line.trim();
            let begin = start + line.len() - line.trim_start().len();
            if !content.is_empty() {
                pieces.push(begin..begin + content.len());
            }
            start += line.len();
        }
    }
    pieces.sort_by_key(|range| range.start);
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(pieces.len());
    for range in pieces {
        match apart.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

fn without(text: &str, secrets: &[Range<usize>]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = 0;
    for secret in secrets {
        masked.push_str(&text[rest..secret.start]);
        masked.push_str(MASK);
        rest = secret.end;
    }
    masked.push_str(&text[rest..]);
    masked
}

/// A secret as it stands and without quotes, what is quoted in it, and its first word if that could be all of it.
fn forms(secret: &str) -> Vec<String> {
    let bare = secret.trim_end_matches([',', ';', '\\']).trim();
    let inner = bare.trim_matches(['"', '\'']);
    let quoted = bare.split(['"', '\'']).skip(1).step_by(2);
    let first = inner.split([' ', '\t', ',', ';']).next().filter(|word| word.len() < inner.len() && is_likely(word));
    let without_scheme = inner.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(_, rest)| rest);
    let all = [secret, bare, inner].into_iter().chain(quoted).chain(first).chain(without_scheme);
    all.filter(|form| !form.trim().is_empty() && *form != MASK).map(str::to_owned).collect()
}

/// Whether a word is none of a language's: else reports would lose all of the same words.
fn is_likely(word: &str) -> bool {
    let letters = word.trim_matches(|letter: char| letter.is_ascii_punctuation());
    letters.len() >= 5 && !letters.chars().all(char::is_alphabetic)
}

#[cfg(test)]
#[path = "find/tests.rs"]
mod tests;
