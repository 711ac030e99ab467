//! Why nobody can log in to a lab whose broken state was kept.

use super::engine::{Engine, Play};
use super::explain::{ExplainError, changes_things};
use super::format::{Cell, Scenario};
use super::judgement::chain;
use super::kept::starts;
use super::refusal::{MARGIN, login_of, refused_login};
use super::resume::checkpoint_name;
use super::step::Step;
use super::steps::{Since, Stage, StepError, diagnosis_of};
use crate::lab::{Lab, Purpose};
use crate::mail::diagnosis::{Diagnosis, Service};
use serde::Serialize;
use std::time::Instant;

/// What was found in a kept state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// The scenario.
    pub scenario: String,
    /// Its cell.
    pub cell: String,
    /// The kept checkpoint.
    pub checkpoint: String,
    /// The logins that were tried.
    pub logins: Vec<Tried>,
}

/// A login that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// The machine.
    pub machine: String,
    /// What was asked.
    pub asked: String,
    /// What the server answered.
    pub answered: String,
    /// Why it was refused, unless it was let in.
    pub diagnosis: Option<Diagnosis>,
}

impl Engine<'_> {
    /// Thaws the last kept state of a cell, or makes it, tries the logins that the scenario asks for after it, and says why they
    /// are refused.
    pub async fn examine(&self, scenario: &Scenario, cell: &Cell) -> Result<Examination, ExplainError> {
        let start = starts(&cell.steps).into_iter().next();
        let index = start.ok_or_else(|| ExplainError::Scenario(nothing_kept(scenario, cell)))?.step;
        let steps = logins(&cell.steps[index + 1..]);
        if steps.is_empty() {
            return Err(ExplainError::Scenario(nothing_kept(scenario, cell)));
        }
        let (template, papers) = self.checkpoint(scenario, cell, index).await?;
        let logs = self.run.cell(&scenario.name, &format!("diagnose,{cell}")).map_err(|error| error.to_string())?;
        let play = Play { scenario, cell, logs, ends: index + 1, onlooker: None };
        let topology = &cell.lab.topology;
        let _share = self.unless_interrupted(self.budget.memory(topology.memory_mib(), &|_| ())).await?;
        let thawing = Lab::thaw(&template, topology, self.setup, Purpose::Use, &play.logs, &|_| ());
        let lab = self.unless_interrupted(thawing).await?;
        let mut notes = papers.notes;
        let tried = tokio::select! {
            tried = async {
                let mut stage = Stage::new(&lab, &topology.domain, &mut notes, self.say)?;
                let mut tried = Vec::new();
                for step in steps {
                    tried.push(self.try_login(&lab, &mut stage, step).await?);
                }
                Ok(tried)
            } => tried,
            (machine, trouble) = lab.trouble() => Err(format!("machine {machine}: {trouble}")),
            () = self.interrupt.wished() => Err("interrupted".into()),
        };
        lab.tear_down().await.map_err(|error| chain(&error))?;
        Ok(Examination {
            scenario: scenario.name.clone(),
            cell: cell.to_string(),
            checkpoint: checkpoint_name(&cell.steps[index]).to_owned(),
            logins: tried?,
        })
    }

    async fn try_login(&self, lab: &Lab, stage: &mut Stage<'_>, step: &Step) -> Result<Tried, String> {
        let started = Instant::now();
        let performed = stage.perform(step).await;
        let refused = refused_login(step, &performed);
        let done = match performed {
            Ok(done) | Err(StepError::Unmet(done, _)) => done,
            Err(StepError::Broken(reason) | StepError::Lacking(reason)) => return Err(reason),
        };
        let diagnosis = match refused {
            Some(login) => {
                let since = Since::Ago(started.elapsed() + MARGIN);
                Some(diagnosis_of(lab, step.machine(), login, since).await?.of_failed_login())
            }
            None => None,
        };
        let redact = |text: &str| lab.identity().redact(text);
        let (asked, answered) = (redact(&done.asked), redact(&done.answered));
        (self.say)(&format!("  {asked} → {answered}"));
        Ok(Tried { machine: step.machine().to_owned(), asked, answered, diagnosis })
    }
}

/// The logins among steps up to the next one that breaks or mends something, each user and service once.
fn logins(steps: &[Step]) -> Vec<&Step> {
    let mut known: Vec<(&str, String, Service)> = Vec::new();
    let until = steps.iter().take_while(|step| !changes_things(step));
    until
        .filter(|step| {
            let Some((login, _)) = login_of(step) else { return false };
            let key = (step.machine(), login.user.to_owned(), login.service);
            let is_new = !known.contains(&key);
            known.push(key);
            is_new
        })
        .collect()
}

fn nothing_kept(scenario: &Scenario, cell: &Cell) -> String {
    format!(
        "{}::{cell} keeps no broken state: it needs a step do.checkpoint = {{ name = \"broken\", keep = true }}, and a login after it",
        scenario.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct File {
        step: Vec<Step>,
    }

    #[test]
    fn each_login_before_the_cure_is_tried_once() {
        let step = |action: &str| format!("[[step]]\nname = \"x\"\non = \"mail\"\ndo.{action}\n");
        let text = [
            step("imap = { user = \"alice\", expect = \"refused\" }"),
            step("imap = { user = \"alice\", mechanism = \"authenticate-plain\", expect = \"refused\" }"),
            step("smtp = { user = \"alice\", expect = \"refused\" }"),
            step("units = { active = [\"sssd\"] }"),
            step("restore = { paths = [\"/etc/pam.d/imap\"] }"),
            step("imap = { user = \"carol\", expect = \"accepted\" }"),
        ];
        let steps = toml::from_str::<File>(&text.concat()).unwrap().step;
        let found: Vec<_> =
            logins(&steps).iter().filter_map(|step| login_of(step)).map(|(login, _)| login.service).collect();
        assert_eq!(found, [Service::Imap, Service::Smtp]);
    }
}
