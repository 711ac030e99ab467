//! What changed in a machine's configuration, and what was predicted of that.

use crate::drift::{Drift, Holds, How, Inventory};
use crate::guest_path::GuestPath;
use crate::scenario::format::step::{DriftSince, PredictUpgrade, VerifyPrediction};
use crate::scenario::verbs::expectation::Instead::Sound;
use crate::scenario::verbs::expectation::Judged;
use std::collections::BTreeSet;

impl DriftSince {
    /// Holds the drift against the expectation: each way in which it is otherwise.
    pub(crate) fn judge(&self, drift: &Drift, now: &Inventory) -> Judged {
        let count = |how| drift.changes.iter().filter(|change| change.how == how).count();
        let mut judged = Judged::new(format!(
            "{} removed, {} changed, {} with another mode or owner, {} added",
            count(How::Removed),
            count(How::Changed),
            count(How::Attributes),
            count(How::Added)
        ));
        let lists = [
            (How::Removed, "removed", "removed", &self.removed),
            (How::Changed, "changed", "changed", &self.changed),
            (How::Attributes, "attributes", "given another mode or owner", &self.attributes),
            (How::Added, "added", "added", &self.added),
        ];
        for (how, key, word, list) in lists {
            let Some(list) = list else { continue };
            let wanted: BTreeSet<_> = list.iter().map(|path| GuestPath::from(path.get_ref().as_str())).collect();
            let changes = drift.changes.iter().filter(|change| change.how == how && change.second_of.is_none());
            let found: BTreeSet<_> =
                changes.map(|change| change.path.clone()).filter(|path| self.is_about(path)).collect();
            for path in wanted.difference(&found) {
                judged.expect(key, false, Sound, || format!("{path} was not {word}{}", but(drift, path)));
            }
            for path in found.difference(&wanted) {
                judged.expect(key, false, Sound, || format!("{path} was {word}"));
            }
        }
        for path in &self.kept {
            let path = GuestPath::from(path.get_ref().as_str());
            match drift.at(&path) {
                Some(change) if change.how != How::Claims => {
                    judged.expect("kept", false, Sound, || format!("{path} was {}", change.fate()));
                }
                _ => judged.expect("kept", now.files.contains_key(&path), Sound, || {
                    format!("{path} is not there, and was not before")
                }),
            }
        }
        for (path, second) in &self.backups {
            let (path, second) = (GuestPath::from(path.as_str()), GuestPath::from(second.as_str()));
            let seconds = drift.at(&path).map(|change| change.seconds.as_slice()).unwrap_or_default();
            let found = seconds.iter().find(|found| found.path == second);
            judged.expect("backups", found.is_some_and(|found| found.holds == Holds::Old), Sound, || match found {
                Some(found) => format!("{second} holds {}", found.holds),
                None => format!("the old content of {path} is not in {second}"),
            });
        }
        judged
    }

    /// Whether the lists are about this path.
    fn is_about(&self, path: &GuestPath) -> bool {
        let is_below = |directory: &toml::Spanned<String>| {
            let inside = path.as_bytes().strip_prefix(directory.get_ref().trim_end_matches('/').as_bytes());
            inside.is_some_and(|rest| rest.first() == Some(&b'/'))
        };
        self.below.is_empty() || self.below.iter().any(is_below)
    }
}

/// What became of it instead.
fn but(drift: &Drift, path: &GuestPath) -> String {
    drift.at(path).map(|change| format!(", but {}", change.fate())).unwrap_or_default()
}

impl PredictUpgrade {
    /// Holds the files that will be lost, of so many, against the expectation.
    pub(crate) fn judge(&self, files: usize, lost: &BTreeSet<&str>) -> Judged {
        let names = lost.iter().copied().collect::<Vec<_>>().join(", ");
        let names = if lost.is_empty() { String::new() } else { format!(": {names}") };
        let mut judged = Judged::new(format!("{files} files, {} of them lost without a backup{names}", lost.len()));
        if let Some(loses) = &self.loses {
            let expected: BTreeSet<_> = loses.iter().map(|path| path.get_ref().as_str()).collect();
            judged.expect("loses", expected == *lost, Sound, || match expected.difference(lost).next() {
                Some(path) => format!("{path} is not among them"),
                None => "others than expected".into(),
            });
        }
        judged
    }
}

/// One file of which something else came than was predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedPrediction {
    /// Its path.
    pub(crate) path: String,
    /// What was predicted, and what came.
    pub(crate) words: String,
}

/// So many wrong predictions are told in a line.
const TOLD: usize = 5;

impl VerifyPrediction {
    /// Holds what was predicted wrongly, of so many files, against the rule that nothing is.
    pub(crate) fn judge(&self, files: usize, wrong: &[FailedPrediction]) -> Judged {
        let is_excepted = |path: &str| self.except.iter().any(|excepted| excepted.get_ref() == path);
        let wrong: Vec<_> = wrong.iter().filter(|wrong| !is_excepted(&wrong.path)).collect();
        let mut judged = Judged::new(format!("{} of {files} files are as was said", files.saturating_sub(wrong.len())));
        judged.expect("prediction", wrong.is_empty(), Sound, || {
            wrong.iter().take(TOLD).map(|wrong| wrong.words.as_str()).collect::<Vec<_>>().join("; ")
        });
        judged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::verbs::expectation::cases::{drift_between, read};

    #[rstest::rstest]
    #[case::right("removed = ['/etc/a']\nchanged = ['/etc/b']\nadded = []", &[])]
    #[case::nothing_asked("", &[])]
    #[case::not_removed("removed = ['/etc/a', '/etc/b']", &["/etc/b was not removed, but replaced, and the old content left as /etc/b.rpmsave"])]
    #[case::removed_too("removed = []", &["/etc/a was removed"])]
    #[case::elsewhere("removed = []\nbelow = ['/etc/x']", &[])]
    #[case::kept("kept = ['/etc/c']", &[])]
    #[case::not_kept("kept = ['/etc/a', '/etc/b', '/etc/z']", &[
        "/etc/a was removed without a backup",
        "/etc/b was replaced, and the old content left as /etc/b.rpmsave",
        "/etc/z is not there, and was not before",
    ])]
    #[case::backup("backups = { '/etc/b' = '/etc/b.rpmsave' }", &[])]
    #[case::no_backup("backups = { '/etc/a' = '/etc/a.rpmsave' }", &["the old content of /etc/a is not in /etc/a.rpmsave"])]
    fn each_mismatch_is_named(#[case] lists: &str, #[case] expected: &[&str]) {
        let (drift, now) = drift_between(
            &[("/etc/a", "a"), ("/etc/b", "b"), ("/etc/c", "c")],
            &[("/etc/b", "new"), ("/etc/b.rpmsave", "b"), ("/etc/c", "c")],
        );
        let step: DriftSince = read(&format!("since = 'x'\n{lists}"));
        let judged = step.judge(&drift, &now);
        assert_eq!(judged.unmet.iter().map(|unmet| unmet.words.as_str()).collect::<Vec<_>>(), expected);
    }
}
