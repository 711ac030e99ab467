//! Runs of scenarios that are interrupted or killed, and machines that end or break under them.

use super::builder::Builder;
use super::site::Site;
use super::{Given, Outcome, Report};
use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// QEMU's name as the kernel keeps it: 15 letters (proc(5), `comm`).
pub(super) const QEMU: &str = "qemu-system-x86";

/// A scenario whose steps we write runs in the smallest lab: the directory by itself.
const LAB: &str = r#"
summary = "one machine"
domain = "lan.test"
accounts = ["alice", "bob", "carol", "dave", "sssd"]
[[segment]]
name = "lan"
prefix = "10.20.0.0/24"
[[machine]]
name = "mail"
image = "directory"
role = "mail"
segment = "lan"
address = "10.20.0.10"
memory_mib = 512
processors = 1
absent = true
[[machine]]
name = "directory"
image = "directory"
role = "directory"
segment = "lan"
address = "10.20.0.20"
memory_mib = 512
processors = 1
"#;

/// A step that is not over before somebody ends it, and says when it has begun.
pub(super) const ENDLESS: (&str, &str) = ("a command goes on and on", "echo begun > /dev/ttyS0; exec sleep infinity");
/// What a person who debugs a kernel does.
const PANIC: (&str, &str) = ("the kernel is told to panic", "echo c > /proc/sysrq-trigger");
/// A step that needs nothing.
pub(super) const EASY: (&str, &str) = ("the machine answers", "true");

/// Arguments are handed on but for the random device of a guest that was frozen before this program was written.
const LACKING: &str = r#"#!/bin/bash
arguments=()
while [ $# -gt 0 ]; do
  case "$1 $2" in
    "-object memory-backend-file,"*) memory=${2##*mem-path=}; arguments+=("$1") ;;
    "-incoming defer") frozen=yes; arguments+=("$1") ;;
    "-device virtio-rng-pci,rng=entropy") [ "${frozen-}" ] && [ "$memory" -ot "$0" ] && shift || arguments+=("$1") ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
exec qemu-system-x86_64 "${arguments[@]}"
"#;

pub(super) fn run(given: &Given, report: &mut Report) {
    let stage = match Stage::new(given) {
        Ok(stage) => stage,
        Err(error) => return report.row("runs: a cache to run in", || Err(error)),
    };
    report.row("runs: a scenario passes", || passes(&stage));
    report.row("runs: interrupted in a step, as by Ctrl-C", || interrupted(&stage));
    report.row("runs: killed in a step", || killed(&stage));
    report.row("runs: QEMU is killed in a step", || qemu_killed(&stage));
    report.row("runs: the guest panics", || panics(&stage));
    report.row("runs: QEMU ends at once", || qemu_ends(&stage));
    report.row("runs: QEMU does not load a template", || not_loaded(&stage));
    report.row("runs: a wrong machine in a scenario", || wrong_machine(&stage));
    report.row("runs: a scenario that nobody has is asked for", || unknown_filter(&stage));
    report.row("runs: a scenario passes after all that", || passes(&stage));
}

/// Where scenarios are run: a cache of its own, and a lab of one small machine.
pub(super) struct Stage {
    pub(super) site: Site,
    scenarios: PathBuf,
    /// Compiled once: two runs that are to meet must start at once.
    runner: PathBuf,
}

impl Stage {
    pub(super) fn new(given: &Given) -> anyhow::Result<Self> {
        let site = Site::new(given)?;
        site.take_plans(given, Duration::ZERO)?;
        site.take_image(given)?;
        let scenarios = site.path().join("scenarios");
        fs_err::create_dir_all(scenarios.join("labs"))?;
        fs_err::write(scenarios.join("labs/alone.toml"), LAB)?;
        let runner = site.path().join("runner");
        hold_on(&crate::test::build_runner()?, &runner)?;
        Ok(Self { site, scenarios, runner })
    }

    /// The runner with a scenario of these steps.
    pub(super) fn start(
        &self,
        machine: &str,
        steps: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Builder> {
        let mut text = "summary = \"for a bad day\"\nlab = \"alone\"\n".to_owned();
        for (name, command) in steps {
            write!(text, "[[step]]\nname = \"{name}\"\non = \"{machine}\"\ndo.run = {{ command = \"{command}\" }}\n")?;
        }
        self.start_file(&text, variables)
    }

    /// The runner with this scenario.
    pub(super) fn start_file(&self, text: &str, variables: &[(&str, &str)]) -> anyhow::Result<Builder> {
        self.write(text)?;
        Builder::spawn(self.command(variables))
    }

    /// Makes this the scenario, at once: a run that was started a moment before may be reading it.
    pub(super) fn write(&self, text: &str) -> anyhow::Result<()> {
        let unfinished = self.scenarios.join("bad-day.unfinished");
        fs_err::write(&unfinished, text)?;
        Ok(fs_err::rename(unfinished, self.scenarios.join("bad-day.toml"))?)
    }

    /// The runner, to be started.
    pub(super) fn command(&self, variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(&self.runner);
        command.env("XDG_CACHE_HOME", self.site.home()).env("REHEARSAL_SCENARIOS", &self.scenarios);
        command.env("REHEARSAL_RESULTS", self.results());
        command.envs(variables.iter().copied());
        command
    }

    /// Nothing but the image and the template is left.
    pub(super) fn wait_until_clear(&self) -> anyhow::Result<()> {
        self.site.wait_until_clear(&["directory"])
    }

    /// A run that is in its endless step.
    pub(super) fn in_endless_step(&self) -> anyhow::Result<Builder> {
        let mut run = self.start("directory", &[EASY, ENDLESS], &[])?;
        run.wait_for("alone runs after")?;
        self.site.wait_for_text(&self.results().join("latest/bad-day::main/console-directory.log"), "begun")?;
        Ok(run)
    }

    pub(super) fn results(&self) -> PathBuf {
        self.site.path().join("results")
    }
}

/// The same file under another name: a build beside us puts a new one in its place, and one that is half written does not run.
fn hold_on(program: &Path, name: &Path) -> anyhow::Result<()> {
    if fs_err::hard_link(program, name).is_err() {
        fs_err::copy(program, name)?;
    }
    Ok(())
}

fn passes(stage: &Stage) -> anyhow::Result<Outcome> {
    let run = stage.start("directory", &[EASY], &[])?.end()?;
    run.succeeded()?;
    stage.wait_until_clear()?;
    Ok(Outcome::Passed("nothing is left".into()))
}

fn interrupted(stage: &Stage) -> anyhow::Result<Outcome> {
    let run = stage.in_endless_step()?;
    run.signal(Signal::SIGINT)?;
    let run = run.end()?;
    run.failed_with(&["interrupted: taking the labs down", "results: "])?;
    anyhow::ensure!(run.code == Some(130), "its status is {:?}", run.code);
    let journal = stage.results().join("latest/bad-day::main/journal-directory.log");
    let lines = fs_err::read_to_string(journal)?.lines().count();
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(format!("status 130; {lines} lines of the journal are kept; nothing is left")))
}

fn killed(stage: &Stage) -> anyhow::Result<Outcome> {
    let run = stage.in_endless_step()?;
    run.kill()?;
    stage.wait_until_clear()?;
    Ok(Outcome::Passed("no QEMU, mount or directory is left".into()))
}

fn qemu_killed(stage: &Stage) -> anyhow::Result<Outcome> {
    let run = stage.in_endless_step()?;
    let processes = stage.site.processes_named(QEMU);
    anyhow::ensure!(processes.len() == 1, "there are {} processes of QEMU", processes.len());
    kill(Pid::from_raw(i32::try_from(processes[0])?), Signal::SIGKILL)?;
    let run = run.end()?;
    run.failed_with(&["machine directory: QEMU ended by itself: signal: 9"])?;
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(said(&run.said, "QEMU ended")))
}

fn panics(stage: &Stage) -> anyhow::Result<Outcome> {
    let run = stage.start("directory", &[EASY, PANIC], &[])?.end()?;
    run.failed_with(&["machine directory: the guest's kernel panicked"])?;
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(said(&run.said, "panicked")))
}

/// A QEMU that answers what it is asked of itself, and ends when it is to run a machine.
const STUBBORN: &str = r#"#!/bin/sh
case " $* " in
    *" -name directory"*) echo "no machine today" >&2; exit 1;;
esac
exec qemu-system-x86_64 "$@"
"#;

fn qemu_ends(stage: &Stage) -> anyhow::Result<Outcome> {
    let program = stage.site.path().join("stubborn-qemu");
    fs_err::write(&program, STUBBORN)?;
    fs_err::set_permissions(&program, Permissions::from_mode(0o700))?;
    let name = program.to_str().context("the path of the cache is no text")?;
    let run = stage.start("directory", &[EASY], &[("REHEARSAL_QEMU", name)])?.end()?;
    run.failed_with(&["machine directory: QEMU ended by itself", "no machine today"])?;
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(said(&run.said, "QEMU ended")))
}

/// A QEMU that lacks a device of the guest that is frozen now, and not of one that is frozen later.
fn not_loaded(stage: &Stage) -> anyhow::Result<Outcome> {
    let program = stage.site.path().join("lacking-qemu");
    fs_err::write(&program, LACKING)?;
    fs_err::set_permissions(&program, Permissions::from_mode(0o700))?;
    let name = program.to_str().context("the path of the cache is no text")?;
    let before = frozen(stage)?;
    let run = stage.start("directory", &[EASY], &[("REHEARSAL_QEMU", name)])?.end()?;
    run.succeeded()?;
    let words = "its template is not used and made again: machine directory: QEMU refused `migrate-incoming`";
    anyhow::ensure!(run.said.contains(words), "it said:\n{}", run.said);
    anyhow::ensure!(frozen(stage)? != before, "the template is the same");
    stage.wait_until_clear()?;
    // The new one is loaded without a word.
    let run = stage.start("directory", &[EASY], &[])?.end()?;
    run.succeeded()?;
    anyhow::ensure!(!run.said.contains("made again"), "it said:\n{}", run.said);
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(format!("{words} …; and then it passes")))
}

/// When the only template was frozen.
fn frozen(stage: &Stage) -> anyhow::Result<String> {
    let mut entries = fs_err::read_dir(stage.site.cache().entries(harness::cache::Kind::Template))?;
    let place = entries.find_map(|entry| Some(entry.ok()?.path()).filter(|path| path.is_dir()));
    let manifest = fs_err::read(place.context("there is no template")?.join("manifest.json"))?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest)?;
    Ok(manifest["frozen"].to_string())
}

fn wrong_machine(stage: &Stage) -> anyhow::Result<Outcome> {
    let run = stage.start("direktory", &[EASY], &[])?.end()?;
    run.failed_with(&["there is no machine `direktory` in lab `alone`", "bad-day.toml:5"])?;
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(said(&run.said, "there is no machine")))
}

fn unknown_filter(stage: &Stage) -> anyhow::Result<Outcome> {
    let run = stage.start("directory", &[EASY], &[("REHEARSAL_FILTERS", "bad-dya")])?.end()?;
    run.failed_with(&["no case's name contains `bad-dya`; did you mean `bad-day`?"])?;
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(said(&run.said, "no case's name")))
}

/// The sentence with these words.
fn said(text: &str, words: &str) -> String {
    text.lines().find(|line| line.contains(words)).unwrap_or_default().trim().to_owned()
}
