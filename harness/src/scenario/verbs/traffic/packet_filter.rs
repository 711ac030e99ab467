//! What a packet filter says of a machine's packets, held against the packets themselves.

use super::run::Seen;
use crate::network::flows::Destination;
use crate::network::flows::filter_counter::{self, Bounds};
use crate::network::flows::filter_log::{self, Logged};
use crate::scenario::format::step::{FilterCounter, FilterLog};
use crate::scenario::verbs::{StepContext, StepError};
use jiff::{SignedDuration, Timestamp};

/// How far the clocks of a guest and of the host may be apart, and how late a kernel may log.
const LOG_LATENCY: SignedDuration = SignedDuration::from_secs(2);

impl StepContext<'_> {
    /// Where a filter's log and the packets of a machine disagree.
    pub(crate) async fn contradicted_by_log(
        &self,
        on: &str,
        log: &FilterLog,
        seen: &Seen,
        since: Timestamp,
    ) -> Result<Option<String>, StepError> {
        let log = self.filter_log(on, log, since).await?;
        let found = filter_log::compare(&log, &seen.flows, since + LOG_LATENCY);
        Ok((!found.is_empty()).then(|| found.to_string()))
    }

    /// Where filters' counters and the packets of a machine disagree. `before` is what was seen so far: a machine may go on
    /// sending while the counters are read.
    pub(crate) async fn contradicted_by_counters(
        &mut self,
        on: &str,
        counters: &[FilterCounter],
        before: &Seen,
        since: Timestamp,
    ) -> Result<Vec<String>, StepError> {
        let mut counted = Vec::new();
        for counter in counters {
            let filter = self.machine(counter.on.get_ref())?;
            let printed = filter.succeed(filter_counter::COMMAND, self.deadline()).await?;
            counted.push(filter_counter::read(&printed, counter.comment.get_ref()));
        }
        let after = self.seen_since(on, since).await?;
        let contradictions = counters.iter().zip(counted).filter_map(|(counter, counted)| {
            let named = counter.to.get_ref().iter();
            let to: Vec<Destination> = named.filter_map(|text| text.get_ref().parse().ok()).collect();
            let of = |seen: &Seen| Bounds::of(&seen.flows, &to, &seen.names);
            let sent = Bounds::between(of(before), of(&after));
            let (filter, comment) = (counter.on.get_ref(), counter.comment.get_ref());
            match counted {
                Ok(counted) if sent.include(counted) => None,
                Ok(counted) => Some(format!(
                    "{filter} has counted {counted} packets by its rule `{comment}`, and {on} has sent {sent} such"
                )),
                Err(error) => Some(format!("{filter}: {error}")),
            }
        });
        Ok(contradictions.collect())
    }

    /// What a packet filter has logged of a machine since a moment, and shortly before: whatever was refused since then is among it.
    async fn filter_log(&self, on: &str, log: &FilterLog, since: Timestamp) -> Result<Vec<Logged>, StepError> {
        let from = (since - LOG_LATENCY).as_second();
        let command =
            format!("journalctl --sync; journalctl --dmesg --quiet --no-pager --output short-unix --since @{from}");
        let text = self.machine(log.on.get_ref())?.succeed(&command, self.deadline()).await?;
        // It stands before other machines, too.
        let own = self.lab.viewpoint(on).addresses;
        let logged = text.lines().filter_map(|line| Logged::read(line, log.prefix.get_ref()));
        Ok(logged.filter(|logged| own.contains(&logged.from.0)).collect())
    }
}
