//! Whom a machine contacted, by its packets, and what a packet filter says of that.

use super::Instead::Sound;
use super::Judged;
use crate::scenario::step::Egress;

/// What was seen of a machine's contacts.
#[derive(Debug, Clone, Default)]
pub(in crate::scenario) struct Contacted {
    /// All contacts, in words.
    pub(in crate::scenario) all: Vec<String>,
    /// Those that may not be.
    pub(in crate::scenario) strangers: Vec<String>,
    /// Those of the list that were not contacted.
    pub(in crate::scenario) missing: Vec<String>,
    /// Where the filter's log and the packets disagree.
    pub(in crate::scenario) by_log: Option<String>,
    /// Where the filters' counters and the packets disagree.
    pub(in crate::scenario) by_counters: Vec<String>,
    /// Whether the machine's capture has reached its limit.
    pub(in crate::scenario) is_full: bool,
}

impl Egress {
    /// Holds a machine's contacts against the expectation.
    pub(in crate::scenario) fn judge(&self, seen: &Contacted) -> Judged {
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
