//! The glossary of ARCHITECTURE.md, held against the file formats, the command line and the code.

use crate::Cli;
use crate::workbench::project;
use clap::CommandFactory as _;
use std::collections::BTreeSet;

/// More terms than these nobody learns.
const MOST: usize = 25;

/// One line of the table; without a word where a term stands in no file, command or code.
struct Term {
    word: String,
    key: String,
    command: String,
    name: String,
}

fn terms() -> Vec<Term> {
    let page = fs_err::read_to_string(project("ARCHITECTURE.md")).unwrap();
    let table = page.split("## Glossary").nth(1).unwrap().split("\n## ").next().unwrap().to_owned();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let term = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [term, _, key, command, name] = cells[..] else { panic!("not five columns: {line}") };
        Term { word: term.into(), key: key.into(), command: command.into(), name: name.into() }
    };
    rows.map(term).collect()
}

/// All keys that stand in a schema.
fn keys(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        found.extend(properties.keys().cloned());
    }
    match schema {
        serde_json::Value::Object(map) => map.values().for_each(|value| keys(value, found)),
        serde_json::Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

/// All types of the harness and of the command line.
fn types() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in crate::policy::sources() {
        for line in fs_err::read_to_string(path).unwrap().lines() {
            let words: Vec<_> = line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
            let kind = words.iter().position(|word| ["struct", "enum", "trait"].contains(word));
            found.extend(kind.and_then(|at| words.get(at + 1)).map(|name| (*name).to_owned()));
        }
    }
    found
}

/// The terms whose word in a column is not among what there is.
fn strangers(terms: &[Term], word: impl Fn(&Term) -> &str, known: &BTreeSet<String>) -> Vec<String> {
    let strange = terms.iter().filter(|term| !word(term).is_empty() && !known.contains(word(term)));
    strange.map(|term| format!("{}: {}", term.word, word(term))).collect()
}

#[test]
fn each_term_stands_in_files_commands_and_code_as_the_glossary_says() {
    let terms = terms();
    assert!((20..=MOST).contains(&terms.len()), "{} terms", terms.len());
    let mut files = BTreeSet::new();
    for schema in ["scenario", "lab"] {
        let text = fs_err::read_to_string(project("docs/schema").join(schema).with_extension("json")).unwrap();
        keys(&serde_json::from_str(&text).unwrap(), &mut files);
    }
    let commands = Cli::command();
    let commands = commands.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    assert_eq!(strangers(&terms, |term| &term.key, &files), [""; 0], "keys");
    assert_eq!(strangers(&terms, |term| &term.command, &commands), [""; 0], "commands");
    assert_eq!(strangers(&terms, |term| &term.name, &types()), [""; 0], "types");
}

#[test]
fn a_term_that_nothing_bears_is_found() {
    let term = Term { word: "cell".into(), key: "cells".into(), command: String::new(), name: "Cell".into() };
    let known = BTreeSet::from(["Case".to_owned()]);
    assert_eq!(strangers(&[term], |term| &term.name, &known), ["cell: Cell"]);
}
