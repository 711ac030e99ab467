//! How a server met a login.

use crate::mail::{Finding, Outcome};
use crate::scenario::format::step::Expected;
use crate::scenario::verbs::expectation::Instead::{Sound, Unclear};
use crate::scenario::verbs::expectation::Judged;

impl Expected<'_> {
    /// Holds what a probe found against it.
    pub(crate) fn judge(self, finding: &Finding) -> Judged {
        let found = finding.outcome();
        let mut judged = Judged::new(finding.to_string());
        let instead = if found == in_a_sound_system(self.outcome) { Sound } else { Unclear };
        judged.expect("expect", found == self.outcome, instead, String::new);
        if !judged.is_met() {
            return judged;
        }
        if let Some(because) = self.because.map(|because| *because.get_ref()) {
            let words = || format!("is not, or not only, {because}");
            judged.expect("because", finding.is_untrusted_for(because), Unclear, words);
        }
        if let Some(reason) = self.reason {
            let words = finding.words().unwrap_or_default();
            judged.expect("reason", words.contains(reason), Unclear, || format!("lacks `{reason}`"));
        }
        judged
    }
}

/// What a sound system answers where a broken one answers this.
fn in_a_sound_system(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Accepted => Outcome::Refused,
        Outcome::Refused
        | Outcome::Untrusted
        | Outcome::Unavailable
        | Outcome::ProtocolError
        | Outcome::Disconnected => Outcome::Accepted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::tls::Distrust;
    use crate::scenario::verbs::expectation::Instead;
    use toml::Spanned;

    /// All outcomes, read from the type.
    fn outcomes() -> Vec<Outcome> {
        values::<Outcome>()
    }

    /// All values of a list, by its schema.
    fn values<T: schemars::JsonSchema + serde::de::DeserializeOwned>() -> Vec<T> {
        let schema = schemars::schema_for!(T).to_value();
        let each = schema["oneOf"].as_array().unwrap().iter();
        each.map(|value| serde_json::from_value(value["const"].clone()).unwrap()).collect()
    }

    fn finding(outcome: Outcome) -> Finding {
        match outcome {
            Outcome::Accepted => Finding::accepted(),
            other => Finding::of(other, "words"),
        }
    }

    /// Each outcome that a file can expect, held against each that a probe can find.
    #[test]
    fn only_the_sound_answer_shows_that_a_symptom_is_absent() {
        let told = |judged: &Judged| match judged.instead() {
            None => "met".to_owned(),
            Some(Instead::Sound) => "sound".to_owned(),
            Some(Instead::Unclear) => "unclear".to_owned(),
        };
        let mut lines = Vec::new();
        for expected in outcomes() {
            for found in outcomes() {
                let judged = Expected { outcome: expected, because: None, reason: None }.judge(&finding(found));
                lines.push(format!("{expected:?} | {found:?} | {}", told(&judged)));
            }
        }
        insta::assert_snapshot!(lines.join("\n"));
    }

    /// Each reason that a file can expect, held against each that a probe can find, alone and beside another one.
    #[test]
    fn a_certificate_is_untrusted_for_no_other_reason() {
        let reasons = values::<Distrust>();
        assert!(reasons.len() > 2, "{reasons:?}");
        for because in &reasons {
            let spanned = Spanned::new(0..0, *because);
            let expected = Expected { outcome: Outcome::Untrusted, because: Some(&spanned), reason: None };
            for found in &reasons {
                let judged = expected.judge(&Finding::untrusted([*found], "words"));
                let is_it = because == found;
                assert_eq!((judged.is_met(), judged.instead()), (is_it, (!is_it).then_some(Unclear)), "{judged:?}");
                let judged = expected.judge(&Finding::untrusted([*because, *found], "words"));
                assert_eq!(judged.is_met(), is_it, "{judged:?}");
            }
        }
    }

    #[rstest::rstest]
    #[case::the_words("words", true)]
    #[case::other_words("wards", false)]
    #[case::our_own_word_for_it("refused", false)]
    fn a_reason_is_in_the_servers_words(#[case] reason: &str, #[case] met: bool) {
        let expected = Expected { outcome: Outcome::Refused, because: None, reason: Some(reason) };
        let judged = expected.judge(&finding(Outcome::Refused));
        assert_eq!((judged.is_met(), judged.instead()), (met, (!met).then_some(Unclear)));
    }
}
