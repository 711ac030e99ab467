//! What verbs about commands, units and accounts of a guest are told.

use crate::diagnostic::{Diagnostic, Diagnostics};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use toml::Spanned;

/// A command in the guest.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// For `/bin/sh`.
    pub command: String,
    /// This user's password is given on standard input.
    #[schemars(with = "Option<String>")]
    pub password_of: Option<Spanned<String>>,
    /// Its exit status.
    #[serde(default)]
    pub status: i64,
    /// What its output contains.
    #[serde(default)]
    pub output_contains: Vec<String>,
    /// What its output must not contain.
    #[serde(default)]
    pub output_lacks: Vec<String>,
    /// All of its output, but for blanks at both ends: `"2"` is not met by `12`. Use it for numbers, states and names.
    pub output_is: Option<String>,
    /// `[{ begins = "435 ", times = 1 }]`: lines of its output that are there, and how many times.
    #[serde(default)]
    #[schemars(with = "Vec<OutputLine>")]
    pub output_lines: Vec<Spanned<OutputLine>>,
}

impl Run {
    /// Each line says what it is.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        for line in &self.output_lines {
            line.get_ref().check(line.span(), diagnostics);
        }
    }
}

/// Lines of a command's output, each without blanks at its ends. With several of `is`, `begins` and `contains`, one line has all
/// of them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputLine {
    /// The whole line.
    pub is: Option<String>,
    /// What the line begins with.
    pub begins: Option<String>,
    /// What the line contains.
    pub contains: Option<String>,
    /// How many such lines there are; without it, one or more.
    pub times: Option<usize>,
}

impl OutputLine {
    fn check(&self, span: Range<usize>, diagnostics: &mut Diagnostics) {
        let parts = [&self.begins, &self.contains].into_iter().flatten().count();
        let help = "give it `is`, or `begins`, or `contains`, or both of the latter";
        match (&self.is, parts) {
            (None, 0) => diagnostics.push(Diagnostic::new("every line is such a line", span).with_help(help)),
            (Some(_), 1..) => diagnostics.push(Diagnostic::new("`is` says all of the line", span).with_help(help)),
            _ => {}
        }
    }
}

/// The state of units.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// They are active.
    pub active: Vec<String>,
    /// They were not started again since this mark.
    pub same_since: Option<String>,
}

/// Units to start, stop or restart: first what is to stop.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// To be stopped.
    #[serde(default)]
    pub stop: Vec<String>,
    /// To be started.
    #[serde(default)]
    pub start: Vec<String>,
    /// To be stopped and started.
    #[serde(default)]
    pub restart: Vec<String>,
    /// To read their configuration again.
    #[serde(default)]
    pub reload: Vec<String>,
}

/// A local account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name.
    #[schemars(with = "String")]
    pub create: Spanned<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::whole("is = 'a'", "")]
    #[case::both_ends("begins = 'a', contains = 'b', times = 2", "")]
    #[case::any_line("times = 2", "every line is such a line")]
    #[case::whole_and_part("is = 'a', begins = 'a'", "`is` says all of the line")]
    fn a_line_says_what_it_is(#[case] keys: &str, #[case] words: &str) {
        let line: Run = toml::from_str(&format!("command = 'x'\noutput_lines = [{{ {keys} }}]")).unwrap();
        let mut diagnostics = Diagnostics::default();
        line.check(&mut diagnostics);
        assert_eq!(diagnostics.is_empty(), words.is_empty(), "{diagnostics:?}");
        assert!(format!("{diagnostics:?}").contains(words), "{diagnostics:?}");
    }
}
