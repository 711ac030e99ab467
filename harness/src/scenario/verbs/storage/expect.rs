//! Layers of storage: built, taken down, or compared with what is there.

use crate::scenario::format::step::{Ending, Making, Storage};
use crate::scenario::verbs::expectation::Instead::{Sound, Unclear};
use crate::scenario::verbs::expectation::Judged;
use crate::storage::{Found, Layer};

/// What came of the work, or of the comparison, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Built {
    /// It is done, or all is as planned.
    Done(String),
    /// It failed, or something is otherwise.
    Failed(String),
    /// Nothing was done, since what is to be copied does not fit.
    NoRoom(String),
}

impl Storage {
    /// Holds what came of the work against the expectation.
    pub(crate) fn judge(&self, built: &Built) -> Judged {
        let (ending, key, words) = match built {
            Built::Done(words) => (Ending::Done, "expect", words),
            Built::Failed(words) if self.make == Making::Compared => (Ending::Failed, "layers", words),
            Built::Failed(words) => (Ending::Failed, "expect", words),
            Built::NoRoom(words) => (Ending::Failed, "room_for", words),
        };
        let mut judged = Judged::new(words);
        judged.expect(key, ending == self.expect, Sound, String::new);
        if judged.is_met() {
            for said in &self.output_contains {
                judged.expect("output_contains", words.contains(said), Unclear, || format!("does not say `{said}`"));
            }
        }
        judged
    }
}

/// Whether all layers are as planned, and what there is of each.
pub(crate) fn compared(found: &[(Layer, Found)]) -> Built {
    let words: Vec<_> = found.iter().map(|(layer, found)| format!("{layer}: {found}")).collect();
    let all = !found.is_empty() && found.iter().all(|(_, found)| *found == Found::AsPlanned);
    if all { Built::Done("as planned".into()) } else { Built::Failed(words.join("; ")) }
}
