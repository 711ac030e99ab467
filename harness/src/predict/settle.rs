//! What came of each file in the end: what rpm decided, and what scriptlets made of it.

use super::disk::OnDisk;
use super::dump::{Installed, System};
use super::entry::{Content, FileEntry};
use super::fate::Fate;
use super::model::{Prediction, is_changed};
use super::plan::{Outcome, Plan};
use super::repository::Repository;
use super::shell::{Blame, State, World, follow};
use super::simulation::Deed;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// What rpm appends to second files.
const SECOND: [&str; 3] = [".rpmsave", ".rpmorig", ".rpmnew"];

/// Directories of configuration, the one that is read first before the others: a file of the same name below is not read then.
const READ_IN_ORDER: [&str; 3] = ["/etc/", "/usr/lib/", "/usr/etc/"];

/// All predictions, in no order.
pub(super) fn settled(
    system: &System,
    repository: &Repository,
    plan: &Plan,
    after: &World<'_>,
    deeds: Vec<Deed>,
) -> Vec<Prediction> {
    let court = Court {
        system,
        repository,
        plan,
        after,
        copies: copies(after),
        owners: owners(system),
        works: RefCell::default(),
    };
    let mut decided: BTreeMap<String, Prediction> =
        deeds.into_iter().map(|deed| (deed.prediction.path.clone(), deed.prediction)).collect();
    let mut paths: BTreeSet<String> = decided.keys().cloned().collect();
    paths.extend(after.changed().map(|(path, ..)| path.clone()));
    let mut files: BTreeMap<String, Prediction> = BTreeMap::new();
    for path in paths {
        if let Some(prediction) = court.settle(&path, decided.remove(&path)) {
            files.insert(path, prediction);
        }
    }
    court.shadowed(&mut files);
    court.left_behind(&mut files);
    let is_told = |file: &Prediction| file.path.starts_with("/etc/") || file.changed || court.is_config(&file.path);
    files.into_values().filter(is_told).collect()
}

/// Where the content of each path is then, if it is elsewhere.
fn copies(after: &World<'_>) -> HashMap<String, Vec<String>> {
    let mut copies: HashMap<String, Vec<String>> = HashMap::new();
    for (path, state, _) in after.changed() {
        if let State::Was(from) | State::Edited(from) = state
            && from != path
        {
            copies.entry(from.clone()).or_default().push(path.clone());
        }
    }
    copies
}

fn owners(system: &System) -> HashMap<&str, Vec<&FileEntry>> {
    let mut owners: HashMap<&str, Vec<&FileEntry>> = HashMap::new();
    for (path, entry) in system.packages.iter().flat_map(|package| &package.files) {
        owners.entry(path).or_default().push(entry);
    }
    owners
}

struct Court<'a> {
    system: &'a System,
    repository: &'a Repository,
    plan: &'a Plan,
    after: &'a World<'a>,
    copies: HashMap<String, Vec<String>>,
    owners: HashMap<&'a str, Vec<&'a FileEntry>>,
    /// What scriptlets of installed packages do, by the names of those that come.
    works: RefCell<HashMap<String, Rc<[World<'a>]>>>,
}

impl<'a> Court<'a> {
    fn is_config(&self, path: &str) -> bool {
        self.owners.get(path).is_some_and(|entries| entries.iter().any(|entry| entry.care.is_config()))
    }

    fn is_changed(&self, path: &str) -> bool {
        is_changed(self.system.on_disk(path), self.owners.get(path).into_iter().flatten().copied())
    }

    /// The copy that a person should look at: rpm's before others.
    fn copy(&self, path: &str) -> Option<&String> {
        let copies = self.copies.get(path)?;
        let by_rpm = SECOND.iter().find_map(|suffix| copies.iter().find(|copy| **copy == format!("{path}{suffix}")));
        by_rpm.or_else(|| copies.first())
    }

    /// The scriptlet that had the last word on a path, or on its second files.
    fn blame(&self, path: &str) -> Option<&Blame> {
        let second = || SECOND.iter().find_map(|suffix| self.after.blame(&format!("{path}{suffix}")));
        self.after.blame(path).or_else(second).map(AsRef::as_ref)
    }

    fn settle(&self, path: &str, decided: Option<Prediction>) -> Option<Prediction> {
        if matches!(self.system.on_disk(path), OnDisk::Directory) {
            return decided;
        }
        let state = self.after.state(path);
        let stays = state == State::Was(path.to_owned());
        let Some(blame) = self.blame(path) else {
            // What rpm itself puts into the place of an older copy is in nobody's list of files.
            return decided.or_else(|| self.clobbered(path).filter(|_| !stays));
        };
        if !self.system.on_disk(path).exists() {
            return decided.map(|decided| Self::newcomer(decided, &state, blame));
        }
        let changed = self.is_changed(path);
        let fate = match &state {
            State::Was(from) if from == path => match &decided {
                None => return None,
                Some(prediction) if prediction.fate == Fate::KeptWithRpmnew => self.beside_kept(path, prediction),
                Some(Prediction { fate: Fate::Kept | Fate::LeftBehind | Fate::Blocked, .. }) => return decided,
                Some(_) => Fate::Restored,
            },
            State::Edited(from) if from == path => Fate::Edited,
            State::Unknown => Fate::Unknown,
            State::Written if self.was_written_before(path, blame) => Fate::Rewritten,
            state => self.gone(path, changed, *state == State::Missing),
        };
        if SECOND.iter().any(|suffix| path.contains(suffix)) && !fate.is_loss() {
            // A second file was not in force before.
            return None;
        }
        let backup = match fate {
            Fate::KeptWithRpmnew => Some(format!("{path}.rpmnew")),
            Fate::Edited | Fate::Rewritten | Fate::Unknown | Fate::Kept => None,
            _ => self.copy(path).cloned(),
        };
        let package = decided.as_ref().map_or_else(|| blame.package.clone(), |decided| decided.package.clone());
        let why = Self::why(fate, decided.as_ref(), blame);
        Some(Prediction { path: path.to_owned(), package, fate, backup, changed, why })
    }

    /// A file that was not there before comes, and a scriptlet has to do with it.
    fn newcomer(decided: Prediction, state: &State, blame: &Blame) -> Prediction {
        let fate = match state {
            State::Brought(from) if *from == decided.path => return decided,
            State::Unknown | State::Missing => Fate::Unknown,
            _ => Fate::Edited,
        };
        let why = Self::why(fate, Some(&decided), blame);
        Prediction { fate, backup: None, why, ..decided }
    }

    /// What rpm put beside a kept file may be gone by now.
    fn beside_kept(&self, path: &str, decided: &Prediction) -> Fate {
        let second = self.after.state(&format!("{path}.rpmnew"));
        if second == State::Missing { Fate::Kept } else { decided.fate }
    }

    /// Whether a file that is nobody's is the work of the installed version's own scriptlets: they write it, too, and no copy
    /// of what is there now stays.
    fn was_written_before(&self, path: &str, blame: &Blame) -> bool {
        if self.owners.contains_key(path) || self.copy(path).is_some() {
            return false;
        }
        // One that writes at the first installation only leaves alone what a person has changed since.
        let works = self.works_of_installed(&blame.package);
        !works.is_empty() && works.iter().all(|after| after.state(path) == State::Written)
    }

    /// What the scriptlets of the installed version of a package that comes do, at a first installation and at an upgrade. They are
    /// followed once, however many files they write.
    fn works_of_installed(&self, coming: &str) -> Rc<[World<'a>]> {
        if let Some(known) = self.works.borrow().get(coming) {
            return known.clone();
        }
        let package = self.repository.packages.iter().find(|package| package.label() == coming);
        let installed = package.and_then(|coming| self.system.packages.iter().find(|own| own.name == coming.name));
        let work = |installed: &Installed, versions| {
            let mut after = World::new(self.after.facts);
            for scriptlet in installed.scripts.iter().filter(|scriptlet| scriptlet.kind.comes_after_files()) {
                follow(&mut after, &installed.label(), scriptlet, Some(versions));
            }
            after
        };
        let works: Rc<[World<'a>]> =
            installed.iter().flat_map(|installed| [1, 2].map(|versions| work(installed, versions))).collect();
        self.works.borrow_mut().insert(coming.to_owned(), works.clone());
        works
    }

    /// The content of a file is not in its place.
    fn gone(&self, path: &str, changed: bool, is_missing: bool) -> Fate {
        let is_in_doubt = SECOND.iter().any(|suffix| {
            let second = format!("{path}{suffix}");
            self.after.blame(&second).is_some() && self.after.state(&second) == State::Unknown
        });
        match self.copy(path).map(|copy| &copy[copy.len().min(path.len())..]) {
            Some(".rpmsave") if is_missing => Fate::RemovedWithRpmsave,
            Some(".rpmsave") => Fate::ReplacedWithRpmsave,
            Some(".rpmorig") if !is_missing => Fate::ReplacedWithRpmorig,
            Some(_) => Fate::Moved,
            None if is_in_doubt => Fate::Unknown,
            None if !changed => {
                if is_missing {
                    Fate::Removed
                } else {
                    Fate::Updated
                }
            }
            None if is_missing => Fate::DeletedWithoutBackup,
            None => Fate::OverwrittenWithoutBackup,
        }
    }

    fn why(fate: Fate, decided: Option<&Prediction>, blame: &Blame) -> String {
        let Blame { package, scriptlet, line } = blame;
        let does = match fate {
            Fate::Unknown => "touches it, and what that does cannot be told",
            Fate::Edited => "edits it",
            Fate::Rewritten => "writes it anew, as that of the installed version did",
            Fate::Restored => "puts it back",
            Fate::Moved => "moves it",
            Fate::Removed | Fate::DeletedWithoutBackup => "removes it",
            Fate::Updated | Fate::OverwrittenWithoutBackup => "puts something else in its place",
            _ => "has to do with it, too",
        };
        let by_rpm = decided.filter(|decided| !decided.why.is_empty()).map(|decided| format!("{}; ", decided.why));
        format!("{}{scriptlet} of {package} {does}: {line}", by_rpm.unwrap_or_default())
    }

    /// A copy from an earlier upgrade that a copy of this one takes the place of.
    fn clobbered(&self, path: &str) -> Option<Prediction> {
        let State::Was(from) = self.after.state(path) else { return None };
        if self.copy(path).is_some() || !self.system.on_disk(path).exists() {
            return None;
        }
        Some(Prediction {
            path: path.to_owned(),
            package: self.owner_label(&from),
            fate: Fate::OverwrittenWithoutBackup,
            backup: None,
            changed: true,
            why: format!("an older copy is there, and rpm will put {from} in its place"),
        })
    }

    fn owner_label(&self, path: &str) -> String {
        let installed = self.system.packages.iter().find(|package| package.files.iter().any(|(own, _)| own == path));
        installed.map_or_else(String::new, super::dump::Installed::label)
    }

    /// A changed file of a vendor's directory stays, but one of the same name comes to where it is looked for first.
    fn shadowed(&self, files: &mut BTreeMap<String, Prediction>) {
        let mut shadowed = Vec::new();
        for (path, state, _) in self.after.changed() {
            let comes = matches!(state, State::Brought(_) | State::Written | State::Was(_))
                && *state != State::Was(path.clone());
            if !comes || self.system.on_disk(path).exists() {
                continue;
            }
            let Some(order) = READ_IN_ORDER.iter().position(|place| path.starts_with(place)) else { continue };
            let name = &path[READ_IN_ORDER[order].len()..];
            for place in &READ_IN_ORDER[order + 1..] {
                let below = format!("{place}{name}");
                if self.system.on_disk(&below).exists()
                    && self.is_changed(&below)
                    && self.after.state(&below) == State::Was(below.clone())
                {
                    shadowed.push((below, path.clone()));
                }
            }
        }
        for (path, by) in shadowed {
            let package = files.get(&by).map_or_else(String::new, |file| file.package.clone());
            let why = format!("{by} comes, and is read in its place");
            let prediction =
                Prediction { path: path.clone(), package, fate: Fate::Shadowed, backup: None, changed: true, why };
            files.insert(path, prediction);
        }
    }

    /// Files that belong to no package, in a directory that only packages had which go.
    fn left_behind(&self, files: &mut BTreeMap<String, Prediction>) {
        let directories = |entries: &[(String, FileEntry)]| -> Vec<String> {
            let directories =
                entries.iter().filter(|(path, entry)| entry.content == Content::Directory && path.starts_with("/etc/"));
            directories.map(|(path, _)| path.clone()).collect()
        };
        let mut left: HashMap<String, String> = HashMap::new();
        let mut kept: BTreeSet<String> = BTreeSet::new();
        for (package, outcome) in self.system.packages.iter().zip(&self.plan.outcomes) {
            match outcome {
                Outcome::Goes(_) => {
                    left.extend(directories(&package.files).into_iter().map(|path| (path, package.label())));
                }
                _ => kept.extend(directories(&package.files)),
            }
        }
        for index in &self.plan.coming {
            let coming = &self.repository.packages[*index];
            kept.extend(directories(&coming.files));
            // A file that comes there is reason enough to look there.
            kept.extend(coming.files.iter().filter_map(|(path, _)| Some(path.rsplit_once('/')?.0.to_owned())));
        }
        left.retain(|path, _| !kept.contains(path));
        for (path, disk) in &self.system.disk {
            let is_file = matches!(disk, OnDisk::Regular(_) | OnDisk::Link(_));
            let is_second = SECOND.iter().any(|suffix| path.contains(suffix));
            let Some((directory, _)) = path.rsplit_once('/').filter(|_| is_file && !is_second) else { continue };
            let stays = self.after.state(path) == State::Was(path.clone());
            let Some(package) = left
                .get(directory)
                .filter(|_| stays && !self.owners.contains_key(path.as_str()) && !files.contains_key(path))
            else {
                continue;
            };
            let why = format!(
                "it belongs to no package, and none has {directory} any more; see whether anything still reads it"
            );
            let prediction = Prediction {
                path: path.clone(),
                package: package.clone(),
                fate: Fate::LeftBehind,
                backup: None,
                changed: true,
                why,
            };
            files.insert(path.clone(), prediction);
        }
    }
}
