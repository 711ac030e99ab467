//! A bad network, as a scenario describes it.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::scenario::format::span::TimeSpan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use toml::Spanned;

/// What happens to packets that the machine sends. With nothing given they go as they should, again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Impairment {
    /// They are late by this; it is not stretched.
    #[schemars(with = "Option<TimeSpan>")]
    pub delay: Option<Spanned<TimeSpan>>,
    /// They are late by so much more or less, each by another time.
    #[schemars(with = "Option<TimeSpan>")]
    pub jitter: Option<Spanned<TimeSpan>>,
    /// So many of a hundred are lost.
    #[schemars(with = "Option<u8>", range(min = 1, max = 100))]
    pub loss_percent: Option<Spanned<u8>>,
    /// So many of a hundred arrive twice.
    #[schemars(with = "Option<u8>", range(min = 1, max = 100))]
    pub duplicate_percent: Option<Spanned<u8>>,
}

impl Impairment {
    /// The shares are shares, and jitter has a delay to vary.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        for share in [&self.loss_percent, &self.duplicate_percent].into_iter().flatten() {
            if !(1..=100).contains(share.get_ref()) {
                diagnostics.push(Diagnostic::new("this must be from 1 to 100", share.span()));
            }
        }
        let delay = self.delay.as_ref().map(|delay| delay.get_ref().duration()).unwrap_or_default();
        if let Some(jitter) = self.jitter.as_ref().filter(|jitter| jitter.get_ref().duration() > delay) {
            let diagnostic = Diagnostic::new("packets cannot come before they are sent", jitter.span());
            diagnostics.push(diagnostic.with_help("`jitter` is at most as long as `delay`"));
        }
    }

    /// The words of tc(8) for it, behind `netem` (tc-netem(8)); none if packets go as they should.
    pub(crate) fn netem(&self) -> Option<String> {
        let mut words = String::new();
        if let Some(delay) = &self.delay {
            let _ = write!(words, " delay {}ms", delay.get_ref().duration().as_millis());
            if let Some(jitter) = &self.jitter {
                let _ = write!(words, " {}ms", jitter.get_ref().duration().as_millis());
            }
        }
        for (word, share) in [("loss", &self.loss_percent), ("duplicate", &self.duplicate_percent)] {
            if let Some(share) = share {
                let _ = write!(words, " {word} {}%", share.get_ref());
            }
        }
        (!words.is_empty()).then(|| words.trim_start().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Impairment, Vec<String>) {
        let impairment: Impairment = toml::from_str(text).unwrap();
        let mut diagnostics = Diagnostics::default();
        impairment.check(&mut diagnostics);
        let good = diagnostics.is_empty();
        (impairment, if good { Vec::new() } else { vec![format!("{diagnostics:?}")] })
    }

    #[rstest::rstest]
    #[case::nothing("", None)]
    #[case::late("delay = \"2 s\"", Some("delay 2000ms"))]
    #[case::all(
        "delay = \"200 ms\"\njitter = \"20 ms\"\nloss_percent = 10\nduplicate_percent = 5",
        Some("delay 200ms 20ms loss 10% duplicate 5%")
    )]
    fn it_is_told_as_tc_wants_it(#[case] text: &str, #[case] words: Option<&str>) {
        let (impairment, diagnostics) = read(text);
        assert_eq!((impairment.netem().as_deref(), diagnostics.len()), (words, 0));
    }

    #[rstest::rstest]
    #[case::no_share("loss_percent = 0", "from 1 to 100")]
    #[case::too_large_a_share("duplicate_percent = 101", "from 1 to 100")]
    #[case::jitter_of_nothing("jitter = \"1 s\"", "cannot come before they are sent")]
    #[case::too_much_jitter("delay = \"1 s\"\njitter = \"2 s\"", "cannot come before they are sent")]
    fn nonsense_is_told(#[case] text: &str, #[case] words: &str) {
        let (_, diagnostics) = read(text);
        assert!(diagnostics.concat().contains(words), "{diagnostics:?}");
    }
}
