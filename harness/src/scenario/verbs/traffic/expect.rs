//! Whom a machine contacted, by its packets, and what a packet filter says of that.

use crate::scenario::format::step::Egress;
use crate::scenario::verbs::expectation::Instead::Sound;
use crate::scenario::verbs::expectation::Judged;

/// What was seen of a machine's contacts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contacted {
    /// All contacts, in words.
    pub(crate) all: Vec<String>,
    /// Those that may not be.
    pub(crate) strangers: Vec<String>,
    /// Those of the list that were not contacted.
    pub(crate) missing: Vec<String>,
    /// Where the filter's log and the packets disagree.
    pub(crate) by_log: Option<String>,
    /// Where the filters' counters and the packets disagree.
    pub(crate) by_counters: Vec<String>,
    /// Whether the machine's capture has reached its limit.
    pub(crate) is_full: bool,
}

impl Egress {
    /// Holds a machine's contacts against the expectation.
    pub(crate) fn judge(&self, seen: &Contacted) -> Judged {
        let mut judged = Judged::new(if seen.all.is_empty() { "nobody".to_owned() } else { seen.all.join(", ") });
        let list = if self.exactly.is_some() { "exactly" } else { "only" };
        for stranger in &seen.strangers {
            judged.expect(list, false, Sound, || stranger.clone());
        }
        if self.exactly.is_some() {
            for missing in &seen.missing {
                judged.expect(list, false, Sound, || format!("{missing} was not contacted"));
            }
        }
        judged.expect("logged", seen.by_log.is_none(), Sound, || seen.by_log.clone().unwrap_or_default());
        for words in &seen.by_counters {
            judged.expect("counted", false, Sound, || words.clone());
        }
        judged.expect("full", !self.full || seen.is_full, Sound, || "its capture has not reached its limit".into());
        judged
    }
}
