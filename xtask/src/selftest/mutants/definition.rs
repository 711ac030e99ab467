//! Mutants as files say them: what is broken in a lab, and which step of which case must notice.

use crate::exit::Invalid;
use crate::lab_context::{case, scenario};
use crate::workbench::project;
use anyhow::Context as _;
use harness::scenario::{Case, Kind, Mutation, Scenario, Tier};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// How long the step that is to notice waits, at most, for what will not come true: nominal.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// The story that a mutant belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Story {
    /// Who may log in, and where mail arrives.
    Logins,
    /// The release upgrade.
    Upgrade,
    /// The packet filter, the provider, spam and viruses.
    Egress,
    /// The encrypted volume.
    Encryption,
}

/// One breakage of a lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    /// Its name.
    pub(crate) name: String,
    /// A sentence: what is wrong with the lab.
    pub(crate) breaks: String,
    /// The story that it belongs to.
    pub(crate) story: Story,
    /// The case that must turn red, as `scenario::case`.
    pub(crate) case: String,
    /// The machine that is broken.
    pub(crate) on: String,
    /// The step that it comes before; the first one, if none is named.
    pub(crate) before: Option<String>,
    /// The command that breaks the machine, for `/bin/sh`.
    pub(crate) command: String,
    /// The command that succeeds in the broken machine, and fails in a sound one.
    pub(crate) probe: String,
    /// The step that must fail, and no step before it.
    pub(crate) noticed_by: String,
    /// What the answer of that step contains: it fails for this reason, and for no other.
    pub(crate) answer_contains: String,
}

/// A file of mutants. Its name is the role of the machines that they break.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mutant: Vec<Mutant>,
}

/// All mutants of the project, with the scenarios that they are about.
pub(crate) struct Mutants {
    pub(crate) mutants: Vec<Placed>,
    scenarios: BTreeMap<String, Scenario>,
}

/// A mutant, and where it is applied.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) mutant: Mutant,
    /// The role of the machine that it breaks.
    pub(crate) role: String,
    before: usize,
    noticed_by: usize,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Logins => "logins",
            Self::Upgrade => "upgrade",
            Self::Egress => "egress",
            Self::Encryption => "encryption",
        })
    }
}

impl Mutants {
    /// Reads the mutants of the project, and finds the steps that they name.
    pub(crate) fn load() -> anyhow::Result<Self> {
        Self::load_from(&project("scenarios/mutants"))
    }

    /// Reads the mutants of a directory.
    fn load_from(directory: &Path) -> anyhow::Result<Self> {
        let files = Scenario::files_in(directory).with_context(|| format!("failed to read {}", directory.display()))?;
        let mut all = Self { mutants: Vec::new(), scenarios: BTreeMap::new() };
        let mut names = BTreeSet::new();
        for path in &files {
            let text = fs_err::read_to_string(path)?;
            let invalid = |words: String| Invalid(format!("{}: {words}", path.display()));
            let File { mutant: mutants } = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
            let role = path.file_stem().unwrap_or_default().to_string_lossy();
            for mutant in mutants {
                let about = |words: String| invalid(format!("mutant `{}`: {words}", mutant.name));
                if !names.insert(mutant.name.clone()) {
                    return Err(about("another mutant has this name".into()).into());
                }
                let scenario = all.scenario(&mutant.case).map_err(|error| about(format!("{error:#}")))?;
                let placed = Placed::find(mutant.clone(), &role, scenario).map_err(about)?;
                all.mutants.push(placed);
            }
        }
        Ok(all)
    }

    fn scenario(&mut self, case: &str) -> anyhow::Result<&Scenario> {
        let name = case.split_once("::").map_or(case, |(name, _)| name);
        if !self.scenarios.contains_key(name) {
            self.scenarios.insert(name.to_owned(), scenario(name, None)?);
        }
        self.scenarios.get(name).context("the scenario was just read")
    }

    /// The scenario and the case that a mutant is about.
    pub(crate) fn case(&self, mutant: &Mutant) -> anyhow::Result<(&Scenario, &Case)> {
        let name = mutant.case.split_once("::").map_or(&*mutant.case, |(name, _)| name);
        let scenario = self.scenarios.get(name).with_context(|| format!("scenario {name} was not read"))?;
        Ok((scenario, case(&mutant.case, scenario)?))
    }

    /// Whether its case is of full runs only.
    pub(crate) fn is_full(&self, mutant: &Mutant) -> anyhow::Result<bool> {
        Ok(self.case(mutant)?.1.tier == Tier::Full)
    }
}

impl Placed {
    /// Finds the steps that a mutant names, and refuses one that cannot be applied.
    fn find(mutant: Mutant, role: &str, scenario: &Scenario) -> Result<Self, String> {
        if !mutant.case.contains("::") {
            return Err(format!("`{}` names no case: write `scenario::case`", mutant.case));
        }
        let case = case(&mutant.case, scenario).map_err(|error| error.to_string())?;
        let machine = case.lab.topology.machines.iter().find(|machine| machine.name.get_ref().as_str() == mutant.on);
        let machine = machine.ok_or_else(|| format!("its lab has no machine `{}`", mutant.on))?;
        if machine.absent || machine.inside.is_some() {
            return Err(format!("`{}` cannot be reached: break the machine that runs it", mutant.on));
        }
        if machine.role != role {
            return Err(format!(
                "`{}` has the role `{}`: the mutant belongs into {}.toml",
                mutant.on, machine.role, machine.role
            ));
        }
        let noticed_by = index(case, &mutant.noticed_by)?;
        let before = mutant.before.as_ref().map_or(Ok(0), |step| index(case, step))?;
        if before > noticed_by {
            return Err(format!("it comes after step \"{}\", which is to notice it", mutant.noticed_by));
        }
        if mutant.answer_contains.trim().is_empty() {
            return Err("`answer_contains` is empty: say for which reason the step fails".into());
        }
        Ok(Self { role: role.to_owned(), before, noticed_by, mutant })
    }

    /// What the engine is told.
    pub(crate) fn mutation(&self) -> Mutation<'_> {
        Mutation {
            name: &self.mutant.name,
            on: &self.mutant.on,
            before: self.before,
            command: &self.mutant.command,
            probe: &self.mutant.probe,
            noticed_by: self.noticed_by,
            longest_wait: LONGEST_WAIT,
        }
    }

    /// The number of the step that must fail, from 1.
    pub(crate) fn step(&self) -> usize {
        self.noticed_by + 1
    }
}

/// The step of that name that the case carries out; there must be one.
fn index(case: &Case, name: &str) -> Result<usize, String> {
    let is_done = |fault: bool| !(fault && case.kind == Kind::Control);
    let found: Vec<_> = (0..).zip(&case.steps).filter(|(_, step)| step.name.get_ref() == name).collect();
    match found.as_slice() {
        [(index, step)] if is_done(step.fault) => Ok(*index),
        [_] => Err(format!("the case leaves out the step \"{name}\"")),
        [] => Err(format!("the case has no step \"{name}\"")),
        several => Err(format!("the case has {} steps \"{name}\"", several.len())),
    }
}

#[cfg(test)]
#[path = "definition_tests.rs"]
mod tests;
