//! The fate of every configuration file of a system, from its dump and the packages that will come.

#[cfg(test)]
mod tests;

use super::disk::OnDisk;
use super::dump::System;
use super::entry::{Content, FileEntry};
use super::fate::{self, Fate};
use super::plan::{Departure, Outcome, Plan};
use super::repository::{Coming, Repository};
use super::scriptlet::Hint;
use super::settle::settled;
use super::shell::{Facts, State, World};
use super::simulation::{Deed, Simulation};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What an upgrade will do to one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prediction {
    /// The path.
    pub path: String,
    /// The installed package that has it, else the one that brings it; with its version.
    pub package: String,
    /// What will become of it.
    pub fate: Fate,
    /// Where the second file is, if one is left: the administrator's in `.rpmsave` and `.rpmorig`, or where a scriptlet put it,
    /// the package's in `.rpmnew`.
    pub backup: Option<String>,
    /// Whether the file is there and is not what an installed package brought.
    pub changed: bool,
    /// Why, as a sentence for people.
    pub why: String,
}

/// What an upgrade will do to a system's configuration.
#[derive(Debug, Serialize)]
pub struct UpgradePrediction {
    /// What was seen of each path that a package takes away or brings: the worst first, then by path.
    pub files: Vec<Prediction>,
    /// Lines of scriptlets that could not be followed: they may change these files, or others.
    pub hints: Vec<Hint>,
    /// How many installed packages go or change.
    pub changing: usize,
    /// How many packages come new, with no installed one of their name.
    pub new: usize,
    /// How many installed packages the repository has nothing for; they are taken to stay.
    pub staying: usize,
}

impl UpgradePrediction {
    /// The paths whose content would be lost.
    pub fn losses(&self) -> impl Iterator<Item = &Prediction> {
        self.files.iter().filter(|file| file.fate.is_loss())
    }

    /// The changed files that are lost or no longer in force, or of which that cannot be told.
    pub fn alarms(&self) -> impl Iterator<Item = &Prediction> {
        self.files.iter().filter(|file| file.changed && file.fate.is_alarm())
    }
}

/// Which files of coming packages [`predict`] needs: those in directories that the dump covers, configuration elsewhere, and what
/// lies below `/usr` with the name of a file that may have moved there. For [`Repository::read`].
pub fn wanted(system: &System) -> impl Fn(&str, &str, u32) -> bool + Sync + '_ {
    let files = system.packages.iter().flat_map(|package| &package.files);
    let names: HashSet<String> = files.filter_map(|(path, _)| path.rsplit('/').next()).map(str::to_owned).collect();
    move |directory, name, flags| {
        directory.starts_with("/etc/")
            || system.covers(directory)
            || FileEntry::flags_say_config(flags)
            || (directory.starts_with("/usr/") && names.contains(name))
    }
}

/// Says what becomes of each file in `/etc`, and of configuration elsewhere, that a package which goes or comes has, or that a
/// scriptlet touches.
pub fn predict(system: &System, repository: &Repository, plan: &Plan) -> UpgradePrediction {
    let files = plan.coming.iter().flat_map(|index| &repository.packages[*index].files);
    let mut brought: HashMap<&str, &Content> = HashMap::new();
    for (path, entry) in files {
        brought.entry(path).or_insert(&entry.content);
    }
    let facts = Facts { system, brought };
    let mut simulation = Simulation::new(system, repository, plan);
    let before = simulation.before(&facts);
    let deeds: Vec<Deed> = owners(system, repository, plan)
        .into_iter()
        .filter_map(|(path, owners)| Question { system, repository, world: &before, path, owners }.answer())
        .filter(|deed| deed.prediction.fate != Fate::Absent)
        .collect();
    let after = simulation.after(&before, &deeds);
    let mut hints = simulation.hints;
    hints.sort();
    hints.dedup();
    let mut files = settled(system, repository, plan, &after, deeds);
    files.sort_by(|a, b| (a.fate, &a.path).cmp(&(b.fate, &b.path)));
    let names: HashSet<&str> = system.packages.iter().map(|package| package.name.as_str()).collect();
    let is_new = |index: &&usize| !names.contains(repository.packages[**index].name.as_str());
    UpgradePrediction {
        files,
        hints,
        changing: plan.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Goes(_))).count(),
        new: plan.coming.iter().filter(is_new).count(),
        staying: plan.staying(),
    }
}

/// Who has a path before the upgrade, and who brings it.
#[derive(Default)]
struct Owners<'a> {
    /// Packages that stay.
    staying: Vec<(usize, &'a FileEntry)>,
    /// Packages that go, and why.
    going: Vec<(usize, &'a FileEntry, Departure)>,
    /// Packages that come.
    coming: Vec<(usize, &'a FileEntry)>,
}

fn owners<'a>(system: &'a System, repository: &'a Repository, plan: &Plan) -> BTreeMap<&'a str, Owners<'a>> {
    let mut all: BTreeMap<&str, Owners> = BTreeMap::new();
    for (index, (package, outcome)) in system.packages.iter().zip(&plan.outcomes).enumerate() {
        for (path, entry) in &package.files {
            let owners = all.entry(path).or_default();
            match outcome {
                Outcome::Goes(departure) => owners.going.push((index, entry, *departure)),
                Outcome::Same | Outcome::Stays => owners.staying.push((index, entry)),
            }
        }
    }
    for index in &plan.coming {
        for (path, entry) in &repository.packages[*index].files {
            // Elsewhere, the dump knows only what an installed package has as configuration.
            if path.starts_with("/etc/") || system.covers(path) || all.contains_key(path.as_str()) {
                all.entry(path).or_default().coming.push((*index, entry));
            }
        }
    }
    all.retain(|_, owners| !(owners.going.is_empty() && owners.coming.is_empty()) && owners.has_file());
    all
}

impl<'a> Owners<'a> {
    fn entries(&self) -> impl Iterator<Item = &'a FileEntry> {
        let installed =
            self.staying.iter().map(|(_, entry)| *entry).chain(self.going.iter().map(|(_, entry, _)| *entry));
        installed.chain(self.coming.iter().map(|(_, entry)| *entry))
    }

    /// Directories are shared, and stay while something is in them.
    fn has_file(&self) -> bool {
        self.entries().any(|entry| matches!(entry.content, Content::Regular(_) | Content::Link(_)))
    }

    /// The entries of installed packages, in the order of rpm's answer.
    fn installed(&self) -> Vec<(usize, &'a FileEntry)> {
        let mut installed = self.staying.clone();
        installed.extend(self.going.iter().map(|(index, entry, _)| (*index, *entry)));
        installed.sort_by_key(|(index, _)| *index);
        installed
    }
}

/// One path, with all that is known of it.
struct Question<'a> {
    system: &'a System,
    repository: &'a Repository,
    /// The files as rpm finds them.
    world: &'a World<'a>,
    path: &'a str,
    owners: Owners<'a>,
}

impl Question<'_> {
    fn answer(&self) -> Option<Deed> {
        let (by, comes) = match (self.owners.coming.first(), self.owners.going.first()) {
            (Some((by, _)), _) => (*by, true),
            (None, Some((.., departure))) => (departure.by(), false),
            (None, None) => return None,
        };
        let disk = self.disk();
        let (mut fate, package, why) = match self.owners.coming.first() {
            Some((by, new)) => self.brought(&self.repository.packages[*by], new, &disk),
            None => self.taken(&disk)?,
        };
        if self.world.state(self.path) == State::Unknown {
            fate = Fate::Unknown;
        }
        let backup = fate.suffix().map(|suffix| format!("{}{suffix}", self.path));
        let changed =
            is_changed(self.system.on_disk(self.path), self.owners.installed().iter().map(|(_, entry)| *entry));
        let prediction = Prediction { path: self.path.to_owned(), package, fate, backup, changed, why };
        Some(Deed { prediction, by, comes })
    }

    /// What rpm finds at the path.
    fn disk(&self) -> OnDisk {
        match self.world.state(self.path) {
            State::Was(path) => self.system.on_disk(&path).clone(),
            State::Missing => OnDisk::Missing,
            // A file of which no digest is known differs from every other.
            State::Edited(_) | State::Written | State::Brought(_) | State::Unknown => OnDisk::Regular(Vec::new()),
        }
    }

    /// A coming package has the path.
    fn brought(&self, by: &Coming, new: &FileEntry, disk: &OnDisk) -> (Fate, String, String) {
        let mut last = None;
        for (index, old) in self.owners.installed() {
            let fate = fate::upgrade(old, new, disk);
            last = Some((index, old, fate));
            // Once rpm has decided to leave a file alone, no other owner is asked (`handleInstInstalledFile`).
            if fate == Fate::Kept {
                break;
            }
        }
        let new_label = by.label();
        if let Some((index, old, fate)) = last {
            let package = self.system.packages[index].label();
            let why = why_upgraded(fate, &package, old, &new_label, new);
            (fate, package, why)
        } else {
            let fate = fate::install(new, disk);
            let why = why_installed(fate, &new_label);
            (fate, new_label, why)
        }
    }

    /// No coming package has the path.
    fn taken(&self, disk: &OnDisk) -> Option<(Fate, String, String)> {
        // Where several packages have it, a backup by one of them is a backup.
        let fates = self
            .owners
            .going
            .iter()
            .map(|(index, entry, departure)| (fate::erase(entry, disk), *index, *entry, *departure));
        let (fate, index, entry, departure) = fates.max_by_key(|(fate, ..)| fate.keeps_copy())?;
        let package = self.system.packages[index].label();
        if let Some((other, _)) = self.owners.staying.iter().find(|(_, entry)| entry.present) {
            let why = format!("{} has it too, and stays", self.system.packages[*other].label());
            let fate = if disk.exists() { Fate::Kept } else { Fate::Absent };
            return Some((fate, package, why));
        }
        let fate = if fate == Fate::Kept && entry.ghost && disk.exists() { Fate::LeftBehind } else { fate };
        let mut why = why_erased(fate, &self.departure(&package, departure), entry);
        if let Some(moved) = self.moved_to(departure) {
            why = format!("{why}; {moved} comes instead");
        }
        Some((fate, package, why))
    }

    fn departure(&self, old: &str, departure: Departure) -> String {
        let new = self.repository.packages[departure.by()].label();
        match departure {
            Departure::Upgraded(_) => format!("{new} no longer has it"),
            Departure::Obsoleted(_) => format!("{old} goes, as {new} obsoletes it"),
            Departure::Conflicted(_) => format!("{old} goes, as {new} conflicts with it"),
        }
    }

    /// The file below `/usr` that the successor brings for this one in `/etc`: with the same name, in a directory of the same name.
    fn moved_to(&self, departure: Departure) -> Option<&str> {
        let (rest, _) = self.path.rsplit_once('/')?;
        let end = &self.path[rest.rfind('/')?..];
        let files = &self.repository.packages[departure.by()].files;
        files.iter().map(|(path, _)| path.as_str()).find(|path| path.starts_with("/usr/") && path.ends_with(end))
    }
}

fn why_upgraded(fate: Fate, old: &str, old_entry: &FileEntry, new: &str, new_entry: &FileEntry) -> String {
    let algorithms = match (&old_entry.content, &new_entry.content) {
        (Content::Regular(Some(old)), Content::Regular(Some(new))) if old.algorithm != new.algorithm => {
            format!(
                "; rpm cannot see whether the package's file changed, as digests change from {} to {}",
                old.algorithm, new.algorithm
            )
        }
        _ => String::new(),
    };
    match fate {
        Fate::OverwrittenWithoutBackup => format!("it was changed, and neither {old} nor {new} marks it %config"),
        Fate::ReplacedWithRpmsave if !new_entry.care.is_config() => {
            format!("it was changed, and {new} no longer marks it %config")
        }
        Fate::ReplacedWithRpmsave => format!("it was changed, and {new} does not say noreplace{algorithms}"),
        Fate::KeptWithRpmnew => format!("it was changed, and {new} says noreplace{algorithms}"),
        Fate::Kept if new_entry.ghost => format!("{new} owns it as %ghost only"),
        Fate::Kept => format!("it was changed, and {new} brings what {old} brought"),
        Fate::Created => format!("it was deleted, and {new} brings it"),
        Fate::Blocked => format!("a directory is there, and {new} brings a file: its upgrade will fail"),
        _ => format!("{new} brings it"),
    }
}

fn why_installed(fate: Fate, new: &str) -> String {
    match fate {
        Fate::OverwrittenWithoutBackup => format!("no installed package has it, and {new} brings it without %config"),
        Fate::ReplacedWithRpmorig => format!("no installed package has it, and {new} brings it as %config"),
        Fate::KeptWithRpmnew => format!("no installed package has it, and {new} says noreplace"),
        Fate::Blocked => format!("a directory is there, and {new} brings a file: its installation will fail"),
        _ => format!("{new} brings it"),
    }
}

fn why_erased(fate: Fate, departure: &str, entry: &FileEntry) -> String {
    match fate {
        Fate::DeletedWithoutBackup if entry.ghost => format!("{departure}, and it was %ghost without %config"),
        Fate::DeletedWithoutBackup => format!("{departure}, and it was changed but not %config"),
        Fate::RemovedWithRpmsave => format!("{departure}, and it was changed"),
        Fate::LeftBehind => {
            format!("{departure}, but rpm never removes a %ghost %config; see whether anything still reads it")
        }
        _ => departure.to_owned(),
    }
}

/// Whether something is there that none of the installed packages brought.
pub(super) fn is_changed<'e>(disk: &OnDisk, installed: impl Iterator<Item = &'e FileEntry>) -> bool {
    let mut installed = installed;
    disk.exists() && !installed.any(|entry| disk.equals(&entry.content))
}
