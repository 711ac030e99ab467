//! Looking once, until something is so, or again and again; and the invariants.

use super::super::step::{Looking, Step};
use super::{Done, Stage, StepError, with};
use crate::time::{Deadline, Pauses};

impl Stage<'_> {
    /// Carries out one step, looking as often as it says.
    pub(in super::super) async fn look(&mut self, step: &Step) -> Result<Done, StepError> {
        match step.looking() {
            Looking::Once => self.perform(step).await,
            Looking::Within(span) => self.within(step, self.lab.pace().deadline(span.duration())).await,
            Looking::Always(span) => self.always(step, self.lab.pace().deadline(span.duration())).await,
            Looking::Never(span) => self.never(step, self.lab.pace().deadline(span.duration())).await,
        }
    }

    /// A machine that cannot be asked yet is asked again, too: it may be starting.
    async fn within(&mut self, step: &Step, deadline: Deadline) -> Result<Done, StepError> {
        let mut pauses = Pauses::default();
        for looks in 1_u32.. {
            let answer = self.perform(step).await;
            let words = format!("{:.1} s and {looks} looks", deadline.elapsed().as_secs_f64());
            match answer {
                Ok(done) => return Ok(with(done, &format!("after {words}: "))),
                Err(StepError::Unmet(done)) if deadline.passed() => {
                    return Err(StepError::Unmet(with(done, &format!("still, after {words}: "))));
                }
                Err(StepError::Broken(reason)) if deadline.passed() => {
                    return Err(StepError::Broken(format!("still, after {words}: {reason}")));
                }
                Err(_) => pauses.next(&deadline).await,
            }
        }
        Err(StepError::Broken("nobody looks so often".into()))
    }

    async fn always(&mut self, step: &Step, deadline: Deadline) -> Result<Done, StepError> {
        let mut pauses = Pauses::default();
        let mut looks = 0;
        loop {
            looks += 1;
            let words = |deadline: &Deadline| format!("{:.1} s and {looks} looks", deadline.elapsed().as_secs_f64());
            match self.perform(step).await {
                Ok(done) if deadline.passed() => return Ok(with(done, &format!("for {}: ", words(&deadline)))),
                Ok(_) => pauses.next(&deadline).await,
                Err(StepError::Unmet(done)) => {
                    return Err(StepError::Unmet(with(done, &format!("not any more after {}: ", words(&deadline)))));
                }
                Err(broken) => return Err(broken),
            }
        }
    }

    async fn never(&mut self, step: &Step, deadline: Deadline) -> Result<Done, StepError> {
        let mut pauses = Pauses::default();
        let mut looks = 0;
        loop {
            looks += 1;
            let words = |deadline: &Deadline| format!("{:.1} s and {looks} looks", deadline.elapsed().as_secs_f64());
            match self.perform(step).await {
                Err(StepError::Unmet(done)) if deadline.passed() => {
                    return Ok(with(done, &format!("not in {}: ", words(&deadline))));
                }
                Err(StepError::Unmet(_)) => pauses.next(&deadline).await,
                Ok(done) => {
                    return Err(StepError::Unmet(with(done, &format!("it came true after {}: ", words(&deadline)))));
                }
                Err(broken) => return Err(broken),
            }
        }
    }

    /// The first invariant that does not hold, of those that no step has disturbed, and what was seen.
    pub(in super::super) async fn first_broken<'i>(&mut self, invariants: &'i [Step]) -> Option<(&'i Step, Done)> {
        for invariant in invariants {
            if self.notes.disturbed.contains(invariant.name.get_ref()) {
                continue;
            }
            match self.look(invariant).await {
                Ok(_) => {}
                Err(StepError::Unmet(done)) => return Some((invariant, done)),
                Err(StepError::Broken(reason)) => {
                    let asked = "it could not be looked at".into();
                    return Some((invariant, Done { asked, answered: reason, transcript: None }));
                }
            }
        }
        None
    }

    /// A text for people, without secrets of the lab.
    pub(in super::super) fn redact(&self, text: &str) -> String {
        self.lab.identity().redact(text)
    }

    /// Takes note of the invariants that a step breaks, and of those that hold again.
    pub(in super::super) fn note_disturbances(&mut self, step: &Step) {
        let names = |list: &[toml::Spanned<String>]| list.iter().map(|name| name.get_ref().clone()).collect::<Vec<_>>();
        self.notes.disturbed.extend(names(&step.disturbs));
        for name in names(&step.restores) {
            self.notes.disturbed.remove(&name);
        }
    }
}
