//! Control groups that allow too little memory: before a guest starts, and while it runs.

use super::super::runs::{EASY, Stage};
use super::super::{Outcome, Report};
use super::host::{after, told};
use super::scenario;
use crate::ui;
use harness::host::memory;
use std::path::PathBuf;

/// What the group leaves: enough for a runner, and too little for a guest.
const GROUP_MIB: u64 = 400;
/// What it leaves a guest that runs and wants more.
const REST_MIB: u64 = 16;

pub(super) fn run(stage: &Stage, report: &mut Report) {
    report.row("faults: a control group that leaves too little memory", || too_little(stage));
    report.row("faults: a control group has no more memory while a guest runs", || used_up(stage));
}

/// A group in ours that is gone with this.
struct Group {
    directory: PathBuf,
    limit: &'static str,
    usage: &'static str,
}

impl Group {
    /// An empty one without a limit of its own; why there is none.
    fn create() -> Result<Self, String> {
        let groups = memory::groups();
        let ours = groups.iter().find(|group| group.directory().join(group.limit_file()).exists());
        let ours = ours.ok_or("this host has no control groups that limit memory")?;
        let directory = ours.directory().join(format!("rehearsal-{}", std::process::id()));
        std::fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let group = Self { directory, limit: ours.limit_file(), usage: ours.usage_file() };
        if group.directory.join(group.limit).exists() {
            Ok(group)
        } else {
            Err("control groups in ours cannot limit memory".into())
        }
    }

    fn allow(&self, mib: u64) -> Result<(), String> {
        fs_err::write(self.directory.join(self.limit), (mib << 20).to_string()).map_err(|error| error.to_string())
    }

    fn used_mib(&self) -> anyhow::Result<u64> {
        let used: u64 = fs_err::read_to_string(self.directory.join(self.usage))?.trim().parse()?;
        Ok(used.div_ceil(1 << 20))
    }

    /// What a shell does to be in it.
    fn join(&self) -> String {
        format!("echo $$ > '{}/cgroup.procs'", self.directory.display())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir(&self.directory) {
            ui::note(format_args!("the control group stays: {}: {error}", self.directory.display()));
        }
    }
}

fn too_little(stage: &Stage) -> anyhow::Result<Outcome> {
    let group = match Group::create().and_then(|group| group.allow(GROUP_MIB).map(|()| group)) {
        Ok(group) => group,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    stage.write(&scenario(&[EASY]))?;
    let said = after(stage, &group.join(), &["sh"])?;
    let said = said.end()?.failed_with(&["MiB of memory are wanted, and the control group"])?;
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(told(stage, &said, "control group")))
}

fn used_up(stage: &Stage) -> anyhow::Result<Outcome> {
    let group = match Group::create() {
        Ok(group) => group,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    // The group has its limit long before it takes the memory.
    let more = "echo begun > /dev/ttyS0; sleep 8; head -c 220000000 /dev/zero > /dev/shm/more; sleep 600";
    stage.write(&scenario(&[EASY, ("it takes more and more memory", more)]))?;
    let run = after(stage, &group.join(), &["sh"])?;
    stage.site.wait_for_text(&stage.results().join("latest/bad-day::main/console-directory.log"), "begun")?;
    let limit = group.used_mib()? + REST_MIB;
    if let Err(reason) = group.allow(limit) {
        run.kill()?;
        stage.wait_until_clear()?;
        return Ok(Outcome::Skipped(reason));
    }
    let ended = run.end()?;
    let words = "QEMU ended by itself: signal: 9 (SIGKILL), by the kernel, since the control group of this run has no more memory";
    let said = ended.failed_with(&["machine directory: ", words, "it takes more and more memory"])?;
    anyhow::ensure!(ended.code == Some(1), "its status is {:?}", ended.code);
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(told(stage, &said, "SIGKILL")))
}
