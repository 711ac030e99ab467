//! Text of which parts may be unknown, and patterns.

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// These characters.
    Known(String),
    /// Any characters, or none.
    Any,
}

/// A text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Text(pub(super) Vec<Part>);

/// Longer texts are given up: no list in a scriptlet is longer, and a loop can double a text at each turn.
const LONGEST: usize = 16 << 10;

/// Longer ones are not compared with patterns: no path is longer.
pub(super) const LONGEST_PATTERN: usize = 1024;

impl Text {
    fn len(&self) -> usize {
        self.0.iter().map(|part| if let Part::Known(text) = part { text.len() } else { 1 }).sum()
    }

    pub(super) fn any() -> Self {
        Self(vec![Part::Any])
    }

    /// The whole text, if all of it is known.
    pub(super) fn known(&self) -> Option<String> {
        let parts: Option<Vec<&str>> =
            self.0.iter().map(|part| if let Part::Known(text) = part { Some(text.as_str()) } else { None }).collect();
        parts.map(|parts| parts.concat())
    }

    pub(super) fn push(&mut self, text: &str) {
        if self.len() + text.len() > LONGEST {
            *self = Self::any();
            return;
        }
        match self.0.last_mut() {
            Some(Part::Known(last)) => last.push_str(text),
            _ if text.is_empty() => {}
            _ => self.0.push(Part::Known(text.to_owned())),
        }
    }

    pub(super) fn append(&mut self, other: &Self) {
        for part in &other.0 {
            match part {
                Part::Known(text) => self.push(text),
                Part::Any if self.0.last() == Some(&Part::Any) => {}
                Part::Any if self.len() > LONGEST => *self = Self::any(),
                Part::Any => self.0.push(Part::Any),
            }
        }
    }

    /// Whether nothing of it is known that could tell one path from another.
    pub(super) fn is_blind(&self) -> bool {
        let known: usize =
            self.0.iter().map(|part| if let Part::Known(text) = part { text.trim_matches('/').len() } else { 0 }).sum();
        self.0.contains(&Part::Any) && known == 0
    }

    /// Whether it may be this.
    pub(super) fn may_be(&self, candidate: &str) -> bool {
        let mut rest = candidate;
        let mut floats = false;
        for (index, part) in self.0.iter().enumerate() {
            match part {
                Part::Any => floats = true,
                Part::Known(text) if !floats => match rest.strip_prefix(text.as_str()) {
                    Some(after) => rest = after,
                    None => return false,
                },
                Part::Known(text) if index + 1 == self.0.len() => return rest.ends_with(text.as_str()),
                Part::Known(text) => match rest.find(text.as_str()) {
                    Some(at) => {
                        rest = &rest[at + text.len()..];
                        floats = false;
                    }
                    None => return false,
                },
            }
        }
        floats || rest.is_empty()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut all = Self::default();
        all.push(text);
        all
    }
}

/// An item of a pattern of the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Glob {
    Letter(char),
    /// `?`.
    One,
    /// `*`.
    Many,
    /// `[…]`: whether it is one of these.
    Set(Vec<(char, char)>, bool),
}

/// The pattern that a text is.
pub(super) fn pattern(text: &str) -> Vec<Glob> {
    let letters: Vec<char> = text.chars().collect();
    let mut globs = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        match letters[at] {
            '?' => globs.push(Glob::One),
            '*' => globs.push(Glob::Many),
            '[' => match set(&letters[at + 1..]) {
                Some((set, length)) => {
                    globs.push(set);
                    at += length;
                }
                None => globs.push(Glob::Letter('[')),
            },
            '\\' if at + 1 < letters.len() => {
                at += 1;
                globs.push(Glob::Letter(letters[at]));
            }
            letter => globs.push(Glob::Letter(letter)),
        }
        at += 1;
    }
    globs
}

fn set(letters: &[char]) -> Option<(Glob, usize)> {
    let negated = matches!(letters.first(), Some('!' | '^'));
    let begin = usize::from(negated);
    let end = begin + 1 + letters.get(begin + 1..)?.iter().position(|letter| *letter == ']')?;
    let inside = &letters[begin..end];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < inside.len() {
        if at + 2 < inside.len() && inside[at + 1] == '-' {
            ranges.push((inside[at], inside[at + 2]));
            at += 3;
        } else {
            ranges.push((inside[at], inside[at]));
            at += 1;
        }
    }
    Some((Glob::Set(ranges, !negated), end + 1))
}

/// The lengths in letters of all beginnings of `text` that the pattern fits: by position, whether it can end there.
pub(super) fn ends(globs: &[Glob], text: &[char]) -> Vec<bool> {
    let mut now = vec![false; text.len() + 1];
    now[0] = true;
    for glob in globs {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            if !now[at] {
                continue;
            }
            match glob {
                Glob::Many => {
                    next[at..].fill(true);
                    break;
                }
                _ if at == text.len() => {}
                Glob::Letter(letter) => next[at + 1] |= text[at] == *letter,
                Glob::One => next[at + 1] = true,
                Glob::Set(ranges, wanted) => {
                    let is_in = ranges.iter().any(|(first, last)| (*first..=*last).contains(&text[at]));
                    next[at + 1] |= is_in == *wanted;
                }
            }
        }
        now = next;
    }
    now
}

/// Whether the pattern fits the whole text.
pub(super) fn fits(globs: &[Glob], text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    ends(globs, &letters)[letters.len()]
}

/// Whether the pattern of a path fits a path: each name by itself, and no dot at a name's begin by a star.
pub(super) fn fits_path(text: &str, path: &str) -> bool {
    let (patterns, names): (Vec<_>, Vec<_>) = (text.split('/').collect(), path.split('/').collect());
    patterns.len() == names.len()
        && patterns
            .iter()
            .zip(names)
            .all(|(one, name)| (!name.starts_with('.') || one.starts_with('.')) && fits(&pattern(one), name))
}
