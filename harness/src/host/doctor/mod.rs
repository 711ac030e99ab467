//! What this host can do for scenarios, tried for real: each check says what it found, what follows, and what would help.
//!
//! The checks try things instead of reading version numbers: a probe runs, a namespace is made, a tap appears in it.

mod compute;
mod network;
mod resources;
mod table;
mod tools;

use super::accelerator::Accelerator;
use serde::Serialize;
use std::path::Path;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Scenarios run, but slower, or not all of them.
    Degraded,
    /// No scenario can run without it.
    Missing,
}

/// One check of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: a noun.
    pub name: String,
    /// How it ended.
    pub state: State,
    /// What was found.
    pub finding: String,
    /// What follows for scenarios; nothing when all is well.
    pub consequence: Option<String>,
    /// What a person can do about it, if anything.
    pub cure: Option<String>,
}

impl Check {
    fn ok(name: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { name: name.into(), state: State::Ok, finding: finding.into(), consequence: None, cure: None }
    }

    fn degraded(name: impl Into<String>, finding: impl Into<String>, consequence: &str) -> Self {
        let consequence = Some(consequence.to_owned());
        Self { state: State::Degraded, consequence, ..Self::ok(name, finding) }
    }

    fn missing(name: impl Into<String>, finding: impl Into<String>, consequence: &str) -> Self {
        Self { state: State::Missing, ..Self::degraded(name, finding, consequence) }
    }

    fn cure(self, cure: impl Into<String>) -> Self {
        Self { cure: Some(cure.into()), ..self }
    }
}

/// The state of the host. Its `Display` is a table for people, its serialisation is for programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// All checks.
    pub checks: Vec<Check>,
    /// What guests would run by; none if nothing runs them.
    pub accelerator: Option<Accelerator>,
    /// How much slower than on the reference they run, to one decimal.
    pub pace: Option<f64>,
    /// Whether scenarios can run: nothing that all of them need is missing.
    pub usable: bool,
}

impl Report {
    fn new(checks: Vec<Check>, accelerator: Option<Accelerator>, pace: Option<f64>) -> Self {
        let usable = checks.iter().all(|check| check.state != State::Missing);
        Self { checks, accelerator, pace: pace.map(|pace| (pace * 10.0).round() / 10.0), usable }
    }
}

/// Examines this host. `cache` is where images and runs are kept; it need not exist yet. What the probe said since this
/// host booted is taken from there, unless `fresh` is wanted: then it is forgotten, and this takes some seconds.
pub fn examine(cache: &Path, fresh: bool) -> Report {
    let (mut checks, selection) = compute::examine(cache, fresh);
    checks.extend(network::examine());
    checks.extend(resources::examine(cache));
    checks.extend(tools::examine());
    let accelerator = selection.as_ref().map(|selection| selection.accelerator);
    Report::new(checks, accelerator, selection.map(|selection| selection.pace.factor()))
}
