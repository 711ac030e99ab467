//! What a step, or a cell, comes to, and how it is said.

use super::format::{Cell, Kind, Scenario};
use super::step::{Action, Power, Step};
use super::steps::{Done, StepError, with};
use crate::evidence::{ScenarioResult, StepOutcome, StepResult, Verdict};

/// The result of a cell of which nothing is known yet.
pub(super) fn unjudged(scenario: &Scenario, cell: &Cell) -> ScenarioResult {
    ScenarioResult {
        name: scenario.name.clone(),
        cell: cell.to_string(),
        outcome: Verdict::Passed,
        reason: None,
        seconds: 0.0,
        lab_seconds: 0.0,
        covers: cell.covers(),
        kept: None,
        steps: Vec::new(),
    }
}

pub(super) fn asked_of_lab(action: &Action) -> String {
    match action {
        Action::Checkpoint(checkpoint) => format!("keep the state of the lab as `{}`", checkpoint.name.get_ref()),
        Action::Rewind(rewind) => format!("go back to `{}`", rewind.to.get_ref()),
        Action::Reboot(_) => "systemctl reboot".into(),
        Action::Power(Power::Cut) => "pull the plug".into(),
        Action::Power(Power::Shutdown) => "systemctl poweroff".into(),
        Action::Power(Power::On) => "switch on".into(),
        _ => String::new(),
    }
}

pub(super) fn failure(index: usize, step: &StepResult) -> String {
    format!("step {} on {}, \"{}\": {} → {}", index + 1, step.machine, step.name, step.asked, step.answered)
}

/// In the control no symptom may hold; everything else is as it is.
pub(super) fn judge(kind: Kind, step: &Step, performed: Result<Done, StepError>) -> (StepOutcome, Done) {
    let inverted = kind == Kind::Control && step.symptom;
    match performed {
        Ok(done) if inverted => (StepOutcome::Failed, with(done, "the symptom shows without the fault: ")),
        Ok(done) => (StepOutcome::Passed, done),
        Err(StepError::Unmet(done)) if inverted => (StepOutcome::Passed, with(done, "no symptom: ")),
        Err(StepError::Unmet(done)) => (StepOutcome::Failed, done),
        Err(StepError::Lacking(reason)) => (
            StepOutcome::Skipped,
            Done { asked: "whether it can be tried here".into(), answered: reason, transcript: None },
        ),
        Err(StepError::Broken(reason)) => (
            StepOutcome::Failed,
            Done { asked: "the step could not be carried out".into(), answered: reason, transcript: None },
        ),
    }
}

pub(super) fn omitted(step: &Step) -> StepResult {
    StepResult {
        name: step.name.get_ref().clone(),
        machine: step.machine().to_owned(),
        outcome: StepOutcome::Omitted,
        seconds: 0.0,
        asked: String::new(),
        answered: String::new(),
        diagnosis: None,
    }
}

/// An error with all its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::expected(Kind::Fault, false)]
    #[case::symptom_of_a_control(Kind::Control, true)]
    fn what_cannot_be_tried_is_neither_good_nor_bad(#[case] kind: Kind, #[case] symptom: bool) {
        let text = format!("name = \"bad\"\non = \"mail\"\nsymptom = {symptom}\ndo.impair = {{ loss_percent = 5 }}");
        let step: Step = toml::from_str(&text).unwrap();
        let (outcome, done) = judge(kind, &step, Err(StepError::Lacking("it has no netem".into())));
        assert_eq!((outcome, done.answered.as_str()), (StepOutcome::Skipped, "it has no netem"));
    }
}
