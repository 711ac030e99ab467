//! A mutant, as cargo-mutants lists it.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// A change to one place of the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mutant {
    /// Its name, with line and column: `harness/src/size.rs:12:5: replace + with - in f`.
    pub(super) name: String,
    /// Its name without them.
    pub(super) change: String,
    /// The line of code where it begins, without indentation.
    pub(super) line: String,
    /// What it changes.
    pub(super) diff: String,
    /// The file with the code, below the project.
    pub(super) file: String,
    /// What of the code it replaces.
    pub(super) span: Span,
    /// What stands there instead.
    pub(super) replacement: String,
    /// What kind of change it is.
    pub(super) genre: Genre,
}

/// Kinds of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Genre {
    /// A function returns something else.
    FnValue,
    /// Another operator stands between two expressions.
    BinaryOperator,
    /// The operator before an expression is gone.
    UnaryOperator,
    /// An arm of a `match` is gone.
    MatchArm,
    /// The guard of an arm is always true, or never.
    MatchArmGuard,
    /// A field of a struct comes from its base.
    StructField,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Span {
    start: Place,
    end: Place,
}

/// A place in a file. Lines and characters count from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Place {
    line: usize,
    column: usize,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    file: String,
    span: Span,
    replacement: String,
    genre: Genre,
    diff: String,
}

/// Reads what `cargo mutants --list --json` prints of the code below `tree`.
pub(super) fn read(json: &[u8], tree: &Path) -> anyhow::Result<Vec<Mutant>> {
    let listed: Vec<Listed> = serde_json::from_slice(json).context("cargo-mutants lists mutants in another form")?;
    let mut codes: HashMap<String, String> = HashMap::new();
    let mut mutants = Vec::new();
    for Listed { name, file, span, replacement, genre, diff } in listed {
        if !codes.contains_key(&file) {
            codes.insert(file.clone(), fs_err::read_to_string(tree.join(&file))?);
        }
        let Place { line, column } = span.start;
        let code = codes[&file].lines().nth(line.saturating_sub(1)).unwrap_or_default().trim().to_owned();
        let change = name.replacen(&format!("{file}:{line}:{column}: "), &format!("{file}: "), 1);
        mutants.push(Mutant { name, change, line: code, diff, file, span, replacement, genre });
    }
    Ok(mutants)
}

impl Span {
    /// The same in bytes.
    pub(super) fn bytes(&self, code: &str) -> Option<std::ops::Range<usize>> {
        Some(self.start.byte(code)?..self.end.byte(code)?)
    }
}

impl Place {
    fn byte(self, code: &str) -> Option<usize> {
        let line = code.split_inclusive('\n').nth(self.line.checked_sub(1)?)?;
        let begins = line.as_ptr() as usize - code.as_ptr() as usize;
        let column = self.column.checked_sub(1)?;
        let ends = line.char_indices().map(|(at, _)| at).chain([line.len()]).nth(column)?;
        Some(begins + ends)
    }
}

#[cfg(test)]
impl Mutant {
    /// One of which nothing matters but what it is called and where it stands.
    pub(super) fn called(change: &str, line: usize, code: &str) -> Self {
        let place = Place { line, column: 5 };
        let (file, words) = change.split_once(": ").unwrap_or(("a.rs", change));
        Self {
            name: format!("{file}:{line}:5: {words}"),
            change: change.into(),
            line: code.into(),
            diff: format!("-{code}\n"),
            file: file.into(),
            span: Span { start: place, end: place },
            replacement: String::new(),
            genre: Genre::BinaryOperator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_has_its_line_and_a_name_without_the_lines_number() {
        let tree = tempfile::tempdir().unwrap();
        fs_err::write(tree.path().join("a.rs"), "fn f() {\n    a < b;\n}\n").unwrap();
        let json = r#"[{"name": "a.rs:2:7: replace < with > in f", "file": "a.rs", "package": "p", "function": null,
            "span": {"start": {"line": 2, "column": 7}, "end": {"line": 2, "column": 8}}, "replacement": ">",
            "genre": "BinaryOperator", "diff": "--- a.rs\n"}]"#;
        let mutants = read(json.as_bytes(), tree.path()).unwrap();
        assert_eq!(mutants.len(), 1);
        assert_eq!((mutants[0].change.as_str(), mutants[0].line.as_str()), ("a.rs: replace < with > in f", "a < b;"));
        assert!(read(b"{}", tree.path()).is_err());
    }

    #[rstest::rstest]
    #[case::first((1, 1), (1, 2), Some("ä"))]
    #[case::characters_not_bytes((1, 2), (1, 3), Some("b"))]
    #[case::over_lines((1, 2), (2, 2), Some("b\nc"))]
    #[case::to_the_end((2, 1), (2, 3), Some("cd"))]
    #[case::behind_the_line((2, 1), (2, 4), None)]
    #[case::no_such_line((4, 1), (4, 1), None)]
    fn a_span_counts_lines_and_characters(
        #[case] start: (usize, usize),
        #[case] end: (usize, usize),
        #[case] text: Option<&str>,
    ) {
        let code = "äb\ncd";
        let place = |(line, column)| Place { line, column };
        let span = Span { start: place(start), end: place(end) };
        assert_eq!(span.bytes(code).map(|bytes| &code[bytes]), text);
    }
}
