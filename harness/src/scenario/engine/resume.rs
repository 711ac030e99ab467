//! Where a run of a case starts: with the lab's template and the first step, or behind a checkpoint that was kept.

use super::case_run::{CaseRun, Engine, LabCheckpoint};
use super::checkpoints::{Before, CheckpointMetadata, History, StartingPoint, starts};
use super::outcome::{result_of, unjudged};
use super::ready::ReadySteps;
use crate::cache::Claim;
use crate::etc::OwnEtc;
use crate::lab::{Found, Lab, LabError, Template, TemplateRequest, Wanted};
use crate::machine::{MachineFailure, MachineName};
use crate::results::{CaseRecord, KeptSteps, RunEvent, StepOutcome, StepResult, Verdict};
use crate::scenario::format::scenario::{Case, Scenario};
use crate::scenario::format::step::{Action, Step};
use crate::scenario::verbs::{TestState, take_inventory};
use futures_util::future::try_join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// What a run starts with.
pub(crate) struct Start {
    /// The lab, frozen.
    pub(crate) template: Arc<Template>,
    /// What earlier steps have left.
    pub(crate) notes: TestState,
    /// The step that is carried out next.
    pub(crate) next: usize,
    /// The steps that are to keep a checkpoint for later runs: nobody else makes these meanwhile.
    pub(crate) claims: BTreeMap<usize, Claim>,
    /// States that a step can go back to.
    pub(crate) kept: BTreeMap<String, LabCheckpoint>,
}

/// Why the lab could not be replaced by another.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplaceError {
    /// The lab.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// What came of it is not what the step expects.
    #[error("{0}")]
    Unmet(String),
    /// The configuration of a machine, which is kept with it.
    #[error("failed to take the inventory that is kept with a checkpoint: {0}")]
    Inventory(String),
    /// What the run knows could not be written down.
    #[error("failed to write down what is kept with a checkpoint: {0}")]
    CheckpointMetadata(#[from] serde_json::Error),
}

impl ReplaceError {
    /// What befell a machine, if that is what the error says.
    pub(crate) fn trouble(&self) -> Option<(&MachineName, &MachineFailure)> {
        match self {
            Self::Lab(error) => error.trouble(),
            Self::Unmet(_) | Self::Inventory(_) | Self::CheckpointMetadata(_) => None,
        }
    }
}

impl Engine<'_> {
    /// Looks for the last kept checkpoint of the case; without one, for the lab's template.
    pub(crate) async fn start(
        &self,
        play: &CaseRun<'_>,
        begun: &Instant,
        record: &mut CaseRecord,
    ) -> Result<Start, LabError> {
        let wanted = if self.fresh { Wanted::Fresh } else { Wanted::Kept };
        let mut claims = BTreeMap::new();
        let within = |index: &usize| *index < play.ends && self.course.is_sound_after(*index);
        for StartingPoint { step, needs } in starts(&play.case.steps).into_iter().filter(|point| within(&point.step)) {
            let mut kept = BTreeMap::new();
            for index in needs.iter().copied() {
                if claims.contains_key(&index) {
                    continue;
                }
                match self.look(play, index, wanted, begun).await? {
                    Found::Kept(template, metadata) => {
                        let name = checkpoint_name(&play.case.steps[index]).to_owned();
                        kept.insert(name, LabCheckpoint { template, notes: metadata.notes });
                    }
                    Found::ToMake(claim) => drop(claims.insert(index, claim)),
                }
            }
            if claims.contains_key(&step) {
                continue;
            }
            match self.look(play, step, wanted, begun).await? {
                Found::Kept(template, metadata) if kept.len() == needs.len() => {
                    return Ok(self.behind(play, step, (template, metadata), (claims, kept), record));
                }
                // It is of no use without those before it, and is made again with them another time.
                Found::Kept(..) => {}
                Found::ToMake(claim) => drop(claims.insert(step, claim)),
            }
        }
        let template = self.with_order(play, begun, async |order| self.stock.template(order).await).await?;
        Ok(Start { template, notes: TestState::default(), next: 0, claims, kept: BTreeMap::new() })
    }

    /// Starts behind a kept checkpoint, and says so.
    fn behind(
        &self,
        play: &CaseRun<'_>,
        index: usize,
        (template, metadata): (Arc<Template>, CheckpointMetadata),
        (claims, mut earlier): (BTreeMap<usize, Claim>, BTreeMap<String, LabCheckpoint>),
        record: &mut CaseRecord,
    ) -> Start {
        let CheckpointMetadata { mut notes, mut steps, .. } = metadata;
        notes.captured.forget_files();
        let name = checkpoint_name(&play.case.steps[index]);
        let kept = KeptSteps { checkpoint: name.to_owned(), steps: index + 1, run: template.frozen() };
        let date = kept.run.strftime("%Y-%m-%d");
        let range = if index == 0 { "step 1".into() } else { format!("steps 1–{}", kept.steps) };
        (self.say)(&format!("  kept  {range} as run on {date}: kept checkpoint {name}"));
        self.run.tell(&play.scenario.name, &play.case.name, &RunEvent::Kept(kept.clone()));
        steps.push(checkpoint_result(play, index, name));
        for step in &mut steps {
            if step.outcome == StepOutcome::Passed {
                step.outcome = StepOutcome::Kept;
            }
        }
        record.steps = steps;
        record.kept = Some(kept);
        // The result directory of this run is complete: inventories can be compared in it.
        let artifacts: Result<Vec<_>, _> =
            notes.inventories.iter().map(crate::scenario::verbs::NamedInventory::artifact).collect();
        let shown = artifacts.map_err(|error| error.to_string()).and_then(|artifacts| play.artifact(&artifacts));
        if let Err(reason) = shown {
            (self.say)(&format!("  note  the inventories of the kept steps are not in the results: {reason}"));
        }
        let state = LabCheckpoint { template: template.clone(), notes: notes.clone() };
        earlier.insert(name.to_owned(), state);
        Start { template, notes, next: index + 1, claims, kept: earlier }
    }

    /// Freezes the lab for later runs, with all that this one knows.
    pub(crate) async fn keep(
        &self,
        play: &CaseRun<'_>,
        name: &str,
        lab: Lab,
        claim: Claim,
        notes: &mut TestState,
        done: &[StepResult],
    ) -> Result<Arc<Template>, ReplaceError> {
        let machines: Vec<_> = lab.machines().map(|machine| machine.name().to_string()).collect();
        let taking = machines.iter().map(|machine| take_inventory(&lab, machine, name));
        let inventories = try_join_all(taking).await.map_err(ReplaceError::Inventory)?;
        let artifacts: Vec<_> =
            inventories.iter().map(crate::scenario::verbs::NamedInventory::artifact).collect::<Result<_, _>>()?;
        play.artifact(&artifacts).map_err(ReplaceError::Inventory)?;
        notes.inventories.extend(inventories);
        let paper = CheckpointMetadata::new(notes.clone(), done.to_vec()).paper()?;
        Ok(self.stock.keep(lab, &play.case.lab.topology, self.setup, claim, &[paper]).await?)
    }

    /// The kept checkpoint of the step `index`. If there is none, the case is run up to it.
    pub(crate) async fn checkpoint(
        &self,
        scenario: &Scenario,
        case: &Case,
        index: usize,
    ) -> Result<(Arc<Template>, CheckpointMetadata), String> {
        let logs = self.run.case(&scenario.name, &case.to_string()).map_err(|error| error.to_string())?;
        let play = CaseRun { scenario, case, logs, ends: index + 1, onlooker: None };
        let wanted = if self.fresh { Wanted::Fresh } else { Wanted::Kept };
        let begun = Instant::now();
        // A claim is let go of at once: the run takes it again.
        let found = self.unless_interrupted(self.look(&play, index, wanted, &begun)).await?;
        if let Found::Kept(template, metadata) = found {
            return Ok((template, metadata));
        }
        drop(found);
        match self.carry_out(&play, &mut unjudged(scenario, case)).await? {
            (Verdict::Passed, _) => {}
            (Verdict::Failed | Verdict::Skipped, reason) => return Err(reason.unwrap_or_default()),
        }
        match self.unless_interrupted(self.look(&play, index, Wanted::Kept, &begun)).await? {
            Found::Kept(template, metadata) => Ok((template, metadata)),
            Found::ToMake(_) => Err(format!("the checkpoint of step {} was removed at once", index + 1)),
        }
    }

    async fn look(
        &self,
        play: &CaseRun<'_>,
        index: usize,
        wanted: Wanted,
        begun: &Instant,
    ) -> Result<Found<CheckpointMetadata>, LabError> {
        let case = play.case;
        let before = Before {
            etc: self.own_etc(case).map(OwnEtc::digest),
            command: self.course.preparation.and_then(|preparation| preparation.errand),
        };
        let history = History::of(before, &case.invariants, &case.steps[..=index], case.kind);
        let name = format!("{}-{}", case.lab.topology.name, checkpoint_name(&case.steps[index]));
        self.with_order(play, begun, async |order| {
            let entry = self.stock.checkpoint_name(order, &name, &history)?;
            self.stock.find(order, &entry, wanted, |directory| CheckpointMetadata::read(directory, index)).await
        })
        .await
    }

    /// Asks the stock for something of the case's lab.
    async fn with_order<T>(
        &self,
        play: &CaseRun<'_>,
        begun: &Instant,
        ask: impl AsyncFnOnce(&TemplateRequest<'_>) -> Result<T, LabError>,
    ) -> Result<T, LabError> {
        let lab = &play.case.lab;
        let topology = &lab.topology;
        ask(&TemplateRequest {
            topology,
            setup: self.setup,
            budget: self.budget,
            readiness: &ReadySteps { domain: &topology.domain, steps: &lab.ready },
            logs: &play.logs.join("template"),
            progress: &|progress| self.progress(play, begun, &progress),
        })
        .await
    }
}

pub(crate) fn checkpoint_name(step: &Step) -> &str {
    match &step.action {
        Action::Checkpoint(checkpoint) => checkpoint.name.get_ref(),
        _ => "",
    }
}

/// The result of the step that kept the checkpoint: its metadata were written before it was done.
fn checkpoint_result(play: &CaseRun<'_>, index: usize, name: &str) -> StepResult {
    StepResult {
        asked: format!("keep the state of the lab as `{name}`"),
        answered: "kept, for later runs too".into(),
        ..result_of(play.scenario, index, &play.case.steps[index], StepOutcome::Kept)
    }
}
