//! Expectations as pure functions: what a step expects, held against what was observed. Asking the guest is done elsewhere.

mod command;
mod stored;

pub(super) use command::Printed;
pub(super) use stored::{Copies, MARK};

/// An observation, held against an expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    /// What was observed, in a few words.
    pub(super) observed: String,
    /// Each key of the expectation that is not met.
    pub(super) unmet: Vec<Unmet>,
}

/// A key of an expectation that is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unmet {
    /// The key, as a scenario file spells it.
    pub(super) key: &'static str,
    /// What was observed instead; empty where the observation says it already.
    pub(super) words: String,
}

impl Judged {
    /// An observation that nothing is expected of yet.
    pub(super) fn new(observed: impl Into<String>) -> Self {
        Self { observed: observed.into(), unmet: Vec::new() }
    }

    /// Adds that `key` is not met, unless `met`. `words` tell what was observed instead.
    pub(super) fn expect(&mut self, key: &'static str, met: bool, words: impl FnOnce() -> String) {
        if !met {
            self.unmet.push(Unmet { key, words: words() });
        }
    }

    /// Whether every key is met.
    pub(super) fn is_met(&self) -> bool {
        self.unmet.is_empty()
    }

    /// The observation, and what is wrong with it.
    pub(super) fn answered(&self) -> String {
        let words = self.unmet.iter().map(|unmet| unmet.words.as_str()).filter(|words| !words.is_empty());
        std::iter::once(self.observed.as_str()).chain(words).collect::<Vec<_>>().join("; ")
    }
}
