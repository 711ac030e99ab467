//! Which package becomes which: what a distribution upgrade does with each installed package.
//!
//! This is no dependency solver. It takes what `zypper dup` takes in the plain cases: the newest package of the same name,
//! else one that obsoletes it, else the package stays, unless a coming one conflicts with it by name. Packages that come new
//! are found by the names that coming ones require, and only where one package alone provides such a name. Recommended
//! packages, and packages that must go since what they need is gone, are not found.

use super::dump::{Installed, System};
use super::repository::{Coming, Repository};
use std::collections::{HashMap, HashSet};

/// What becomes of an installed package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The repository has the same version: nothing is done.
    Same,
    /// The repository has nothing for it: it stays.
    Stays,
    /// It goes.
    Goes(Departure),
}

/// Why a package goes; the number is the index of a coming package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// Another version of it comes.
    Upgraded(usize),
    /// A package that obsoletes it comes.
    Obsoleted(usize),
    /// A package that conflicts with it comes.
    Conflicted(usize),
}

impl Departure {
    /// The package that makes it go.
    pub fn by(self) -> usize {
        match self {
            Self::Upgraded(by) | Self::Obsoleted(by) | Self::Conflicted(by) => by,
        }
    }
}

/// What an upgrade does with the packages.
#[derive(Debug)]
pub struct Plan {
    /// For each installed package of the system, in its order.
    pub outcomes: Vec<Outcome>,
    /// The indexes of the packages of the repository that come, in their order.
    pub coming: Vec<usize>,
}

/// What the packages of a directory are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All that a distribution has: some of them come.
    Repository,
    /// Just what will be installed, such as what `zypper dup --download-only` fetched: all of them come.
    Transaction,
}

impl Plan {
    /// The upgrade of a system to what a repository has.
    pub fn new(system: &System, repository: &Repository, extent: Extent) -> Self {
        let index = Index::new(&repository.packages);
        let mut outcomes: Vec<Outcome> = system.packages.iter().map(|installed| index.outcome(installed)).collect();
        let coming = match extent {
            Extent::Repository => coming(&index, system, &outcomes),
            Extent::Transaction => (0..repository.packages.len()).collect(),
        };
        for (outcome, installed) in outcomes.iter_mut().zip(&system.packages) {
            let conflicts = |number: &usize| {
                repository.packages[*number].conflicts.iter().any(|with| with.matches(&installed.name, &installed.evr))
            };
            if *outcome == Outcome::Stays
                && let Some(enemy) = coming.iter().copied().find(conflicts)
            {
                *outcome = Outcome::Goes(Departure::Conflicted(enemy));
            }
        }
        Self { outcomes, coming }
    }

    /// How many installed packages stay since the repository has nothing for them.
    pub fn staying(&self) -> usize {
        self.outcomes.iter().filter(|outcome| **outcome == Outcome::Stays).count()
    }
}

/// The packages that take the place of others, and what they require.
fn coming(index: &Index, system: &System, outcomes: &[Outcome]) -> Vec<usize> {
    let mut coming = HashSet::new();
    let mut staying = HashSet::new();
    for (outcome, installed) in outcomes.iter().zip(&system.packages) {
        match outcome {
            Outcome::Goes(departure) => _ = coming.insert(departure.by()),
            Outcome::Same | Outcome::Stays => _ = staying.insert(installed.name.as_str()),
        }
    }
    index.add_required(&mut coming, &staying);
    let mut coming: Vec<usize> = coming.into_iter().collect();
    coming.sort_unstable();
    coming
}

/// Packages of a repository by what they are asked for.
struct Index<'a> {
    packages: &'a [Coming],
    by_name: HashMap<&'a str, Vec<usize>>,
    by_obsoleted: HashMap<&'a str, Vec<usize>>,
    by_provided: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Index<'a> {
    fn new(packages: &'a [Coming]) -> Self {
        let mut index =
            Self { packages, by_name: HashMap::new(), by_obsoleted: HashMap::new(), by_provided: HashMap::new() };
        for (number, package) in packages.iter().enumerate() {
            index.by_name.entry(&package.name).or_default().push(number);
            for old in &package.obsoletes {
                index.by_obsoleted.entry(old.name()).or_default().push(number);
            }
            for provided in &package.provides {
                index.by_provided.entry(provided).or_default().push(number);
            }
        }
        index
    }

    /// What becomes of a package if no other one drives it out.
    fn outcome(&self, installed: &Installed) -> Outcome {
        // Keys that signatures are checked with are kept as packages of this name, many at a time.
        if installed.name == "gpg-pubkey" {
            return Outcome::Stays;
        }
        let named = self.by_name.get(installed.name.as_str()).into_iter().flatten().copied();
        if let Some(successor) = self.best(named, &installed.arch) {
            let package = &self.packages[successor];
            let is_same = (&package.evr, &package.arch) == (&installed.evr, &installed.arch);
            return if is_same { Outcome::Same } else { Outcome::Goes(Departure::Upgraded(successor)) };
        }
        let heirs = self.by_obsoleted.get(installed.name.as_str()).into_iter().flatten().copied();
        let heirs = heirs.filter(|heir| {
            self.packages[*heir].obsoletes.iter().any(|old| old.matches(&installed.name, &installed.evr))
        });
        self.best(heirs, &installed.arch).map_or(Outcome::Stays, |heir| Outcome::Goes(Departure::Obsoleted(heir)))
    }

    /// The one of the same architecture, else one for every architecture; one for every architecture may become any.
    fn best(&self, candidates: impl Iterator<Item = usize>, arch: &str) -> Option<usize> {
        let rank = |candidate: &usize| match self.packages[*candidate].arch.as_str() {
            own if own == arch => Some(0),
            "noarch" => Some(1),
            _ if arch == "noarch" => Some(2),
            _ => None,
        };
        candidates.filter_map(|candidate| Some((rank(&candidate)?, candidate))).min().map(|(_, candidate)| candidate)
    }

    /// Adds the packages that coming ones require, and so on, where only one name has what is required.
    fn add_required(&self, coming: &mut HashSet<usize>, staying: &HashSet<&str>) {
        let mut open: Vec<usize> = coming.iter().copied().collect();
        while let Some(number) = open.pop() {
            let package = &self.packages[number];
            for required in &package.requires {
                let candidates = self.by_provided.get(required.as_str()).map_or(&[][..], Vec::as_slice);
                let is_there = |candidate: &usize| {
                    coming.contains(candidate) || staying.contains(self.packages[*candidate].name.as_str())
                };
                if candidates.iter().any(is_there) {
                    continue;
                }
                let names: HashSet<&str> =
                    candidates.iter().map(|candidate| self.packages[*candidate].name.as_str()).collect();
                if names.len() == 1
                    && let Some(only) = self.best(candidates.iter().copied(), &package.arch)
                    && coming.insert(only)
                {
                    open.push(only);
                }
            }
        }
    }
}
