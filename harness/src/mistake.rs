//! What is wrong with a file that a person wrote: the message, the place, and what would be right.

use miette::{Diagnostic, NamedSource, SourceSpan};
use std::ops::Range;
use std::path::Path;

/// A mistake with its place in a TOML file.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub struct Mistake {
    message: String,
    #[source_code]
    source_code: NamedSource<String>,
    #[label("here")]
    span: Option<SourceSpan>,
    #[help]
    help: Option<String>,
}

/// A mistake before it is known which file it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// What is wrong.
    pub message: String,
    /// The bytes of the file that it is about.
    pub span: Option<Range<usize>>,
    /// What would be right.
    pub help: Option<String>,
}

impl Flaw {
    /// A flaw without help.
    pub fn new(message: impl Into<String>, span: impl Into<Option<Range<usize>>>) -> Self {
        Self { message: message.into(), span: span.into(), help: None }
    }

    /// The same, with a hint.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The mistake in the file at `path`, which reads `text`.
    #[must_use]
    pub fn in_file(self, path: &Path, text: &str) -> Mistake {
        Mistake {
            message: self.message,
            source_code: NamedSource::new(path.display().to_string(), text.to_owned()).with_language("TOML"),
            span: self.span.map(Into::into),
            help: self.help,
        }
    }
}

impl From<toml::de::Error> for Flaw {
    fn from(error: toml::de::Error) -> Self {
        Self::new(error.message(), error.span())
    }
}

#[cfg(test)]
pub(crate) fn plain_text(error: &dyn Diagnostic) -> String {
    let mut text = String::new();
    miette::NarratableReportHandler::new().render_report(&mut text, error).expect("a string takes all");
    text
}
