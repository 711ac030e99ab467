//! What SECURITY.md says of the code itself, as tests: where `unsafe` may be, and whose code may be here.

use crate::workbench::project;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// All sources of the project.
pub(crate) fn sources() -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut directories: Vec<_> = ["harness", "scenarios", "xtask", "fuzz/fuzz_targets"].map(project).into();
    while let Some(directory) = directories.pop() {
        for entry in fs_err::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// Whether a line of code begins something unsafe, or allows it.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let words: Vec<_> = code.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let begins =
        words.windows(2).any(|pair| pair[0] == "unsafe" && ["fn", "impl", "trait", "extern", ""].contains(&pair[1]));
    begins && !code.contains('"') || words.contains(&"unsafe_code") && !code.contains('"')
}

#[test]
fn unsafe_code_is_in_one_module() {
    let uses = |path: &Path| fs_err::read_to_string(path).unwrap().lines().any(is_unsafe);
    let all = sources();
    let found: Vec<_> = all.iter().filter(|path| uses(path)).collect();
    let only = project("harness/src/host/raw.rs");
    assert!(all.len() > 200, "only {} sources were looked at", all.len());
    assert_eq!(found, [&only]);
}

/// Commands print through one module, which makes harmless what others have written. Self-tests and measurements print what is ours.
#[test]
fn commands_print_through_one_module() {
    let of_commands = |path: &&std::path::PathBuf| {
        let below = path.strip_prefix(project("xtask/src")).ok();
        below.is_some_and(|below| !below.starts_with("selftest") && !below.starts_with("bench"))
    };
    let all = sources();
    let own = project("xtask/src/policy.rs");
    let lifts = |path: &Path| fs_err::read_to_string(path).unwrap().contains("clippy::print_std");
    let found: Vec<_> = all.iter().filter(of_commands).filter(|path| **path != own && lifts(path)).collect();
    assert_eq!(found, [&project("xtask/src/ui.rs")]);
}

/// Pages that `cargo xtask docs` and tests write: their words stand in code.
const GENERATED: [&str; 3] = ["docs/diagnose.md", "docs/lab-mutants.md", "docs/scenarios.md"];

/// The numbers of lines of prose that are too long. Tables, headings and what programs print stay as they are.
fn too_long(page: &str) -> Vec<usize> {
    let mut is_code = false;
    let mut long = Vec::new();
    for (number, line) in page.lines().enumerate() {
        is_code ^= line.trim_start().starts_with("```");
        if !is_code && !line.starts_with(['|', '#']) && line.chars().count() > 100 {
            long.push(number + 1);
        }
    }
    long
}

#[test]
fn prose_is_wrapped() {
    let mut pages: Vec<_> = ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"].map(project).into();
    pages.extend(fs_err::read_dir(project("docs")).unwrap().map(|entry| entry.unwrap().path()));
    pages.retain(|page| page.extension().is_some_and(|end| end == "md") && !GENERATED.map(project).contains(page));
    assert!(pages.len() > 8, "only {} pages were looked at", pages.len());
    for page in pages {
        let long = too_long(&fs_err::read_to_string(&page).unwrap());
        assert!(long.is_empty(), "{}: lines {long:?} have more than 100 characters", page.display());
    }
}

#[rstest::rstest]
#[case::prose(&format!("short\n{}\n", "word ".repeat(21)), &[2])]
#[case::just_fits(&format!("{}\n", "é".repeat(100)), &[])]
#[case::a_table(&format!("| {} |\n", "word ".repeat(21)), &[])]
#[case::what_a_program_prints(&format!("```\n{}\n```\n", "word ".repeat(21)), &[])]
#[case::behind_it(&format!("```\n```\n{}\n", "word ".repeat(21)), &[3])]
fn long_lines_are_found(#[case] page: &str, #[case] expected: &[usize]) {
    assert_eq!(too_long(page), expected);
}

#[rstest::rstest]
#[case("    unsafe { command.pre_exec(f) }", true)]
#[case("unsafe impl Send for X {}", true)]
#[case("#![allow(unsafe_code)]", true)]
#[case("// unsafe { }", false)]
#[case("let text = \"unsafe { }\";", false)]
#[case("fn is_unsafe(line: &str) {", false)]
fn it_would_be_found(#[case] line: &str, #[case] found: bool) {
    assert_eq!(is_unsafe(line), found);
}

/// Whether a licence (SPDX, without parentheses inside of alternatives) can be met by what is allowed.
fn is_met(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let whole = expression.replace('/', " OR ");
    // `A AND (B OR C)`: every part must be met, a part by any of its alternatives.
    let met = |part: &str| part.split(" OR ").any(|one| allowed.contains(one.trim_matches(['(', ')', ' '])));
    let depth_aware = |text: &str| {
        let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
        for (at, c) in text.char_indices() {
            depth += i32::from(c == '(') - i32::from(c == ')');
            if depth == 0 && text[at..].starts_with(" AND ") {
                parts.push(text[start..at].to_owned());
                start = at + 5;
            }
        }
        parts.push(text[start..].to_owned());
        parts
    };
    depth_aware(&whole).iter().all(|part| met(part))
}

#[rstest::rstest]
#[case("MIT OR Apache-2.0", true)]
#[case("MIT/Apache-2.0", true)]
#[case("(MIT OR Apache-2.0) AND Unicode-3.0", true)]
#[case("Apache-2.0 AND ISC", true)]
#[case("GPL-3.0-only", false)]
#[case("(MIT OR Apache-2.0) AND GPL-2.0", false)]
#[case("GPL-2.0 OR MIT", true)]
fn licences_are_understood(#[case] expression: &str, #[case] met: bool) {
    assert_eq!(is_met(expression, &BTreeSet::from(["MIT", "Apache-2.0", "ISC", "Unicode-3.0"])), met);
}

#[test]
fn others_code_is_of_known_sources_and_licences() {
    let policy: toml::Table = fs_err::read_to_string(project("deny.toml")).unwrap().parse().unwrap();
    let list = |table: &str, key: &str| -> Vec<String> {
        policy[table][key].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let (licences, registries) = (list("licenses", "allow"), list("sources", "allow-registry"));
    let allowed: BTreeSet<_> = licences.iter().map(String::as_str).collect();
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--offline",
            "--locked",
            "--format-version",
            "1",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(project("."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let mut wrong = Vec::new();
    for package in packages {
        let (name, licence) = (&package["name"], package["license"].as_str().unwrap_or("none"));
        if !is_met(licence, &allowed) {
            wrong.push(format!("{name}: {licence}"));
        }
        // What has no source is ours.
        let source = package["source"].as_str();
        if source
            .is_some_and(|it| it.strip_prefix("registry+").is_none_or(|it| !registries.iter().any(|known| known == it)))
        {
            wrong.push(format!("{name}: from {source:?}"));
        }
    }
    assert!(packages.len() > 100, "only {} packages were looked at", packages.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}
