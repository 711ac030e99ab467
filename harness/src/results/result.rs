//! What became of cases and of their steps, as data: what a run writes, and what every report is made from.

use crate::host::core_meter::CoreShare;
use crate::time::CloseCall;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepOutcome {
    /// It did what it says.
    Passed,
    /// It did not.
    Failed,
    /// The case leaves it out.
    Omitted,
    /// It was carried out by an earlier run, which has kept the state behind it.
    Kept,
    /// It cannot be tried here.
    Skipped,
}

/// What a step is to its scenario.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// One step of many.
    #[default]
    Plain,
    /// It breaks something.
    Fault,
    /// It expects what is true only after a fault.
    Symptom,
    /// It is no step, but what must be true after every one.
    Invariant,
}

/// One step of a run. What is optional here may be missing from what an older run has kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepResult {
    /// Its number in the scenario, from 1; none for an invariant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<usize>,
    /// Its sentence.
    pub name: String,
    /// Its machine.
    pub machine: String,
    /// What it is to its scenario.
    #[serde(default)]
    pub part: Part,
    /// The heading of the phase that begins with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Its line in the scenario's file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
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
    /// The dialogue, if there was one, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
    /// The files that it has left in the directory of its case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// What the lab's guests got of this host's cores since the step before; of the one that waited longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<Box<CoreShare>>,
}

/// The steps that an earlier run has carried out, and what this one started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptSteps {
    /// The checkpoint.
    pub checkpoint: String,
    /// How many steps, from the first.
    pub steps: usize,
    /// When they were carried out.
    pub run: Timestamp,
}

/// What became of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All steps passed.
    Passed,
    /// One did not, or the lab broke.
    Failed,
    /// It was left out, or cannot run here.
    Skipped,
}

/// Something that befell the lab of a case before its first step: a boot, or a wait for something of the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabNote {
    /// Seconds since the case began.
    pub after: f64,
    /// What it was.
    pub words: String,
}

/// A run of a case that failed while a guest was starved of processor time. It says nothing about the lab: the case ran once
/// more, and that run decides.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StarvedRun {
    /// Why it failed.
    pub reason: String,
    /// How long it took, with its lab.
    pub seconds: f64,
    /// The stretch in which a guest was starved most.
    pub share: CoreShare,
    /// Its steps, as far as it came.
    pub steps: Vec<StepResult>,
}

/// One case of a scenario in a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioResult {
    /// The scenario.
    pub name: String,
    /// The case.
    pub case: String,
    /// The scenario's line for people.
    pub summary: String,
    /// The scenario's file, as seen from the project.
    pub file: String,
    /// Whether it is a control: nothing is broken in it, and no symptom may show.
    pub control: bool,
    /// What became of it.
    pub outcome: Verdict,
    /// Why, unless it passed.
    pub reason: Option<String>,
    /// When it began; none if it did not.
    pub started: Option<Timestamp>,
    /// How long it took, with its lab.
    pub seconds: f64,
    /// How long it took until its lab ran.
    pub lab_seconds: f64,
    /// What happened until then.
    pub lab: Vec<LabNote>,
    /// Rows of the specification.
    pub covers: Vec<String>,
    /// What it started with, unless it began with its first step.
    pub kept: Option<KeptSteps>,
    /// Waits that took most of their time: what may fail on a slower day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub close_calls: Vec<CloseCall>,
    /// What guests got of this host's cores until the lab ran, and after the last step that is told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cores: Vec<CoreShare>,
    /// The machine whose QEMU ended by itself, or let go of its control channel: no lack of processor time does that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
    /// The run before this one, if that failed while a guest was starved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starved: Option<StarvedRun>,
    /// Its steps, as far as it came.
    pub steps: Vec<StepResult>,
}

/// What is known of a case that has no verdict yet. Only a judgement makes a result of it.
#[derive(Debug, Clone)]
pub struct CaseRecord {
    /// The scenario.
    pub name: String,
    /// The case.
    pub case: String,
    /// The scenario's line for people.
    pub summary: String,
    /// The scenario's file.
    pub file: String,
    /// Whether it is a control.
    pub control: bool,
    /// How long it took, with its lab.
    pub seconds: f64,
    /// How long it took until its lab ran.
    pub lab_seconds: f64,
    /// Rows of the specification.
    pub covers: Vec<String>,
    /// What it started with, unless it began with its first step.
    pub kept: Option<KeptSteps>,
    /// Waits that took most of their time.
    pub close_calls: Vec<CloseCall>,
    /// What guests got of this host's cores until the lab ran, and after the last step that is told.
    pub cores: Vec<CoreShare>,
    /// The machine whose QEMU ended by itself, or let go of its control channel.
    pub lost: Option<String>,
    /// Its steps, as far as it came.
    pub steps: Vec<StepResult>,
}

impl CaseRecord {
    /// The result, with a verdict and why.
    #[must_use]
    pub fn judged(self, outcome: Verdict, reason: Option<String>) -> ScenarioResult {
        ScenarioResult {
            name: self.name,
            case: self.case,
            summary: self.summary,
            file: self.file,
            control: self.control,
            outcome,
            reason,
            started: None,
            seconds: self.seconds,
            lab_seconds: self.lab_seconds,
            lab: Vec::new(),
            covers: self.covers,
            kept: self.kept,
            close_calls: self.close_calls,
            cores: self.cores,
            lost: self.lost,
            starved: None,
            steps: self.steps,
        }
    }

    /// The result of a case that did not run, and why.
    #[must_use]
    pub fn left_out(self, reason: &str) -> ScenarioResult {
        self.judged(Verdict::Skipped, Some(reason.to_owned()))
    }

    /// The result of a case that came to no verdict of its own, and why.
    #[must_use]
    pub fn broken(self, reason: &str) -> ScenarioResult {
        self.judged(Verdict::Failed, Some(reason.to_owned()))
    }
}

impl ScenarioResult {
    /// `scenario::case`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}::{}", self.name, self.case)
    }

    /// Its steps that were not carried out: left out of a control, or not possible on this host.
    pub fn not_carried_out(&self) -> impl Iterator<Item = &StepResult> {
        self.steps.iter().filter(|step| matches!(step.outcome, StepOutcome::Omitted | StepOutcome::Skipped))
    }

    /// The step that it failed at.
    #[must_use]
    pub fn failed_step(&self) -> Option<&StepResult> {
        self.steps.iter().find(|step| step.outcome == StepOutcome::Failed)
    }
}
