//! The clock of a machine.

use super::super::expectation::TimeTold;
use super::super::span::TimeSpan;
use super::super::step::Clock;
use super::{Done, Stage, StepError, decided};
use jiff::Timestamp;

impl Stage<'_> {
    pub(super) async fn clock(&self, on: &str, clock: Clock) -> Result<Done, StepError> {
        match clock {
            Clock::Advance(span) => {
                let command = format!("date --set=@$(( $(date +%s) + {} ))", span.duration().as_secs());
                let now = self.machine(on)?.succeed(&command, self.deadline()).await?;
                let asked = format!("move the clock forward by {span}");
                Ok(Done { asked, answered: now.trim().to_owned(), transcript: None })
            }
            Clock::RightWithin(tolerance) => self.right_clock(on, tolerance).await,
        }
    }

    async fn right_clock(&self, on: &str, tolerance: TimeSpan) -> Result<Done, StepError> {
        let before = Timestamp::now();
        let said = self.machine(on)?.succeed("date --utc +%Y-%m-%dT%H:%M:%S.%3NZ", self.deadline()).await?;
        let after = Timestamp::now();
        let said = said.trim();
        let told = said.parse::<Timestamp>();
        let told = told.map_err(|error| StepError::Broken(format!("date said `{said}`, which is no time: {error}")))?;
        let asked = format!("whether the clock is right, to {tolerance}");
        decided(&TimeTold { before, told, after }.judge(tolerance), asked, None)
    }
}
