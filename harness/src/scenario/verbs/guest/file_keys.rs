//! What verbs about a machine's files are told.

use crate::diagnostic::{Diagnostic, Diagnostics};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// Files of a machine.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// Absolute paths.
    #[schemars(with = "Vec<String>")]
    pub paths: Vec<Spanned<String>>,
}

impl Paths {
    /// The paths as text.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(|path| path.get_ref().as_str())
    }
}

/// A file as it must be.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileState {
    /// Its absolute path.
    #[schemars(with = "String")]
    pub path: Spanned<String>,
    /// Whether it is there.
    #[serde(default = "present")]
    pub expect: Presence,
    /// What it contains.
    #[serde(default)]
    pub contains: Vec<String>,
    /// What it must not contain.
    #[serde(default)]
    pub lacks: Vec<String>,
}

impl FileState {
    /// Of a file that is not there nothing else is expected.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        if self.expect == Presence::Absent && !(self.contains.is_empty() && self.lacks.is_empty()) {
            diagnostics.push(Diagnostic::new("a file that is absent contains nothing", self.path.span()));
        }
    }
}

/// Whether a file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It is.
    Present,
    /// It is not.
    Absent,
}

/// A file to write; what was there before is gone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Its absolute path.
    #[schemars(with = "String")]
    pub path: Spanned<String>,
    /// All of its content.
    pub content: String,
    /// Its permissions, in octal.
    #[serde(default = "for_all_to_read")]
    #[schemars(with = "String")]
    pub mode: Spanned<String>,
}

impl Write {
    /// The permissions as a number.
    pub(crate) fn mode(&self) -> Option<u32> {
        u32::from_str_radix(self.mode.get_ref(), 8).ok().filter(|mode| *mode <= 0o7777)
    }

    /// The permissions are some.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        if self.mode().is_none() {
            let diagnostic = Diagnostic::new(format!("`{}` are no permissions", self.mode.get_ref()), self.mode.span());
            diagnostics.push(diagnostic.with_help("write them in octal, as in \"0644\""));
        }
    }
}

pub(crate) fn present() -> Presence {
    Presence::Present
}

fn for_all_to_read() -> Spanned<String> {
    Spanned::new(0..0, "0644".to_owned())
}
