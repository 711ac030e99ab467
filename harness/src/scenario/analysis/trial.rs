//! One trial: some changes are undone in a fresh copy of the broken state, and symptoms are asked for.

use super::symptom::Symptom;
use crate::drift::minimal::Subset;
use crate::drift::putback::put_back;
use crate::drift::{Change, Drift};
use crate::lab::{Lab, Purpose, Template};
use crate::machine::quoted;
use crate::scenario::engine::case_run::Engine;
use crate::scenario::engine::outcome::chain;
use crate::scenario::format::scenario::Case;
use crate::scenario::format::step::Action;
use crate::scenario::verbs::NamedInventory;
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long it may take to put files back: nominal.
const PUTTING_BACK: Duration = Duration::from_secs(20);
/// How long it may take to start services again: nominal.
const STARTING: Duration = Duration::from_mins(1);

/// What trials are made with.
pub(crate) struct Bench<'a> {
    pub(crate) engine: &'a Engine<'a>,
    pub(crate) case: &'a Case,
    /// The broken state.
    pub(crate) template: Arc<Template>,
    /// For each machine its drift, and the healthy inventory with its contents.
    pub(crate) drifts: &'a [(Drift, NamedInventory)],
    pub(crate) logs: PathBuf,
}

/// One change that can be undone.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) machine: &'a str,
    pub(crate) change: &'a Change,
}

/// What is done between putting files back and asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Nothing: services run as they do.
    AsItRuns,
    /// The services that the scenario names are started again.
    Restarted,
}

/// The outcome of a trial.
pub(crate) struct Tried {
    pub(crate) undone: Subset,
    /// Which symptoms are gone.
    pub(crate) healed: Vec<bool>,
    pub(crate) seconds: f64,
}

/// Why a trial has no outcome.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failed(String);

fn failed(error: impl std::error::Error) -> Failed {
    Failed(chain(&error))
}

impl Bench<'_> {
    /// Undoes some changes in a fresh copy, and asks which symptoms are gone. A lab that breaks is tried once more.
    pub(crate) async fn trial(
        &self,
        number: usize,
        undone: Subset,
        candidates: &[Candidate<'_>],
        symptoms: &[&Symptom],
        manner: Manner,
    ) -> Result<Tried, Failed> {
        let chosen: Vec<_> = undone.iter().map(|&index| candidates[index]).collect();
        let logs = self.logs.join(format!("trial-{number:02}"));
        let say = self.engine.say;
        let waiting = |wait: &_| say(&format!("  wait  trial {number} {wait}"));
        let memory = self.case.lab.topology.memory_mib();
        let _share = self.engine.budget.memory(memory, &waiting).await.map_err(failed)?;
        let begun = Instant::now();
        let healed = match self.try_once(&logs, &chosen, symptoms, manner).await {
            Ok(healed) => healed,
            Err(Failed(reason)) => {
                say(&format!("  again trial {number}: {reason}"));
                self.try_once(&logs, &chosen, symptoms, manner).await?
            }
        };
        let seconds = begun.elapsed().as_secs_f64();
        let gone = symptoms.iter().zip(&healed).filter(|(_, healed)| **healed);
        let gone: Vec<_> = gone.map(|(symptom, _)| symptom.label.as_str()).collect();
        let outcome = if gone.is_empty() { "all symptoms show".into() } else { format!("gone: {}", gone.join(", ")) };
        let words = words(&chosen, candidates.len(), manner);
        say(&format!("  trial {number:>2}  {words} → {outcome} ({seconds:.1} s)"));
        Ok(Tried { undone, healed, seconds })
    }

    async fn try_once(
        &self,
        logs: &Path,
        chosen: &[Candidate<'_>],
        symptoms: &[&Symptom],
        manner: Manner,
    ) -> Result<Vec<bool>, Failed> {
        fs_err::create_dir_all(logs).map_err(failed)?;
        let topology = &self.case.lab.topology;
        let lab = Lab::thaw(&self.template, topology, self.engine.setup, Purpose::Use, logs, &|_| ());
        let lab = lab.await.map_err(failed)?;
        let healed = tokio::select! {
            healed = self.undo_and_ask(&lab, chosen, symptoms, manner) => healed,
            (machine, trouble) = lab.trouble() => Err(Failed(format!("machine {machine}: {trouble}"))),
        };
        lab.tear_down().await.map_err(failed)?;
        healed
    }

    async fn undo_and_ask(
        &self,
        lab: &Lab,
        chosen: &[Candidate<'_>],
        symptoms: &[&Symptom],
        manner: Manner,
    ) -> Result<Vec<bool>, Failed> {
        for (drift, before) in self.drifts {
            let own = chosen.iter().filter(|candidate| candidate.machine == drift.machine);
            let changes: Vec<_> = own.map(|candidate| candidate.change).collect();
            if let Some(machine) = lab.machine(&drift.machine).filter(|_| !changes.is_empty()) {
                let deadline = lab.pace().deadline(PUTTING_BACK);
                let done = put_back(machine, &changes, &before.inventory, &before.contents, deadline);
                done.await.map_err(failed)?;
            }
        }
        if manner == Manner::Restarted {
            self.start_again(lab).await?;
        }
        let domain = &self.case.lab.topology.domain;
        Ok(join_all(symptoms.iter().map(|symptom| symptom.is_healed(lab, domain))).await)
    }

    /// The units that steps of the scenario look at, by machine.
    pub(crate) fn units(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut units: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for step in &self.case.steps {
            if let Action::Units(looked_at) = &step.action {
                units.entry(step.machine()).or_default().extend(looked_at.active.iter().map(String::as_str));
            }
        }
        units
    }

    async fn start_again(&self, lab: &Lab) -> Result<(), Failed> {
        for (name, units) in self.units() {
            let Some(machine) = lab.machine(name) else { continue };
            let units: Vec<_> = units.into_iter().map(quoted).collect();
            let command = format!("systemctl daemon-reload; systemctl restart -- {}", units.join(" "));
            // A service that does not come up heals nothing, and that is what is asked next.
            machine.execute(&command, lab.pace().deadline(STARTING)).await.map_err(failed)?;
        }
        Ok(())
    }
}

/// What a trial puts back, in few words.
fn words(chosen: &[Candidate<'_>], of: usize, manner: Manner) -> String {
    let put_back = match chosen {
        [] => "nothing put back".into(),
        [one] => format!("{} put back", one.change.path),
        _ if chosen.len() == of => format!("all {of} put back"),
        _ => format!("{} of {of} put back", chosen.len()),
    };
    match manner {
        Manner::AsItRuns => put_back,
        Manner::Restarted => format!("{put_back}, services started again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::verbs::expectation::cases::drift_between;

    #[rstest::rstest]
    #[case::none(0, Manner::AsItRuns, "nothing put back")]
    #[case::one(1, Manner::AsItRuns, "/etc/a put back")]
    #[case::some(2, Manner::AsItRuns, "2 of 3 put back")]
    #[case::all(3, Manner::AsItRuns, "all 3 put back")]
    #[case::restarted(3, Manner::Restarted, "all 3 put back, services started again")]
    fn a_trial_says_what_it_puts_back(#[case] count: usize, #[case] manner: Manner, #[case] expected: &str) {
        let (drift, _) = drift_between(&[("/etc/a", "a"), ("/etc/b", "b"), ("/etc/c", "c")], &[]);
        let all: Vec<_> = drift.changes.iter().map(|change| Candidate { machine: "mail", change }).collect();
        assert_eq!(words(&all[..count], all.len(), manner), expected);
    }
}
