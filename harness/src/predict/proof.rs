//! What was foretold, held against what an upgrade then did.

use super::disk::OnDisk;
use super::dump::System;
use super::entry::Content;
use super::fate::Fate;
use super::model::UpgradePrediction;
use super::plan::Plan;
use super::repository::Repository;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;

/// The suffixes of the second files that rpm leaves.
const SUFFIXES: [&str; 3] = [".rpmsave", ".rpmorig", ".rpmnew"];

/// A prediction, with all that tells later whether it came true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictedFile {
    /// The path, in `/etc`.
    pub path: String,
    /// The package that has it, or brings it.
    pub package: String,
    /// What will become of it.
    pub fate: Fate,
    /// The second file that will be left.
    pub backup: Option<String>,
    /// What was there.
    before: OnDisk,
    /// What a package brings there.
    coming: Option<Content>,
    /// Second files that were there already.
    beside: Vec<String>,
}

/// A prediction that did not come true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The path.
    pub path: String,
    /// What was said of it.
    pub fate: Fate,
    /// What is so instead.
    pub instead: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was to be {}, but {}", self.path, self.fate, self.instead)
    }
}

/// What to hold on to of a forecast. Paths outside of `/etc` are left out: a later dump knows only those among them that a
/// package has as configuration then.
#[must_use]
pub fn predicted_files(
    forecast: &UpgradePrediction,
    system: &System,
    repository: &Repository,
    plan: &Plan,
) -> Vec<PredictedFile> {
    let coming = plan.coming.iter().flat_map(|index| &repository.packages[*index].files);
    let mut brought: HashMap<&str, &Content> = HashMap::new();
    for (path, entry) in coming {
        brought.entry(path).or_insert(&entry.content);
    }
    let in_etc = forecast.files.iter().filter(|file| file.path.starts_with("/etc/"));
    in_etc
        .map(|file| PredictedFile {
            path: file.path.clone(),
            package: file.package.clone(),
            fate: file.fate,
            backup: file.backup.clone(),
            before: system.on_disk(&file.path).clone(),
            coming: brought.get(file.path.as_str()).map(|content| (*content).clone()),
            beside: seconds(&file.path).filter(|second| system.on_disk(second).exists()).collect(),
        })
        .collect()
}

/// Each prediction that did not come true on the system as it is now.
#[must_use]
pub fn wrong(foretold: &[PredictedFile], now: &System) -> Vec<Wrong> {
    let instead = |file: &PredictedFile| file.at_path(now).or_else(|| file.beside(now));
    let wrong = foretold
        .iter()
        .filter_map(|file| instead(file).map(|instead| Wrong { path: file.path.clone(), fate: file.fate, instead }));
    wrong.collect()
}

fn seconds(path: &str) -> impl Iterator<Item = String> {
    SUFFIXES.into_iter().map(move |suffix| format!("{path}{suffix}"))
}

impl PredictedFile {
    /// What is wrong at the path itself.
    fn at_path(&self, now: &System) -> Option<String> {
        let there = now.on_disk(&self.path);
        match self.fate {
            Fate::DeletedWithoutBackup | Fate::RemovedWithRpmsave | Fate::Removed | Fate::Absent => {
                there.exists().then(|| "it is there".into())
            }
            // What a scriptlet does with it was not said.
            Fate::Unknown => None,
            Fate::Edited | Fate::Rewritten => (!there.exists()).then(|| "it is gone".into()),
            Fate::Moved => (*there == self.before).then(|| "it is what it was".into()),
            Fate::Kept | Fate::KeptWithRpmnew | Fate::Blocked | Fate::Restored | Fate::Shadowed | Fate::LeftBehind => {
                (*there != self.before).then(|| differs(there, "it is not what it was"))
            }
            Fate::OverwrittenWithoutBackup
            | Fate::ReplacedWithRpmsave
            | Fate::ReplacedWithRpmorig
            | Fate::Created
            | Fate::Updated => {
                let right = self.coming.as_ref().map_or(there.exists(), |coming| is(there, coming));
                (!right).then(|| differs(there, "it is not what the package brings"))
            }
        }
    }

    /// What is wrong with second files.
    fn beside(&self, now: &System) -> Option<String> {
        if matches!(self.fate, Fate::Unknown | Fate::Edited | Fate::Moved) {
            return None;
        }
        for second in seconds(&self.path) {
            let there = now.on_disk(&second);
            if self.backup.as_ref() == Some(&second) {
                let right = match &self.coming {
                    _ if self.fate.keeps_copy() => *there == self.before,
                    Some(coming) => is(there, coming),
                    None => there.exists(),
                };
                if !right {
                    return Some(differs(there, "has other content").replace("it is gone", "is not there"))
                        .map(|what| format!("{second} {what}"));
                }
            } else if there.exists() && !self.beside.contains(&second) {
                return Some(format!("{second} is there"));
            }
        }
        None
    }
}

/// Whether this is what the package has; of what it does not tell, whether anything is there.
fn is(there: &OnDisk, coming: &Content) -> bool {
    match coming {
        Content::Regular(None) => there.exists(),
        coming => there.equals(coming),
    }
}

fn differs(there: &OnDisk, how: &str) -> String {
    if there.exists() { how.to_owned() } else { "it is gone".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::entry::{Algorithm, Digest};

    fn digest(hex: &str) -> Digest {
        Digest { algorithm: Algorithm::Sha256, hex: hex.into() }
    }

    fn system(files: &[(&str, &str)]) -> System {
        let disk = files.iter().map(|(path, hex)| ((*path).to_owned(), OnDisk::Regular(vec![digest(hex)])));
        System { disk: disk.collect(), ..System::default() }
    }

    fn foretold(fate: Fate) -> PredictedFile {
        PredictedFile {
            path: "/etc/a".into(),
            package: "a-1".into(),
            fate,
            backup: fate.suffix().map(|suffix| format!("/etc/a{suffix}")),
            before: OnDisk::Regular(vec![digest("old")]),
            coming: Some(Content::Regular(Some(digest("new")))),
            beside: Vec::new(),
        }
    }

    #[rstest::rstest]
    #[case::kept(Fate::Kept, &[("/etc/a", "old")], None)]
    #[case::not_kept(Fate::Kept, &[("/etc/a", "new")], Some("it is not what it was"))]
    #[case::gone(Fate::Kept, &[], Some("it is gone"))]
    #[case::deleted(Fate::DeletedWithoutBackup, &[], None)]
    #[case::not_deleted(Fate::DeletedWithoutBackup, &[("/etc/a", "old")], Some("it is there"))]
    #[case::backed_up_after_all(Fate::DeletedWithoutBackup, &[("/etc/a.rpmsave", "old")], Some("/etc/a.rpmsave is there"))]
    #[case::saved(Fate::RemovedWithRpmsave, &[("/etc/a.rpmsave", "old")], None)]
    #[case::not_saved(Fate::RemovedWithRpmsave, &[], Some("/etc/a.rpmsave is not there"))]
    #[case::saved_otherwise(Fate::ReplacedWithRpmsave, &[("/etc/a", "new"), ("/etc/a.rpmsave", "new")], Some("/etc/a.rpmsave has other content"))]
    #[case::replaced(Fate::ReplacedWithRpmsave, &[("/etc/a", "new"), ("/etc/a.rpmsave", "old")], None)]
    #[case::not_replaced(Fate::ReplacedWithRpmsave, &[("/etc/a", "old"), ("/etc/a.rpmsave", "old")], Some("it is not what the package brings"))]
    #[case::new_beside(Fate::KeptWithRpmnew, &[("/etc/a", "old"), ("/etc/a.rpmnew", "new")], None)]
    #[case::nothing_beside(Fate::KeptWithRpmnew, &[("/etc/a", "old")], Some("/etc/a.rpmnew is not there"))]
    #[case::put_back(Fate::Restored, &[("/etc/a", "old")], None)]
    #[case::not_put_back(Fate::Restored, &[("/etc/a.rpmsave", "old")], Some("it is gone"))]
    #[case::moved(Fate::Moved, &[("/etc/b", "old")], None)]
    #[case::not_moved(Fate::Moved, &[("/etc/a", "old")], Some("it is what it was"))]
    #[case::unknown(Fate::Unknown, &[("/etc/a.rpmsave", "old")], None)]
    #[case::edited(Fate::Edited, &[("/etc/a", "other")], None)]
    #[case::edited_away(Fate::Edited, &[], Some("it is gone"))]
    #[case::updated(Fate::Updated, &[("/etc/a", "new")], None)]
    fn each_prediction_is_held_against_the_disk(
        #[case] fate: Fate,
        #[case] now: &[(&str, &str)],
        #[case] instead: Option<&str>,
    ) {
        let found = wrong(&[foretold(fate)], &system(now));
        assert_eq!(found.first().map(|wrong| wrong.instead.as_str()), instead, "{found:?}");
    }

    #[test]
    fn an_older_second_file_is_no_surprise() {
        let file = PredictedFile { beside: vec!["/etc/a.rpmnew".into()], ..foretold(Fate::Kept) };
        assert_eq!(wrong(&[file], &system(&[("/etc/a", "old"), ("/etc/a.rpmnew", "older")])), []);
    }
}
