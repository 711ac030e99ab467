//! Hosts that lack something: a cache that cannot be written, a full disk, a runner that is stopped, two at once.

use super::super::runs::{EASY, Stage};
use super::super::{Outcome, Report, builder::Builder};
use super::scenario;
use nix::sys::signal::Signal;
use std::process::Command;
use std::time::Duration;

/// How long a runner is stopped: longer than any reply takes to come.
const STOPPED: Duration = Duration::from_secs(6);

pub(super) fn run(stage: &Stage, report: &mut Report) {
    report.row("faults: the runner is stopped in a step, and goes on", || stopped(stage));
    report.row("faults: two runs at once in one cache", || two(stage));
    report.row("faults: the cache is read-only", || read_only(stage));
    report.row("faults: no room for results", || no_room(stage));
}

fn stopped(stage: &Stage) -> anyhow::Result<Outcome> {
    let steps = [EASY, ("it works a while", "echo begun > /dev/ttyS0; sleep 4"), EASY];
    let run = stage.start_file(&scenario(&steps), &[])?;
    let console = stage.results().join("latest/bad-day::main/console-directory.log");
    stage.site.wait_for_text(&console, "begun")?;
    run.signal(Signal::SIGSTOP)?;
    std::thread::sleep(STOPPED);
    run.signal(Signal::SIGCONT)?;
    run.end()?.succeeded()?;
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(format!("stopped for {STOPPED:?}, and it passes")))
}

fn two(stage: &Stage) -> anyhow::Result<Outcome> {
    let steps = scenario(&[EASY, ("it works a while", "sleep 4")]);
    let mut one = stage.start_file(&steps, &[])?;
    let mut other = stage.start_file(&steps, &[])?;
    // Each has a lab of its own, at the same time.
    one.wait_for("alone runs after")?;
    other.wait_for("alone runs after")?;
    one.end()?.succeeded()?;
    other.end()?.succeeded()?;
    stage.wait_until_clear()?;
    anyhow::ensure!(stage.site.templates()? == 1, "there are {} templates", stage.site.templates()?);
    Ok(Outcome::Passed("both thaw the same template, and pass".into()))
}

/// The runner with the scenario that was written, in a mount namespace of its own where `mount` was done.
pub(super) fn where_mounted(stage: &Stage, mount: &str) -> anyhow::Result<Builder> {
    after(stage, mount, &["unshare", "--mount", "--propagation", "private", "sh"])
}

/// The same, where a script was carried out by this shell before.
pub(super) fn after(stage: &Stage, script: &str, shell: &[&str]) -> anyhow::Result<Builder> {
    let inner = stage.command(&[]);
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).args(["-ec", &format!("{script}\nexec \"$@\""), "sh"]);
    command.arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Builder::spawn(command)
}

fn read_only(stage: &Stage) -> anyhow::Result<Outcome> {
    stage.write(&scenario(&[EASY]))?;
    let home = stage.site.home();
    let home = home.display();
    let run = where_mounted(stage, &format!("mount --bind '{home}' '{home}'; mount -o remount,ro,bind '{home}'"))?;
    let said = run.end()?.failed_with(&["Read-only file system"])?;
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(told(stage, &said, "Read-only")))
}

fn no_room(stage: &Stage) -> anyhow::Result<Outcome> {
    stage.write(&scenario(&[EASY]))?;
    let results = stage.results();
    let mount = format!("mkdir -p '{0}'; mount -t tmpfs -o size=16k,nr_inodes=64 none '{0}'", results.display());
    let said = where_mounted(stage, &mount)?.end()?.failed_with(&["No space left on device"])?;
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(told(stage, &said, "No space left")))
}

/// What ended a run, in a line.
pub(super) fn told(stage: &Stage, said: &str, words: &str) -> String {
    // What ended the run rather than what was said beside it.
    let ends = |line: &&str| line.contains("FAIL") || line.contains("Error");
    let all = || said.lines().filter(|line| line.contains(words));
    let line = all().find(ends).or_else(|| all().next()).unwrap_or_default().trim();
    line.replace(&stage.site.path().display().to_string(), "…")
}
