//! `cargo xtask mutants`: breaks the code that decides, one place at a time, and says what no test notices.
//!
//! cargo-mutants makes the mutants and tries them, in a copy of the project; `.cargo/mutants.toml` says which code it is.
//! What it does not know is told here: which survivors are known, and what was not tried in the time that there was.

mod at_once;
mod bounded;
mod mutant;
mod survivors;
mod tally;
mod tree;

use crate::exit::{End, HostLacks};
use crate::ui;
use crate::workbench::{project, target};
use anyhow::{Context as _, bail, ensure};
use bounded::Limit;
use mutant::Mutant;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use survivors::Survivors;
use tally::{Outcomes, Tally};
use tree::Tree;

pub(super) const EXAMPLES: &str = "\
Examples:

    cargo xtask mutants --changed                   # what was changed since origin/main, or within a day
    cargo xtask mutants --changed HEAD~3 --minutes 10
    cargo xtask mutants harness/src/drift/minimal.rs
    cargo xtask mutants --list harness/src/mail/*.rs
    cargo xtask mutants --one-by-one harness/src/size.rs

All mutants are in one build of the harness' own tests, each behind a switch. Exit code: 1 if a mutant survives that
.cargo/mutants-survivors.toml does not name (of a sample: if less than half are caught), 2 if that list names
one that does not exist.";

/// How long the tests of the harness may take with a mutant; without one it is a small part of that.
const TEST_LIMIT: Duration = Duration::from_mins(3);

/// What cargo-mutants is always told.
const CARGO_MUTANTS: [&str; 4] = ["--colors", "never", "--package", "rehearsal-harness"];

/// Which mutants.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only mutants of these files
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// Only mutants of lines that have changed since a commit
    #[arg(long, value_name = "COMMIT", num_args = 0..=1, default_missing_value = "", conflicts_with = "files")]
    changed: Option<String>,
    /// Stop after this time, and count what was not tried
    #[arg(long, value_name = "N")]
    minutes: Option<u64>,
    /// Build each by itself, as cargo-mutants does: slow, and for constants, too
    #[arg(long)]
    one_by_one: bool,
    /// Only list them
    #[arg(long)]
    list: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let limit = Limit::minutes(args.minutes);
    needs_cargo_mutants()?;
    let place = target().join("mutants");
    let tree = Tree::copy(&project("."), &place)?;
    let survivors = Survivors::read(&fs_err::read_to_string(tree.path.join(survivors::FILE))?)?;
    survivors.check(&list(&tree, &[])?)?;
    let chosen = choose(args, &tree, &place)?;
    let mutants = list(&tree, &chosen)?;
    if args.list {
        for mutant in &mutants {
            ui::line(&mutant.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if mutants.is_empty() {
        ui::line("No code that .cargo/mutants.toml names has a mutant here.");
        return Ok(ExitCode::SUCCESS);
    }
    let build = build_directory(&place)?;
    let outcomes = if args.one_by_one {
        one_by_one(&tree, &build, &chosen, limit)?
    } else {
        at_once::try_them(&tree.path, &build, &mutants, limit)?
    };
    let tally = Tally::new(&mutants, &outcomes, &survivors);
    ui::out(tally.text());
    Ok(if tally.is_enough() { ExitCode::SUCCESS } else { End::Failed.into() })
}

/// What of the arguments is for cargo-mutants.
fn choose(args: &Args, tree: &Tree, place: &Path) -> anyhow::Result<Vec<String>> {
    let Some(base) = &args.changed else {
        tree.examine_only(&args.files)?;
        return Ok(Vec::new());
    };
    let base = if base.is_empty() { tree.usual_base()? } else { base.clone() };
    ui::line(format_args!("Mutants of what has changed since {base}:"));
    let diff = place.join("changes.diff");
    fs_err::write(&diff, tree.changes_since(&base)?)?;
    Ok(vec!["--in-diff".to_owned(), diff.display().to_string()])
}

fn needs_cargo_mutants() -> anyhow::Result<()> {
    let missing = crate::setup::crates::missing();
    let Some(program) = missing.first() else { return Ok(()) };
    Err(HostLacks(format!("{program} is not here: run `cargo xtask setup --all`")).into())
}

fn list(tree: &Tree, chosen: &[String]) -> anyhow::Result<Vec<Mutant>> {
    let mut command = Command::new("cargo");
    command.arg("mutants").args(CARGO_MUTANTS).args(["--list", "--json"]).args(chosen).current_dir(&tree.path);
    let output = command.output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`cargo mutants --list` ended with {}: {}", output.status, errors.trim());
    // It prints nothing at all where a diff has no mutants.
    if output.stdout.is_empty() { Ok(Vec::new()) } else { mutant::read(&output.stdout, &tree.path) }
}

/// Lets cargo-mutants try them, until all are tried or the time is over.
fn one_by_one(tree: &Tree, build: &Path, chosen: &[String], limit: Limit) -> anyhow::Result<Outcomes> {
    if pass_without_mutants(tree, build, limit)?.is_none() {
        return Ok(Outcomes::new());
    }
    // It ends at SIGINT, unless it was started in a way that has that ignored, as a shell's `&` does.
    let mut command = Command::new("env");
    command.args(["--default-signal=INT", "cargo", "mutants"]).args(CARGO_MUTANTS).current_dir(&tree.path);
    command.env("CARGO_TARGET_DIR", build).env("CARGO_INCREMENTAL", "1");
    command.args(["--baseline", "skip", "--in-place", "--timeout", &TEST_LIMIT.as_secs().to_string()]).args(chosen);
    if limit.is_some() {
        // What there is time for is then a sample of all, not the first files.
        command.arg("--shuffle");
    }
    // It ends with 2 where some survive, and with 3 where some take too long.
    match bounded::run(&mut command, limit).context("failed to start cargo")? {
        Some(status) if !matches!(status.code(), Some(0 | 2 | 3)) => {
            bail!("cargo-mutants ended with {status}; its own words are above")
        }
        _ => tally::outcomes_of_cargo_mutants(&tree.path.join("mutants.out")),
    }
}

/// Fails if the tests fail without any mutant: all mutants would be caught then. cargo-mutants can do so itself, but with other
/// features of dependencies than `cargo test` has, and so would have them all compiled once more.
fn pass_without_mutants(tree: &Tree, build: &Path, limit: Limit) -> anyhow::Result<Option<()>> {
    let mut command = Command::new("cargo");
    command
        .args(["test", "--quiet", "--package", "rehearsal-harness", "--package", "xtask", "--lib"])
        .current_dir(&tree.path)
        .env("CARGO_TARGET_DIR", build)
        .env("CARGO_INCREMENTAL", "1")
        .stdout(Stdio::null());
    let Some(status) = bounded::run(&mut command, limit).context("failed to run cargo")? else { return Ok(None) };
    ensure!(status.success(), "the tests fail without any mutant, so none was tried: run `cargo test`");
    Ok(Some(()))
}

/// Where mutants are built. Cargo tells a copy of the project from the project by nothing but the times of files, so they share
/// no directory: a mutant would be taken for what is not broken. What others wrote is linked from there, not compiled again.
fn build_directory(place: &Path) -> anyhow::Result<PathBuf> {
    let build = place.join("build");
    if build.is_dir() {
        return Ok(build);
    }
    let partial = place.join("build.partial");
    fs_err::create_dir_all(partial.join("debug"))?;
    let compiled = target().join("debug");
    for part in ["build", "deps", ".fingerprint"] {
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--link", "--force"]).arg(compiled.join(part)).arg(partial.join("debug"));
        let status = copy.status().context("failed to run cp")?;
        ensure!(
            status.success(),
            "failed to link {} into {}: {status}",
            compiled.join(part).display(),
            partial.display()
        );
        for entry in fs_err::read_dir(partial.join("debug").join(part))? {
            let entry = entry?;
            match entry.file_name().to_str() {
                Some(name) if is_own(name) && entry.file_type()?.is_dir() => fs_err::remove_dir_all(entry.path())?,
                Some(name) if is_own(name) => fs_err::remove_file(entry.path())?,
                _ => {}
            }
        }
    }
    fs_err::rename(&partial, &build)?;
    Ok(build)
}

/// Whether cargo names what it has built of this project so: by package or target, and a number.
fn is_own(name: &str) -> bool {
    let stem = name.rsplit_once('-').map_or(name, |(stem, _)| stem);
    ["guests", "harness", "libharness", "rehearsal-harness", "scenarios", "xtask"].contains(&stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::library("libharness-c4d5327ab16e9e39.rlib", true)]
    #[case::tests("harness-c4d5327ab16e9e39", true)]
    #[case::fingerprint("rehearsal-harness-b2bd18eee8cf10f2", true)]
    #[case::of_others("libtokio-3a7d7e47514f4c74.rlib", false)]
    #[case::of_others_with_a_like_name("libtest_harness-3a7d7e47514f4c74.rlib", false)]
    fn only_what_others_wrote_is_shared(#[case] name: &str, #[case] own: bool) {
        assert_eq!(is_own(name), own);
    }
}
