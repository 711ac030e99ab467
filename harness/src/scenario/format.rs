//! A scenario as it is run: its cells, each with its lab and its steps.

use super::lab_file::LabFile;
use super::step::{Action, Step};
use crate::etc::{EtcError, OwnEtc};
use crate::mistake::Mistakes;
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
    pub cells: Vec<Cell>,
    /// Where the lines of the file begin, in bytes.
    pub(super) lines: Vec<usize>,
}

/// One way to run a scenario.
#[derive(Debug, Clone)]
pub struct Cell {
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

/// What a cell shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// That all expectations hold; the scenario breaks nothing.
    Main,
    /// What is broken: all steps are carried out, and all symptoms must hold.
    Fault,
    /// What is not: steps that break something are left out, and no symptom may hold.
    Control,
}

/// Which runs a cell belongs to.
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
    Content(#[from] Mistakes),
}

impl fmt::Display for Cell {
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
    pub(super) fn line_of(&self, step: &Step) -> usize {
        let place = step.name.span().start;
        self.lines.partition_point(|begin| *begin <= place)
    }

    /// Rows of the specification that its steps drive, in order, once each.
    #[must_use]
    pub fn covers(&self) -> Vec<String> {
        sorted(self.cells.iter().flat_map(Cell::covers).collect())
    }
}

impl Cell {
    /// Rows of the specification that its steps drive, in order, once each.
    #[must_use]
    pub fn covers(&self) -> Vec<String> {
        sorted(self.steps.iter().flat_map(|step| &step.covers).map(|row| row.get_ref().clone()).collect())
    }

    /// Whether a lab for the steps from `from` on must be such that it can be frozen on the way.
    pub(super) fn has_checkpoints(&self, from: usize) -> bool {
        self.steps.iter().skip(from).any(|step| matches!(step.action, Action::Checkpoint(_)))
    }
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows.dedup();
    rows
}
