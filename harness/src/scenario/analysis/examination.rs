//! Why nobody can log in to a lab whose broken state was kept.

use super::bisect::{ExplainError, changes_things};
use crate::lab::{Lab, Purpose};
use crate::mail::diagnosis::{Diagnosis, Service};
use crate::scenario::engine::case_run::{CaseRun, Engine};
use crate::scenario::engine::checkpoints::starts;
use crate::scenario::engine::login_failure::{MARGIN, login_of, refused_login};
use crate::scenario::engine::outcome::chain;
use crate::scenario::engine::resume::checkpoint_name;
use crate::scenario::format::scenario::{Case, Scenario};
use crate::scenario::format::step::Step;
use crate::scenario::verbs::{Since, StepContext, StepError, diagnosis_of};
use serde::Serialize;
use std::time::Instant;

/// What was found in a kept state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// The scenario.
    pub scenario: String,
    /// Its case.
    pub case: String,
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
    /// Thaws the last kept state of a case, or makes it, tries the logins that the scenario asks for after it, and says why they
    /// are refused.
    pub async fn examine(&self, scenario: &Scenario, case: &Case) -> Result<Examination, ExplainError> {
        let start = starts(&case.steps).into_iter().next();
        let index = start.ok_or_else(|| ExplainError::Scenario(nothing_kept(scenario, case)))?.step;
        let steps = logins(&case.steps[index + 1..]);
        if steps.is_empty() {
            return Err(ExplainError::Scenario(nothing_kept(scenario, case)));
        }
        let (template, metadata) = self.checkpoint(scenario, case, index).await?;
        let logs = self.run.case(&scenario.name, &format!("diagnose,{case}")).map_err(|error| error.to_string())?;
        let play = CaseRun { scenario, case, logs, ends: index + 1, onlooker: None };
        let topology = &case.lab.topology;
        let _share = self.unless_interrupted(self.budget.memory(topology.memory_mib(), &|_| ())).await?;
        let thawing = Lab::thaw(&template, topology, self.setup, Purpose::Use, &play.logs, &|_| ());
        let lab = self.unless_interrupted(thawing).await?;
        let mut notes = metadata.notes;
        let tried = tokio::select! {
            tried = async {
                let mut stage = StepContext::new(&lab, &topology.domain, &mut notes, self.say)?;
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
            case: case.to_string(),
            checkpoint: checkpoint_name(&case.steps[index]).to_owned(),
            logins: tried?,
        })
    }

    async fn try_login(&self, lab: &Lab, stage: &mut StepContext<'_>, step: &Step) -> Result<Tried, String> {
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

fn nothing_kept(scenario: &Scenario, case: &Case) -> String {
    format!(
        "{}::{case} keeps no broken state: it needs a step do.checkpoint = {{ name = \"broken\", keep = true }}, and a login after it",
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
