//! SIGKILL: to the runner, to QEMU, to both, in each phase of a run.

use super::super::runs::{EASY, ENDLESS, QEMU, Stage};
use super::super::{Outcome, Report, builder::Builder};
use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;

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
        ended.failed_with(&["machine directory", "signal: 9"])?;
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
