//! Whether a lab is ready: the steps of its file hold.

use crate::lab::{Lab, LabError, Readiness};
use crate::scenario::format::step::{Looking, Step};
use crate::scenario::verbs::{Done, StepContext, StepError, TestState};
use futures_util::future::LocalBoxFuture;
use std::time::Duration;

/// How long a booted lab may take until a step of its file holds, if that says nothing else: nominal.
const PATIENCE: Duration = Duration::from_secs(30);

/// The steps of a lab's file.
#[derive(Debug)]
pub struct ReadySteps<'a> {
    /// The lab's domain.
    pub domain: &'a str,
    /// The steps.
    pub steps: &'a [Step],
}

impl Readiness for ReadySteps<'_> {
    fn bring<'l>(&'l self, lab: &'l Lab) -> LocalBoxFuture<'l, Result<(), String>> {
        Box::pin(self.wait(lab))
    }

    fn cache_key(&self) -> Result<String, LabError> {
        serde_json::to_string(&self.steps.iter().map(Step::cache_key).collect::<Vec<_>>()).map_err(LabError::Key)
    }
}

impl ReadySteps<'_> {
    /// Repeats each step, in order, until it holds.
    async fn wait(&self, lab: &Lab) -> Result<(), String> {
        for step in self.steps {
            let patience = match step.looking() {
                Looking::Within(span) => span.duration(),
                _ => PATIENCE,
            };
            let deadline = lab.pace().deadline(patience);
            let what = format!("\"{}\" on {}", step.name.get_ref(), step.machine());
            let met = deadline.poll(what, || holds(lab, self.domain, step)).await;
            met.map_err(|expired| lab.identity().redact(&expired.to_string()))?;
        }
        Ok(())
    }
}

/// Carries out one step by itself: whether it finds what it expects, or what else it found.
pub async fn holds(lab: &Lab, domain: &str, step: &Step) -> Result<(), String> {
    let mut notes = TestState::default();
    let mut stage = StepContext::new(lab, domain, &mut notes, &|_| ())?;
    match stage.perform(step).await {
        Ok(_) => Ok(()),
        Err(StepError::Unmet(Done { asked, answered, .. }, _)) => Err(format!("{asked} → {answered}")),
        Err(StepError::Broken(reason) | StepError::Lacking(reason)) => Err(reason),
    }
}
