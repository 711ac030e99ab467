//! When a contact was needed: in which case, and at which step.

use harness::network::flows::Flow;
use harness::results::ScenarioResult;
use std::fmt;

/// A step that needed a contact, as it is told: `relay::main: step 3, "alice writes to both"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    /// `SCENARIO::CASE`.
    pub(super) case: String,
    /// The step's number and name; none for what came before the first one.
    pub(super) step: Option<(usize, String)>,
}

impl Need {
    /// The step during which a flow began to be a contact.
    pub(super) fn of(result: &ScenarioResult, flow: &Flow) -> Self {
        let begun = result.steps.iter().rev().find(|step| step.started.is_some() && step.started <= flow.contact);
        let step = begun.and_then(|step| Some((step.number?, step.name.clone())));
        Self { case: format!("{}::{}", result.name, result.case), step }
    }

    /// Reads what was told; nothing, if it is something else.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (case, when) = text.split_once(": ")?;
        let step = when.strip_prefix("step ").and_then(|step| {
            let (number, name) = step.split_once(", ")?;
            Some((number.parse().ok()?, name.trim_matches('"').to_owned()))
        });
        case.contains("::").then(|| Self { case: case.to_owned(), step })
    }

    /// Its scenario.
    pub(super) fn scenario(&self) -> &str {
        self.case.split_once("::").map_or(&*self.case, |(scenario, _)| scenario)
    }

    /// The first step that can fail for want of the contact.
    pub(super) fn number(&self) -> usize {
        self.step.as_ref().map_or(1, |(number, _)| *number)
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            Some((number, name)) => write!(f, "{}: step {number}, \"{name}\"", self.case),
            None => write!(f, "{}: before the first step", self.case),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::a_step("relay::main: step 3, \"alice writes: to both, and a third\"", Some((3, "alice writes: to both, and a third")))]
    #[case::before("egress-lockdown::verdict=drop: before the first step", None)]
    fn what_was_told_is_read_again(#[case] text: &str, #[case] step: Option<(usize, &str)>) {
        let need = Need::read(text).unwrap();
        assert_eq!(need.step, step.map(|(number, name)| (number, name.to_owned())));
        assert_eq!(need.to_string(), text);
    }

    #[rstest::rstest]
    #[case::a_persons_words("because the boss wants it")]
    #[case::with_a_colon("why: because")]
    fn other_words_are_no_step(#[case] text: &str) {
        assert_eq!(Need::read(text), None);
    }
}
