//! `cargo xtask mutants`: breaks the code that decides, one place at a time, and says what no test notices.
//!
//! cargo-mutants makes the mutants and tries them, in a copy of the project; `.cargo/mutants.toml` says which code it is.
//! What it does not know is told here: which survivors are known, and what was not tried in the time that there was.

mod mutant;
mod survivors;
mod tree;

use crate::exit::{End, HostLacks};
use crate::say;
use crate::workbench::{project, target};
use anyhow::{Context as _, bail, ensure};
use mutant::Mutant;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use survivors::Survivors;
use tree::Tree;

pub(super) const EXAMPLES: &str = "\
Examples:

    cargo xtask mutants --changed                   # what was changed since origin/main, or within a day
    cargo xtask mutants --changed HEAD~3 --minutes 10
    cargo xtask mutants harness/src/drift/minimal.rs
    cargo xtask mutants --list harness/src/mail/*.rs

Each mutant is a build and a run of the harness' own tests. Exit code: 1 if a mutant survives that
.cargo/mutants-survivors.toml does not name (of a sample: if less than half are caught), 2 if that list names
one that does not exist.";

/// How long the tests of the harness may take with a mutant; without one it is a small part of that.
const TEST_LIMIT: Duration = Duration::from_mins(3);

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
    /// Only list them
    #[arg(long)]
    list: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    needs_cargo_mutants()?;
    let place = target().join("mutants");
    let tree = Tree::copy(&project("."), &place)?;
    let survivors = Survivors::read(&fs_err::read_to_string(tree.path.join(survivors::FILE))?)?;
    survivors.check(&list(&tree, &[])?)?;
    let chosen = choose(args, &tree, &place)?;
    let mutants = list(&tree, &chosen)?;
    if args.list {
        for mutant in &mutants {
            say::line(&mutant.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if mutants.is_empty() {
        say::line("No code that .cargo/mutants.toml names has a mutant here.");
        return Ok(ExitCode::SUCCESS);
    }
    let limit = args.minutes.map(|minutes| Duration::from_secs(60 * minutes));
    try_them(&tree, &place, &chosen, limit)?;
    let tally = Tally::read(&tree.path.join("mutants.out"), &mutants, &survivors)?;
    say::out(tally.text());
    Ok(if tally.is_enough() { ExitCode::SUCCESS } else { End::Failed.into() })
}

/// What of the arguments is for cargo-mutants.
fn choose(args: &Args, tree: &Tree, place: &Path) -> anyhow::Result<Vec<String>> {
    let Some(base) = &args.changed else {
        tree.examine_only(&args.files)?;
        return Ok(Vec::new());
    };
    let base = if base.is_empty() { tree.usual_base()? } else { base.clone() };
    say::line(format_args!("Mutants of what has changed since {base}:"));
    let diff = place.join("changes.diff");
    fs_err::write(&diff, tree.changes_since(&base)?)?;
    Ok(vec!["--in-diff".to_owned(), diff.display().to_string()])
}

fn cargo_mutants(tree: &Tree) -> Command {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--colors", "never", "--package", "rehearsal-harness"]).current_dir(&tree.path);
    command
}

fn needs_cargo_mutants() -> anyhow::Result<()> {
    let missing = crate::setup::crates::missing();
    let Some(program) = missing.first() else { return Ok(()) };
    Err(HostLacks(format!("{program} is not here: run `cargo xtask setup --all`")).into())
}

fn list(tree: &Tree, chosen: &[String]) -> anyhow::Result<Vec<Mutant>> {
    let output = cargo_mutants(tree).args(["--list", "--json"]).args(chosen).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`cargo mutants --list` ended with {}: {}", output.status, errors.trim());
    // It prints nothing at all where a diff has no mutants.
    if output.stdout.is_empty() { Ok(Vec::new()) } else { mutant::read(&output.stdout, &tree.path) }
}

/// Tries mutants until all are tried, or the time is over.
fn try_them(tree: &Tree, place: &Path, chosen: &[String], limit: Option<Duration>) -> anyhow::Result<()> {
    let (began, build) = (Instant::now(), build_directory(place)?);
    pass_without_mutants(tree, &build)?;
    let limit = limit.map(|limit| limit.saturating_sub(began.elapsed()));
    let mut command = cargo_mutants(tree);
    command.env("CARGO_TARGET_DIR", build).env("CARGO_INCREMENTAL", "1");
    command.args(["--baseline", "skip", "--in-place", "--timeout", &TEST_LIMIT.as_secs().to_string()]).args(chosen);
    if limit.is_some() {
        // What there is time for is then a sample of all, not the first files.
        command.arg("--shuffle");
    }
    let mut child = command.spawn().context("failed to start cargo")?;
    let id = Pid::from_raw(i32::try_from(child.id())?);
    let (ended, end) = channel();
    std::thread::spawn(move || ended.send(child.wait()));
    let status = match limit.map_or_else(|| end.recv().map_err(Into::into), |limit| end.recv_timeout(limit)) {
        Ok(status) => status?,
        Err(RecvTimeoutError::Timeout) => {
            kill(id, Signal::SIGINT)?;
            end.recv().context("cargo-mutants was lost")??;
            return Ok(());
        }
        Err(RecvTimeoutError::Disconnected) => bail!("cargo-mutants was lost"),
    };
    judge(status)
}

/// Fails if the tests fail without any mutant: all mutants would be caught then. cargo-mutants can do so itself, but with other
/// features of dependencies than `cargo test` has, and so would have them all compiled once more.
fn pass_without_mutants(tree: &Tree, build: &Path) -> anyhow::Result<()> {
    let status = Command::new("cargo")
        .args(["test", "--quiet", "--package", "rehearsal-harness", "--package", "xtask", "--lib"])
        .current_dir(&tree.path)
        .env("CARGO_TARGET_DIR", build)
        .env("CARGO_INCREMENTAL", "1")
        .stdout(Stdio::null())
        .status()
        .context("failed to run cargo")?;
    ensure!(status.success(), "the tests fail without any mutant, so none was tried: run `cargo test`");
    Ok(())
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

/// Whether mutants were tried: cargo-mutants ends with 2 where some survive, and with 3 where some take too long.
fn judge(status: ExitStatus) -> anyhow::Result<()> {
    match status.code() {
        Some(0 | 2 | 3) => Ok(()),
        _ => bail!("cargo-mutants ended with {status}; its own words are above"),
    }
}

/// What became of mutants.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    all: usize,
    caught: usize,
    /// With these the tests did not end in time.
    endless: Vec<String>,
    /// These are no Rust.
    unviable: usize,
    /// These survive, and the list says why.
    known: usize,
    /// These survive.
    unknown: Vec<Mutant>,
}

impl Tally {
    /// Reads what cargo-mutants has written.
    fn read(place: &Path, mutants: &[Mutant], survivors: &Survivors) -> anyhow::Result<Self> {
        let names = |file: &str| -> anyhow::Result<BTreeSet<String>> {
            Ok(fs_err::read_to_string(place.join(file))?.lines().map(str::to_owned).collect())
        };
        let missed = names("missed.txt")?;
        let survive = mutants.iter().filter(|mutant| missed.contains(&mutant.name));
        let (known, unknown): (Vec<_>, Vec<_>) = survive.partition(|mutant| survivors.has(mutant));
        Ok(Self {
            all: mutants.len(),
            caught: names("caught.txt")?.len(),
            endless: names("timeout.txt")?.into_iter().collect(),
            unviable: names("unviable.txt")?.len(),
            known: known.len(),
            unknown: unknown.into_iter().cloned().collect(),
        })
    }

    fn not_tried(&self) -> usize {
        let tried = self.caught + self.endless.len() + self.unviable + self.known + self.unknown.len();
        self.all.saturating_sub(tried)
    }

    /// The mutants that tests noticed, and all that they could have noticed.
    fn caught_of(&self) -> (usize, usize) {
        let caught = self.caught + self.endless.len();
        (caught, caught + self.known + self.unknown.len())
    }

    /// Whether the tests are good enough. Where all mutants were tried, each survivor needs a reason. A sample tells a rate.
    fn is_enough(&self) -> bool {
        let (caught, viable) = self.caught_of();
        if self.not_tried() == 0 { self.unknown.is_empty() } else { 2 * caught >= viable }
    }

    fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for mutant in &self.unknown {
            let _ = writeln!(text, "\nNo test notices {}\n{}", mutant.name, mutant.diff.trim_end());
        }
        for name in &self.endless {
            let _ = writeln!(text, "\nThe tests do not end in {TEST_LIMIT:?} with {name}");
        }
        let (caught, viable) = self.caught_of();
        let _ = writeln!(
            text,
            "\n{} mutants: {} caught, {} endless, {} survive, {} survive with a reason, {} do not compile, {} were not tried",
            self.all,
            self.caught,
            self.endless.len(),
            self.unknown.len(),
            self.known,
            self.unviable,
            self.not_tried()
        );
        if let Some(percent) = (100 * caught).checked_div(viable) {
            let _ = writeln!(text, "caught of those that compile and were tried: {caught} of {viable}, {percent} %");
        }
        if !self.unknown.is_empty() {
            let _ = writeln!(
                text,
                "Write a test that fails with each survivor, or name it in {} with the reason why none has to.",
                survivors::FILE
            );
        }
        text
    }
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

    #[rstest::rstest]
    #[case::all_are_caught(4, 4, 0, true)]
    #[case::all_were_tried_and_one_survives(4, 3, 1, false)]
    #[case::half_of_a_sample(9, 2, 2, true)]
    #[case::less_than_half_of_a_sample(9, 2, 3, false)]
    #[case::none_was_tried(9, 0, 0, true)]
    fn a_sample_is_held_to_a_rate(
        #[case] all: usize,
        #[case] caught: usize,
        #[case] unknown: usize,
        #[case] enough: bool,
    ) {
        let tally = Tally { all, caught, unknown: (0..unknown).map(mutant).collect(), ..Tally::default() };
        assert_eq!(tally.is_enough(), enough);
    }

    fn mutant(line: usize) -> Mutant {
        let change = "a.rs: replace < with <= in f";
        Mutant {
            name: change.replacen(':', &format!(":{line}:5:"), 1),
            change: change.into(),
            line: format!("line {line}"),
            diff: format!("-line {line}\n"),
        }
    }

    /// Of seven, the first two survive, one of them with a reason; the last was not tried.
    #[test]
    fn survivors_without_a_reason_and_what_was_not_tried_are_told() {
        let place = tempfile::tempdir().unwrap();
        let mutants: Vec<_> = (1..=7).map(mutant).collect();
        for (file, lines) in
            [("missed.txt", &[1, 2][..]), ("caught.txt", &[3, 4]), ("timeout.txt", &[5]), ("unviable.txt", &[6])]
        {
            let names: String = lines.iter().map(|line| format!("{}\n", mutants[line - 1].name)).collect();
            fs_err::write(place.path().join(file), names).unwrap();
        }
        let list = "[[survivor]]\nmutant = 'a.rs: replace < with <= in f'\nline = 'line 2'\nreason = 'equivalent'\n";
        let tally = Tally::read(place.path(), &mutants, &Survivors::read(list).unwrap()).unwrap();
        insta::assert_snapshot!(tally.text(), @r"

        No test notices a.rs:1:5: replace < with <= in f
        -line 1

        The tests do not end in 180s with a.rs:5:5: replace < with <= in f

        7 mutants: 2 caught, 1 endless, 1 survive, 1 survive with a reason, 1 do not compile, 1 were not tried
        caught of those that compile and were tried: 3 of 5, 60 %
        Write a test that fails with each survivor, or name it in .cargo/mutants-survivors.toml with the reason why none has to.
        ");
        assert_eq!(tally.unknown, mutants[..1]);

        let all = list.to_owned() + &list.replace("line 2", "line 1");
        let tally = Tally::read(place.path(), &mutants, &Survivors::read(&all).unwrap()).unwrap();
        assert_eq!((tally.unknown.len(), tally.known, tally.not_tried()), (0, 2, 1));
    }
}
