//! What became of a mutant: whether the step that was to notice it did, and for the expected reason.

use super::definition::Placed;
use harness::results::{Part, ScenarioResult, StepResult, Verdict as CaseVerdict};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What became of a mutant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Verdict {
    /// The step that was to notice it failed, for the expected reason.
    Caught,
    /// All steps passed, up to the one that was to notice it.
    Survived,
    /// The case failed otherwise.
    WrongReason {
        /// How.
        why: String,
    },
    /// The machine is not broken, so nothing was tried.
    NotInForce {
        /// Why not.
        why: String,
    },
    /// The case cannot be tried on this host.
    NotTried {
        /// Why not.
        why: String,
    },
}

impl Verdict {
    /// The verdict on a mutant by the result of its case.
    pub(super) fn of(placed: &Placed, result: &ScenarioResult) -> Self {
        let reason = || result.reason.clone().unwrap_or_default();
        match (result.outcome, result.failed_step()) {
            (CaseVerdict::Passed, _) => Self::Survived,
            (CaseVerdict::Skipped, _) => Self::NotTried { why: reason() },
            (CaseVerdict::Failed, None) => Self::WrongReason { why: reason() },
            (CaseVerdict::Failed, Some(step)) => Self::of_failure(placed, step),
        }
    }

    fn of_failure(placed: &Placed, step: &StepResult) -> Self {
        let StepResult { number, answered, .. } = step;
        match number {
            None if step.part == Part::Fault => Self::NotInForce { why: answered.clone() },
            Some(number) if *number == placed.step() && answered.contains(&placed.mutant.answer_contains) => {
                Self::Caught
            }
            Some(number) if *number == placed.step() => Self::WrongReason {
                why: format!("the step failed and its answer lacks `{}`: {answered}", placed.mutant.answer_contains),
            },
            _ => Self::WrongReason {
                why: format!("\"{}\" failed, not \"{}\": {answered}", step.name, placed.mutant.noticed_by),
            },
        }
    }

    /// Why it was not caught.
    pub(super) fn why(&self) -> Option<&str> {
        match self {
            Self::Caught | Self::Survived => None,
            Self::WrongReason { why } | Self::NotInForce { why } | Self::NotTried { why } => Some(why),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Caught => "caught",
            Self::Survived => "SURVIVED",
            Self::WrongReason { .. } => "WRONG REASON",
            Self::NotInForce { .. } => "NOT IN FORCE",
            Self::NotTried { .. } => "not tried",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::mutants::definition::Mutants;
    use serde_json::json;

    /// A mutant of the project, whichever, and the result of its case where the step of this number failed with these words.
    fn tried(number: Option<usize>, part: Part, answered: &str) -> (Placed, ScenarioResult) {
        let placed = Mutants::load().unwrap().mutants.remove(0);
        let step = json!({"number": number, "name": "it", "machine": "mail", "part": part, "outcome": "failed",
            "seconds": 1.0, "asked": "", "answered": answered});
        (placed, result("failed", Some(step)))
    }

    fn result(outcome: &str, failed: Option<serde_json::Value>) -> ScenarioResult {
        serde_json::from_value(json!({
            "name": "logins", "case": "main", "summary": "", "file": "logins.toml", "control": false, "seconds": 1.0,
            "lab_seconds": 1.0, "outcome": outcome, "reason": "it is broken", "lab": [], "covers": [],
            "steps": failed.into_iter().collect::<Vec<_>>(),
        }))
        .unwrap()
    }

    #[test]
    fn the_expected_step_with_the_expected_answer_catches_a_mutant() {
        let placed = Mutants::load().unwrap().mutants.remove(0);
        let answered = format!("status 1: {}", placed.mutant.answer_contains);
        let (placed, result) = tried(Some(placed.step()), Part::Plain, &answered);
        assert_eq!(Verdict::of(&placed, &result), Verdict::Caught);
    }

    #[rstest::rstest]
    #[case::with_another_answer(Some(0), Part::Plain, "the answer is another", "WRONG REASON")]
    #[case::at_another_step(Some(1), Part::Plain, "", "WRONG REASON")]
    #[case::at_an_invariant(None, Part::Invariant, "", "WRONG REASON")]
    #[case::when_it_was_to_break(None, Part::Fault, "", "NOT IN FORCE")]
    fn any_other_failure_does_not_catch_it(
        #[case] steps_behind: Option<usize>,
        #[case] part: Part,
        #[case] answered: &str,
        #[case] expected: &str,
    ) {
        let expected_step = Mutants::load().unwrap().mutants.remove(0).step();
        let number = steps_behind.map(|behind| expected_step + behind);
        let (placed, result) = tried(number, part, answered);
        assert_eq!(Verdict::of(&placed, &result).to_string(), expected);
    }

    #[rstest::rstest]
    #[case::all_passed("passed", "SURVIVED")]
    #[case::the_lab_broke("failed", "WRONG REASON")]
    #[case::not_here("skipped", "not tried")]
    fn a_case_without_a_failed_step_does_not_catch_it(#[case] outcome: &str, #[case] expected: &str) {
        let placed = Mutants::load().unwrap().mutants.remove(0);
        assert_eq!(Verdict::of(&placed, &result(outcome, None)).to_string(), expected);
    }
}
