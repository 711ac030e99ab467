//! Which changes of configuration are to blame for the symptoms of a scenario.
//!
//! The scenario has remembered the healthy configuration (`do.inventory`), and kept the broken state (`do.checkpoint` with
//! `keep`). A trial thaws that state, puts some of the changed files back as they were, and asks the scenario's own
//! symptoms whether they still show. Which trials are made is [`crate::drift::minimal`]'s decision. What no file heals by itself
//! is tried again with the services started again after the files were put back.

use super::symptom::Symptom;
use super::trial::{Bench, Candidate, Manner, Tried};
use crate::drift::minimal::{Next, Search, Subset};
use crate::drift::putback::can_put_back;
use crate::drift::suspicion::order;
use crate::drift::{DoneBy, Drift};
use crate::guest_path::GuestPath;
use crate::scenario::engine::case_run::Engine;
use crate::scenario::engine::checkpoints::{CheckpointMetadata, StartingPoint, starts};
use crate::scenario::engine::resume::checkpoint_name;
use crate::scenario::format::scenario::{Case, Scenario};
use crate::scenario::format::step::Step;
use crate::scenario::verbs::NamedInventory;
use futures_util::future::try_join_all;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Instant;

/// What is to blame.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The scenario.
    pub scenario: String,
    /// Its case.
    pub case: String,
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
    /// So many changes are to blame, and the services must be started again when they are undone.
    ChangesAndRestart(usize),
    /// No change is to blame: it is gone when the services are started again.
    Restart,
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

/// What is looked into.
struct Bisection<'a> {
    bench: Bench<'a>,
    symptoms: Vec<Symptom>,
    candidates: Vec<Candidate<'a>>,
    left_out: Vec<String>,
    /// Trials that run at once.
    width: usize,
}

/// What was found of one symptom.
struct Finding {
    next: Next,
    manner: Manner,
}

/// What the trials took.
#[derive(Default)]
struct Effort {
    trials: usize,
    seconds: f64,
}

/// Why nothing can be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The scenario is not made for it.
    #[error("{0}")]
    Scenario(String),
    /// The broken state could not be reached, or a trial not be made.
    #[error("{0}")]
    Failed(String),
}

impl From<String> for ExplainError {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

impl Engine<'_> {
    /// Finds the changes that are to blame in one case, with at most `width` trials at a time. `since` is the name of the
    /// healthy inventory.
    pub async fn explain(
        &self,
        scenario: &Scenario,
        case: &Case,
        since: &str,
        width: usize,
    ) -> Result<Explanation, ExplainError> {
        let begun = Instant::now();
        let (index, symptoms) = point(&case.steps).ok_or_else(|| ExplainError::Scenario(no_point(scenario, case)))?;
        let logs = self.run.case(&scenario.name, &format!("explain,{case}")).map_err(|error| error.to_string())?;
        let (template, metadata) = self.checkpoint(scenario, case, index).await?;
        let drifts = drifts(&metadata, since, checkpoint_name(&case.steps[index])).map_err(ExplainError::Scenario)?;
        let (candidates, left_out) = candidates(&drifts);
        let bench = Bench { engine: self, case, template, drifts: &drifts, logs };
        let case = Bisection { bench, symptoms, candidates, left_out, width };
        let mut explanation = case.explain(scenario).await?;
        explanation.seconds = begun.elapsed().as_secs_f64();
        Ok(explanation)
    }
}

/// The kept checkpoint to start from, and the symptoms that are asked for after it: up to the next step that breaks or
/// mends something.
fn point(steps: &[Step]) -> Option<(usize, Vec<Symptom>)> {
    starts(steps).into_iter().find_map(|StartingPoint { step: index, .. }| {
        let symptoms = Symptom::among(steps[index + 1..].iter().take_while(|step| !changes_things(step)));
        (!symptoms.is_empty()).then_some((index, symptoms))
    })
}

/// Whether symptoms after this step are those of another state.
pub(crate) fn changes_things(step: &Step) -> bool {
    step.fault || step.action.nature().changes
}

fn no_point(scenario: &Scenario, case: &Case) -> String {
    format!(
        "{}::{case} keeps no broken state: it needs a step do.inventory = {{ name = \"before\" }} while all is well, a step \
         do.checkpoint = {{ name = \"broken\", keep = true }} when it is not, and after that a login or command with symptom = true",
        scenario.name
    )
}

/// What changed on each machine that has a healthy inventory.
fn drifts(
    metadata: &CheckpointMetadata,
    since: &str,
    checkpoint: &str,
) -> Result<Vec<(Drift, NamedInventory)>, String> {
    let notes = &metadata.notes;
    let now = notes.inventories.iter().filter(|kept| kept.name == checkpoint);
    let drifts: Vec<_> = now
        .filter_map(|now| {
            let before = notes.inventory(since, &now.inventory.machine)?;
            Some((crate::scenario::verbs::drift(notes, since, &now.inventory)?, before.clone()))
        })
        .collect();
    if drifts.is_empty() {
        return Err(format!("no step before `{checkpoint}` has taken an inventory `{since}`"));
    }
    Ok(drifts)
}

/// What can be put back, and what cannot.
fn candidates(drifts: &[(Drift, NamedInventory)]) -> (Vec<Candidate<'_>>, Vec<String>) {
    let mut left_out = Vec::new();
    let mut candidates = Vec::new();
    for (drift, before) in drifts {
        for change in drift.changes.iter().filter(|change| change.can_be_put_back()) {
            match can_put_back(change, &before.inventory, &before.contents) {
                Ok(()) => candidates.push(Candidate { machine: &drift.machine, change }),
                Err(why) => left_out.push(why.to_string()),
            }
        }
    }
    (candidates, left_out)
}

impl Bisection<'_> {
    async fn explain(&self, scenario: &Scenario) -> Result<Explanation, String> {
        let labels: Vec<_> = self.symptoms.iter().map(|symptom| symptom.label.as_str()).collect();
        (self.bench.engine.say)(&format!(
            "  {} changes since all was well; {} symptoms: {}",
            self.candidates.len(),
            labels.len(),
            labels.join(", ")
        ));
        let mut effort = Effort::default();
        let all: Vec<_> = (0..self.symptoms.len()).collect();
        let mut findings = self.hunt(&all, Manner::AsItRuns, &mut effort).await?;
        // What no file heals by itself may need a service that reads it again.
        let open: Vec<_> = all.into_iter().filter(|&index| findings[index].next == Next::Elsewhere).collect();
        if !open.is_empty() && !self.bench.units().is_empty() {
            for (index, finding) in open.iter().zip(self.hunt(&open, Manner::Restarted, &mut effort).await?) {
                findings[*index] = finding;
            }
        }
        Ok(Explanation {
            scenario: scenario.name.clone(),
            case: self.bench.case.to_string(),
            changes: self.candidates.len(),
            trials: effort.trials,
            seconds: 0.0,
            #[expect(clippy::cast_precision_loss, reason = "there are few")]
            seconds_per_trial: effort.seconds / effort.trials.max(1) as f64,
            symptoms: self.symptoms.iter().zip(&findings).map(|(symptom, finding)| asked(symptom, finding)).collect(),
            culprits: self.culprits(&findings),
            left_out: self.left_out.clone(),
        })
    }

    /// Makes trials until nothing more can be learned of these symptoms.
    async fn hunt(&self, which: &[usize], manner: Manner, effort: &mut Effort) -> Result<Vec<Finding>, String> {
        let symptoms: Vec<_> = which.iter().map(|&index| &self.symptoms[index]).collect();
        let changes: Vec<_> = self.candidates.iter().map(|candidate| candidate.change).collect();
        let mut search = Search::new(symptoms.iter().map(|symptom| order(&changes, symptom.words())).collect());
        let engine = self.bench.engine;
        loop {
            let batch = search.batch(self.width);
            if batch.is_empty() {
                break;
            }
            let trials = batch.into_iter().enumerate().map(|(at, undone)| {
                let number = effort.trials + at + 1;
                self.bench.trial(number, undone, &self.candidates, &symptoms, manner)
            });
            for Tried { undone, healed, seconds } in engine.unless_interrupted(try_join_all(trials)).await? {
                effort.trials += 1;
                effort.seconds += seconds;
                search.learn(undone, healed);
            }
        }
        Ok((0..symptoms.len()).map(|symptom| Finding { next: search.next(symptom), manner }).collect())
    }

    fn culprits(&self, findings: &[Finding]) -> Vec<Culprit> {
        let nothing = Subset::new();
        let sets: Vec<_> =
            findings.iter().map(|finding| if let Next::Found(set) = &finding.next { set } else { &nothing }).collect();
        let all: BTreeSet<_> = sets.iter().flat_map(|set| set.iter()).copied().collect();
        let culprits = all.into_iter().map(|index| {
            let Candidate { machine, change } = self.candidates[index];
            let heals = self.symptoms.iter().zip(&sets).filter(|(_, set)| set.contains(&index));
            Culprit {
                machine: machine.to_owned(),
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

fn asked(symptom: &Symptom, finding: &Finding) -> Asked {
    let found = match (&finding.next, finding.manner) {
        (Next::Found(set), Manner::AsItRuns) if set.is_empty() => Blame::NoSymptom,
        (Next::Found(set), Manner::Restarted) if set.is_empty() => Blame::Restart,
        (Next::Found(set), Manner::AsItRuns) => Blame::Changes(set.len()),
        (Next::Found(set), Manner::Restarted) => Blame::ChangesAndRestart(set.len()),
        // All wanted trials were made, so nothing is wanted any more.
        (Next::Elsewhere | Next::Try(_), _) => Blame::Elsewhere,
    };
    let (label, step) = (symptom.label.clone(), symptom.sentence().to_owned());
    Asked { label, step, concern: symptom.concern(), found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<Step> {
        #[derive(serde::Deserialize)]
        struct File {
            step: Vec<Step>,
        }
        toml::from_str::<File>(text).unwrap().step
    }

    const BROKEN: &str = "[[step]]\nname = 'broken'\ndo.checkpoint = { name = 'broken', keep = true }\n";
    const SYMPTOM: &str =
        "[[step]]\nname = 's'\non = 'mail'\nsymptom = true\ndo.imap = { user = 'alice', expect = 'refused' }\n";
    const LOOK: &str = "[[step]]\nname = 'l'\non = 'mail'\ndo.units = { active = ['sssd'] }\n";
    const MENDED: &str = "[[step]]\nname = 'm'\non = 'mail'\ndo.delete = { paths = ['/etc/a'] }\n";

    #[rstest::rstest]
    #[case::the_next_step(&[BROKEN, SYMPTOM], Some((0, 1)))]
    #[case::behind_a_look(&[LOOK, BROKEN, LOOK, SYMPTOM, SYMPTOM], Some((1, 2)))]
    #[case::up_to_what_mends(&[BROKEN, SYMPTOM, MENDED, SYMPTOM], Some((0, 1)))]
    #[case::of_another_state(&[BROKEN, MENDED, SYMPTOM], None)]
    #[case::no_symptom(&[BROKEN, LOOK], None)]
    #[case::nothing_is_kept(&[LOOK, SYMPTOM], None)]
    fn it_starts_where_symptoms_follow_at_once(#[case] parts: &[&str], #[case] expected: Option<(usize, usize)>) {
        let found = point(&steps(&parts.concat())).map(|(index, symptoms)| (index, symptoms.len()));
        assert_eq!(found, expected);
    }

    #[rstest::rstest]
    #[case::look("do.units = { active = ['sssd'] }", false)]
    #[case::fault("fault = true\ndo.run = { command = 'x' }", true)]
    #[case::of_the_lab("do.rewind = { to = 'x' }", true)]
    #[case::deed("do.delete = { paths = ['/etc/a'] }", true)]
    fn what_changes_a_system_ends_its_symptoms(#[case] keys: &str, #[case] changes: bool) {
        assert_eq!(changes_things(&steps(&format!("[[step]]\nname = 'x'\non = 'mail'\n{keys}"))[0]), changes);
    }

    #[rstest::rstest]
    #[case::no_symptom_to_begin_with(&[], Manner::AsItRuns, Blame::NoSymptom)]
    #[case::healed_by_a_restart(&[], Manner::Restarted, Blame::Restart)]
    #[case::healed_by_files(&[1, 4], Manner::AsItRuns, Blame::Changes(2))]
    #[case::healed_by_both(&[1], Manner::Restarted, Blame::ChangesAndRestart(1))]
    fn blame_is_what_heals(#[case] found: &[usize], #[case] manner: Manner, #[case] blame: Blame) {
        let symptom = Symptom::among(steps(SYMPTOM).iter()).remove(0);
        let finding = Finding { next: Next::Found(found.iter().copied().collect()), manner };
        assert_eq!(asked(&symptom, &finding).found, blame);
        let finding = Finding { next: Next::Elsewhere, manner };
        assert_eq!(asked(&symptom, &finding).found, Blame::Elsewhere);
    }

    #[test]
    fn a_case_without_a_broken_state_is_told_what_it_lacks() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/pam-loss.toml");
        let scenario = Scenario::load(&path).unwrap();
        let words = no_point(&scenario, &scenario.cases[0]);
        assert!(words.starts_with("pam-loss::fault keeps no broken state: it needs a step do.inventory"), "{words}");
    }

    fn named(name: &str, files: &[(&str, &str)]) -> NamedInventory {
        let inventory = crate::scenario::verbs::expectation::cases::inventory(files);
        NamedInventory { name: name.into(), inventory, contents: crate::drift::Contents::default() }
    }

    fn broken() -> CheckpointMetadata {
        let before = named("before", &[("/etc/lost", "l"), ("/etc/mode", "m")]);
        let now = named("broken", &[("/etc/mode", "m!"), ("/etc/new", "n")]);
        let notes = crate::scenario::verbs::TestState { inventories: vec![before, now], ..Default::default() };
        CheckpointMetadata::new(notes, Vec::new())
    }

    #[rstest::rstest]
    #[case::since_the_inventory("before", Some(3))]
    #[case::no_such_inventory("earlier", None)]
    fn the_state_of_a_checkpoint_is_compared_with_an_inventory(#[case] since: &str, #[case] changes: Option<usize>) {
        let found = drifts(&broken(), since, "broken");
        assert_eq!(found.ok().map(|found| found[0].0.changes.len()), changes);
    }

    /// A file whose content nobody has kept cannot be put back.
    #[test]
    fn what_cannot_be_put_back_is_no_candidate_and_told() {
        let drifts = drifts(&broken(), "before", "broken").unwrap();
        let (candidates, left_out) = candidates(&drifts);
        let paths: Vec<_> = candidates.iter().map(|candidate| candidate.change.path.to_string()).collect();
        assert_eq!(paths, ["/etc/mode", "/etc/new"]);
        assert_eq!(left_out.len(), 1, "{left_out:?}");
        assert!(left_out[0].contains("/etc/lost"), "{left_out:?}");
    }
}
