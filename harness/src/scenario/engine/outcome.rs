//! What a step, or a case, comes to, and how it is said. The rules are pure functions: their tests try all combinations.

use crate::machine::{MachineFailure, MachineName};
use crate::results::{Beginning, CaseRecord, Part, StepOutcome, StepResult, Verdict};
use crate::scenario::format::scenario::{Case, Kind, Scenario};
use crate::scenario::format::step::{Action, Looking, Power, Step};
use crate::scenario::verbs::expectation::Instead;
use crate::scenario::verbs::{Done, StepError, shown, with};

/// What carrying a step out, or one look of it, came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// What it expects.
    Met,
    /// Something else.
    Unmet(Instead),
    /// Nothing: it could not be carried out.
    Broken,
    /// Nothing: it cannot be carried out here.
    Lacking,
}

/// What follows from a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another look.
    Again,
    /// The end: the step came to what was seen last.
    AsSeen,
    /// The end: the step came to the contrary, since what was seen must never be.
    Reversed,
}

/// What follows from a look of a step that looks so often.
#[expect(clippy::match_same_arms, reason = "a table, in the order of its questions")]
pub(crate) fn after_look(looking: Looking, shown: Shown, time_is_over: bool) -> Next {
    match (looking, shown) {
        (Looking::Once, _) => Next::AsSeen,
        (Looking::Within(_), Shown::Met) => Next::AsSeen,
        // A machine that cannot be asked may be starting.
        (Looking::Within(_), Shown::Unmet(_) | Shown::Broken | Shown::Lacking) if time_is_over => Next::AsSeen,
        (Looking::Within(_), Shown::Unmet(_) | Shown::Broken | Shown::Lacking) => Next::Again,
        (Looking::Always(_), Shown::Met) if time_is_over => Next::AsSeen,
        (Looking::Always(_), Shown::Met) => Next::Again,
        (Looking::Always(_), Shown::Unmet(_) | Shown::Broken | Shown::Lacking) => Next::AsSeen,
        (Looking::Never(_), Shown::Met) => Next::Reversed,
        (Looking::Never(_), Shown::Unmet(_)) if time_is_over => Next::Reversed,
        (Looking::Never(_), Shown::Unmet(_)) => Next::Again,
        (Looking::Never(_), Shown::Broken | Shown::Lacking) => Next::AsSeen,
    }
}

/// Whether a case leaves a step out.
pub(crate) fn is_left_out(kind: Kind, part: Part) -> bool {
    match (kind, part) {
        (Kind::Control, Part::Fault) => true,
        (Kind::Main | Kind::Fault, _) | (Kind::Control, Part::Plain | Part::Symptom | Part::Invariant) => false,
    }
}

/// What becomes of a step that was carried out. In a control a symptom must be absent, and only what a sound system shows proves
/// that.
pub(crate) fn outcome(kind: Kind, part: Part, shown: Shown) -> StepOutcome {
    let must_be_absent = kind == Kind::Control && part == Part::Symptom;
    match (shown, must_be_absent) {
        (Shown::Lacking, _) => StepOutcome::Skipped,
        (Shown::Met, false) | (Shown::Unmet(Instead::Sound), true) => StepOutcome::Passed,
        (Shown::Met, true)
        | (Shown::Unmet(Instead::Sound), false)
        | (Shown::Unmet(Instead::Unclear) | Shown::Broken, _) => StepOutcome::Failed,
    }
}

/// Whether an invariant holds. What cannot be looked at is not known to hold.
pub(crate) fn holds(shown: Shown) -> bool {
    match shown {
        Shown::Met => true,
        Shown::Unmet(_) | Shown::Broken | Shown::Lacking => false,
    }
}

/// The verdict on a case whose steps are to be carried out up to the number `wanted`, and why. It passes only if each of these was
/// dealt with, and one of them was carried out.
pub(crate) fn verdict(steps: &[StepResult], wanted: usize) -> (Verdict, Option<String>) {
    let mut failed = steps.iter().filter(|step| step.outcome == StepOutcome::Failed);
    if let Some(first) = failed.next() {
        let more = failed.count();
        let reason = format!("\"{}\": {} → {}, and {more} more failed", first.name, first.asked, first.answered);
        return (Verdict::Failed, Some(reason));
    }
    if let Some(skipped) = steps.iter().find(|step| step.outcome == StepOutcome::Skipped) {
        return (Verdict::Skipped, Some(skipped.answered.clone()));
    }
    let has = |number: usize| steps.iter().any(|step| step.number == Some(number));
    if let Some(missing) = (1..=wanted).find(|number| !has(*number)) {
        return (Verdict::Failed, Some(format!("step {missing} was not carried out")));
    }
    let was_carried_out =
        |step: &StepResult| step.number.is_some() && matches!(step.outcome, StepOutcome::Passed | StepOutcome::Kept);
    if !steps.iter().any(was_carried_out) {
        return (Verdict::Failed, Some("no step was carried out: nothing is shown".into()));
    }
    (Verdict::Passed, None)
}

/// What is known of a case of which nothing is judged yet.
#[must_use]
pub fn unjudged(scenario: &Scenario, case: &Case) -> CaseRecord {
    CaseRecord {
        name: scenario.name.clone(),
        case: case.to_string(),
        summary: scenario.summary.clone(),
        file: scenario.file.display().to_string(),
        control: case.kind == Kind::Control,
        seconds: 0.0,
        lab_seconds: 0.0,
        covers: case.covers(),
        kept: None,
        close_calls: Vec::new(),
        cores: Vec::new(),
        lost: None,
        steps: Vec::new(),
    }
}

pub(crate) fn asked_of_lab(action: &Action) -> String {
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

pub(crate) fn failure(index: usize, step: &StepResult) -> String {
    format!("step {} on {}, \"{}\": {} → {}", index + 1, step.machine, step.name, step.asked, step.answered)
}

/// What befell a machine, and at which step; steps from `next` on are not done.
pub(crate) fn befell(case: &Case, next: usize, (machine, trouble): &(MachineName, MachineFailure)) -> String {
    let place = case.steps.get(next).map_or_else(
        || "after the last step".to_owned(),
        |step| format!("at step {}, \"{}\"", next + 1, step.name.get_ref()),
    );
    format!("machine {machine}: {trouble}; {place}")
}

/// What becomes of a step that was carried out, and how it is told.
pub(crate) fn judge(kind: Kind, step: &Step, performed: Result<Done, StepError>) -> (StepOutcome, Done) {
    let (part, seen) = (part_of(step), shown(&performed));
    let outcome = outcome(kind, part, seen);
    let not_done = |asked: &str, answered| Done { asked: asked.into(), answered, transcript: None };
    let done = match performed {
        Ok(done) | Err(StepError::Unmet(done, _)) => done,
        Err(StepError::Lacking(reason)) => not_done("whether it can be tried here", reason),
        Err(StepError::Broken(reason)) => not_done("the step could not be carried out", reason),
    };
    let words = match (kind, part, seen) {
        (Kind::Control, Part::Symptom, Shown::Met) => "the symptom shows without the fault: ",
        (Kind::Control, Part::Symptom, Shown::Unmet(Instead::Sound)) => "no symptom: ",
        (Kind::Control, Part::Symptom, Shown::Unmet(Instead::Unclear)) => {
            "whether the symptom is absent cannot be judged, since this is not what a sound system shows: "
        }
        _ => "",
    };
    (outcome, with(done, words))
}

/// What a step is to its scenario.
pub(crate) fn part_of(step: &Step) -> Part {
    match (step.fault, step.symptom) {
        (true, _) => Part::Fault,
        (_, true) => Part::Symptom,
        _ => Part::Plain,
    }
}

/// The result of the step `index`, of which nothing but its outcome is known.
pub(crate) fn result_of(scenario: &Scenario, index: usize, step: &Step, outcome: StepOutcome) -> StepResult {
    StepResult {
        number: Some(index + 1),
        name: step.name.get_ref().clone(),
        machine: step.machine().to_owned(),
        part: part_of(step),
        phase: step.phase.clone(),
        line: Some(scenario.line_of(step)),
        started: None,
        outcome,
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
pub(crate) fn beginning(index: usize, of: usize, step: &Step) -> Beginning {
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
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
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
#[path = "outcome_tests.rs"]
mod tests;
