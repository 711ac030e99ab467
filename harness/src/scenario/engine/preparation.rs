//! What a run does to a lab that was just thawed, before the first step of a case: a part of the run's course, not of the scenario.

use super::case_run::{CaseRun, Engine};
use crate::lab::{CAPTURE_LIMIT_VARIABLE, Lab};
use crate::results::{Part, StepOutcome, StepResult};
use crate::scenario::verbs::{StepContext, TestState};
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long a command may take: nominal.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is done before the first step.
#[derive(Debug, Clone, Copy)]
pub struct Preparation<'a> {
    /// The packets of all machines are captured, from before it on.
    pub captured: bool,
    /// And a command is carried out.
    pub errand: Option<SetupCommand<'a>>,
}

/// A command for a machine's shell, which must end well.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SetupCommand<'a> {
    /// A sentence: what is so when it has ended well.
    pub name: &'a str,
    /// The machine.
    pub on: &'a str,
    /// The command, for `/bin/sh`.
    pub command: &'a str,
}

impl Engine<'_> {
    /// Prepares the lab as the run's course says. What is told of it has no number: numbers are the scenario's.
    pub(crate) async fn prepare(
        &self,
        play: &CaseRun<'_>,
        lab: &Lab,
        notes: &mut TestState,
        steps: &mut Vec<StepResult>,
    ) -> Result<(), String> {
        let Some(Preparation { captured, errand }) = self.course.preparation else { return Ok(()) };
        if captured {
            let mut stage = StepContext::new(lab, &play.case.lab.topology.domain, notes, self.say)?;
            let limit = crate::lab::capture_limit().map_err(|error| format!("{CAPTURE_LIMIT_VARIABLE}: {error}"))?;
            stage.begin_capture(None, "the preparation", limit).await.map_err(|error| error.to_string())?;
        }
        let Some(errand) = errand else { return Ok(()) };
        let step = errand.done(lab).await?;
        self.report(play, &step);
        let failure = (step.outcome == StepOutcome::Failed).then(|| format!("{}: {}", step.name, step.answered));
        steps.push(step);
        failure.map_or(Ok(()), Err)
    }
}

impl SetupCommand<'_> {
    async fn done(&self, lab: &Lab) -> Result<StepResult, String> {
        let begun = Instant::now();
        let machine = lab.machine(self.on).ok_or_else(|| format!("there is no machine `{}` in the lab", self.on))?;
        let (outcome, answered) = match machine.succeed(self.command, lab.pace().deadline(PATIENCE)).await {
            Ok(_) => (StepOutcome::Passed, "done".to_owned()),
            Err(error) => (StepOutcome::Failed, error.to_string()),
        };
        Ok(StepResult {
            name: self.name.to_owned(),
            machine: self.on.to_owned(),
            outcome,
            seconds: begun.elapsed().as_secs_f64(),
            asked: "what this run does before the first step".into(),
            answered: lab.identity().redact(&answered),
            number: None,
            part: Part::Plain,
            phase: None,
            line: None,
            started: None,
            diagnosis: None,
            transcript: None,
            files: Vec::new(),
            cores: None,
        })
    }
}
