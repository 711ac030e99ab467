//! What happens in a run, while it happens: for the log of events, and for whoever watches.

use super::result::{KeptSteps, StepResult, Verdict};
use serde::Serialize;

/// Something that happens in a case.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", content = "details", rename_all = "kebab-case")]
pub enum RunEvent {
    /// It begins.
    Begins,
    /// It waits for something of the host, or its lab comes nearer; in words.
    Lab(String),
    /// It starts behind a kept checkpoint.
    Kept(KeptSteps),
    /// A step begins.
    StepBegins(Beginning),
    /// A step is over.
    Step(StepResult),
    /// A person has brought its lab back to this state.
    Rewound(String),
    /// The case is over.
    Verdict(Verdict),
}

/// A step that begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Beginning {
    /// Its number, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// Its sentence.
    pub name: String,
    /// Its machine.
    pub machine: String,
    /// How long it looks, if it looks more than once; in words.
    pub looks: Option<String>,
}

/// Who is told what happens: the scenario, the case, and what.
pub type Watcher = dyn Fn(&str, &str, &RunEvent) + Send + Sync;
