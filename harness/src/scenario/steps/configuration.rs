//! The configuration of a machine: what it is, and what changed.

use super::super::step::{DriftSince, InventoryAs};
use super::notes::{Exhibit, Kept};
use super::{Done, Notes, Stage, StepError, judged};
use crate::drift::{Drift, Holds, How, Inventory, collect};
use crate::guest_path::GuestPath;
use crate::lab::Lab;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the collection may take: nominal.
const COLLECTING: Duration = Duration::from_secs(20);

/// Takes the inventory of a machine now.
pub(in crate::scenario) async fn take_inventory(lab: &Lab, machine: &str, name: &str) -> Result<Kept, String> {
    let running = lab.machine(machine).ok_or_else(|| format!("machine {machine} is not in the lab"))?;
    let deadline = lab.pace().deadline(COLLECTING);
    let collected = collect(running, |text| lab.identity().redact(text), deadline).await;
    let (inventory, contents) = collected.map_err(|error| error.to_string())?;
    Ok(Kept { name: name.to_owned(), inventory, contents })
}

/// What changed on the machine since the inventory `since`.
pub(in crate::scenario) fn drift(notes: &Notes, since: &str, now: &Inventory) -> Option<Drift> {
    let before = &notes.inventory(since, &now.machine)?.inventory;
    Some(Drift::between(before, now, notes.transactions.get(&now.machine)))
}

impl Stage<'_> {
    pub(super) async fn inventory(&mut self, on: &str, inventory: &InventoryAs) -> Result<Done, StepError> {
        let kept = take_inventory(self.lab, on, &inventory.name).await.map_err(StepError::Broken)?;
        self.exhibits.push(kept.exhibit().map_err(|error| StepError::Broken(error.to_string()))?);
        let answered = format!("{} paths, {} packages", kept.inventory.files.len(), kept.inventory.packages.len());
        self.notes.inventories.push(kept);
        let asked = format!("the configuration of {on}, remembered as `{}`", inventory.name);
        Ok(Done { asked, answered, transcript: None })
    }

    pub(super) async fn drift(&mut self, on: &str, expected: &DriftSince) -> Result<Done, StepError> {
        let now = take_inventory(self.lab, on, "now").await.map_err(StepError::Broken)?.inventory;
        let drift = drift(self.notes, &expected.since, &now).ok_or_else(|| {
            StepError::Broken(format!("no step has taken the inventory `{}` of {on}", expected.since))
        })?;
        let exhibit = Exhibit::json(format!("drift-{}-{on}.json", expected.since), &drift);
        self.exhibits.push(exhibit.map_err(|error| StepError::Broken(error.to_string()))?);
        let wrong = mismatches(expected, &drift, &now);
        let count = |how| drift.changes.iter().filter(|change| change.how == how).count();
        let summary = format!(
            "{} removed, {} changed, {} with another mode or owner, {} added",
            count(How::Removed),
            count(How::Changed),
            count(How::Attributes),
            count(How::Added)
        );
        let answered = if wrong.is_empty() { summary } else { format!("{summary}; {}", wrong.join("; ")) };
        let asked = format!("what changed in the configuration of {on} since `{}`", expected.since);
        judged(wrong.is_empty(), Done { asked, answered, transcript: Some(drift.to_string()) })
    }
}

/// Each way in which the drift is not what the step expects.
fn mismatches(expected: &DriftSince, drift: &Drift, now: &Inventory) -> Vec<String> {
    let mut wrong = Vec::new();
    let lists = [
        (How::Removed, "removed", &expected.removed),
        (How::Changed, "changed", &expected.changed),
        (How::Attributes, "given another mode or owner", &expected.attributes),
        (How::Added, "added", &expected.added),
    ];
    for (how, word, list) in lists {
        let Some(list) = list else { continue };
        let wanted: BTreeSet<_> = list.iter().map(|path| GuestPath::from(path.get_ref().as_str())).collect();
        let changes = drift.changes.iter().filter(|change| change.how == how && change.second_of.is_none());
        let found: BTreeSet<_> =
            changes.map(|change| change.path.clone()).filter(|path| expected.is_about(path)).collect();
        wrong.extend(wanted.difference(&found).map(|path| format!("{path} was not {word}{}", but(drift, path))));
        wrong.extend(found.difference(&wanted).map(|path| format!("{path} was {word}")));
    }
    for path in &expected.kept {
        let path = GuestPath::from(path.get_ref().as_str());
        match drift.at(&path) {
            Some(change) if change.how != How::Claims => wrong.push(format!("{path} was {}", change.fate())),
            _ if !now.files.contains_key(&path) => wrong.push(format!("{path} is not there, and was not before")),
            _ => {}
        }
    }
    for (path, second) in &expected.backups {
        let (path, second) = (GuestPath::from(path.as_str()), GuestPath::from(second.as_str()));
        let seconds = drift.at(&path).map(|change| change.seconds.as_slice()).unwrap_or_default();
        match seconds.iter().find(|found| found.path == second) {
            Some(found) if found.holds == Holds::Old => {}
            Some(found) => wrong.push(format!("{second} holds {}", found.holds)),
            None => wrong.push(format!("the old content of {path} is not in {second}")),
        }
    }
    wrong
}

/// What became of it instead.
fn but(drift: &Drift, path: &GuestPath) -> String {
    drift.at(path).map(|change| format!(", but {}", change.fate())).unwrap_or_default()
}

impl DriftSince {
    /// Whether the lists are about this path.
    fn is_about(&self, path: &GuestPath) -> bool {
        let is_below = |directory: &toml::Spanned<String>| {
            let inside = path.as_bytes().strip_prefix(directory.get_ref().trim_end_matches('/').as_bytes());
            inside.is_some_and(|rest| rest.first() == Some(&b'/'))
        };
        self.below.is_empty() || self.below.iter().any(is_below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{Digest, Entry, Manager, What};

    fn inventory(files: &[(&str, &str)]) -> Inventory {
        let entry = |content: &str| Entry {
            what: What::File { size: 1, sha256: Digest::of(content.as_bytes()), text: None },
            mode: "0644".into(),
            user: "root".into(),
            group: "root".into(),
            claims: Vec::new(),
        };
        Inventory {
            machine: "mail".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
            manager: Manager::None,
            packages: [].into(),
            files: files.iter().map(|(path, content)| (GuestPath::from(*path), entry(content))).collect(),
        }
    }

    #[rstest::rstest]
    #[case::right("removed = ['/etc/a'], changed = ['/etc/b'], added = []", &[])]
    #[case::nothing_asked("", &[])]
    #[case::not_removed("removed = ['/etc/a', '/etc/b']", &["/etc/b was not removed, but replaced, and the old content left as /etc/b.rpmsave"])]
    #[case::removed_too("removed = []", &["/etc/a was removed"])]
    #[case::elsewhere("removed = [], below = ['/etc/x']", &[])]
    #[case::kept("kept = ['/etc/c']", &[])]
    #[case::not_kept("kept = ['/etc/a', '/etc/b', '/etc/z']", &[
        "/etc/a was removed without a backup",
        "/etc/b was replaced, and the old content left as /etc/b.rpmsave",
        "/etc/z is not there, and was not before",
    ])]
    #[case::backup("backups = { '/etc/b' = '/etc/b.rpmsave' }", &[])]
    #[case::no_backup("backups = { '/etc/a' = '/etc/a.rpmsave' }", &["the old content of /etc/a is not in /etc/a.rpmsave"])]
    fn each_mismatch_is_named(#[case] lists: &str, #[case] expected: &[&str]) {
        #[derive(serde::Deserialize)]
        struct File {
            drift: DriftSince,
        }
        let before = inventory(&[("/etc/a", "a"), ("/etc/b", "b"), ("/etc/c", "c")]);
        let after = inventory(&[("/etc/b", "new"), ("/etc/b.rpmsave", "b"), ("/etc/c", "c")]);
        let drift = Drift::between(&before, &after, None);
        let comma = if lists.is_empty() { "" } else { ", " };
        let File { drift: step } = toml::from_str(&format!("drift = {{ since = 'x'{comma}{lists} }}")).unwrap();
        assert_eq!(mismatches(&step, &drift, &after), expected);
    }
}
