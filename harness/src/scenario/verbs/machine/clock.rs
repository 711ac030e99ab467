//! The clock of a machine.

use crate::mail::Client;
use crate::scenario::format::span::TimeSpan;
use crate::scenario::format::step::{Clock, TimeSource, is_of_guest};
use crate::scenario::verbs::expectation::TimeTold;
use crate::scenario::verbs::{Done, StepContext, StepError, decided};
use jiff::Timestamp;
use toml::Spanned;

impl StepContext<'_> {
    pub(crate) async fn clock(&self, on: &str, clock: Clock) -> Result<Done, StepError> {
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
    pub(crate) async fn client_by(&self, on: &str, clock: Option<&Spanned<TimeSource>>) -> Result<Client, StepError> {
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
pub(crate) fn by_clock(clock: Option<&Spanned<TimeSource>>) -> &'static str {
    if is_of_guest(clock) { ", by the machine's clock" } else { "" }
}
