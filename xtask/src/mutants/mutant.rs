//! A mutant, as cargo-mutants lists it.

use anyhow::Context as _;
use serde::Deserialize;
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
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    file: String,
    span: Span,
    diff: String,
}

#[derive(Deserialize)]
struct Span {
    start: Place,
}

#[derive(Deserialize)]
struct Place {
    line: usize,
    column: usize,
}

/// Reads what `cargo mutants --list --json` prints of the code below `tree`.
pub(super) fn read(json: &[u8], tree: &Path) -> anyhow::Result<Vec<Mutant>> {
    let listed: Vec<Listed> = serde_json::from_slice(json).context("cargo-mutants lists mutants in another form")?;
    let mut codes: HashMap<String, String> = HashMap::new();
    let mut mutants = Vec::new();
    for Listed { name, file, span: Span { start: Place { line, column } }, diff } in listed {
        if !codes.contains_key(&file) {
            codes.insert(file.clone(), fs_err::read_to_string(tree.join(&file))?);
        }
        let code = codes[&file].lines().nth(line.saturating_sub(1)).unwrap_or_default().trim().to_owned();
        let change = name.replacen(&format!("{file}:{line}:{column}: "), &format!("{file}: "), 1);
        mutants.push(Mutant { name, change, line: code, diff });
    }
    Ok(mutants)
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
}
