//! What a scenario has shown, kept as snapshots that a person reviews: a change of behaviour is *seen*, not only judged.
//!
//! [`Record`] is what a step has shown; [`normal()`] takes out what is different on every day; [`Snapshots`] is a directory
//! of files in the form of insta, so `cargo insta review` shows them, too. This room knows texts and files, not scenarios.

pub mod normal;
mod snapshots;

pub use normal::normal;
pub use snapshots::{OnDifference, Snapshots, pending};

/// What a step has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The scenario.
    pub scenario: String,
    /// Its case.
    pub case: String,
    /// The step's sentence.
    pub step: String,
    /// What it has shown, without secrets and in its normal form.
    pub text: String,
}

/// A sentence as the name of a file.
#[must_use]
pub fn file_name(sentence: &str) -> String {
    let words: Vec<_> = sentence
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let mut name = words.join("-");
    name.truncate(80);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::words("alice logs in", "alice-logs-in".to_owned())]
    #[case::signs("Alice's login: \"refused\"!", "alice-s-login-refused".to_owned())]
    #[case::long(&"ab ".repeat(40), format!("{}ab", "ab-".repeat(26)))]
    fn a_sentence_becomes_a_plain_name(#[case] sentence: &str, #[case] name: String) {
        assert_eq!(file_name(sentence), name);
    }
}
