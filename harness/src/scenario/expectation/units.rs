//! The states of units, and whether they were started again.

use super::Instead::Sound;
use super::Judged;
use crate::scenario::step::Units;
use std::collections::BTreeMap;

/// What was seen of units.
#[derive(Debug, Clone, Default)]
pub(in crate::scenario) struct UnitsSeen {
    /// The state of each.
    pub(in crate::scenario) states: BTreeMap<String, String>,
    /// The identity of each unit's run, at the mark and now.
    pub(in crate::scenario) runs: Option<(BTreeMap<String, String>, BTreeMap<String, String>)>,
}

impl Units {
    /// Holds what was seen against the expectation.
    pub(in crate::scenario) fn judge(&self, seen: &UnitsSeen) -> Judged {
        let mut judged = Judged::new(format!("{} units", self.active.len()));
        for unit in &self.active {
            let state = seen.states.get(unit).map_or("unknown", String::as_str);
            judged.expect("active", state == "active", Sound, || format!("{unit} is {state}"));
        }
        if self.same_since.is_some() {
            let (before, now) = seen.runs.clone().unwrap_or_default();
            for unit in &self.active {
                let same = before.get(unit).is_some_and(|run| now.get(unit) == Some(run));
                judged.expect("same_since", same, Sound, || format!("{unit} was started again"));
            }
        }
        if judged.is_met() {
            judged.observed = "active".into();
        }
        judged
    }
}
