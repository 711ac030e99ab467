//! What a scriptlet does to files, as far as it can be told from its text.
//!
//! The shell is followed for the idioms by which packages move, restore and edit configuration: variables, loops over lists,
//! conditions on files, here-documents, `find`. Whatever depends on something that is not known here makes the files
//! unknown that it may change; a script that cannot be followed at all, or is not for the shell, makes all files unknown that
//! it names. There is no third answer.

mod commands;
mod condition;
mod eval;
mod expand;
mod lists;
mod parse;
mod syntax;
mod text;
mod world;

#[cfg(test)]
mod tests;

use super::scriptlet::{Scriptlet, first_change, named};
use eval::Follower;
use std::rc::Rc;
pub(super) use world::{Blame, Facts, Foreign, State, World};

/// What following a scriptlet came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Followed {
    /// Lines that change files of which nothing is known.
    pub(super) blind: Vec<String>,
    /// Whether it certainly ends with a failure.
    pub(super) fails: bool,
    /// Files that it names, with the line, if it could not be followed.
    pub(super) named: Vec<(String, String)>,
}

/// Does in `world` what a scriptlet does; `argument` is its first one, the number of packages of its name, if that is known.
pub(super) fn follow(world: &mut World<'_>, package: &str, scriptlet: &Scriptlet, argument: Option<u32>) -> Followed {
    let kind = scriptlet.kind.name();
    world.freeze();
    if scriptlet.is_shell() {
        let mut follower = Follower::new(world.clone(), package, kind, &scriptlet.text, argument);
        if let Ok(after) = follower.follow(&scriptlet.text) {
            let blind = lines(&scriptlet.text, &follower);
            *world = if scriptlet.kind.is_certain() { after } else { perhaps(world, after) };
            return Followed { blind, fails: follower.fails(), named: Vec::new() };
        }
    }
    let mut blind = Vec::new();
    if scriptlet.is_shell() {
        let mut follower = Follower::new(world.clone(), package, kind, &scriptlet.text, argument);
        follower.sweeps = true;
        // How far it came is enough: what follows may change what it names, as below.
        let _ = follower.follow(&scriptlet.text);
        blind = lines(&scriptlet.text, &follower);
        let changed: Vec<String> = follower.env.world.own_changes().map(|(path, ..)| path.clone()).collect();
        for path in changed {
            if follower.env.world.state(&path) != world.state(&path) {
                let blame = follower.env.world.blame(&path).cloned();
                world.put(&path, State::Unknown, blame.as_ref());
            }
        }
    }
    let named = named(world.facts.system, &scriptlet.text);
    for (path, line) in &named {
        let blame = Rc::new(Blame { package: package.to_owned(), scriptlet: kind.to_owned(), line: line.clone() });
        world.put(path, State::Unknown, Some(&blame));
    }
    if named.is_empty() && blind.is_empty() {
        blind.extend(first_change(&scriptlet.text).map(str::to_owned));
    }
    Followed { blind, fails: false, named }
}

/// What is so if a scriptlet may run or not.
fn perhaps<'a>(before: &World<'a>, after: World<'a>) -> World<'a> {
    let mut joined = after;
    joined.join(before);
    joined
}

fn lines(text: &str, follower: &Follower<'_, '_>) -> Vec<String> {
    let all: Vec<&str> = text.lines().collect();
    let line = |number: &usize| all.get(number.saturating_sub(1)).map(|line| line.trim().to_owned());
    follower.blind.iter().filter_map(line).collect()
}

/// Follows anything as a script.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(text: &str) {
    let system = super::dump::System::default();
    let facts = Facts { system: &system, brought: std::collections::HashMap::new() };
    let scriptlet = Scriptlet { kind: super::scriptlet::Kind::Post, program: None, text: text.to_owned() };
    let _ = follow(&mut World::new(&facts), "fuzzed-1-1", &scriptlet, Some(2));
}
