//! The example of a workflow for GitHub, and what CI runs, held against the command line and the scenarios.

use crate::Cli;
use crate::workbench::project;
use clap::Parser as _;
use harness::scenario::{Scenario, Tier};
use std::collections::BTreeSet;

/// What stands behind `cargo xtask` in the lines of a file, a placeholder of GitHub's as one word.
fn commands(file: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(project(file)).unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let behind = lines.filter_map(|line| Some(line.split_once("cargo xtask ")?.1));
    let own = behind.map(|line| line.split(" || ").next().unwrap_or_default());
    own.map(|line| line.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect()).collect()
}

#[rstest::rstest]
#[case(".github/workflows/rehearsal.yml", 8)]
#[case(".ci/run", 10)]
fn each_command_is_one(#[case] file: &str, #[case] at_least: usize) {
    let commands = commands(file);
    assert!(commands.len() >= at_least, "{commands:?}");
    for words in commands {
        let line = ["xtask"].into_iter().chain(words.iter().map(String::as_str));
        if let Err(error) = Cli::try_parse_from(line) {
            panic!("{file}: cargo xtask {}: {error}", words.join(" "));
        }
    }
}

/// A job of GitHub's that runs scenarios is not root, and cannot make images.
#[test]
fn the_workflow_builds_and_exports_what_quick_cases_need() {
    let files = Scenario::files_in(&project("scenarios")).unwrap();
    let cases = files.iter().flat_map(|file| Scenario::load(file).unwrap().cases);
    let quick: Vec<_> = cases.filter(|case| case.tier == Tier::Quick).collect();
    let needed: BTreeSet<_> = quick.iter().flat_map(|case| case.lab.topology.images()).collect();
    let commands = commands(".github/workflows/rehearsal.yml");
    for verb in ["build", "export"] {
        let words = commands.iter().find(|words| words.starts_with(&["image".into(), verb.into()])).unwrap();
        let named: BTreeSet<_> =
            words[2..].iter().take_while(|word| !word.starts_with("--")).map(String::as_str).collect();
        assert_eq!(named, needed, "image {verb}");
    }
}
