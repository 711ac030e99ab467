//! What a run leaves behind: one directory with events, results, logs and transcripts.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The result directory of one run. Shared by everything that runs in it.
#[derive(Debug)]
pub struct Run {
    directory: PathBuf,
    events: Mutex<File>,
    scenarios: Mutex<Vec<ScenarioResult>>,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepOutcome {
    /// It did what it says.
    Passed,
    /// It did not.
    Failed,
    /// The cell leaves it out.
    Omitted,
    /// It was carried out by an earlier run, which has kept the state behind it.
    Kept,
    /// It cannot be tried here.
    Skipped,
}

/// One step of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepResult {
    /// Its sentence.
    pub name: String,
    /// Its machine.
    pub machine: String,
    /// What became of it.
    pub outcome: StepOutcome,
    /// How long it took, by the host's clock.
    pub seconds: f64,
    /// What was asked.
    pub asked: String,
    /// What was answered, or what went wrong.
    pub answered: String,
    /// Why a login was refused that should have been let in: the likely cause, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<String>,
}

/// The steps that an earlier run has carried out, and what this one started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptSteps {
    /// The checkpoint.
    pub checkpoint: String,
    /// How many steps, from the first.
    pub steps: usize,
    /// When they were carried out.
    pub run: jiff::Timestamp,
}

/// What became of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All steps passed.
    Passed,
    /// One did not, or the lab broke.
    Failed,
    /// It was left out, or cannot run here.
    Skipped,
}

/// One cell of a scenario in a run.
#[derive(Debug, Clone, Serialize)]
pub struct ScenarioResult {
    /// The scenario.
    pub name: String,
    /// The cell.
    pub cell: String,
    /// What became of it.
    pub outcome: Verdict,
    /// Why, unless it passed.
    pub reason: Option<String>,
    /// How long it took, with its lab.
    pub seconds: f64,
    /// How long it took until its lab ran.
    pub lab_seconds: f64,
    /// Rows of the specification.
    pub covers: Vec<String>,
    /// What it started with, unless it began with its first step.
    pub kept: Option<KeptSteps>,
    /// Its steps, as far as it came.
    pub steps: Vec<StepResult>,
}

impl ScenarioResult {
    /// A cell that did not run, and why.
    #[must_use]
    pub fn left_out(scenario: &str, cell: &str, reason: &str) -> Self {
        Self {
            name: scenario.to_owned(),
            cell: cell.to_owned(),
            outcome: Verdict::Skipped,
            reason: Some(reason.to_owned()),
            seconds: 0.0,
            lab_seconds: 0.0,
            covers: Vec::new(),
            kept: None,
            steps: Vec::new(),
        }
    }
}

impl Run {
    /// Makes a new directory below `parent`, named by the time, and lets `latest` point to it.
    pub fn create(parent: &Path) -> io::Result<Self> {
        fs_err::create_dir_all(parent)?;
        let name = format!("{}-{}", jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S"), std::process::id());
        let directory = parent.join(&name);
        fs_err::create_dir(&directory)?;
        // A link is replaced in one step: a reader finds the old run or the new one.
        let link = parent.join(format!(".latest-{}", std::process::id()));
        fs_err::os::unix::fs::symlink(&name, &link)?;
        fs_err::rename(link, parent.join("latest"))?;
        let events = File::create(directory.join("events.jsonl"))?;
        Ok(Self { directory, events: events.into(), scenarios: Mutex::default() })
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory of one cell, made.
    pub fn cell(&self, scenario: &str, cell: &str) -> io::Result<PathBuf> {
        let directory = self.directory.join(format!("{scenario}::{cell}"));
        fs_err::create_dir_all(&directory)?;
        Ok(directory)
    }

    /// Appends an event. A full disk must not end a run: the event is then lost.
    pub fn event(&self, scenario: &str, cell: &str, kind: &str, details: &impl Serialize) {
        let at = jiff::Timestamp::now().to_string();
        let event =
            serde_json::json!({ "at": at, "scenario": scenario, "cell": cell, "event": kind, "details": details });
        if let Ok(mut events) = self.events.lock() {
            let _ = writeln!(events, "{event}");
        }
    }

    /// Adds the result of a cell.
    pub fn add(&self, result: ScenarioResult) {
        if let Ok(mut scenarios) = self.scenarios.lock() {
            scenarios.push(result);
        }
    }

    /// Writes `results.json`.
    pub fn finish(&self, accelerator: &str, seconds: f64) -> io::Result<()> {
        let scenarios = self.scenarios.lock().map(|scenarios| scenarios.clone()).unwrap_or_default();
        let results = serde_json::json!({ "accelerator": accelerator, "seconds": seconds, "scenarios": scenarios });
        fs_err::write(self.directory.join("results.json"), serde_json::to_vec_pretty(&results)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_run_is_the_latest() {
        let parent = tempfile::tempdir().unwrap();
        let run = Run::create(parent.path()).unwrap();
        run.event("pam-loss", "fault", "step", &"x");
        run.finish("tcg", 1.0).unwrap();
        let latest = parent.path().join("latest");
        assert_eq!(latest.canonicalize().unwrap(), run.directory().canonicalize().unwrap());
        let results: serde_json::Value =
            serde_json::from_slice(&std::fs::read(latest.join("results.json")).unwrap()).unwrap();
        assert_eq!(results["accelerator"], "tcg");
    }
}
