//! The upgrade, thought through: scriptlets and what rpm does, in the order in which both come.
//!
//! First every `%pretrans`. Then, package by package: `%pre`, its new files, `%post`, and of the package that it replaces
//! `%preun`, the files that go, `%postun`. In the end every `%posttrans`. Package managers order packages as they like: what
//! two packages change in the middle is unknown here, and so is to one package what another one changes.

use super::dump::System;
use super::fate::Fate;
use super::model::Prediction;
use super::plan::{Departure, Outcome, Plan};
use super::repository::Repository;
use super::scriptlet::{Hint, Kind, Scriptlet};
use super::shell::{Blame, Facts, Foreign, State, World, follow};
use std::collections::HashMap;
use std::rc::Rc;

/// What rpm does to a path, and for which coming package.
#[derive(Debug)]
pub(super) struct Deed {
    /// What becomes of it.
    pub(super) prediction: Prediction,
    /// The coming package that does it.
    pub(super) by: usize,
    /// Whether it comes with the new files, or with the removal of the old ones.
    pub(super) comes: bool,
}

/// An upgrade that is thought through.
pub(super) struct Simulation<'a> {
    system: &'a System,
    repository: &'a Repository,
    plan: &'a Plan,
    /// Lines of scriptlets that could not be followed.
    pub(super) hints: Vec<Hint>,
}

impl<'a> Simulation<'a> {
    pub(super) fn new(system: &'a System, repository: &'a Repository, plan: &'a Plan) -> Self {
        Self { system, repository, plan, hints: Vec::new() }
    }

    /// What `%pretrans` scriptlets do before rpm looks at anything.
    pub(super) fn before(&mut self, facts: &'a Facts<'a>) -> World<'a> {
        let mut world = World::new(facts);
        for &index in &self.plan.coming {
            self.run_coming(&mut world, index, Kind::PreTrans);
        }
        world
    }

    /// The files after the upgrade.
    pub(super) fn after(&mut self, before: &World<'a>, deeds: &[Deed]) -> World<'a> {
        let foreign = Rc::new(Foreign::new(deeds.iter().flat_map(|deed| {
            let paths = touched(&deed.prediction);
            paths.into_iter().map(|path| (path, deed.by))
        })));
        let mut by_package: HashMap<usize, Vec<&Deed>> = HashMap::new();
        for deed in deeds {
            by_package.entry(deed.by).or_default().push(deed);
        }
        let mut world = before.clone();
        for &index in &self.plan.coming {
            let mut own = before.clone();
            own.see_as(index, &foreign);
            self.replace(&mut own, index, by_package.get(&index).map_or(&[][..], Vec::as_slice));
            world.adopt(before, &own);
        }
        for &index in &self.plan.coming {
            self.run_coming(&mut world, index, Kind::PostTrans);
        }
        world
    }

    /// One package comes, and what it takes the place of goes.
    fn replace(&mut self, world: &mut World<'a>, index: usize, deeds: &[&Deed]) {
        let going = self.system.packages.iter().zip(&self.plan.outcomes).enumerate();
        let going: Vec<(usize, Departure)> = going
            .filter_map(|(number, (_, outcome))| match outcome {
                Outcome::Goes(departure) if departure.by() == index => Some((number, *departure)),
                _ => None,
            })
            .collect();
        if let Some(blame) = self.run_coming(world, index, Kind::Pre) {
            // rpm does not install a package whose `%pre` fails, and what a package manager then does is its own.
            for deed in deeds {
                world.put(&deed.prediction.path, State::Unknown, Some(&blame));
            }
            return;
        }
        deeds.iter().filter(|deed| deed.comes).for_each(|deed| carry_out(world, &deed.prediction));
        self.run_coming(world, index, Kind::Post);
        self.run_coming(world, index, Kind::Trigger);
        for (number, departure) in &going {
            self.run_going(world, *number, *departure, Kind::PreUn);
        }
        deeds.iter().filter(|deed| !deed.comes).for_each(|deed| carry_out(world, &deed.prediction));
        for (number, departure) in &going {
            self.run_going(world, *number, *departure, Kind::PostUn);
            self.run_going(world, *number, *departure, Kind::Trigger);
        }
    }

    /// Hands back the first scriptlet that certainly fails.
    fn run_coming(&mut self, world: &mut World<'a>, index: usize, kind: Kind) -> Option<Rc<Blame>> {
        let package = &self.repository.packages[index];
        let is_update = self.system.packages.iter().any(|installed| installed.name == package.name);
        let argument = match kind {
            Kind::Pre | Kind::Post => Some(1 + u32::from(is_update)),
            // rpm counts what is installed then, which its releases and callers do not agree about.
            _ => None,
        };
        let mut failed = None;
        for scriptlet in package.scripts.iter().filter(|scriptlet| scriptlet.kind == kind) {
            if self.run(world, &package.label(), scriptlet, argument) && failed.is_none() {
                let line = "it fails, and rpm does not install the package then".to_owned();
                failed = Some(Rc::new(Blame { package: package.label(), scriptlet: kind.name().to_owned(), line }));
            }
        }
        failed
    }

    fn run_going(&mut self, world: &mut World<'a>, number: usize, departure: Departure, kind: Kind) {
        let package = &self.system.packages[number];
        let argument = match (kind, departure) {
            (Kind::Trigger, _) => None,
            (_, Departure::Upgraded(_)) => Some(1),
            _ => Some(0),
        };
        for scriptlet in package.scripts.iter().filter(|scriptlet| scriptlet.kind == kind) {
            self.run(world, &package.label(), scriptlet, argument);
        }
    }

    /// Whether the scriptlet certainly fails.
    fn run(&mut self, world: &mut World<'a>, package: &str, scriptlet: &Scriptlet, argument: Option<u32>) -> bool {
        let followed = follow(world, package, scriptlet, argument);
        let hint = |path: Option<String>, line: String| Hint {
            path,
            package: package.to_owned(),
            scriptlet: scriptlet.kind.name().to_owned(),
            line,
        };
        self.hints.extend(followed.blind.into_iter().map(|line| hint(None, line)));
        self.hints.extend(followed.named.into_iter().map(|(path, line)| hint(Some(path), line)));
        followed.fails
    }
}

/// The paths at which something changes.
fn touched(prediction: &Prediction) -> Vec<String> {
    match prediction.fate {
        Fate::Kept | Fate::LeftBehind | Fate::Absent | Fate::Blocked => Vec::new(),
        Fate::KeptWithRpmnew => prediction.backup.iter().cloned().collect(),
        _ => prediction.backup.iter().cloned().chain([prediction.path.clone()]).collect(),
    }
}

/// Does what rpm does.
fn carry_out(world: &mut World<'_>, prediction: &Prediction) {
    let path = prediction.path.as_str();
    let brought = || State::Brought(path.to_owned());
    match (prediction.fate, &prediction.backup) {
        (Fate::Unknown, _) => {
            let blame = world.blame(path).cloned();
            world.put(path, State::Unknown, blame.as_ref());
        }
        (Fate::DeletedWithoutBackup | Fate::Removed, _) => world.put(path, State::Missing, None),
        (Fate::RemovedWithRpmsave, Some(copy)) => {
            set_aside(world, path, copy);
            world.put(path, State::Missing, None);
        }
        (Fate::ReplacedWithRpmsave | Fate::ReplacedWithRpmorig, Some(copy)) => {
            set_aside(world, path, copy);
            world.put(path, brought(), None);
        }
        (Fate::OverwrittenWithoutBackup | Fate::Created | Fate::Updated, _) => world.put(path, brought(), None),
        (Fate::KeptWithRpmnew, Some(copy)) => world.put(copy, brought(), None),
        _ => {}
    }
}

/// Renames a file, with what a scriptlet did to it before.
fn set_aside(world: &mut World<'_>, path: &str, copy: &str) {
    let (state, blame) = (world.state(path), world.blame(path).cloned());
    if state != State::Missing {
        world.put(copy, state, blame.as_ref());
    }
}
