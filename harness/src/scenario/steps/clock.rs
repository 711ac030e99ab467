//! The clock of a machine.

use super::super::expectation::TimeTold;
use super::super::span::TimeSpan;
use super::super::step::{Clock, TimeSource, is_of_guest};
use super::{Done, Stage, StepError, decided};
use crate::mail::Client;
use jiff::Timestamp;
use toml::Spanned;

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
        let told = self.guest_time(on).await?;
        let after = Timestamp::now();
        let asked = format!("whether the clock is right, to {tolerance}");
        decided(&TimeTold { before, told, after }.judge(tolerance), asked, None)
    }

    /// A client that verifies certificates by that clock, as it is just now.
    pub(super) async fn client_by(&self, on: &str, clock: Option<&Spanned<TimeSource>>) -> Result<Client, StepError> {
        Ok(if is_of_guest(clock) { self.client.at(self.guest_time(on).await?) } else { self.client.clone() })
    }

    /// What the clock of a machine says.
    async fn guest_time(&self, on: &str) -> Result<Timestamp, StepError> {
        let said = self.machine(on)?.succeed("date --utc +%Y-%m-%dT%H:%M:%S.%3NZ", self.deadline()).await?;
        let said = said.trim();
        said.parse().map_err(|error| StepError::Broken(format!("date said `{said}`, which is no time: {error}")))
    }
}

/// The words for the clock that a step names.
pub(super) fn by_clock(clock: Option<&Spanned<TimeSource>>) -> &'static str {
    if is_of_guest(clock) { ", by the machine's clock" } else { "" }
}
