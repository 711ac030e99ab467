//! Relations of Debian packages in rpm's terms.
//!
//! The two mean different things by the same words. What had to be known of the rest of the release is in [`Members`].

use super::control::Control;
use super::package::{Need, Relations};
use super::relation::{Alternatives, Comparison, Relation};
use super::version::{has_revision, in_relation};
use std::collections::{BTreeMap, BTreeSet};

/// The names that the packages of one release have.
#[derive(Debug, Default)]
pub(super) struct Members {
    packages: BTreeSet<String>,
    /// Which packages provide a name, and whether one of them does it without a version.
    provided: BTreeMap<String, Provided>,
}

#[derive(Debug, Default)]
struct Provided {
    by: BTreeSet<String>,
    unversioned: bool,
}

/// Interpreters that scriptlets of rpm need by their path, and who has them.
const INTERPRETERS: [(&str, &[&str]); 3] =
    [("dash", &["/bin/sh"]), ("bash", &["/bin/bash", "/usr/bin/bash"]), ("perl-base", &["/usr/bin/perl"])];

impl Members {
    pub(super) fn of<'a>(packages: impl IntoIterator<Item = &'a Control>) -> Self {
        let mut members = Self::default();
        for control in packages {
            members.packages.insert(control.package.clone());
            for relation in control.provides.iter().flatten() {
                let provided = members.provided.entry(relation.name.clone()).or_default();
                provided.by.insert(control.package.clone());
                provided.unversioned |= relation.version.is_none();
            }
        }
        members
    }

    fn is_package(&self, name: &str) -> bool {
        self.packages.contains(name)
    }

    fn is_there(&self, name: &str) -> bool {
        self.is_package(name) || self.provided.contains_key(name)
    }

    /// Whether another package than `except` provides the name.
    fn others_provide(&self, name: &str, except: &str) -> bool {
        self.provided.get(name).is_some_and(|provided| provided.by.iter().any(|package| package != except))
    }

    fn provided_without_version(&self, name: &str) -> bool {
        self.provided.get(name).is_some_and(|provided| provided.unversioned)
    }

    /// The relations of one of the packages.
    pub(super) fn translate(&self, control: &Control) -> Relations {
        let mut relations = Relations::default();
        self.requirements(control, &mut relations);
        relations.provides = control.provides.iter().flatten().map(need).collect();
        for path in INTERPRETERS.iter().filter(|(name, _)| *name == control.package).flat_map(|(_, paths)| *paths) {
            relations.provides.push(Need::any(path));
        }
        self.exclusions(control, &mut relations);
        for list in [
            &mut relations.requires,
            &mut relations.requires_before,
            &mut relations.provides,
            &mut relations.conflicts,
            &mut relations.obsoletes,
        ] {
            let mut seen = BTreeSet::new();
            list.retain(|need| seen.insert(need.clone()));
        }
        relations
    }

    fn requirements(&self, control: &Control, relations: &mut Relations) {
        for (groups, before) in [(&control.pre_depends, true), (&control.depends, false)] {
            for alternatives in groups {
                let Some(chosen) = self.chosen(alternatives) else { continue };
                // The C library and libgcc-s1 need each other. rpm would break the ring at any place; it must be this one:
                // the compiler's library waits for the C library, and not the other way round.
                if control.package == "libc6" && chosen.name == "libgcc-s1" {
                    continue;
                }
                // Whatever runs needs a C library that is new enough, and a plain requirement of a ring of packages
                // does not order them: programs would stop in the middle of an upgrade for a missing GLIBC_2.38.
                if before || chosen.name == "libc6" {
                    relations.requires_before.push(need(chosen));
                }
                relations.requires.push(need(chosen));
            }
        }
    }

    /// The alternative that the release has: apt has chosen it. A package comes before another name of one.
    fn chosen<'a>(&self, alternatives: &'a Alternatives) -> Option<&'a Relation> {
        let mut there = alternatives.iter().filter(|relation| self.is_there(&relation.name));
        let first = there.clone().next();
        there.find(|relation| self.is_package(&relation.name)).or(first)
    }

    fn exclusions(&self, control: &Control, relations: &mut Relations) {
        let replaced: BTreeSet<&str> = control.replaces.iter().flatten().map(|one| one.name.as_str()).collect();
        let own: BTreeSet<&str> = control.provides.iter().flatten().map(|one| one.name.as_str()).collect();
        for relation in control.breaks.iter().chain(&control.conflicts).flatten() {
            let name = relation.name.as_str();
            if name == control.package {
                // A package may exclude others of its own name; rpm has one version of a package anyway.
                continue;
            }
            if self.is_package(name) && relation.version.is_some() {
                // Within one release it is kept by construction. As a conflict it would only bind packages to each other
                // in rings, and rpm breaks those anywhere: dash came before the C library that it needs.
                continue;
            }
            let takes_over = !self.is_package(name)
                && replaced.contains(name)
                && !self.others_provide(name, &control.package)
                && (!own.contains(name) || relation.version.is_some());
            if takes_over {
                // A renamed library: with `Obsoletes` the old one goes in the same step as the new one comes. As a
                // conflict it would be erased before, and what needs it could not run in between.
                relations.obsoletes.push(need(relation));
            } else if relation.version.is_none() {
                // Only what the release has can be meant. A package that conflicts with a name that it provides itself
                // means all others of that name, in rpm as in Debian.
                if self.is_there(name) {
                    relations.conflicts.push(need(relation));
                }
            } else if !self.provided_without_version(name) {
                // In Debian a name that is provided without a version matches no relation with one; in rpm it
                // matches all of them.
                relations.conflicts.push(need(relation));
            }
        }
    }
}

fn need(relation: &Relation) -> Need {
    let version = relation.version.as_ref().map(|(comparison, version)| {
        let sign = match comparison {
            Comparison::Earlier => "<",
            Comparison::EarlierOrEqual => "<=",
            Comparison::Equal => "=",
            Comparison::LaterOrEqual => ">=",
            // 2.36-9 is later than 2.36 in Debian. rpm does not compare a release that the relation leaves open, and
            // would find the two equal.
            Comparison::Later if !has_revision(version) => ">=",
            Comparison::Later => ">",
        };
        (sign.to_owned(), in_relation(version))
    });
    Need { name: relation.name.clone(), version }
}

#[cfg(test)]
#[path = "translate_tests.rs"]
mod tests;
