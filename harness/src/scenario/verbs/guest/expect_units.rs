//! The states of units, and whether they were started again.

use crate::scenario::format::step::Units;
use crate::scenario::verbs::expectation::Instead::Sound;
use crate::scenario::verbs::expectation::Judged;
use std::collections::BTreeMap;

/// What was seen of units.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnitsSeen {
    /// The state of each.
    pub(crate) states: BTreeMap<String, String>,
    /// The identity of each unit's run, at the mark and now.
    pub(crate) runs: Option<(BTreeMap<String, String>, BTreeMap<String, String>)>,
}

impl Units {
    /// Holds what was seen against the expectation.
    pub(crate) fn judge(&self, seen: &UnitsSeen) -> Judged {
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
