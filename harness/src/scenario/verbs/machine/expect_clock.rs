//! The clock of a machine, against this host's.

use crate::scenario::format::span::TimeSpan;
use crate::scenario::verbs::expectation::Instead::Sound;
use crate::scenario::verbs::expectation::Judged;
use jiff::Timestamp;
use std::time::Duration;

/// What a clock told, between two moments of this host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeTold {
    /// The moment before it was asked.
    pub(crate) before: Timestamp,
    /// What it told.
    pub(crate) told: Timestamp,
    /// The moment after its answer.
    pub(crate) after: Timestamp,
}

impl TimeTold {
    /// Holds the clock against the expectation that it is right to so much.
    pub(crate) fn judge(self, tolerance: TimeSpan) -> Judged {
        let between = |from: Timestamp, to: Timestamp| Duration::try_from(to.duration_since(from)).unwrap_or_default();
        let (ahead, behind) = (between(self.after, self.told), between(self.told, self.before));
        let words = match (ahead.is_zero(), behind.is_zero()) {
            (true, true) => "which is right".to_owned(),
            (false, _) => format!("{:.1} s ahead", ahead.as_secs_f64()),
            (true, false) => format!("{:.1} s behind", behind.as_secs_f64()),
        };
        let mut judged = Judged::new(format!("{}, {words}", self.told));
        judged.expect("right_within", ahead.max(behind) <= tolerance.duration(), Sound, String::new);
        judged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::right("12:00:01Z", true, "which is right")]
    #[case::a_little_behind("11:59:58.5Z", true, "1.5 s behind")]
    #[case::ahead("13:00:02Z", false, "3600.0 s ahead")]
    #[case::behind("11:59:57.5Z", false, "2.5 s behind")]
    fn a_clock_is_wrong_by_what_asking_does_not_explain(#[case] told: &str, #[case] met: bool, #[case] words: &str) {
        let at = |time: &str| format!("2026-11-02T{time}").parse().unwrap();
        let told = TimeTold { before: at("12:00:00Z"), told: at(told), after: at("12:00:02Z") };
        let judged = told.judge("2 s".parse().unwrap());
        assert_eq!(judged.is_met(), met);
        assert!(judged.observed.ends_with(words), "{}", judged.observed);
    }
}
