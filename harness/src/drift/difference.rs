//! What differs between two inventories of a machine.

use super::inventory::{Entry, Inventory, What};
use super::second::{Holds, Second, first_of, seconds_of};
use crate::bounded::Comparer;
use crate::guest_path::GuestPath;
use crate::predict::Transaction;
use crate::secrets::find;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What changed in a machine's configuration between two moments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// The machine.
    pub machine: String,
    /// The first moment.
    pub before: jiff::Timestamp,
    /// The second.
    pub after: jiff::Timestamp,
    /// Paths at which something differs, in order.
    pub changes: Vec<Change>,
    /// Packages that came, went or changed their version, in order.
    pub packages: Vec<PackageChange>,
}

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Nothing was there before.
    Added,
    /// Nothing is there now.
    Removed,
    /// Content, target or kind differ.
    Changed,
    /// Only mode or owner differ.
    Attributes,
    /// On disk it is the same; other packages have it, or say other things about it.
    Claims,
}

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Where.
    pub path: GuestPath,
    /// How.
    pub how: How,
    /// What was there; its text is left out.
    pub before: Option<Entry>,
    /// What is there; its text is left out.
    pub after: Option<Entry>,
    /// The packages that had it, with their versions then.
    pub owners_before: Vec<String>,
    /// The packages that have it, with their versions now.
    pub owners_after: Vec<String>,
    /// The unified diff, if both texts may be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// Second files that came beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seconds: Vec<Second>,
    /// The path that this is a second file of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_of: Option<GuestPath>,
    /// The step of the package transaction that did it, if there is a log that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<DoneBy>,
}

/// The step of a transaction that a change is due to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoneBy {
    /// Its number; none for `%posttrans`, which is in none.
    pub number: Option<u32>,
    /// How many there were.
    pub of: usize,
    /// The package, with its version.
    pub package: String,
}

/// A package that came, went or changed its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageChange {
    /// Its name.
    pub name: String,
    /// The version before.
    pub before: Option<String>,
    /// The version now.
    pub after: Option<String>,
}

impl Drift {
    /// Compares two inventories of one machine. `transaction` is what the package manager did in between, if there is a log.
    #[must_use]
    pub fn between(before: &Inventory, after: &Inventory, transaction: Option<&Transaction>) -> Self {
        let paths: BTreeSet<_> = before.files.keys().chain(after.files.keys()).collect();
        let comparer = Comparer::default();
        let change = |path| Change::at(path, before, after, transaction, &comparer);
        let changes = paths.into_iter().filter_map(change).collect();
        let names: BTreeSet<_> = before.packages.keys().chain(after.packages.keys()).collect();
        let packages = names.into_iter().filter_map(|name| {
            let (before, after) = (before.packages.get(name).cloned(), after.packages.get(name).cloned());
            (before != after).then(|| PackageChange { name: name.clone(), before, after })
        });
        let packages = packages.collect();
        Self { machine: after.machine.clone(), before: before.at, after: after.at, changes, packages }
    }

    /// The change at a path.
    #[must_use]
    pub fn at(&self, path: &GuestPath) -> Option<&Change> {
        self.changes.iter().find(|change| change.path == *path)
    }

    /// Whether something differs on the disk.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.iter().all(|change| change.how == How::Claims)
    }
}

impl Change {
    fn at(
        path: &GuestPath,
        before: &Inventory,
        after: &Inventory,
        transaction: Option<&Transaction>,
        comparer: &Comparer,
    ) -> Option<Self> {
        let (old, new) = (before.files.get(path), after.files.get(path));
        let how = how(old, new)?;
        let owners = |inventory: &Inventory, entry: Option<&Entry>| {
            let claims = entry.map(|entry| entry.claims.as_slice()).unwrap_or_default();
            claims.iter().map(|claim| inventory.label(&claim.package)).collect()
        };
        Some(Self {
            how,
            owners_before: owners(before, old),
            owners_after: owners(after, new),
            diff: diff(comparer, path, old.and_then(Entry::text), new.and_then(Entry::text)),
            seconds: seconds_of(path, before, after),
            second_of: first_of(path),
            step: transaction.and_then(|transaction| DoneBy::of(path, transaction)),
            before: old.map(Entry::without_text),
            after: new.map(Entry::without_text),
            path: path.clone(),
        })
    }

    /// Whether the change can be undone by putting a file back, or by taking one away.
    #[must_use]
    pub fn can_be_put_back(&self) -> bool {
        let is_directory = |entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| entry.what == What::Directory);
        match self.how {
            How::Claims => false,
            How::Attributes => true,
            // Directories come and go with what is in them.
            How::Added | How::Removed | How::Changed => !is_directory(&self.before) && !is_directory(&self.after),
        }
    }

    /// What became of the file, in words that complete "it was …".
    #[must_use]
    pub fn fate(&self) -> String {
        let old = self.seconds.iter().find(|second| second.holds == Holds::Old);
        match (self.how, old) {
            (How::Added, _) => match &self.second_of {
                Some(first) => format!("left beside {first}"),
                None => "added".into(),
            },
            (How::Removed, None) => "removed without a backup".into(),
            (How::Removed, Some(second)) => format!("removed, and left as {}", second.path),
            (How::Changed, None) => "changed, and no copy of the old content is left".into(),
            (How::Changed, Some(second)) => format!("replaced, and the old content left as {}", second.path),
            (How::Attributes, _) => format!("given {}", self.attributes().unwrap_or_default()),
            (How::Claims, _) => "left as it was".into(),
        }
    }

    /// How mode and owner differ.
    #[must_use]
    pub fn attributes(&self) -> Option<String> {
        let (before, after) = (self.before.as_ref()?, self.after.as_ref()?);
        let owner = |entry: &Entry| format!("{}:{}", entry.user, entry.group);
        let pairs = [("mode", before.mode.clone(), after.mode.clone()), ("owner", owner(before), owner(after))];
        let differing = pairs.into_iter().filter(|(_, one, other)| one != other);
        let words: Vec<_> = differing.map(|(what, one, other)| format!("{what} {one} → {other}")).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

impl DoneBy {
    fn of(path: &GuestPath, transaction: &Transaction) -> Option<Self> {
        use crate::predict::transaction::Verb;
        let step = transaction.changed(path)?;
        let number = (step.verb != Verb::Posttrans).then_some(step.number);
        Some(Self { number, of: transaction.len(), package: step.package.clone() })
    }
}

impl Entry {
    fn without_text(&self) -> Self {
        let mut entry = self.clone();
        if let What::File { text, .. } = &mut entry.what {
            *text = None;
        }
        entry
    }
}

fn how(before: Option<&Entry>, after: Option<&Entry>) -> Option<How> {
    let (before, after) = match (before, after) {
        (None, None) => return None,
        (None, Some(_)) => return Some(How::Added),
        (Some(_), None) => return Some(How::Removed),
        (Some(before), Some(after)) => (before, after),
    };
    if !before.what.same(&after.what) {
        return Some(How::Changed);
    }
    if (&before.mode, &before.user, &before.group) != (&after.mode, &after.user, &after.group) {
        return Some(How::Attributes);
    }
    (before.claims != after.claims).then_some(How::Claims)
}

fn diff(comparer: &Comparer, path: &GuestPath, before: Option<&str>, after: Option<&str>) -> Option<String> {
    let (before, after) = (before?, after?);
    if before == after {
        return None;
    }
    let path = path.to_string();
    // An inventory of another version, or of somebody else, may have more in it than we would show.
    let [before, after] = [before, after].map(|text| find::masked(&path, text));
    Some(comparer.unified(&before, &after, 2, Some(&path)))
}
