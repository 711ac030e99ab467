//! Which changes of configuration are to blame for the symptoms of a scenario.
//!
//! The scenario has remembered the healthy configuration (`do.inventory`), and kept the broken state (`do.checkpoint` with
//! `keep`). A trial thaws that state, puts some of the changed files back as they were, and asks the scenario's own
//! symptoms whether they still show. Which trials are made is [`crate::drift::minimal`]'s decision.

use super::engine::Engine;
use super::format::{Cell, Scenario};
use super::kept::{Papers, starts};
use super::resume::checkpoint_name;
use super::step::{Action, Concern, Step};
use super::steps::Kept;
use super::symptom::Symptom;
use crate::drift::minimal::{Next, Search, Subset};
use crate::drift::putback::{can_put_back, put_back};
use crate::drift::suspicion::order;
use crate::drift::{Change, DoneBy, Drift};
use crate::guest_path::GuestPath;
use crate::lab::{Lab, Purpose, Template};
use futures_util::future::{join_all, try_join_all};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long it may take to put files back: nominal.
const PUTTING_BACK: Duration = Duration::from_secs(20);

/// What is to blame.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The scenario.
    pub scenario: String,
    /// Its cell.
    pub cell: String,
    /// Changes that could be to blame.
    pub changes: usize,
    /// Trials that were made.
    pub trials: usize,
    /// How long all took.
    pub seconds: f64,
    /// How long a trial took, in the mean.
    pub seconds_per_trial: f64,
    /// What was asked in each trial.
    pub symptoms: Vec<Asked>,
    /// The changes that are to blame: for each symptom that shows, all of its are needed, and together they do.
    pub culprits: Vec<Culprit>,
    /// Changes that could not be put back, and so are not looked at.
    pub left_out: Vec<String>,
}

/// A symptom, and what was found of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Its label.
    pub label: String,
    /// The step's sentence.
    pub step: String,
    /// What is restored when it is healed.
    pub concern: String,
    /// What was found.
    pub found: Blame,
}

/// What was found of a symptom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// It does not show.
    NoSymptom,
    /// So many changes are to blame.
    Changes(usize),
    /// It shows even when all files are as they were.
    Elsewhere,
}

/// A change that is to blame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Culprit {
    /// The machine.
    pub machine: String,
    /// The path.
    pub path: GuestPath,
    /// The package that had it, with its version then.
    pub owner: Option<String>,
    /// What became of it.
    pub fate: String,
    /// The step of the package transaction, if one is known.
    pub step: Option<DoneBy>,
    /// The symptoms that it has a part in.
    pub heals: Vec<String>,
}

/// What trials are made with.
struct Case<'a> {
    engine: &'a Engine<'a>,
    cell: &'a Cell,
    template: Arc<Template>,
    symptoms: Vec<Symptom>,
    /// For each machine its drift, and the healthy inventory with its contents.
    drifts: Vec<(Drift, Kept)>,
    logs: PathBuf,
}

/// One change that can be undone.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    drift: &'a Drift,
    change: &'a Change,
}

impl Engine<'_> {
    /// Finds the changes that are to blame in one cell, with at most `width` trials at a time. `since` is the name of the
    /// healthy inventory.
    pub async fn explain(
        &self,
        scenario: &Scenario,
        cell: &Cell,
        since: &str,
        width: usize,
    ) -> Result<Explanation, String> {
        let begun = Instant::now();
        let (index, symptoms) = point(&cell.steps).ok_or_else(|| no_point(scenario, cell))?;
        let logs = self.run.cell(&scenario.name, &format!("explain,{cell}")).map_err(|error| error.to_string())?;
        let (template, papers) = self.checkpoint(scenario, cell, index).await?;
        let drifts = drifts(&papers, since, checkpoint_name(&cell.steps[index]))?;
        let case = Case { engine: self, cell, template, symptoms, drifts, logs };
        let mut explanation = case.explain(scenario, width).await?;
        explanation.seconds = begun.elapsed().as_secs_f64();
        Ok(explanation)
    }
}

/// The kept checkpoint to start from, and the symptoms that are asked for after it: up to the next step that breaks or
/// mends something.
fn point(steps: &[Step]) -> Option<(usize, Vec<Symptom>)> {
    starts(steps).into_iter().find_map(|index| {
        let symptoms = Symptom::among(steps[index + 1..].iter().take_while(|step| !changes_things(step)));
        (!symptoms.is_empty()).then_some((index, symptoms))
    })
}

/// Whether symptoms after this step are those of another state.
fn changes_things(step: &Step) -> bool {
    step.fault
        || step.action.concern() != Concern::Guest
        || matches!(
            step.action,
            Action::Restore(_)
                | Action::Remove(_)
                | Action::Write(_)
                | Action::Service(_)
                | Action::Upgrade(_)
                | Action::Clock(_)
                | Action::Link(_)
        )
}

fn no_point(scenario: &Scenario, cell: &Cell) -> String {
    format!(
        "{}::{cell} keeps no broken state: it needs a step do.inventory = {{ name = \"before\" }} while all is well, a step \
         do.checkpoint = {{ name = \"broken\", keep = true }} when it is not, and after that a login or command with symptom = true",
        scenario.name
    )
}

/// What changed on each machine that has a healthy inventory.
fn drifts(papers: &Papers, since: &str, checkpoint: &str) -> Result<Vec<(Drift, Kept)>, String> {
    let notes = &papers.notes;
    let now = notes.inventories.iter().filter(|kept| kept.name == checkpoint);
    let drifts: Vec<_> = now
        .filter_map(|now| {
            let before = notes.inventory(since, &now.inventory.machine)?;
            Some((super::steps::drift(notes, since, &now.inventory)?, before.clone()))
        })
        .collect();
    if drifts.is_empty() {
        return Err(format!("no step before `{checkpoint}` has taken an inventory `{since}`"));
    }
    Ok(drifts)
}

impl Case<'_> {
    async fn explain(&self, scenario: &Scenario, width: usize) -> Result<Explanation, String> {
        let (candidates, left_out) = self.candidates();
        let changes: Vec<_> = candidates.iter().map(|candidate| candidate.change).collect();
        (self.engine.say)(&format!(
            "  {} changes since all was well; {} symptoms: {}",
            changes.len(),
            self.symptoms.len(),
            self.symptoms.iter().map(|symptom| symptom.label.as_str()).collect::<Vec<_>>().join(", ")
        ));
        let mut search = Search::new(self.symptoms.iter().map(|symptom| order(&changes, symptom.words())).collect());
        let mut in_trials = 0.0;
        loop {
            let batch = search.batch(width);
            if batch.is_empty() {
                break;
            }
            let first = search.trials() + 1;
            let trials = batch.into_iter().enumerate().map(|(at, undone)| self.trial(first + at, undone, &candidates));
            for (undone, healed, seconds) in self.engine.unless_interrupted(try_join_all(trials)).await? {
                in_trials += seconds;
                search.learn(undone, healed);
            }
        }
        let found: Vec<_> = (0..self.symptoms.len()).map(|symptom| search.next(symptom)).collect();
        Ok(Explanation {
            scenario: scenario.name.clone(),
            cell: self.cell.to_string(),
            changes: changes.len(),
            trials: search.trials(),
            seconds: 0.0,
            #[expect(clippy::cast_precision_loss, reason = "there are few")]
            seconds_per_trial: in_trials / search.trials().max(1) as f64,
            symptoms: self.symptoms.iter().zip(&found).map(|(symptom, found)| asked(symptom, found)).collect(),
            culprits: self.culprits(&candidates, &found),
            left_out,
        })
    }

    /// What can be put back, and what cannot.
    fn candidates(&self) -> (Vec<Candidate<'_>>, Vec<String>) {
        let mut left_out = Vec::new();
        let mut candidates = Vec::new();
        for (drift, before) in &self.drifts {
            for change in drift.changes.iter().filter(|change| change.can_be_put_back()) {
                match can_put_back(change, &before.inventory, &before.contents) {
                    Ok(()) => candidates.push(Candidate { drift, change }),
                    Err(why) => left_out.push(why.to_string()),
                }
            }
        }
        (candidates, left_out)
    }

    /// Undoes some changes in a fresh copy, and asks which symptoms are healed. A lab that breaks is tried once more.
    async fn trial(
        &self,
        number: usize,
        undone: Subset,
        candidates: &[Candidate<'_>],
    ) -> Result<(Subset, Vec<bool>, f64), Failed> {
        let chosen: Vec<_> = undone.iter().map(|&index| candidates[index]).collect();
        let logs = self.logs.join(format!("trial-{number:02}"));
        let waiting = |wait: &_| (self.engine.say)(&format!("  wait  trial {number} {wait}"));
        let topology = &self.cell.lab.topology;
        let _share = self.engine.budget.memory(topology.memory_mib(), &waiting).await.map_err(failed)?;
        let begun = Instant::now();
        let healed = match self.try_once(&logs, &chosen).await {
            Ok(healed) => healed,
            Err(Failed(reason)) => {
                (self.engine.say)(&format!("  again trial {number}: {reason}"));
                self.try_once(&logs, &chosen).await?
            }
        };
        let seconds = begun.elapsed().as_secs_f64();
        let labels =
            self.symptoms.iter().zip(&healed).filter(|(_, healed)| **healed).map(|(symptom, _)| &*symptom.label);
        let labels: Vec<_> = labels.collect();
        let outcome =
            if labels.is_empty() { "all symptoms show".into() } else { format!("gone: {}", labels.join(", ")) };
        let words = words(&chosen, candidates.len());
        (self.engine.say)(&format!("  trial {number:>2}  {words} → {outcome} ({seconds:.1} s)"));
        Ok((undone, healed, seconds))
    }

    async fn try_once(&self, logs: &Path, chosen: &[Candidate<'_>]) -> Result<Vec<bool>, Failed> {
        fs_err::create_dir_all(logs).map_err(failed)?;
        let topology = &self.cell.lab.topology;
        let lab = Lab::thaw(&self.template, topology, self.engine.setup, Purpose::Use, logs, &|_| ());
        let lab = lab.await.map_err(failed)?;
        let healed = tokio::select! {
            healed = self.undo_and_ask(&lab, chosen) => healed,
            (machine, trouble) = lab.trouble() => Err(Failed(format!("machine {machine}: {trouble}"))),
        };
        lab.tear_down().await.map_err(failed)?;
        healed
    }

    async fn undo_and_ask(&self, lab: &Lab, chosen: &[Candidate<'_>]) -> Result<Vec<bool>, Failed> {
        for (drift, before) in &self.drifts {
            let own = chosen.iter().filter(|candidate| candidate.drift.machine == drift.machine);
            let changes: Vec<_> = own.map(|candidate| candidate.change).collect();
            if let Some(machine) = lab.machine(&drift.machine).filter(|_| !changes.is_empty()) {
                let deadline = lab.pace().deadline(PUTTING_BACK);
                let done = put_back(machine, &changes, &before.inventory, &before.contents, deadline);
                done.await.map_err(failed)?;
            }
        }
        let domain = &self.cell.lab.topology.domain;
        Ok(join_all(self.symptoms.iter().map(|symptom| symptom.is_healed(lab, domain))).await)
    }

    fn culprits(&self, candidates: &[Candidate<'_>], found: &[Next]) -> Vec<Culprit> {
        let sets: Vec<_> =
            found.iter().map(|next| if let Next::Found(set) = next { set.clone() } else { Subset::new() }).collect();
        let all: BTreeSet<_> = sets.iter().flatten().copied().collect();
        let culprits = all.into_iter().map(|index| {
            let Candidate { drift, change, .. } = candidates[index];
            let heals = self.symptoms.iter().zip(&sets).filter(|(_, set)| set.contains(&index));
            Culprit {
                machine: drift.machine.clone(),
                path: change.path.clone(),
                owner: change.owners_before.first().or(change.owners_after.first()).cloned(),
                fate: change.fate(),
                step: change.step.clone(),
                heals: heals.map(|(symptom, _)| symptom.label.clone()).collect(),
            }
        });
        culprits.collect()
    }
}

fn asked(symptom: &Symptom, found: &Next) -> Asked {
    let found = match found {
        Next::Found(set) if set.is_empty() => Blame::NoSymptom,
        Next::Found(set) => Blame::Changes(set.len()),
        // All wanted trials were made, so nothing is wanted any more.
        Next::Elsewhere | Next::Try(_) => Blame::Elsewhere,
    };
    let (label, step) = (symptom.label.clone(), symptom.sentence().to_owned());
    Asked { label, step, concern: symptom.concern(), found }
}

/// What a trial puts back, in few words.
fn words(chosen: &[Candidate<'_>], of: usize) -> String {
    match chosen {
        [] => "nothing put back".into(),
        [one] => format!("{} put back", one.change.path),
        _ if chosen.len() == of => format!("all {of} put back"),
        _ => format!("{} of {of} put back", chosen.len()),
    }
}

/// Why a trial has no outcome.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(String);

fn failed(error: impl std::error::Error) -> Failed {
    Failed(super::engine::chain(&error))
}
