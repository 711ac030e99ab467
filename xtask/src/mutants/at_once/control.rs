//! The instrument is tried before it is believed, on a library of a few lines.

use super::{Library, Rewriter, trials_of};
use crate::mutants::bounded::Limit;
use crate::mutants::mutant;
use crate::mutants::tally::Outcome::{self, Caught, Missed, OneByOne, Unreached, Unviable};
use anyhow::{Context as _, ensure};

const LIBRARY: Library = Library { name: "small", arguments: &["--package", "small", "--offline"] };

const CODE: &str = "\
pub fn is_small(number: u8) -> bool {
    number < 10
}
pub const TWO: u8 = 1 + 1;
pub fn name(number: u8) -> &'static str {
    match number {
        1 => \"one\",
        2 => \"two\",
        _ => \"many\",
    }
}
pub fn not_tested() -> bool {
    true
}
#[cfg(test)]
mod tests {
    #[test]
    fn small() {
        assert!(super::is_small(9));
        assert!(!super::is_small(11));
    }
    #[test]
    fn names() {
        assert_eq!(super::name(1), \"one\");
        super::name(super::TWO);
    }
}
";

/// Line, text, what stands there instead, kind, and what must become of the mutant.
const MUTANTS: [(usize, &str, &str, &str, Outcome); 8] = [
    (2, "<", "==", "BinaryOperator", Caught),
    (2, "<", "<=", "BinaryOperator", Missed),
    (2, "number < 10", "false", "FnValue", Caught),
    (2, "number < 10", "Default::new()", "FnValue", Unviable),
    (4, "+", "-", "BinaryOperator", OneByOne),
    (7, "1 => \"one\",", "", "MatchArm", Caught),
    (8, "2 => \"two\",", "", "MatchArm", Missed),
    (13, "true", "false", "FnValue", Unreached),
];

/// Fails if a mutant that must be caught survives, or one is caught that must survive.
pub(super) fn check(rewriter: &Rewriter, limit: Limit) -> anyhow::Result<()> {
    let place = tempfile::tempdir().context("failed to make a directory for the control")?;
    let tree = place.path();
    fs_err::create_dir_all(tree.join("small/src"))?;
    let manifest = "[package]\nname = \"small\"\nedition = \"2024\"\n\n[lints]\nworkspace = true\n";
    fs_err::write(tree.join("small/Cargo.toml"), manifest)?;
    fs_err::write(tree.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"small\"]\n")?;
    fs_err::write(tree.join("small/src/lib.rs"), CODE)?;
    let mutants = mutant::read(listed().to_string().as_bytes(), tree)?;
    let outcomes = trials_of(tree, LIBRARY, rewriter, &tree.join("target"), &mutants, limit)?;
    for (mutant, (.., wanted)) in mutants.iter().zip(MUTANTS) {
        let found = outcomes.get(&mutant.name).copied();
        ensure!(
            found.is_none() && limit.passed() || found == Some(wanted),
            "of a control, `{}` must be {wanted:?} and is {found:?}: what this tells of mutants cannot be believed",
            mutant.name
        );
    }
    Ok(())
}

/// The mutants as cargo-mutants would list them.
fn listed() -> serde_json::Value {
    let list = MUTANTS.iter().map(|(line, text, replacement, genre, _)| {
        let column = CODE.lines().nth(line - 1).and_then(|code| code.find(text)).unwrap_or_default() + 1;
        let (start, end) = (column, column + text.len());
        serde_json::json!({
            "name": format!("small/src/lib.rs:{line}:{column}: replace {text} with {replacement}"),
            "file": "small/src/lib.rs",
            "span": {"start": {"line": line, "column": start}, "end": {"line": line, "column": end}},
            "replacement": replacement, "genre": genre, "diff": "",
        })
    });
    list.collect()
}
