//! The files of a system while an upgrade is thought through: what is at each path, and who put it there.

use super::text::Text;
use crate::predict::disk::OnDisk;
use crate::predict::dump::System;
use crate::predict::entry::Content;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::predict) enum State {
    /// Nothing.
    Missing,
    /// What was at this path before the upgrade.
    Was(String),
    /// What was at this path before the upgrade, changed in place by a scriptlet.
    Edited(String),
    /// What a coming package brings for this path.
    Brought(String),
    /// What a scriptlet wrote.
    Written,
    /// What cannot be told.
    Unknown,
}

/// The line of a scriptlet that did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::predict) struct Blame {
    /// The package, with its version.
    pub(in crate::predict) package: String,
    /// The kind of scriptlet, such as `%post`.
    pub(in crate::predict) scriptlet: String,
    /// The line.
    pub(in crate::predict) line: String,
}

/// Yes, no, or neither is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    Maybe,
}

impl Truth {
    pub(super) fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
        }
    }
}

impl From<bool> for Truth {
    fn from(truth: bool) -> Self {
        if truth { Self::Yes } else { Self::No }
    }
}

/// What does not change while an upgrade is thought through.
#[derive(Debug)]
pub(in crate::predict) struct Facts<'a> {
    pub(in crate::predict) system: &'a System,
    /// What coming packages bring.
    pub(in crate::predict) brought: HashMap<&'a str, &'a Content>,
}

/// Which coming packages change a path.
#[derive(Debug, Default)]
pub(in crate::predict) struct Foreign(HashMap<String, HashSet<usize>>);

impl Foreign {
    pub(in crate::predict) fn new(all: impl Iterator<Item = (String, usize)>) -> Self {
        let mut map: HashMap<String, HashSet<usize>> = HashMap::new();
        for (path, package) in all {
            map.entry(path).or_default().insert(package);
        }
        Self(map)
    }
}

/// The files, as changes of what the dump has.
#[derive(Debug, Clone)]
pub(in crate::predict) struct World<'a> {
    pub(in crate::predict) facts: &'a Facts<'a>,
    /// Paths that other packages may change before or after: nothing is certain of them now.
    foreign: Option<(usize, Rc<Foreign>)>,
    /// Changes that all copies of these files have in common, so that a copy costs little.
    frozen: Rc<Changes>,
    changes: Changes,
}

type Changes = BTreeMap<String, (State, Option<Rc<Blame>>)>;

impl<'a> World<'a> {
    /// The files as they are before the upgrade.
    pub(in crate::predict) fn new(facts: &'a Facts<'a>) -> Self {
        Self { facts, foreign: None, frozen: Rc::default(), changes: Changes::new() }
    }

    /// Sees the files as one package does, while others may come before or after.
    pub(in crate::predict) fn see_as(&mut self, package: usize, foreign: &Rc<Foreign>) {
        self.foreign = Some((package, Rc::clone(foreign)));
    }

    fn is_foreign(&self, path: &str) -> bool {
        let Some((own, foreign)) = &self.foreign else { return false };
        foreign.0.get(path).is_some_and(|packages| packages.iter().any(|package| package != own))
    }

    /// What is at a path.
    pub(in crate::predict) fn state(&self, path: &str) -> State {
        if let Some((state, _)) = self.change(path) {
            return state.clone();
        }
        if self.is_foreign(path) {
            return State::Unknown;
        }
        match self.facts.system.on_disk(path) {
            OnDisk::Missing if self.facts.system.covers(path) => State::Missing,
            OnDisk::Missing => State::Unknown,
            _ => State::Was(path.to_owned()),
        }
    }

    fn change(&self, path: &str) -> Option<&(State, Option<Rc<Blame>>)> {
        self.changes.get(path).or_else(|| self.frozen.get(path))
    }

    /// Makes copies cheap from here on.
    pub(super) fn freeze(&mut self) {
        if !self.changes.is_empty() {
            Rc::make_mut(&mut self.frozen).append(&mut self.changes);
        }
    }

    /// Puts something at a path.
    pub(in crate::predict) fn put(&mut self, path: &str, state: State, blame: Option<&Rc<Blame>>) {
        self.changes.insert(path.to_owned(), (state, blame.cloned()));
    }

    /// The last scriptlet that changed a path.
    pub(in crate::predict) fn blame(&self, path: &str) -> Option<&Rc<Blame>> {
        self.change(path)?.1.as_ref()
    }

    /// The paths that scriptlets or rpm changed.
    pub(in crate::predict) fn changed(&self) -> impl Iterator<Item = (&String, &State, Option<&Rc<Blame>>)> {
        let frozen = self.frozen.iter().filter(|(path, _)| !self.changes.contains_key(*path));
        frozen.chain(&self.changes).map(|(path, (state, blame))| (path, state, blame.as_ref()))
    }

    /// Those of them that are not common to all copies.
    pub(super) fn own_changes(&self) -> impl Iterator<Item = (&String, &State, Option<&Rc<Blame>>)> {
        self.changes.iter().map(|(path, (state, blame))| (path, state, blame.as_ref()))
    }

    /// Takes over the changes that `other` has and `base` has not. What both sides changed is not known.
    pub(in crate::predict) fn adopt(&mut self, base: &Self, other: &Self) {
        let theirs = other.frozen.iter().filter(|(path, _)| !other.changes.contains_key(*path)).chain(&other.changes);
        for (path, change) in theirs {
            if base.change(path) == Some(change) {
                continue;
            }
            let collides = self.change(path) != base.change(path) || other.is_foreign(path);
            let change = if collides { (State::Unknown, change.1.clone()) } else { change.clone() };
            self.changes.insert(path.clone(), change);
        }
    }

    /// Whether something is at a path; links are not followed.
    pub(super) fn exists(&self, path: &str) -> Truth {
        match self.state(path) {
            State::Missing => Truth::No,
            State::Unknown => Truth::Maybe,
            _ => Truth::Yes,
        }
    }

    /// What kind of thing is at a path: `f`, `d`, `l` or another letter; a link is followed if `follow` says so.
    fn kind(&self, path: &str, follow: bool) -> Option<char> {
        let (letter, target) = match self.state(path) {
            State::Missing => ('-', ""),
            State::Unknown => return None,
            State::Edited(_) | State::Written => ('f', ""),
            State::Was(path) => match self.facts.system.on_disk(&path) {
                OnDisk::Regular(_) => ('f', ""),
                OnDisk::Directory => ('d', ""),
                OnDisk::Link(target) => ('l', target.as_str()),
                OnDisk::Special => ('s', ""),
                OnDisk::Missing => return None,
            },
            State::Brought(path) => match self.facts.brought.get(path.as_str())? {
                Content::Regular(_) => ('f', ""),
                Content::Directory => ('d', ""),
                Content::Link(target) => ('l', target.as_str()),
                Content::Special => ('s', ""),
            },
        };
        if letter != 'l' || !follow {
            return Some(letter);
        }
        let (parent, _) = path.rsplit_once('/')?;
        let target = normal(&if target.starts_with('/') { target.to_owned() } else { format!("{parent}/{target}") });
        // One step is enough: what leads further is not known.
        self.kind(&target, false).filter(|letter| *letter != 'l')
    }

    /// `test -f` and its like.
    pub(super) fn is(&self, path: &str, letters: &str) -> Truth {
        let follow = !letters.contains('l');
        self.kind(path, follow).map_or(Truth::Maybe, |letter| letters.contains(letter).into())
    }

    /// All paths where something is, or may be.
    pub(super) fn known(&self) -> impl Iterator<Item = &str> {
        let disk = self.facts.system.disk.keys().filter(|path| self.change(path).is_none());
        let changed = self.changed().filter(|(_, state, _)| **state != State::Missing);
        disk.map(String::as_str).chain(changed.map(|(path, ..)| path.as_str()))
    }

    /// The paths below a directory.
    pub(super) fn below(&self, directory: &str) -> Vec<String> {
        let begin = format!("{}/", directory.trim_end_matches('/'));
        let mut paths: Vec<_> = self.known().filter(|path| path.starts_with(&begin)).map(str::to_owned).collect();
        paths.sort();
        paths
    }

    /// The known paths that a text may be.
    pub(super) fn matching(&self, text: &Text) -> Vec<String> {
        if let Some(path) = text.known() {
            let path = normal(&path);
            return if self.exists(&path) == Truth::No { Vec::new() } else { vec![path] };
        }
        let mut paths: Vec<_> = self.known().filter(|path| text.may_be(path)).map(str::to_owned).collect();
        paths.sort();
        paths
    }

    /// What is so if either this or `other` may be.
    pub(super) fn join(&mut self, other: &Self) {
        let mut paths: Vec<String> = self.changes.keys().chain(other.changes.keys()).cloned().collect();
        if !Rc::ptr_eq(&self.frozen, &other.frozen) {
            paths.extend(self.frozen.keys().chain(other.frozen.keys()).cloned());
        }
        for path in paths {
            let (mine, theirs) = (self.state(&path), other.state(&path));
            if mine != theirs {
                let blame = other.blame(&path).or_else(|| self.blame(&path)).cloned();
                self.changes.insert(path, (State::Unknown, blame));
            } else if self.change(&path).is_none() {
                let blame = other.blame(&path).cloned();
                self.changes.insert(path, (theirs, blame));
            }
        }
    }
}

/// A path without `//`, `.` and `..`.
pub(super) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
