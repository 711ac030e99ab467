//! What a step is told that sends mail in bulk.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::scenario::format::span::TimeSpan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use std::time::Duration;
use toml::Spanned;

/// Bytes of a body, where the step does not say.
const BYTES: usize = 2000;
/// The largest body: whoever wants to send more wants to fill a disk.
const MOST_BYTES: usize = 8 << 20;

/// Mail in bulk: at a pace, or with neither `per-minute` nor `senders` as fast as one sender gets it taken.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Load {
    /// The user who submits it, after a login for each message; without one it comes from a neighbour, on port 25.
    #[schemars(with = "Option<String>")]
    pub from: Option<Spanned<String>>,
    /// The users who get it, one message each in turn.
    #[schemars(with = "Vec<String>")]
    pub to: Spanned<Vec<Spanned<String>>>,
    /// How long new messages are sent. It is a time of the host's clock, the same on any host.
    pub lasts: TimeSpan,
    /// So many messages a minute.
    #[schemars(with = "Option<NonZeroU32>")]
    pub per_minute: Option<Spanned<NonZeroU32>>,
    /// So many of them must be taken: the server keeps up with the pace. Only with `per-minute`.
    #[schemars(with = "Option<NonZeroU32>")]
    pub at_least: Option<Spanned<NonZeroU32>>,
    /// So many senders at once, each with its next message as soon as the last one is dealt with.
    #[schemars(with = "Option<NonZeroU32>")]
    pub senders: Option<Spanned<NonZeroU32>>,
    /// Bytes of a message's body, about; 2000 if it is not given.
    #[schemars(with = "Option<usize>")]
    pub bytes: Option<Spanned<usize>>,
    /// Users who meanwhile log in by IMAP and look into their inbox, again and again. All of them must get in each time.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub readers: Vec<Spanned<String>>,
    /// What becomes of what was accepted.
    #[serde(default)]
    pub expect: Arrival,
    /// What its figures are called; without a name they are not compared with others.
    pub label: Option<String>,
}

/// What becomes of messages that a server has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// Each arrives, once, with the body that it was sent with.
    #[default]
    Complete,
    /// Some do not, or not once, or not as they were sent.
    Wrong,
}

impl Load {
    /// Bytes of a body.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.as_ref().map_or(BYTES, |bytes| *bytes.get_ref())
    }

    /// How many messages fall due: the first one at the begin.
    fn sent_at_pace(&self, per_minute: NonZeroU32) -> u32 {
        let each = Duration::from_mins(1) / per_minute.get();
        let due = self.lasts.duration().as_nanos().div_ceil(each.as_nanos().max(1));
        u32::try_from(due).unwrap_or(u32::MAX)
    }

    /// Everybody whom it names.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.from.iter().chain(self.to.get_ref()).chain(&self.readers)
    }

    /// What it says goes together.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        if self.to.get_ref().is_empty() {
            diagnostics.push(Diagnostic::new("a load needs somebody who gets it", self.to.span()));
        }
        if let (Some(_), Some(senders)) = (&self.per_minute, &self.senders) {
            let diagnostic = Diagnostic::new("a load has a pace or a number of senders", senders.span());
            diagnostics
                .push(diagnostic.with_help(
                    "with `per-minute` one sender keeps the pace; with `senders` each is as fast as it can",
                ));
        }
        if let Some(least) = &self.at_least {
            let most = self.per_minute.as_ref().map(|pace| self.sent_at_pace(*pace.get_ref()));
            match most {
                None => diagnostics
                    .push(Diagnostic::new("`at-least` is about a pace, and needs `per-minute`", least.span())),
                Some(most) if least.get_ref().get() > most => {
                    diagnostics
                        .push(Diagnostic::new(format!("no more than {most} are sent in that time"), least.span()));
                }
                Some(_) => {}
            }
        }
        if let Some(bytes) = self.bytes.as_ref().filter(|bytes| *bytes.get_ref() > MOST_BYTES) {
            diagnostics.push(Diagnostic::new(format!("a body has at most {MOST_BYTES} bytes"), bytes.span()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        load: Load,
    }

    #[rstest::rstest]
    #[case::least("to = ['alice'], lasts = '1 min'", &[])]
    #[case::to_nobody("to = [], lasts = '1 min'", &["needs somebody"])]
    #[case::two_paces("to = ['alice'], lasts = '1 min', per-minute = 10, senders = 2", &["a pace or a number of senders"])]
    #[case::keeps_up("to = ['alice'], lasts = '1 min', per-minute = 10, at-least = 10", &[])]
    #[case::more_than_are_sent("to = ['alice'], lasts = '1 min', per-minute = 10, at-least = 11", &["no more than 10 are sent"])]
    #[case::no_pace("to = ['alice'], lasts = '1 min', senders = 2, at-least = 1", &["needs `per-minute`"])]
    #[case::too_large("to = ['alice'], lasts = '1 min', bytes = 9000000", &["at most 8388608 bytes"])]
    fn what_goes_together(#[case] text: &str, #[case] expected: &[&str]) {
        let File { load } = toml::from_str(&format!("load = {{ {text} }}")).unwrap();
        let mut diagnostics = Diagnostics::default();
        load.check(&mut diagnostics);
        let said = format!("{diagnostics:?}");
        assert_eq!(diagnostics.is_empty(), expected.is_empty(), "{said}");
        assert!(expected.iter().all(|words| said.contains(words)), "{said}");
    }
}
