//! Secrets that nothing may hold which is kept or shown, and what replaces them: in a text, or in a stream as it comes.
//! [`find`] finds those of configuration files.

pub mod find;

use secrecy::{ExposeSecret as _, SecretString};
use std::sync::{Arc, PoisonError, RwLock};

/// What stands in place of a secret.
const MASK: &str = "******";

/// One of fewer letters cannot be told from other text.
const SHORTEST: usize = 3;

/// Secrets, the same for all clones: what one has learned, all replace.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Arc<RwLock<Vec<SecretString>>>);

impl Secrets {
    /// Takes more of them. What has less than three letters is left out.
    pub fn learn(&self, secrets: impl IntoIterator<Item = SecretString>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.extend(secrets.into_iter().filter(|secret| secret.expose_secret().chars().count() >= SHORTEST));
        // Where one is a part of another, the longer one goes first.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
    }

    /// The same text without them.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose_secret(), MASK))
    }

    /// How many bytes at the end of a text may be the beginning of one.
    fn begun(&self, text: &str) -> usize {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let longest = known.first().map_or(0, |secret| secret.expose_secret().len());
        let last = text.floor_char_boundary(text.len().saturating_sub(longest));
        let ends = text[last..].char_indices().map(|(index, _)| &text[last + index..]);
        let mut begun = ends.filter(|end| {
            known
                .iter()
                .any(|secret| secret.expose_secret().len() > end.len() && secret.expose_secret().starts_with(end))
        });
        begun.next().map_or(0, str::len)
    }
}

/// A text that comes in pieces, of which only what is no secret passes. What may become one is kept back.
#[derive(Debug, Default)]
pub struct Redaction {
    secrets: Secrets,
    held: String,
}

impl Redaction {
    /// One without these.
    #[must_use]
    pub fn of(secrets: &Secrets) -> Self {
        Self { secrets: secrets.clone(), held: String::new() }
    }

    /// What does not pass.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// What passes of this, and of what was kept back.
    #[must_use]
    pub fn pass(&mut self, text: &str) -> String {
        self.held.push_str(text);
        let begun = self.secrets.begun(&self.held);
        let whole = self.secrets.redact(&self.held);
        if begun == 0 {
            self.held.clear();
            return whole;
        }
        let (passed, kept) = self.held.split_at(self.held.len() - begun);
        let redacted = self.secrets.redact(passed);
        // Otherwise what seems to begin there is the end of one that is complete.
        if whole == format!("{redacted}{}", self.secrets.redact(kept)) {
            self.held = kept.to_owned();
            return redacted;
        }
        self.held.clear();
        whole
    }

    /// What was kept back, as no more comes.
    #[must_use]
    pub fn end(&mut self) -> String {
        self.secrets.redact(&std::mem::take(&mut self.held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn secrets(words: &[&str]) -> Secrets {
        let secrets = Secrets::default();
        secrets.learn(words.iter().map(|word| SecretString::from(*word)));
        secrets
    }

    #[test]
    fn longer_ones_go_first_and_short_ones_not_at_all() {
        assert_eq!(secrets(&["tulip", "tulips", "ab"]).redact("tulips tulip ab"), "****** ****** ab");
    }

    #[test]
    fn what_a_clone_has_learned_all_replace() {
        let one = secrets(&[]);
        let mut stream = Redaction::of(&one);
        assert_eq!(stream.pass("tulip"), "tulip");
        one.clone().learn([SecretString::from("tulip")]);
        assert_eq!(stream.pass(" tulip "), " ****** ");
    }

    #[test]
    fn a_stream_tells_what_does_not_pass() {
        let stream = Redaction::of(&secrets(&["tulip"]));
        assert_eq!(stream.secrets().redact("a tulip"), "a ******");
    }

    /// Pieces, and what passes of each; the last is for the end.
    #[rstest]
    #[case::in_one_piece(&["password tulip!"], &["password ******!", ""])]
    #[case::torn(&["password tu", "lip!"], &["password ", "******!", ""])]
    #[case::begun_and_something_else(&["tuli", "k"], &["", "tulik", ""])]
    #[case::the_end_of_a_prompt_is_seen_at_once(&["login: "], &["login: ", ""])]
    #[case::never_finished(&["tul"], &["", "tul"])]
    #[case::one_begins_another(&["tulip", "s"], &["", "******", ""])]
    #[case::one_begins_another_that_does_not_come(&["tulip", "!"], &["", "******!", ""])]
    #[case::begins_as_it_ends(&["abcda", "bcd"], &["******", "bcd", ""])]
    #[case::of_more_than_ascii(&["öl ü", "bel"], &["öl ", "******", ""])]
    fn a_stream_is_redacted_as_it_comes(#[case] pieces: &[&str], #[case] passed: &[&str]) {
        let mut stream = Redaction::of(&secrets(&["tulip", "tulips", "abcda", "übel"]));
        let mut seen: Vec<_> = pieces.iter().map(|piece| stream.pass(piece)).collect();
        seen.push(stream.end());
        assert_eq!(seen, passed);
    }

    proptest! {
        /// However a text is torn, no secret of it passes.
        #[test]
        fn no_piece_lets_one_through(text in "[abcü]{0,40}", cuts in prop::collection::vec(0_usize..40, 0..6)) {
            let secrets = secrets(&["abc", "bcab", "üü", "cccc"]);
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| text.floor_char_boundary(cut)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut stream = Redaction::of(&secrets);
            let mut passed: String = cuts.windows(2).map(|ends| stream.pass(&text[ends[0]..ends[1]])).collect();
            passed.push_str(&stream.end());
            for secret in ["abc", "bcab", "cccc"] {
                prop_assert!(!passed.contains(secret), "{passed}");
            }
        }
    }
}
