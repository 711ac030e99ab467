//! Where a run of a cell starts: with the lab's template and the first step, or behind a checkpoint that was kept.

use super::engine::{Engine, Kept, Play};
use super::format::{Cell, Scenario};
use super::judgement::{result_of, unjudged};
use super::kept::{Before, History, Papers, StartingPoint, starts};
use super::ready::ReadySteps;
use super::step::{Action, Step};
use super::steps::{Notes, take_inventory};
use crate::cache::Claim;
use crate::etc::OwnEtc;
use crate::evidence::{CaseRecord, Happening, KeptSteps, StepOutcome, StepResult, Verdict};
use crate::lab::{Found, Lab, LabError, Order, Template, Wanted};
use crate::machine::{MachineName, Trouble};
use futures_util::future::try_join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// What a run starts with.
pub(super) struct Start {
    /// The lab, frozen.
    pub(super) template: Arc<Template>,
    /// What earlier steps have left.
    pub(super) notes: Notes,
    /// The step that is carried out next.
    pub(super) next: usize,
    /// The steps that are to keep a checkpoint for later runs: nobody else makes these meanwhile.
    pub(super) claims: BTreeMap<usize, Claim>,
    /// States that a step can go back to.
    pub(super) kept: BTreeMap<String, Kept>,
}

/// Why the lab could not be replaced by another.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplaceError {
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
    Papers(#[from] serde_json::Error),
}

impl ReplaceError {
    /// What befell a machine, if that is what the error says.
    pub(super) fn trouble(&self) -> Option<(&MachineName, &Trouble)> {
        match self {
            Self::Lab(error) => error.trouble(),
            Self::Unmet(_) | Self::Inventory(_) | Self::Papers(_) => None,
        }
    }
}

impl Engine<'_> {
    /// Looks for the last kept checkpoint of the cell; without one, for the lab's template.
    pub(super) async fn start(
        &self,
        play: &Play<'_>,
        begun: &Instant,
        record: &mut CaseRecord,
    ) -> Result<Start, LabError> {
        let wanted = if self.fresh { Wanted::Fresh } else { Wanted::Kept };
        let mut claims = BTreeMap::new();
        let within = |index: &usize| *index < play.ends && self.course.is_sound_after(*index);
        for StartingPoint { step, needs } in starts(&play.cell.steps).into_iter().filter(|point| within(&point.step)) {
            let mut kept = BTreeMap::new();
            for index in needs.iter().copied() {
                if claims.contains_key(&index) {
                    continue;
                }
                match self.look(play, index, wanted, begun).await? {
                    Found::Kept(template, papers) => {
                        let name = checkpoint_name(&play.cell.steps[index]).to_owned();
                        kept.insert(name, Kept { template, notes: papers.notes });
                    }
                    Found::ToMake(claim) => drop(claims.insert(index, claim)),
                }
            }
            if claims.contains_key(&step) {
                continue;
            }
            match self.look(play, step, wanted, begun).await? {
                Found::Kept(template, papers) if kept.len() == needs.len() => {
                    return Ok(self.behind(play, step, (template, papers), (claims, kept), record));
                }
                // It is of no use without those before it, and is made again with them another time.
                Found::Kept(..) => {}
                Found::ToMake(claim) => drop(claims.insert(step, claim)),
            }
        }
        let template = self.with_order(play, begun, async |order| self.stock.template(order).await).await?;
        Ok(Start { template, notes: Notes::default(), next: 0, claims, kept: BTreeMap::new() })
    }

    /// Starts behind a kept checkpoint, and says so.
    fn behind(
        &self,
        play: &Play<'_>,
        index: usize,
        (template, papers): (Arc<Template>, Papers),
        (claims, mut earlier): (BTreeMap<usize, Claim>, BTreeMap<String, Kept>),
        record: &mut CaseRecord,
    ) -> Start {
        let Papers { mut notes, mut steps, .. } = papers;
        notes.captured.forget_files();
        let name = checkpoint_name(&play.cell.steps[index]);
        let kept = KeptSteps { checkpoint: name.to_owned(), steps: index + 1, run: template.frozen() };
        let date = kept.run.strftime("%Y-%m-%d");
        let range = if index == 0 { "step 1".into() } else { format!("steps 1–{}", kept.steps) };
        (self.say)(&format!("  kept  {range} as run on {date}: kept checkpoint {name}"));
        self.run.tell(&play.scenario.name, &play.cell.name, &Happening::Kept(kept.clone()));
        steps.push(checkpoint_result(play, index, name));
        for step in &mut steps {
            if step.outcome == StepOutcome::Passed {
                step.outcome = StepOutcome::Kept;
            }
        }
        record.steps = steps;
        record.kept = Some(kept);
        // The result directory of this run is complete: inventories can be compared in it.
        let exhibits: Result<Vec<_>, _> = notes.inventories.iter().map(super::steps::Kept::exhibit).collect();
        let shown = exhibits.map_err(|error| error.to_string()).and_then(|exhibits| play.exhibit(&exhibits));
        if let Err(reason) = shown {
            (self.say)(&format!("  note  the inventories of the kept steps are not in the results: {reason}"));
        }
        let state = Kept { template: template.clone(), notes: notes.clone() };
        earlier.insert(name.to_owned(), state);
        Start { template, notes, next: index + 1, claims, kept: earlier }
    }

    /// Freezes the lab for later runs, with all that this one knows.
    pub(super) async fn keep(
        &self,
        play: &Play<'_>,
        name: &str,
        lab: Lab,
        claim: Claim,
        notes: &mut Notes,
        done: &[StepResult],
    ) -> Result<Arc<Template>, ReplaceError> {
        let machines: Vec<_> = lab.machines().map(|machine| machine.name().to_string()).collect();
        let taking = machines.iter().map(|machine| take_inventory(&lab, machine, name));
        let inventories = try_join_all(taking).await.map_err(ReplaceError::Inventory)?;
        let exhibits: Vec<_> = inventories.iter().map(super::steps::Kept::exhibit).collect::<Result<_, _>>()?;
        play.exhibit(&exhibits).map_err(ReplaceError::Inventory)?;
        notes.inventories.extend(inventories);
        let paper = Papers::new(notes.clone(), done.to_vec()).paper()?;
        Ok(self.stock.keep(lab, &play.cell.lab.topology, self.setup, claim, &[paper]).await?)
    }

    /// The kept checkpoint of the step `index`. If there is none, the cell is run up to it.
    pub(super) async fn checkpoint(
        &self,
        scenario: &Scenario,
        cell: &Cell,
        index: usize,
    ) -> Result<(Arc<Template>, Papers), String> {
        let logs = self.run.cell(&scenario.name, &cell.to_string()).map_err(|error| error.to_string())?;
        let play = Play { scenario, cell, logs, ends: index + 1, onlooker: None };
        let wanted = if self.fresh { Wanted::Fresh } else { Wanted::Kept };
        let begun = Instant::now();
        // A claim is let go of at once: the run takes it again.
        let found = self.unless_interrupted(self.look(&play, index, wanted, &begun)).await?;
        if let Found::Kept(template, papers) = found {
            return Ok((template, papers));
        }
        drop(found);
        match self.carry_out(&play, &mut unjudged(scenario, cell)).await? {
            (Verdict::Passed, _) => {}
            (Verdict::Failed | Verdict::Skipped, reason) => return Err(reason.unwrap_or_default()),
        }
        match self.unless_interrupted(self.look(&play, index, Wanted::Kept, &begun)).await? {
            Found::Kept(template, papers) => Ok((template, papers)),
            Found::ToMake(_) => Err(format!("the checkpoint of step {} was removed at once", index + 1)),
        }
    }

    async fn look(
        &self,
        play: &Play<'_>,
        index: usize,
        wanted: Wanted,
        begun: &Instant,
    ) -> Result<Found<Papers>, LabError> {
        let cell = play.cell;
        let before = Before {
            etc: self.own_etc(cell).map(OwnEtc::digest),
            command: self.course.preparation.and_then(|preparation| preparation.errand),
        };
        let history = History::of(before, &cell.invariants, &cell.steps[..=index], cell.kind);
        let name = format!("{}-{}", cell.lab.topology.name, checkpoint_name(&cell.steps[index]));
        self.with_order(play, begun, async |order| {
            let entry = self.stock.checkpoint_name(order, &name, &history)?;
            self.stock.find(order, &entry, wanted, |directory| Papers::read(directory, index)).await
        })
        .await
    }

    /// Asks the stock for something of the cell's lab.
    async fn with_order<T>(
        &self,
        play: &Play<'_>,
        begun: &Instant,
        ask: impl AsyncFnOnce(&Order<'_>) -> Result<T, LabError>,
    ) -> Result<T, LabError> {
        let lab = &play.cell.lab;
        let topology = &lab.topology;
        ask(&Order {
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

pub(super) fn checkpoint_name(step: &Step) -> &str {
    match &step.action {
        Action::Checkpoint(checkpoint) => checkpoint.name.get_ref(),
        _ => "",
    }
}

/// The result of the step that kept the checkpoint: its papers were written before it was done.
fn checkpoint_result(play: &Play<'_>, index: usize, name: &str) -> StepResult {
    StepResult {
        asked: format!("keep the state of the lab as `{name}`"),
        answered: "kept, for later runs too".into(),
        ..result_of(play.scenario, index, &play.cell.steps[index], StepOutcome::Kept)
    }
}
