//! Steps that concern a whole lab, or a machine as a whole: another lab takes the place of the one before.

use super::case_run::{CaseRun, Engine, LabCheckpoint};
use super::outcome::chain;
use super::resume::{ReplaceError, Start};
use crate::lab::{Lab, LabError, Purpose, Template};
use crate::results::{StepOutcome, StepResult};
use crate::scenario::format::step::{Action, Power, Return};
use crate::scenario::verbs::TestState;
use crate::scenario::verbs::expectation::Rebooted;
use std::sync::Arc;

impl Engine<'_> {
    /// A copy of the template for the steps from `from` on.
    pub(crate) async fn thaw(
        &self,
        play: &CaseRun<'_>,
        template: &Arc<Template>,
        from: usize,
        notes: &TestState,
    ) -> Result<Lab, LabError> {
        let purpose = if play.case.has_checkpoints(from) { Purpose::Freeze } else { Purpose::Use };
        let (topology, captured) = (&play.case.lab.topology, notes.captured.limits());
        Lab::thaw_captured(template, topology, self.setup, purpose, &play.logs, &captured, &|_| ()).await
    }

    /// Carries out a step that concerns the whole lab: another one takes its place.
    pub(crate) async fn replace(
        &self,
        play: &CaseRun<'_>,
        index: usize,
        mut lab: Lab,
        start: &mut Start,
        done: &[StepResult],
    ) -> Result<(Lab, String), ReplaceError> {
        let step = &play.case.steps[index];
        start.notes.captured.note_files(&lab);
        start.notes.captured.note_step(index, step.name.get_ref());
        match &step.action {
            Action::Rewind(rewind) => {
                lab.tear_down().await?;
                // The format has checked that an earlier step keeps it.
                let LabCheckpoint { template, notes: then } = &start.kept[rewind.to.get_ref()];
                let then = then.clone();
                start.notes = if rewind.keep_test_state { then.remembering(&start.notes) } else { then };
                let lab = self.thaw(play, template, index + 1, &start.notes).await?;
                Ok((lab, "the lab is as it was then".into()))
            }
            Action::Checkpoint(checkpoint) => {
                let name = checkpoint.name.get_ref();
                // What came of steps that failed is no state that a later run may start with.
                let sound = done.iter().all(|step| step.outcome != StepOutcome::Failed);
                let claim = start.claims.remove(&index).filter(|_| sound);
                let (template, answered) = if let Some(claim) = claim {
                    (self.keep(play, name, lab, claim, &mut start.notes, done).await?, "kept, for later runs too")
                } else {
                    let topology = &play.case.lab.topology;
                    (self.stock.checkpoint(lab, topology, self.setup).await?, "kept; the lab goes on")
                };
                let lab = self.thaw(play, &template, index + 1, &start.notes).await?;
                start.kept.insert(name.clone(), LabCheckpoint { template, notes: start.notes.clone() });
                Ok((lab, answered.into()))
            }
            Action::Power(power) => {
                let machine = step.machine();
                match power {
                    Power::Cut => lab.cut_power(machine).await?,
                    Power::Shutdown => lab.shut_down(machine).await?,
                    Power::On => lab.power_on(machine, &play.logs).await?,
                }
                Ok((lab, "done".into()))
            }
            Action::Reboot(reboot) => {
                let machine = step.machine();
                let (judged, done) = match lab.reboot(machine, &play.logs).await {
                    Err(away @ LabError::StaysAway { .. }) => {
                        let judged = reboot.judge(machine, Rebooted::Away(&chain(&away)));
                        (judged, Err(away))
                    }
                    rebooted => (reboot.judge(machine, Rebooted::Back), Ok(rebooted?)),
                };
                match (judged.is_met(), done) {
                    (true, Ok(rebooted)) => {
                        let kernel =
                            rebooted.kernel.map_or_else(String::new, |version| format!(" with kernel {version}"));
                        Ok((lab, format!("{}{kernel}", judged.answered())))
                    }
                    (true, Err(_)) => Ok((lab, judged.answered())),
                    (false, Err(away)) if reboot.expect == Return::Back => Err(away.into()),
                    (false, _) => Err(ReplaceError::Unmet(judged.answered())),
                }
            }
            _ => Ok((lab, String::new())),
        }
    }
}
