//! How a lab behaves with one configuration and with another.

use super::tree::{OwnEtc, Shown};
use crate::bounded::Comparer;
use crate::results::{StepOutcome, StepResult};
use serde::Serialize;
use std::collections::BTreeSet;

/// What became of a step with one configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// What became of it; none, if the run did not come so far.
    pub outcome: Option<StepOutcome>,
    /// What was answered.
    pub answered: String,
    /// Why a login was refused.
    pub diagnosis: Option<String>,
}

/// A step that went one way with one configuration, and another with the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The step's sentence: what should be true.
    pub step: String,
    /// With the first configuration.
    pub first: Seen,
    /// With the second.
    pub second: Seen,
}

/// Steps whose outcomes differ, or that fail for different reasons. Answers differ in times and numbers: they are shown, and not
/// compared.
#[must_use]
pub fn differences(first: &[StepResult], second: &[StepResult]) -> Vec<Difference> {
    let seen = |steps: &[StepResult], name: &str| {
        let step = steps.iter().find(|step| step.name == name);
        Seen {
            outcome: step.map(|step| step.outcome),
            answered: step.map(|step| step.answered.clone()).unwrap_or_default(),
            diagnosis: step.and_then(|step| step.diagnosis.clone()),
        }
    };
    let mut known = BTreeSet::new();
    let names = first.iter().chain(second).map(|step| step.name.as_str()).filter(|name| known.insert(*name));
    let all =
        names.map(|name| Difference { step: name.to_owned(), first: seen(first, name), second: seen(second, name) });
    all.filter(|Difference { first, second, .. }| {
        (first.outcome, &first.diagnosis) != (second.outcome, &second.diagnosis)
    })
    .collect()
}

/// A file that two configurations do not have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileDifference {
    /// Its path below `/etc`.
    pub path: String,
    /// Lines that differ, as `diff -u` has them, with a mask for each secret; or why none are shown, in brackets.
    pub diff: String,
}

/// Files that differ.
#[must_use]
pub fn file_differences(first: &OwnEtc, second: &OwnEtc) -> Vec<FileDifference> {
    let paths: BTreeSet<_> = first.paths().chain(second.paths()).collect();
    let differing = paths.into_iter().filter(|path| first.content(path) != second.content(path));
    let comparer = Comparer::default();
    let difference = |path: &str| match (first.shown(path), second.shown(path)) {
        (Shown::Text(before), Shown::Text(after)) if before == after => "(only its secrets differ)\n".to_owned(),
        (Shown::Text(before), Shown::Text(after)) => comparer.unified(&before, &after, 1, None),
        (Shown::Withheld(why), _) | (_, Shown::Withheld(why)) => format!("(its lines are not shown: {why})\n"),
    };
    differing.map(|path| FileDifference { path: path.to_owned(), diff: difference(path) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, outcome: StepOutcome, diagnosis: Option<&str>) -> StepResult {
        StepResult {
            name: name.into(),
            machine: "mail".into(),
            outcome,
            seconds: 1.0,
            asked: "x".into(),
            answered: "after 1.0 s".into(),
            diagnosis: diagnosis.map(str::to_owned),
            number: None,
            part: crate::results::Part::Plain,
            phase: None,
            line: None,
            started: None,
            transcript: None,
            files: Vec::new(),
            cores: None,
        }
    }

    #[test]
    fn outcomes_and_causes_are_compared() {
        use StepOutcome::{Failed, Passed};
        let first =
            [step("a", Passed, None), step("b", Passed, None), step("c", Failed, Some("x")), step("d", Passed, None)];
        let second = [step("a", Passed, None), step("b", Failed, Some("y")), step("c", Failed, Some("y"))];
        let found = differences(&first, &second);
        let names: Vec<_> = found.iter().map(|difference| difference.step.as_str()).collect();
        assert_eq!(names, ["b", "c", "d"]);
        assert_eq!(found[2].second.outcome, None);
        assert!(differences(&first, &first).is_empty());
    }

    #[rstest::rstest]
    #[case::with_a_password(
        "imapd.conf",
        "a: 1\nsasl_sql_passwd: tulip\n",
        "a: 2\nsasl_sql_passwd: tulip-2\n",
        "@@ -1,2 +1,2 @@\n-a: 1\n+a: 2\n sasl_sql_passwd: ******\n"
    )]
    #[case::a_password_alone("ldap.conf", "bindpw tulip\n", "bindpw x\n", "(only its secrets differ)\n")]
    #[case::a_key(
        "ssl/own.pem",
        "-----BEGIN PRIVATE KEY-----\ntulip\n",
        "",
        "(its lines are not shown: it is a secret, or no text)\n"
    )]
    #[case::unknown(
        "vendor/licence",
        "tulip",
        "rose",
        "(its lines are not shown: its format is not known: `show` in rehearsal.toml can name it)\n"
    )]
    fn files_are_compared_without_secrets(
        #[case] path: &str,
        #[case] one: &str,
        #[case] other: &str,
        #[case] expected: &str,
    ) {
        let load = |text: &str| {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
            OwnEtc::load(directory.path()).unwrap()
        };
        let found = file_differences(&load(one), &load(other));
        assert_eq!(found.iter().map(|file| file.diff.as_str()).collect::<Vec<_>>(), [expected]);
    }
}
