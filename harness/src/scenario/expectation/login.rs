//! How a server met a login.

use super::Instead::{Sound, Unclear};
use super::Judged;
use crate::mail::Outcome;
use crate::scenario::step::Answer;

/// Holds a server's answer to a login against what is expected of it.
pub(in crate::scenario) fn judge_login(expect: Answer, reason: Option<&str>, outcome: &Outcome) -> Judged {
    let found = Answer::of(outcome);
    let mut judged = Judged::new(outcome.to_string());
    let instead = if found == Some(expect.in_a_sound_system()) { Sound } else { Unclear };
    judged.expect("expect", found == Some(expect), instead, String::new);
    if let (true, Some(reason)) = (judged.is_met(), reason) {
        let words = outcome.reason().unwrap_or_default();
        judged.expect("reason", words.contains(reason), Unclear, || format!("lacks `{reason}`"));
    }
    judged
}

impl Answer {
    /// The answer that this outcome is, if a file can expect it.
    fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Accepted => Some(Self::Accepted),
            Outcome::Refused { .. } => Some(Self::Refused),
            Outcome::Unavailable { .. } => Some(Self::Unavailable),
            Outcome::Untrusted { .. } | Outcome::ProtocolError { .. } => None,
        }
    }

    /// What a sound system answers where a broken one answers this.
    fn in_a_sound_system(self) -> Self {
        match self {
            Self::Accepted => Self::Refused,
            Self::Refused | Self::Unavailable => Self::Accepted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Instead;
    use super::*;

    fn outcomes() -> [Outcome; 5] {
        let reason = || "words".to_owned();
        [
            Outcome::Accepted,
            Outcome::Refused { reason: reason() },
            Outcome::Unavailable { reason: reason() },
            Outcome::Untrusted { reason: reason() },
            Outcome::ProtocolError { detail: reason() },
        ]
    }

    /// Each answer that a file can expect, held against each outcome.
    #[test]
    fn only_the_sound_answer_shows_that_a_symptom_is_absent() {
        let answers = [Answer::Accepted, Answer::Refused, Answer::Unavailable];
        let told = |judged: &Judged| match judged.instead() {
            None => "met".to_owned(),
            Some(Instead::Sound) => "sound".to_owned(),
            Some(Instead::Unclear) => "unclear".to_owned(),
        };
        let lines = answers.iter().flat_map(|answer| {
            outcomes()
                .map(|outcome| format!("{answer:?} | {outcome} | {}", told(&judge_login(*answer, None, &outcome))))
        });
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
    }

    #[rstest::rstest]
    #[case::the_words("words", true)]
    #[case::other_words("wards", false)]
    #[case::our_own_word_for_it("refused", false)]
    fn a_reason_is_in_the_servers_words(#[case] reason: &str, #[case] met: bool) {
        let judged = judge_login(Answer::Refused, Some(reason), &outcomes()[1]);
        assert_eq!((judged.is_met(), judged.instead()), (met, (!met).then_some(Unclear)));
    }
}
