//! A host that has far too much to do: a sound case with a reboot passes on it, and a broken one fails.

use super::super::runs::Stage;
use super::super::{Outcome, Report};
use harness::results::{ScenarioResult, Verdict};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// So many threads want a core all the time.
const LOAD: usize = 10;
const ROUNDS: usize = 1;
/// The same, with `--all`.
const ALL_ROUNDS: usize = 10;

/// The machine is switched off and on; then nothing may have failed in it.
const REBOOT: &str = r#"
summary = "a reboot on a busy host"
lab = "alone"
[[step]]
name = "the machine is shut down"
on = "directory"
do.power = "shutdown"
[[step]]
name = "it comes up again"
on = "directory"
do.power = "on"
[[step]]
name = "nothing has failed in it"
on = "directory"
do.run = { command = "test -z \"$(systemctl --failed --plain --no-legend)\"" }
[[step]]
name = "the directory serves"
on = "directory"
do.units = { active = ["slapd"] }
"#;

/// And this does not hold, whatever the host does.
const BROKEN: &str = r#"
[[step]]
name = "something runs that is not there"
on = "directory"
do.units = { active = ["nothing-of-that-name"] }
"#;

pub(super) fn run(stage: &Stage, all: bool, report: &mut Report) {
    for round in 1..=if all { ALL_ROUNDS } else { ROUNDS } {
        report.row(&format!("faults: load {LOAD}, round {round}: a sound case passes"), || sound(stage));
        report.row(&format!("faults: load {LOAD}, round {round}: a broken case fails"), || broken(stage));
    }
}

/// Threads that want a core until this is dropped.
struct Load {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn begin() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let spin = |over: Arc<AtomicBool>| {
            move || {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            }
        };
        let threads = (0..LOAD).map(|_| std::thread::spawn(spin(over.clone()))).collect();
        Self { over, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn sound(stage: &Stage) -> anyhow::Result<Outcome> {
    let load = Load::begin();
    let ended = stage.start_file(REBOOT, &[])?.end()?;
    drop(load);
    ended.succeeded()?;
    stage.wait_until_clear()?;
    let result = result(stage)?;
    anyhow::ensure!(result.outcome == Verdict::Passed, "the result says {:?}", result.outcome);
    told(&result)
}

fn broken(stage: &Stage) -> anyhow::Result<Outcome> {
    let load = Load::begin();
    let ended = stage.start_file(&format!("{REBOOT}{BROKEN}"), &[])?.end()?;
    drop(load);
    ended.failed_with(&["nothing-of-that-name"])?;
    stage.wait_until_clear()?;
    let result = result(stage)?;
    let failed = result.failed_step().map(|step| step.name.clone()).unwrap_or_default();
    anyhow::ensure!(failed == "something runs that is not there", "it failed at {failed:?}");
    told(&result)
}

fn result(stage: &Stage) -> anyhow::Result<ScenarioResult> {
    let text = fs_err::read(stage.results().join("latest/bad-day::main/result.json"))?;
    Ok(serde_json::from_slice(&text)?)
}

/// What guests got, which must have been measured, and whether the case ran twice.
fn told(result: &ScenarioResult) -> anyhow::Result<Outcome> {
    let shares = result.steps.iter().filter_map(|step| step.cores.as_ref());
    let (ran, waited) = shares.fold((0.0, 0.0), |(ran, waited), share| (ran + share.ran, waited + share.waited));
    anyhow::ensure!(ran > 0.0 && waited > 0.0, "under load the guest ran {ran} s and waited {waited} s for a core");
    let first = result.starved.as_ref().map(|starved| format!("; starved at first: {}", starved.reason));
    Ok(Outcome::Passed(format!("its guest ran {ran:.1} s and waited {waited:.1} s{}", first.unwrap_or_default())))
}
