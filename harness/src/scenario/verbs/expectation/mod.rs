//! Expectations as pure functions: what a step expects, held against what was observed. Asking the guest is done elsewhere.

#[cfg(test)]
pub(crate) mod cases;

pub(crate) use super::configuration::expect::FailedPrediction;
pub(crate) use super::guest::expect_command::Printed;
pub(crate) use super::guest::expect_file::FileSeen;
pub(crate) use super::guest::expect_units::UnitsSeen;
pub(crate) use super::machine::expect::{Rebooted, Upgraded};
pub(crate) use super::machine::expect_clock::TimeTold;
pub(crate) use super::mail::expect_delivery::{Bulk, Sighting};
pub(crate) use super::mailbox::expect_inbox::InboxSeen;
pub(crate) use super::mailbox::expect_stored::{Copies, MARK};
pub(crate) use super::storage::expect::{Built, compared};
pub(crate) use super::traffic::expect::Contacted;

/// An observation, held against an expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    /// What was observed, in a few words.
    pub(crate) observed: String,
    /// Each key of the expectation that is not met.
    pub(crate) unmet: Vec<Unmet>,
}

/// A key of an expectation that is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unmet {
    /// The key, as a scenario file spells it.
    pub(crate) key: &'static str,
    /// What was observed instead, as a control sees it.
    pub(crate) instead: Instead,
    /// The same in words; empty where the observation says it already.
    pub(crate) words: String,
}

/// What was observed where an expectation is not met, as a control sees it: there a symptom must be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instead {
    /// What a sound system shows. Of a kind without a natural opposite, such as a command, anything but the symptom.
    Sound,
    /// Neither the symptom nor what a sound system shows: whether the symptom is absent cannot be judged.
    Unclear,
}

impl Judged {
    /// An observation that nothing is expected of yet.
    pub(crate) fn new(observed: impl Into<String>) -> Self {
        Self { observed: observed.into(), unmet: Vec::new() }
    }

    /// Adds that `key` is not met, unless `met`. `words` tell what was observed instead.
    pub(crate) fn expect(&mut self, key: &'static str, met: bool, instead: Instead, words: impl FnOnce() -> String) {
        if !met {
            self.unmet.push(Unmet { key, instead, words: words() });
        }
    }

    /// Whether every key is met.
    pub(crate) fn is_met(&self) -> bool {
        self.unmet.is_empty()
    }

    /// What was observed, as a control sees it. None if every key is met.
    pub(crate) fn instead(&self) -> Option<Instead> {
        let unclear = self.unmet.iter().find(|unmet| unmet.instead == Instead::Unclear);
        unclear.or(self.unmet.first()).map(|unmet| unmet.instead)
    }

    /// The observation, and what is wrong with it.
    pub(crate) fn answered(&self) -> String {
        let words = self.unmet.iter().map(|unmet| unmet.words.as_str()).filter(|words| !words.is_empty());
        std::iter::once(self.observed.as_str()).chain(words).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One key of which it is not clear what it shows leaves all of it unclear.
    #[rstest::rstest]
    #[case::all_are_met(&[], None)]
    #[case::sound(&[Instead::Sound, Instead::Sound], Some(Instead::Sound))]
    #[case::the_last_is_unclear(&[Instead::Sound, Instead::Unclear], Some(Instead::Unclear))]
    #[case::the_first_is_unclear(&[Instead::Unclear, Instead::Sound], Some(Instead::Unclear))]
    fn what_is_unclear_decides(#[case] unmet: &[Instead], #[case] expected: Option<Instead>) {
        let mut judged = Judged::new("x");
        for instead in unmet {
            judged.expect("key", false, *instead, String::new);
        }
        assert_eq!(judged.instead(), expected);
    }
}
