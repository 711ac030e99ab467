//! Expands words: parameters, what commands print, splitting, braces and patterns of paths.

use super::eval::{Follower, Lost};
use super::syntax::{Operation, Piece, Word};
use super::text::{Glob, LONGEST_PATTERN, Part, Text, ends, fits_path, pattern};
use super::world::{Truth, normal};

/// How many commands a pattern of paths counts for.
const GLOB_COST: usize = 10;

/// A word after expansion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: Text,
    /// Whether there may be none of it, or several.
    pub(super) maybe: bool,
}

/// A field in the making.
#[derive(Default)]
struct Draft {
    text: Text,
    /// The same as a pattern, with what was quoted escaped; none if a part of it is unknown.
    glob: Option<String>,
    has_glob: bool,
    begun: bool,
    maybe: bool,
}

impl Draft {
    fn new() -> Self {
        Self { glob: Some(String::new()), ..Self::default() }
    }

    fn push(&mut self, text: &str, quoted: bool) {
        self.begun |= quoted || !text.is_empty();
        self.text.push(text);
        if let Some(glob) = &mut self.glob {
            for letter in text.chars() {
                if quoted && "*?[]\\".contains(letter) {
                    glob.push('\\');
                }
                glob.push(letter);
            }
        }
        self.has_glob |= !quoted && text.contains(['*', '?', '[']);
    }

    fn push_any(&mut self, maybe: bool) {
        self.begun = true;
        self.text.append(&Text::any());
        self.glob = None;
        self.maybe |= maybe;
    }
}

impl Follower<'_, '_> {
    /// The fields that words become.
    pub(super) fn fields(&mut self, words: &[Word]) -> Result<Vec<Field>, Lost> {
        let mut fields = Vec::new();
        for word in words {
            for word in braces(word) {
                self.field(&word, &mut fields)?;
            }
        }
        Ok(fields)
    }

    /// A word as one text: nothing is split, and nothing is a pattern.
    pub(super) fn text_of(&mut self, word: &Word) -> Result<Text, Lost> {
        let mut text = Text::default();
        for piece in word {
            text.append(&self.value(piece)?);
        }
        Ok(text)
    }

    /// A word as a pattern of `case`: what is quoted stands for itself.
    pub(super) fn pattern_of(&mut self, word: &Word) -> Result<Text, Lost> {
        let mut text = Text::default();
        for piece in word {
            let value = self.value(piece)?;
            let is_quoted =
                matches!(piece, Piece::Text(_, true) | Piece::Parameter(_, _, true) | Piece::Command(_, true));
            match value.known().filter(|_| is_quoted) {
                Some(value) => value.chars().for_each(|letter| {
                    if "*?[]\\".contains(letter) {
                        text.push("\\");
                    }
                    text.push(letter.encode_utf8(&mut [0; 4]));
                }),
                None => text.append(&value),
            }
        }
        Ok(text)
    }

    fn field(&mut self, word: &Word, fields: &mut Vec<Field>) -> Result<(), Lost> {
        let mut draft = Draft::new();
        for piece in word {
            match piece {
                Piece::Text(text, quoted) => draft.push(text, *quoted),
                Piece::Parameter(name, Operation::Plain, quoted) if name == "@" || (name == "*" && !quoted) => {
                    for (index, value) in self.env.positional.clone().into_iter().enumerate() {
                        if index > 0 {
                            self.finish(std::mem::replace(&mut draft, Draft::new()), fields);
                        }
                        push_text(&mut draft, &value, *quoted);
                    }
                }
                piece => {
                    let quoted = matches!(piece, Piece::Parameter(_, _, true) | Piece::Command(_, true));
                    let value = self.value(piece)?;
                    match value.known() {
                        Some(text) if quoted => draft.push(&text, true),
                        Some(text) => self.split(&text, &mut draft, fields),
                        None => push_text(&mut draft, &value, quoted),
                    }
                }
            }
        }
        // Patterns look at every known path, and long lists at every word.
        self.burn_for(fields.len() / 16 + if draft.has_glob { GLOB_COST } else { 0 })?;
        self.finish(draft, fields);
        Ok(())
    }

    /// Splits a value at blanks, as `IFS` says unless somebody changes it.
    fn split(&self, text: &str, draft: &mut Draft, fields: &mut Vec<Field>) {
        let mut first = true;
        if text.starts_with([' ', '\t', '\n']) {
            self.finish(std::mem::replace(draft, Draft::new()), fields);
        }
        for part in text.split_ascii_whitespace() {
            if !first {
                self.finish(std::mem::replace(draft, Draft::new()), fields);
            }
            draft.push(part, false);
            first = false;
        }
        if !first && text.ends_with([' ', '\t', '\n']) {
            self.finish(std::mem::replace(draft, Draft::new()), fields);
        }
    }

    fn finish(&self, draft: Draft, fields: &mut Vec<Field>) {
        if !draft.begun {
            return;
        }
        // A bracket alone is no pattern.
        let is_pattern =
            draft.glob.as_ref().is_none_or(|glob| pattern(glob).iter().any(|glob| !matches!(glob, Glob::Letter(_))));
        if !draft.has_glob || !is_pattern {
            fields.push(Field { text: draft.text, maybe: draft.maybe });
            return;
        }
        let glob = draft.glob.filter(|glob| glob.len() <= LONGEST_PATTERN);
        let glob = glob.and_then(|glob| Some((self.absolute_pattern(&glob)?, self.env.directory.clone()?)));
        let Some((glob, directory)) = glob else {
            fields.push(Field { text: stars_are_any(&draft.text), maybe: true });
            return;
        };
        let begin: String = glob.chars().take_while(|letter| !"*?[\\".contains(*letter)).collect();
        let parent = begin.rsplit_once('/').map_or("/", |(parent, _)| parent);
        if !self.env.world.facts.system.covers(&format!("{parent}/x")) {
            fields.push(Field { text: stars_are_any(&draft.text), maybe: true });
            return;
        }
        let mut paths: Vec<&str> = self.env.world.known().filter(|path| fits_path(&glob, path)).collect();
        paths.sort_unstable();
        let is_relative = !draft.text.known().is_some_and(|text| text.starts_with('/'));
        if paths.is_empty() {
            fields.push(Field { text: draft.text, maybe: false });
        }
        for path in paths {
            let shown = if is_relative {
                path.strip_prefix(&format!("{}/", directory.trim_end_matches('/'))).unwrap_or(path)
            } else {
                path
            };
            fields.push(Field { text: shown.into(), maybe: self.env.world.exists(path) == Truth::Maybe });
        }
    }

    fn absolute_pattern(&self, glob: &str) -> Option<String> {
        let glob =
            if glob.starts_with('/') { glob.to_owned() } else { format!("{}/{glob}", self.env.directory.as_ref()?) };
        Some(normal(&glob))
    }

    /// The path that a text names.
    pub(super) fn absolute(&self, text: &Text) -> Text {
        match text.0.first() {
            Some(Part::Known(begin)) if begin.starts_with('/') => {
                text.known().map_or_else(|| text.clone(), |path| normal(&path).as_str().into())
            }
            Some(Part::Any) | None => text.clone(),
            Some(Part::Known(_)) => {
                let mut path = Text::default();
                match &self.env.directory {
                    Some(directory) => path.push(&format!("{}/", directory.trim_end_matches('/'))),
                    None => path.append(&Text::any()),
                }
                path.append(text);
                path.known().map_or_else(|| path.clone(), |path| normal(&path).as_str().into())
            }
        }
    }

    fn value(&mut self, piece: &Piece) -> Result<Text, Lost> {
        match piece {
            Piece::Text(text, _) => Ok(text.as_str().into()),
            Piece::Unknown => Ok(Text::any()),
            Piece::Command(list, _) => {
                let mut printed = self.captured(|me| me.list(list))?;
                if let Some(Part::Known(last)) = printed.0.last_mut() {
                    last.truncate(last.trim_end_matches('\n').len());
                }
                Ok(printed)
            }
            Piece::Parameter(name, operation, _) => self.parameter(name, operation),
        }
    }

    fn parameter(&mut self, name: &str, operation: &Operation) -> Result<Text, Lost> {
        let value = self.variable(name);
        let is_set = value.is_some();
        let value = value.unwrap_or_default();
        let known = value.known();
        Ok(match operation {
            Operation::Plain => value,
            Operation::Other => Text::any(),
            Operation::Default(word, empty_too) => match known {
                None => Text::any(),
                Some(text) if is_set && !(*empty_too && text.is_empty()) => value,
                Some(_) => self.text_of(word)?,
            },
            Operation::Alternative(word, empty_too) => match known {
                None => Text::any(),
                Some(text) if is_set && !(*empty_too && text.is_empty()) => self.text_of(word)?,
                Some(_) => Text::default(),
            },
            Operation::CutFront(word, longest) => match (known, self.pattern_of(word)?.known()) {
                (Some(text), Some(glob)) if is_short(&text, &glob) => cut_front(&text, &glob, *longest).as_str().into(),
                _ => Text::any(),
            },
            Operation::CutBack(word, longest) => match (known, self.pattern_of(word)?.known()) {
                (Some(text), Some(glob)) if is_short(&text, &glob) => cut_back(&text, &glob, *longest).as_str().into(),
                _ => Text::any(),
            },
        })
    }

    /// The value of a parameter; none if it is not set.
    fn variable(&self, name: &str) -> Option<Text> {
        let positional = &self.env.positional;
        match name {
            "#" => Some(positional.len().to_string().as_str().into()),
            "@" | "*" => {
                let mut all = Text::default();
                for (index, value) in positional.iter().enumerate() {
                    all.push(if index > 0 { " " } else { "" });
                    all.append(value);
                }
                Some(all)
            }
            "0" | "?" | "$" | "!" | "-" => Some(Text::any()),
            _ if name.starts_with(|letter: char| letter.is_ascii_digit()) => {
                name.parse::<usize>().ok().and_then(|number| positional.get(number.checked_sub(1)?).cloned())
            }
            _ => match self.env.variables.get(name) {
                Some(value) => Some(value.clone()),
                // What the environment may have, or a file that was read: by custom, only such names are in capitals.
                None if self.env.sourced || name.chars().any(|letter| letter.is_ascii_uppercase()) => Some(Text::any()),
                None => None,
            },
        }
    }
}

fn push_text(draft: &mut Draft, value: &Text, quoted: bool) {
    for part in &value.0 {
        match part {
            Part::Known(text) => draft.push(text, quoted),
            Part::Any => draft.push_any(!quoted),
        }
    }
    draft.begun |= quoted;
}

/// A text in which each star of a pattern may be anything.
fn stars_are_any(text: &Text) -> Text {
    let mut all = Text::default();
    for part in &text.0 {
        match part {
            Part::Any => all.append(&Text::any()),
            Part::Known(text) => {
                let mut rest = text.as_str();
                while let Some(at) = rest.find(['*', '?', '[']) {
                    all.push(&rest[..at]);
                    all.append(&Text::any());
                    rest = if rest[at..].starts_with('[') {
                        rest[at..].split_once(']').map_or("", |(_, rest)| rest)
                    } else {
                        &rest[at + 1..]
                    };
                }
                all.push(rest);
            }
        }
    }
    all
}

fn is_short(text: &str, glob: &str) -> bool {
    text.len() <= LONGEST_PATTERN && glob.len() <= LONGEST_PATTERN
}

fn cut_front(text: &str, glob: &str, longest: bool) -> String {
    let letters: Vec<char> = text.chars().collect();
    let fitting = ends(&pattern(glob), &letters);
    let mut lengths = (0..fitting.len()).filter(|at| fitting[*at]);
    let length = if longest { lengths.next_back() } else { lengths.next() };
    letters[length.unwrap_or(0)..].iter().collect()
}

fn cut_back(text: &str, glob: &str, longest: bool) -> String {
    let letters: Vec<char> = text.chars().collect();
    let globs = pattern(glob);
    let mut begins = (0..=letters.len()).filter(|at| ends(&globs, &letters[*at..])[letters.len() - at]);
    let begin = if longest { begins.next() } else { begins.next_back() };
    letters[..begin.unwrap_or(letters.len())].iter().collect()
}

/// `{a,b}` of bash, which is the `sh` of rpm's distributions: one level, in text that is not quoted.
fn braces(word: &Word) -> Vec<Word> {
    for (index, piece) in word.iter().enumerate() {
        let Piece::Text(text, false) = piece else { continue };
        let Some((before, rest)) = text.split_once('{') else { continue };
        let Some((inside, after)) = rest.split_once('}') else { continue };
        if !inside.contains(',') {
            continue;
        }
        return inside
            .split(',')
            .take(100)
            .flat_map(|item| {
                let mut one = word.clone();
                one[index] = Piece::Text(format!("{before}{item}{after}"), false);
                if after.contains('{') { braces(&one) } else { vec![one] }
            })
            .take(1000)
            .collect();
    }
    vec![word.clone()]
}
