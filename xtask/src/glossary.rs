//! The glossary of ARCHITECTURE.md, held against the file formats, the command line and the code; and the commands that pages name.

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

/// What stands behind `cargo xtask` in a text: each command, with what may be one below it.
fn named(text: &str) -> Vec<(String, Option<String>)> {
    let is_word = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
    let plain = |word: &str| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
    let behind = text.split("cargo xtask ").skip(1).map(|rest| rest.split(['`', '\n', '#']).next().unwrap_or_default());
    let named = behind.flat_map(|line| {
        let mut words = line.split_whitespace();
        let command = words.next().filter(is_word).map(plain);
        let below = words.next().filter(is_word).map(str::to_owned);
        // `build\\|list` stands for two.
        let below = below.map_or_else(|| vec![None], |below| below.split("\\|").map(|one| Some(plain(one))).collect());
        command
            .into_iter()
            .flat_map(move |command| below.clone().into_iter().map(move |below| (command.clone(), below)))
    });
    named.collect()
}

/// What is wrong with commands that a text names.
fn unknown(text: &str) -> Vec<String> {
    let all = Cli::command();
    let is_wrong = |(command, below): &(String, Option<String>)| {
        let Some(command) = all.find_subcommand(command) else { return true };
        let groups = command.has_subcommands();
        command.is_hide_set() || groups && below.as_ref().is_some_and(|below| command.find_subcommand(below).is_none())
    };
    named(text).into_iter().filter(is_wrong).map(|(command, below)| format!("{command} {below:?}")).collect()
}

#[test]
fn pages_name_commands_that_exist() {
    let mut pages: Vec<_> = ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"].map(project).into();
    let docs = fs_err::read_dir(project("docs")).unwrap().map(|entry| entry.unwrap().path());
    pages.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    let mut count = 0;
    for page in pages {
        let text = fs_err::read_to_string(&page).unwrap();
        count += named(&text).len();
        assert_eq!(unknown(&text), [""; 0], "{}", page.display());
    }
    assert!(count > 100, "only {count} commands are named");
}

#[test]
fn each_command_stands_on_the_page_of_commands() {
    let text = fs_err::read_to_string(project("docs/commands.md")).unwrap();
    let all = Cli::command();
    let visible = all.get_subcommands().filter(|command| !command.is_hide_set()).map(clap::Command::get_name);
    let missing: Vec<_> = visible
        .filter(|name| !text.contains(&format!("xtask {name}")) && !text.contains(&format!("`{name}`")))
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[rstest::rstest]
#[case::known("`cargo xtask image build` and `cargo xtask image build\\|list`", &[])]
#[case::renamed("`cargo xtask coverage`", &["coverage None"])]
#[case::below("cargo xtask bench release --json", &["bench Some(\"release\")"])]
#[case::one_of_two("`cargo xtask distro build\\|show`", &["distro Some(\"show\")"])]
fn a_command_that_does_not_exist_is_found(#[case] text: &str, #[case] wrong: &[&str]) {
    assert_eq!(unknown(text), wrong);
}
