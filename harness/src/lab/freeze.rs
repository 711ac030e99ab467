//! Brings a running lab to rest, and freezes it.

use super::running::Lab;
use super::setup::LabError;
use super::template::{files_of, kernel_of};
use crate::machine::{Machine, VerbError};
use crate::time::Deadline;
use futures_util::future::try_join_all;
use serde::Deserialize;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

/// How long a machine may take to come to rest after its boot: nominal.
const REST: Duration = Duration::from_secs(20);
/// How long writing a machine to files may take beside copying its RAM: nominal.
const WRITING: Duration = Duration::from_secs(30);
/// No timer may be due so soon: it would fire in every copy.
const QUIET_AHEAD: Duration = Duration::from_mins(1);
/// So many looks in a row must find a machine at rest.
const QUIET_LOOKS: u32 = 3;

/// Prints, a line each: systemd's state, the number of its jobs, what the kernel runs (proc(5), loadavg: the one that is
/// running is the reader), now in seconds, and the timers.
const LOOK: &str = "systemctl is-system-running; systemctl list-jobs --no-legend | wc -l; cut -d ' ' -f 4 /proc/loadavg; \
                    date +%s; systemctl list-timers --no-pager --output json";

impl Lab {
    /// Waits until no machine has a job pending, a timer about to fire, or work in hand; and their disks are written.
    pub(super) async fn settle(&self) -> Result<(), LabError> {
        let deadline = self.tempo.deadline(REST);
        try_join_all(self.machines().map(|machine| machine.post_waker(deadline))).await?;
        // Whoever has answered once does so in every copy.
        try_join_all(self.machines().map(|machine| machine.wake(deadline))).await?;
        try_join_all(self.machines().map(|machine| at_rest(machine, deadline))).await?;
        Ok(())
    }

    /// Stops all machines at one moment, writes them to files in `directory`, and ends them. The disks are moved there.
    pub(super) async fn freeze_into(mut self, directory: &Path) -> Result<(), LabError> {
        let memory: u64 = self.specs.iter().map(|spec| u64::from(spec.memory_mib)).sum();
        let deadline = self.tempo.deadline_copying(WRITING, memory);
        try_join_all(self.machines().map(|machine| machine.pause(deadline))).await?;
        let machines = std::mem::take(&mut self.machines);
        let freezing = machines.into_iter().map(|(name, machine)| {
            let (frozen, _) = files_of(directory, &name);
            async move { machine.freeze(&frozen, deadline).await }
        });
        try_join_all(freezing).await?;
        self.move_disks(directory)
    }

    /// Ends paused machines and moves their disks to `directory`.
    pub(super) async fn end_and_move_disks(mut self, directory: &Path, deadline: Deadline) -> Result<(), LabError> {
        let machines = std::mem::take(&mut self.machines);
        try_join_all(machines.into_values().map(|machine| machine.stop(deadline))).await?;
        self.move_disks(directory)
    }

    fn move_disks(&self, directory: &Path) -> Result<(), LabError> {
        for spec in &self.specs {
            let (_, disk) = files_of(directory, &spec.name);
            std::fs::rename(&spec.disk, &disk).map_err(LabError::file(&disk))?;
            if let Some((kernel, initrd)) = self.own_kernel(spec) {
                let (kernel_there, initrd_there) = kernel_of(directory, &spec.name);
                std::fs::copy(kernel, &kernel_there).map_err(LabError::file(&kernel_there))?;
                std::fs::copy(initrd, &initrd_there).map_err(LabError::file(&initrd_there))?;
            }
        }
        Ok(())
    }
}

async fn at_rest(machine: &Machine, deadline: Deadline) -> Result<(), LabError> {
    let quiet = Mutex::new(0);
    let attempt = || async {
        let look = match machine.execute(LOOK, deadline).await {
            Ok(output) => output.stdout,
            Err(error) => return Ok(Err(error)),
        };
        let unrest = unrest(&look);
        let mut quiet = quiet.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *quiet = if unrest.is_none() { *quiet + 1 } else { 0 };
        match unrest {
            None if *quiet >= QUIET_LOOKS => Ok(Ok(())),
            None => Err("at rest for a moment".into()),
            Some(unrest) => Err(unrest),
        }
    };
    let settled: Result<Result<(), VerbError>, _> = deadline.poll("it to come to rest", attempt).await;
    settled.map_err(|source| LabError::Restless { machine: machine.name().clone(), source })??;
    machine.succeed("sync", deadline).await?;
    Ok(())
}

/// A timer as `systemctl list-timers --output json` prints it.
#[derive(Deserialize)]
struct Timer {
    /// Microseconds since 1970; none for one that will not fire.
    next: Option<u64>,
    unit: String,
}

/// What a look tells that speaks against freezing.
fn unrest(look: &str) -> Option<String> {
    let mut lines = look.lines();
    let mut line = || lines.next().unwrap_or_default().trim().to_owned();
    let (state, jobs, running, now) = (line(), line(), line(), line());
    if !matches!(state.as_str(), "running" | "degraded") {
        return Some(format!("systemd is {state}"));
    }
    if jobs != "0" {
        return Some(format!("systemd has {jobs} jobs"));
    }
    if !running.starts_with("1/") {
        return Some(format!("{} processes run", running.split('/').next().unwrap_or_default()));
    }
    let Ok(now) = now.parse::<u64>() else { return Some("its clock cannot be read".into()) };
    let rest: String = lines.collect();
    let Ok(timers) = serde_json::from_str::<Vec<Timer>>(&rest) else { return Some("its timers cannot be read".into()) };
    let soon = (now + QUIET_AHEAD.as_secs()) * 1_000_000;
    let due = timers.iter().find(|timer| timer.next.is_some_and(|next| next != 0 && next < soon));
    due.map(|timer| format!("{} is about to fire", timer.unit))
}

/// Reads anything as a look.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(look: &str) {
    let _ = unrest(look);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMERS: &str = r#"[{"next":1700000900000000,"left":0,"last":0,"passed":0,"unit":"systemd-tmpfiles-clean.timer","activates":"x"}]"#;

    #[rstest::rstest]
    #[case::quiet("running\n0\n1/90 800\n1700000000\n", TIMERS, None)]
    #[case::no_timers("degraded\n0\n1/90 800\n1700000000\n", "[]", None)]
    #[case::booting("starting\n0\n1/90 800\n1700000000\n", TIMERS, Some("systemd is starting"))]
    #[case::jobs("running\n2\n1/90 800\n1700000000\n", TIMERS, Some("systemd has 2 jobs"))]
    #[case::work("running\n0\n3/90 800\n1700000000\n", TIMERS, Some("3 processes run"))]
    #[case::timer("running\n0\n1/90 800\n1700000880\n", TIMERS, Some("systemd-tmpfiles-clean.timer is about to fire"))]
    #[case::garbage("running\n0\n1/90 800\n1700000880\n", "oops", Some("its timers cannot be read"))]
    #[case::nothing("", "", Some("systemd is "))]
    fn a_look_is_judged(#[case] head: &str, #[case] timers: &str, #[case] expected: Option<&str>) {
        assert_eq!(unrest(&format!("{head}{timers}")).as_deref(), expected);
    }
}
