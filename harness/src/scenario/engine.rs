//! Runs one cell of a scenario: lab, steps, evidence, verdict.

use super::format::{Cell, Scenario, Step};
use super::steps::{Done, Stage, StepError};
use crate::evidence::{Run, ScenarioResult, StepOutcome, StepResult, Verdict};
use crate::lab::{Lab, Progress, Setup};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Told when somebody wants the run to end.
pub type Interrupt = CancellationToken;

/// Runs cells of scenarios.
pub struct Engine<'a> {
    /// What labs are made with.
    pub setup: &'a Setup,
    /// Where evidence goes.
    pub run: &'a Run,
    /// The wish to end.
    pub interrupt: &'a Interrupt,
    /// Takes lines of live progress.
    pub say: &'a (dyn Fn(&str) + Send + Sync),
}

impl std::fmt::Debug for Engine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine<'_> {
    /// Runs one cell to its verdict, which is also in the evidence.
    pub async fn cell(&self, scenario: &Scenario, cell: Cell) -> ScenarioResult {
        let started = Instant::now();
        let mut result = ScenarioResult {
            name: scenario.name.clone(),
            cell: cell.to_string(),
            outcome: Verdict::Passed,
            reason: None,
            seconds: 0.0,
            boot_seconds: 0.0,
            covers: scenario.covers(),
            steps: Vec::new(),
        };
        let outcome = tokio::select! {
            outcome = self.carry_out(scenario, cell, &mut result) => outcome,
            () = self.interrupt.cancelled() => Err("interrupted".into()),
        };
        if let Err(reason) = outcome {
            result.outcome = Verdict::Failed;
            result.reason = Some(reason);
        }
        result.seconds = started.elapsed().as_secs_f64();
        self.run.event(&scenario.name, &result.cell, "verdict", &result.outcome);
        self.run.add(result.clone());
        result
    }

    async fn carry_out(&self, scenario: &Scenario, cell: Cell, result: &mut ScenarioResult) -> Result<(), String> {
        let logs = self.run.cell(&scenario.name, &cell.to_string()).map_err(|error| error.to_string())?;
        (self.say)(&format!("{}::{cell}: {}", scenario.name, scenario.summary));
        let booting = Instant::now();
        let progress = |progress: Progress| self.progress(&booting, &progress);
        let lab = Lab::boot(&scenario.topology, self.setup, &logs, &progress).await.map_err(|error| chain(&error))?;
        result.boot_seconds = booting.elapsed().as_secs_f64();
        let outcome = tokio::select! {
            outcome = self.steps(scenario, cell, &lab, &logs, result) => outcome,
            (machine, trouble) = lab.trouble() => Err(format!("machine {machine}: {trouble}")),
        };
        self.collect(&lab, &logs).await;
        lab.tear_down().await.map_err(|error| chain(&error))?;
        outcome
    }

    fn progress(&self, booting: &Instant, progress: &Progress) {
        let (machine, words) = match progress {
            Progress::Started(machine) => (machine, "QEMU runs"),
            Progress::Answers(machine) => (machine, "user space answers"),
            Progress::Ready(machine) => (machine, "cloud-init is done"),
        };
        (self.say)(&format!("  boot  {machine}: {words} after {:.1} s", booting.elapsed().as_secs_f64()));
    }

    async fn steps(
        &self,
        scenario: &Scenario,
        cell: Cell,
        lab: &Lab,
        logs: &Path,
        result: &mut ScenarioResult,
    ) -> Result<(), String> {
        let mut stage = Stage::new(lab, &scenario.topology.domain)?;
        for (index, step) in scenario.steps.iter().enumerate() {
            if cell == Cell::Control && step.fault {
                result.steps.push(omitted(step));
                (self.say)(&format!("  omit  {}: {}", step.on.get_ref(), step.name));
                continue;
            }
            let started = Instant::now();
            let performed = stage.perform(step).await;
            let (outcome, done) = judge(cell, step, performed);
            let step_result = StepResult {
                name: step.name.clone(),
                machine: step.on.get_ref().clone(),
                outcome,
                seconds: started.elapsed().as_secs_f64(),
                asked: lab.identity().redact(&done.asked),
                answered: lab.identity().redact(&done.answered),
            };
            if let Some(transcript) = &done.transcript {
                let file = logs.join(format!("step-{:02}.txt", index + 1));
                let text = format!("{}\n\n{}\n", step.name, lab.identity().redact(transcript));
                fs_err::write(file, text).map_err(|error| error.to_string())?;
            }
            self.report(scenario, cell, &step_result);
            let failed = outcome == StepOutcome::Failed;
            let reason = format!(
                "step {} on {}, \"{}\": {} → {}",
                index + 1,
                step_result.machine,
                step.name,
                step_result.asked,
                step_result.answered
            );
            result.steps.push(step_result);
            if failed {
                return Err(reason);
            }
        }
        Ok(())
    }

    fn report(&self, scenario: &Scenario, cell: Cell, step: &StepResult) {
        let mark = if step.outcome == StepOutcome::Passed { "ok  " } else { "FAIL" };
        (self.say)(&format!(
            "  {mark}  {}: {} ({:.1} s)\n          {} → {}",
            step.machine, step.name, step.seconds, step.asked, step.answered
        ));
        self.run.event(&scenario.name, &cell.to_string(), "step", step);
    }

    /// Journals, for whoever reads the result. A guest that cannot give them any more has a console log.
    async fn collect(&self, lab: &Lab, logs: &Path) {
        for machine in lab.machines() {
            let deadline = lab.pace().deadline(Duration::from_secs(5)).at_most(Duration::from_secs(20));
            let journal = machine
                .execute("journalctl --boot --no-pager --output short-precise | tail -c 4000000", deadline)
                .await;
            if let Ok(journal) = journal {
                let text = lab.identity().redact(&journal.stdout);
                let _ = fs_err::write(logs.join(format!("journal-{}.log", machine.name())), text);
            }
        }
    }
}

/// In the control no symptom may hold; everything else is as it is.
fn judge(cell: Cell, step: &Step, performed: Result<Done, StepError>) -> (StepOutcome, Done) {
    let inverted = cell == Cell::Control && step.symptom;
    match performed {
        Ok(done) if inverted => (StepOutcome::Failed, with(done, "the symptom shows without the fault: ")),
        Ok(done) => (StepOutcome::Passed, done),
        Err(StepError::Unmet(done)) if inverted => (StepOutcome::Passed, with(done, "no symptom: ")),
        Err(StepError::Unmet(done)) => (StepOutcome::Failed, done),
        Err(StepError::Broken(reason)) => (
            StepOutcome::Failed,
            Done { asked: "the step could not be carried out".into(), answered: reason, transcript: None },
        ),
    }
}

fn with(done: Done, words: &str) -> Done {
    Done { answered: format!("{words}{}", done.answered), ..done }
}

fn omitted(step: &Step) -> StepResult {
    StepResult {
        name: step.name.clone(),
        machine: step.on.get_ref().clone(),
        outcome: StepOutcome::Omitted,
        seconds: 0.0,
        asked: String::new(),
        answered: String::new(),
    }
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let mut text = error.to_string();
    for cause in causes {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
