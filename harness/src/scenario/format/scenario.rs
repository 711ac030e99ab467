//! A scenario as it is run: its cases, each with its lab and its steps.

use super::lab_file::LabFile;
use super::step::{Action, Step};
use crate::diagnostic::FileDiagnostics;
use crate::etc::{EtcError, OwnEtc};
use miette::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A scenario file.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name: the file's.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// One line for people.
    pub summary: String,
    /// The ways to run it, at least one.
    pub cases: Vec<Case>,
    /// Where the lines of the file begin, in bytes.
    pub(crate) lines: Vec<usize>,
}

/// One way to run a scenario.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name: `main`, `fault` or `control`, and before it the values of the matrix, if there is one.
    pub name: String,
    /// What it shows.
    pub kind: Kind,
    /// Which runs it belongs to.
    pub tier: Tier,
    /// The lab that it runs in, and what must hold there before it starts.
    pub lab: Arc<LabFile>,
    /// The configuration that is laid over its mail machine, if it is not the lab's own.
    pub etc: Option<Arc<OwnEtc>>,
    /// What is done and expected, in order.
    pub steps: Vec<Step>,
    /// What must be true before the first step and after every step.
    pub invariants: Vec<Step>,
}

/// What a case shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// That all expectations hold; the scenario breaks nothing.
    Main,
    /// What is broken: all steps are carried out, and all symptoms must hold.
    Fault,
    /// What is not: steps that break something are left out, and no symptom may hold.
    Control,
}

/// Which runs a case belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Every run.
    #[default]
    Quick,
    /// Full runs only.
    Full,
}

/// Why there is no scenario.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ScenarioError {
    /// It cannot be read.
    #[error("failed to read the scenario")]
    Read(#[from] std::io::Error),
    /// The configuration that it is run with.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Etc(#[from] EtcError),
    /// It, or its lab, is not what it must be.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Content(#[from] FileDiagnostics),
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "main",
            Self::Fault => "fault",
            Self::Control => "control",
        })
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quick => "quick",
            Self::Full => "full",
        })
    }
}

impl Scenario {
    /// The line of the file, from 1, that a step stands in.
    pub(crate) fn line_of(&self, step: &Step) -> usize {
        let place = step.name.span().start;
        self.lines.partition_point(|begin| *begin <= place)
    }

    /// Rows of the specification that its steps drive, in order, once each.
    #[must_use]
    pub fn covers(&self) -> Vec<String> {
        sorted(self.cases.iter().flat_map(Case::covers).collect())
    }
}

impl Case {
    /// Rows of the specification that its steps drive, in order, once each.
    #[must_use]
    pub fn covers(&self) -> Vec<String> {
        sorted(self.steps.iter().flat_map(|step| &step.covers).map(|row| row.get_ref().clone()).collect())
    }

    /// Whether a lab for the steps from `from` on must be such that it can be frozen on the way.
    pub(crate) fn has_checkpoints(&self, from: usize) -> bool {
        self.steps.iter().skip(from).any(|step| matches!(step.action, Action::Checkpoint(_)))
    }
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows.dedup();
    rows
}
