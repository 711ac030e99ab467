//! What is wrong with a file that a person wrote: the message, the place, and what would be right.

use crate::sanitize;
use miette::{NamedSource, SourceSpan};
use std::fmt;
use std::ops::Range;
use std::path::Path;

/// Files that a person writes are smaller.
pub const LARGEST: u64 = 4 << 20;

/// A mistake with its place in a TOML file.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{message}")]
pub struct FileDiagnostic {
    message: String,
    #[source_code]
    source_code: NamedSource<String>,
    #[label("here")]
    span: Option<SourceSpan>,
    #[help]
    help: Option<String>,
}

/// All mistakes in a file, in the order of their places; at least one.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub struct FileDiagnostics {
    file: String,
    #[related]
    all: Vec<FileDiagnostic>,
    /// How many more there are than are told.
    more: usize,
}

impl fmt::Display for FileDiagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mistakes = if self.count() == 1 { "one mistake" } else { &format!("{} mistakes", self.count()) };
        write!(f, "{mistakes} in {}", self.file)?;
        if self.more > 0 {
            write!(f, "; here are the first {}, and more is told when they are mended", self.all.len())?;
        }
        Ok(())
    }
}

impl FileDiagnostics {
    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.len() + self.more
    }
}

/// A mistake before it is known which file it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// The bytes of the file that it is about.
    pub span: Option<Range<usize>>,
    /// What would be right.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A diagnostic without help.
    pub fn new(message: impl Into<String>, span: impl Into<Option<Range<usize>>>) -> Self {
        Self { message: message.into(), span: span.into(), help: None }
    }

    /// A name at `span` that is none of the `known` ones; the help names the nearest.
    pub fn unknown<'a>(
        message: impl Into<String>,
        span: impl Into<Option<Range<usize>>>,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<_> = known.into_iter().collect();
        let there_are = match known.as_slice() {
            [] => "there are none".to_owned(),
            known => format!("there are: {}", known.join(", ")),
        };
        let help = match nearest(name, &known) {
            Some(near) => format!("did you mean `{near}`? {there_are}"),
            None => there_are,
        };
        Self::new(message, span).with_help(help)
    }

    /// The same, with a hint.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The mistake in the file at `path`, which reads `text`.
    #[must_use]
    pub fn in_file(self, path: &Path, text: &str) -> FileDiagnostic {
        let name = sanitize::line(&path.display().to_string());
        FileDiagnostic {
            message: sanitize::lines(&self.message),
            source_code: NamedSource::new(name, sanitize::in_place(text)).with_language("TOML"),
            span: self.span.map(Into::into),
            help: self.help.as_deref().map(sanitize::lines),
        }
    }
}

impl From<toml::de::Error> for Diagnostic {
    fn from(error: toml::de::Error) -> Self {
        Self::new(error.message(), error.span())
    }
}

/// The diagnostics of one text, as they are found.
#[derive(Debug, Default)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
    /// How many were found beyond [`MOST`].
    more: usize,
}

/// So many are kept: each is compared with all, and shows the text of its file.
const MOST: usize = 100;

impl Diagnostics {
    /// Adds one, unless it was found before: what is read several times says the same each time.
    pub fn push(&mut self, diagnostic: impl Into<Diagnostic>) {
        let diagnostic = diagnostic.into();
        if self.found.len() >= MOST {
            self.more += 1;
        } else if !self.found.contains(&diagnostic) {
            self.found.push(diagnostic);
        }
    }

    /// The value, or nothing and the diagnostic is kept.
    pub fn take<T, E: Into<Diagnostic>>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|diagnostic| self.push(diagnostic)).ok()
    }

    /// Whether none was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether one was found within `place`.
    #[must_use]
    pub fn are_in(&self, place: Option<Range<usize>>) -> bool {
        let within = |outer: &Range<usize>, span: &Range<usize>| outer.start <= span.start && span.end <= outer.end;
        let spans = self.found.iter().filter_map(|diagnostic| diagnostic.span.as_ref());
        // Of those that are not kept, nobody knows the place any more.
        self.more > 0 || place.is_some_and(|place| spans.into_iter().any(|span| within(&place, span)))
    }

    /// How many were found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.len() + self.more
    }

    /// `value`, if nothing was found; else all mistakes of the file at `path`, which reads `text`.
    pub fn or_value<T>(mut self, value: Option<T>, path: &Path, text: &str) -> Result<T, FileDiagnostics> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => {
                self.found.sort_by_key(|diagnostic| diagnostic.span.as_ref().map_or(0, |span| span.start));
                let all = self.found.into_iter().map(|diagnostic| diagnostic.in_file(path, text)).collect();
                Err(FileDiagnostics { file: sanitize::line(&path.display().to_string()), all, more: self.more })
            }
        }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { found: vec![diagnostic], more: 0 }
    }
}

/// The known name that a person most likely meant: one that differs by few letters for its length.
#[must_use]
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |known: &str| strsim::damerau_levenshtein(name, known);
    let near = known.iter().copied().min_by_key(|known| distance(known))?;
    let close = distance(near) <= (name.chars().count() / 3).max(1);
    (close && near != name).then_some(near)
}

#[cfg(any(test, fuzzing))]
pub(crate) fn plain_text(error: &dyn miette::Diagnostic) -> String {
    let mut text = String::new();
    miette::NarratableReportHandler::new().render_report(&mut text, error).expect("a string takes all");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::swapped_letters("mial", Some("mail"))]
    #[case::plural("expects", Some("expect"))]
    #[case::missing_letter("direcory", Some("directory"))]
    #[case::something_else("postgres", None)]
    #[case::too_short_to_guess("x", None)]
    fn a_guess_is_made_only_where_it_is_near(#[case] name: &str, #[case] guess: Option<&str>) {
        assert_eq!(nearest(name, &["mail", "directory", "expect"]), guess);
    }

    #[test]
    fn a_hundred_mistakes_are_told_and_the_others_counted() {
        let mut diagnostics = Diagnostics::default();
        (0..100_000).for_each(|place| diagnostics.push(Diagnostic::new("x", place..place + 1)));
        assert!(diagnostics.are_in(Some(99_999..100_000)));
        let mistakes = diagnostics.or_value(Some(()), Path::new("x.toml"), "abcdef").unwrap_err();
        let words = mistakes.to_string();
        assert!(words.starts_with("100000 mistakes in x.toml; here are the first 100"), "{words}");
    }

    #[test]
    fn a_flaw_found_twice_is_told_once() {
        let mut diagnostics = Diagnostics::default();
        diagnostics.push(Diagnostic::new("x", 3..4));
        diagnostics.push(Diagnostic::new("x", 3..4));
        diagnostics.push(Diagnostic::new("x", 1..2));
        assert_eq!(diagnostics.or_value(Some(()), Path::new("x.toml"), "abcdef").unwrap_err().count(), 2);
    }
}
