//! What a step, or a cell, comes to, and how it is said.

use super::format::{Cell, Kind, Scenario};
use super::step::{Action, Looking, Power, Step};
use super::steps::{Done, StepError, with};
use crate::evidence::{Beginning, Part, ScenarioResult, StepOutcome, StepResult, Verdict};
use crate::machine::{MachineName, Trouble};

/// The result of a cell of which nothing is known yet.
#[must_use]
pub fn unjudged(scenario: &Scenario, cell: &Cell) -> ScenarioResult {
    ScenarioResult {
        name: scenario.name.clone(),
        cell: cell.to_string(),
        summary: scenario.summary.clone(),
        file: scenario.file.display().to_string(),
        control: cell.kind == Kind::Control,
        outcome: Verdict::Passed,
        reason: None,
        started: None,
        seconds: 0.0,
        lab_seconds: 0.0,
        lab: Vec::new(),
        covers: cell.covers(),
        kept: None,
        close_calls: Vec::new(),
        cores: Vec::new(),
        starved: None,
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

/// What befell a machine, and at which step; steps from `next` on are not done.
pub(super) fn befell(cell: &Cell, next: usize, (machine, trouble): &(MachineName, Trouble)) -> String {
    let place = cell.steps.get(next).map_or_else(
        || "after the last step".to_owned(),
        |step| format!("at step {}, \"{}\"", next + 1, step.name.get_ref()),
    );
    format!("machine {machine}: {trouble}; {place}")
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

/// The result of the step `index` that the cell leaves out; others are made from it.
pub(super) fn omitted(scenario: &Scenario, index: usize, step: &Step) -> StepResult {
    let part = match (step.fault, step.symptom) {
        (true, _) => Part::Fault,
        (_, true) => Part::Symptom,
        _ => Part::Plain,
    };
    StepResult {
        number: Some(index + 1),
        name: step.name.get_ref().clone(),
        machine: step.machine().to_owned(),
        part,
        phase: step.phase.clone(),
        line: Some(scenario.line_of(step)),
        started: None,
        outcome: StepOutcome::Omitted,
        seconds: 0.0,
        asked: String::new(),
        answered: String::new(),
        diagnosis: None,
        transcript: None,
        files: Vec::new(),
        cores: None,
    }
}

/// A step as it is announced when it begins.
pub(super) fn beginning(index: usize, of: usize, step: &Step) -> Beginning {
    let looks = match step.looking() {
        Looking::Once => None,
        Looking::Within(span) => Some(format!("looks until it is so, {span} nominal")),
        Looking::Always(span) => Some(format!("looks for {span} nominal, whether it stays so")),
        Looking::Never(span) => Some(format!("looks for {span} nominal, whether it comes true")),
    };
    let (name, machine) = (step.name.get_ref().clone(), step.machine().to_owned());
    Beginning { number: index + 1, of, name, machine, looks }
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
