//! Breaks a lab on purpose before one step, to see whether the scenario notices: a part of the run's course, not of the scenario.

use super::case_run::{CaseRun, Engine, RunOptions};
use crate::lab::Lab;
use crate::machine::Machine;
use crate::results::{Part, StepOutcome, StepResult};
use crate::time::Deadline;
use std::time::{Duration, Instant};

/// How long one command of a mutation may take: nominal.
const PATIENCE: Duration = Duration::from_secs(30);

/// One breakage of a lab.
#[derive(Debug, Clone, Copy)]
pub struct Mutation<'a> {
    /// What the results call it.
    pub name: &'a str,
    /// The machine that it breaks.
    pub on: &'a str,
    /// The step that it comes before, as an index into the case's steps.
    pub before: usize,
    /// The command that breaks the machine, for `/bin/sh`.
    pub command: &'a str,
    /// The command that succeeds once the machine is broken, and fails before.
    pub probe: &'a str,
    /// The step that is expected to fail, as an index: the run ends with it.
    pub noticed_by: usize,
    /// How long that step waits, at most, for what will not come true: nominal.
    pub longest_wait: Duration,
}

/// Why a mutation is not in force.
#[derive(Debug, thiserror::Error)]
enum NotInForce {
    #[error("there is no machine `{0}` in the lab")]
    NoMachine(String),
    #[error("its probe succeeds before anything is broken, so it proves nothing: `{0}`")]
    ProbeProvesNothing(String),
    #[error(transparent)]
    Failed(#[from] crate::machine::VerbError),
}

impl RunOptions<'_> {
    /// Whether a run may start behind, or keep for later runs, the state after the step `index`: a broken lab is nobody else's.
    pub(crate) fn is_sound_after(&self, index: usize) -> bool {
        self.mutation.is_none_or(|mutation| index < mutation.before)
    }

    /// How many of a case's steps are carried out.
    pub(crate) fn ends(&self, steps: usize) -> usize {
        self.mutation.map_or(steps, |mutation| steps.min(mutation.noticed_by + 1))
    }

    /// The longest wait of the step `index`, where it is not the step's own.
    pub(crate) fn longest_wait_at(&self, index: usize) -> Option<Duration> {
        let noticing = self.mutation.filter(|mutation| mutation.noticed_by == index);
        noticing.map(|mutation| mutation.longest_wait).or(self.longest_wait)
    }
}

impl Engine<'_> {
    /// Breaks the lab, if the step `next` is the one that the mutation comes before. What is told of it has no number.
    pub(crate) async fn mutate(
        &self,
        play: &CaseRun<'_>,
        lab: &Lab,
        next: usize,
        steps: &mut Vec<StepResult>,
    ) -> Result<(), String> {
        let Some(mutation) = self.course.mutation.filter(|mutation| mutation.before == next) else { return Ok(()) };
        let step = mutation.applied(lab).await;
        self.report(play, &step);
        let failure = (step.outcome == StepOutcome::Failed).then(|| format!("{}: {}", step.name, step.answered));
        steps.push(step);
        failure.map_or(Ok(()), Err)
    }
}

impl Mutation<'_> {
    async fn applied(&self, lab: &Lab) -> StepResult {
        let begun = Instant::now();
        let (outcome, answered) = match self.apply(lab).await {
            Ok(()) => (StepOutcome::Passed, "its probe failed before, and succeeds now".to_owned()),
            Err(error) => (StepOutcome::Failed, error.to_string()),
        };
        StepResult {
            name: format!("the mutant {} is in force", self.name),
            machine: self.on.to_owned(),
            outcome,
            seconds: begun.elapsed().as_secs_f64(),
            asked: lab.identity().redact(self.command),
            answered: lab.identity().redact(&answered),
            number: None,
            part: Part::Fault,
            phase: None,
            line: None,
            started: None,
            diagnosis: None,
            transcript: None,
            files: Vec::new(),
            cores: None,
        }
    }

    async fn apply(&self, lab: &Lab) -> Result<(), NotInForce> {
        let machine: &Machine = lab.machine(self.on).ok_or_else(|| NotInForce::NoMachine(self.on.to_owned()))?;
        let deadline = || -> Deadline { lab.pace().deadline(PATIENCE) };
        if machine.execute(self.probe, deadline()).await?.status == 0 {
            return Err(NotInForce::ProbeProvesNothing(self.probe.to_owned()));
        }
        machine.succeed(self.command, deadline()).await?;
        machine.wait_until_succeeds(self.probe, deadline()).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUTATION: Mutation<'_> = Mutation {
        name: "deaf",
        on: "mail",
        before: 2,
        command: "systemctl stop postfix",
        probe: "! systemctl is-active postfix",
        noticed_by: 3,
        longest_wait: Duration::from_secs(10),
    };

    fn course() -> RunOptions<'static> {
        RunOptions { mutation: Some(MUTATION), longest_wait: Some(Duration::from_secs(45)), ..RunOptions::default() }
    }

    #[rstest::rstest]
    #[case::before(1, true)]
    #[case::at_the_step_that_it_comes_before(2, false)]
    #[case::after(3, false)]
    fn no_checkpoint_of_a_broken_lab_is_used_or_kept(#[case] index: usize, #[case] expected: bool) {
        assert_eq!(course().is_sound_after(index), expected);
        assert!(RunOptions::default().is_sound_after(index));
    }

    #[rstest::rstest]
    #[case::behind_the_step_that_notices(9, 4)]
    #[case::a_case_that_is_shorter(3, 3)]
    fn a_run_ends_with_the_step_that_is_to_notice(#[case] steps: usize, #[case] expected: usize) {
        assert_eq!(course().ends(steps), expected);
        assert_eq!(RunOptions::default().ends(steps), steps);
    }

    #[rstest::rstest]
    #[case::the_step_that_notices(3, 10)]
    #[case::another(2, 45)]
    fn only_the_step_that_is_to_notice_waits_less(#[case] index: usize, #[case] seconds: u64) {
        assert_eq!(course().longest_wait_at(index), Some(Duration::from_secs(seconds)));
    }
}
