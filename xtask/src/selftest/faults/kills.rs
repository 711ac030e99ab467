//! SIGKILL: to the runner, to QEMU, to both, in each phase of a run.

use super::super::runs::{EASY, ENDLESS, QEMU, Stage};
use super::super::{Outcome, Report, builder::Builder};
use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;
use std::process::Command;

/// When.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The lab boots, to be frozen.
    Boot,
    /// It is at rest, and is frozen.
    Freeze,
    /// A copy of it starts.
    Thaw,
    /// A step is carried out.
    Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Runner,
    Qemu,
    Both,
}

pub(super) fn run(stage: &Stage, phase: Phase, report: &mut Report) {
    let when = match phase {
        Phase::Boot => "while the lab boots",
        Phase::Freeze => "while the lab is frozen",
        Phase::Thaw => "while a copy starts",
        Phase::Step => "in a step",
    };
    for (victim, who) in
        [(Victim::Runner, "the runner"), (Victim::Qemu, "QEMU"), (Victim::Both, "QEMU, then the runner")]
    {
        report.row(&format!("faults: {who} killed {when}"), || killed(stage, phase, victim));
    }
}

/// Closes the socket behind descriptor 3 of the process whose id it is given, which is QEMU's QMP, by `pidfd_open(2)` and
/// `pidfd_getfd(2)`: those calls have the same numbers everywhere.
const CLOSE: &str = "my $process = syscall(434, $ARGV[0] + 0, 0); my $socket = syscall(438, $process, 3, 0); \
                     die \"$!\\n\" if $socket < 0; open(my $handle, '+<&=', $socket) or die; shutdown($handle, 2) or die \"$!\\n\"";

/// QEMU closes its control channel in a step, and goes on.
pub(super) fn uncontrolled(stage: &Stage) -> anyhow::Result<Outcome> {
    let run = stage.in_endless_step()?;
    let processes = stage.site.processes_named(QEMU);
    let [process] = &*processes else { anyhow::bail!("there are {} processes of QEMU", processes.len()) };
    let closed = Command::new("perl").args(["-e", CLOSE, &process.to_string()]).output();
    let refused = match closed {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("perl: {error}")),
    };
    if let Some(reason) = refused {
        run.kill()?;
        stage.wait_until_clear()?;
        return Ok(Outcome::Skipped(reason));
    }
    let ended = run.end()?;
    let words = "machine directory: QEMU has closed its control channel (QMP)";
    ended.failed_with(&[words, ENDLESS.0])?;
    anyhow::ensure!(ended.code == Some(1), "its status is {:?}", ended.code);
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(ended.said.lines().find(|line| line.contains(words)).unwrap_or_default().trim().to_owned()))
}

fn killed(stage: &Stage, phase: Phase, victim: Victim) -> anyhow::Result<Outcome> {
    let before = stage.site.templates()?;
    let run = reached(stage, phase)?;
    if victim != Victim::Runner {
        let processes = stage.site.processes_named(QEMU);
        anyhow::ensure!(!processes.is_empty(), "no QEMU runs");
        for process in processes {
            send(Pid::from_raw(i32::try_from(process)?), Signal::SIGKILL)?;
        }
    }
    let seen = if victim == Victim::Qemu {
        let ended = run.end()?;
        let step = if phase == Phase::Step { ENDLESS.0 } else { "" };
        ended.failed_with(&["machine directory", "signal: 9", step])?;
        anyhow::ensure!(ended.code == Some(1), "its status is {:?}", ended.code);
        ended.said.lines().find(|line| line.contains("signal: 9")).unwrap_or_default().trim().to_owned()
    } else {
        run.kill()?;
        "no process, mount, directory or template is left".to_owned()
    };
    stage.wait_until_clear()?;
    let after = stage.site.templates()?;
    anyhow::ensure!(after == before, "there were {before} templates, and are {after}");
    Ok(Outcome::Passed(seen))
}

fn reached(stage: &Stage, phase: Phase) -> anyhow::Result<Builder> {
    if phase == Phase::Step {
        return stage.in_endless_step();
    }
    let mut run = stage.start("directory", &[EASY, ENDLESS], &[])?;
    match phase {
        Phase::Boot => run.wait_for("QEMU runs")?,
        Phase::Freeze => run.wait_for("is ready and at rest")?,
        // Its state comes in: a QEMU that only tries the accelerator has none.
        Phase::Thaw | Phase::Step => stage.site.wait_for_argument("-incoming").map(|_| ())?,
    }
    Ok(run)
}
