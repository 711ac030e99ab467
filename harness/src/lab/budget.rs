//! How many labs may run at once: as many as memory holds, and no more booting ones than cores can carry.

use crate::host::memory::{Available, Limit};
use std::fmt;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What this host has for labs. Whoever waits is served in the order of asking; and nobody asks twice for the same thing,
/// so nobody waits for ever.
#[derive(Debug)]
pub struct Budget {
    memory: Pot,
    boots: Pot,
}

/// A share of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    _share: OwnedSemaphorePermit,
}

/// What was asked for can never be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} {what} are wanted, and {giver} {total}")]
pub struct TooMuch {
    what: &'static str,
    giver: &'static str,
    wanted: u32,
    total: u32,
}

const HOST: &str = "this host has";

#[derive(Debug)]
struct Pot {
    what: &'static str,
    /// Who has it, and a verb.
    giver: &'static str,
    total: u32,
    left: Arc<Semaphore>,
}

impl Pot {
    fn new(what: &'static str, giver: &'static str, total: u32) -> Self {
        Self { what, giver, total, left: Arc::new(Semaphore::new(total as usize)) }
    }

    async fn take(&self, wanted: u32, waiting: &(dyn Fn(&Wait) + Sync)) -> Result<Permit, TooMuch> {
        let too_much = TooMuch { what: self.what, giver: self.giver, wanted, total: self.total };
        if wanted > self.total {
            return Err(too_much);
        }
        if let Ok(share) = self.left.clone().try_acquire_many_owned(wanted) {
            return Ok(Permit { _share: share });
        }
        let left = u32::try_from(self.left.available_permits()).unwrap_or(u32::MAX);
        waiting(&Wait { what: self.what, wanted, left, total: self.total });
        let share = self.left.clone().acquire_many_owned(wanted).await.map_err(|_| too_much)?;
        Ok(Permit { _share: share })
    }
}

/// What somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    what: &'static str,
    wanted: u32,
    left: u32,
    total: u32,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waits for {} {}: {} of {} are free", self.wanted, self.what, self.left, self.total)
    }
}

impl Budget {
    /// A budget of RAM for guests, and of cores for those that boot.
    #[must_use]
    pub fn new(memory: Available, cores: u32) -> Self {
        let giver = match memory.limit {
            Limit::Host => HOST,
            Limit::Group => "the control group that this runs in leaves",
        };
        Self {
            memory: Pot::new("MiB of memory", giver, memory.mib()),
            boots: Pot::new("cores for booting guests", HOST, cores),
        }
    }

    /// RAM for a lab, for as long as the permit lives. `waiting` is called if it cannot be had at once.
    pub async fn memory(&self, mib: u32, waiting: &(dyn Fn(&Wait) + Sync)) -> Result<Permit, TooMuch> {
        self.memory.take(mib, waiting).await
    }

    /// Cores for a lab that boots; never more than there are.
    pub async fn boot(&self, processors: u32, waiting: &(dyn Fn(&Wait) + Sync)) -> Result<Permit, TooMuch> {
        self.boots.take(processors.min(self.boots.total), waiting).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn available(mib: u64, limit: Limit) -> Available {
        Available { bytes: mib << 20, limit }
    }

    #[tokio::test]
    async fn who_waits_says_for_what_and_is_served_in_order() {
        let budget = Arc::new(Budget::new(available(3000, Limit::Host), 2));
        let first = budget.memory(2000, &|_| panic!("there is room")).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let (asked, mut has_asked) = tokio::sync::mpsc::unbounded_channel();
        let mut jobs = Vec::new();
        for (name, mib) in [("large", 2500), ("small", 500)] {
            let (budget, order, asked) = (budget.clone(), order.clone(), asked.clone());
            jobs.push(tokio::spawn(async move {
                let permit = budget.memory(mib, &|wait| asked.send(wait.to_string()).unwrap()).await.unwrap();
                order.lock().unwrap().push(name);
                drop(permit);
            }));
            let words = has_asked.recv().await.unwrap();
            assert!(words.starts_with(&format!("waits for {mib} MiB of memory")), "{words}");
        }
        drop(first);
        for job in jobs {
            job.await.unwrap();
        }
        // The small one could have gone first, and did not: else a large one might wait for ever.
        assert_eq!(*order.lock().unwrap(), ["large", "small"]);
    }

    #[tokio::test]
    async fn what_can_never_be_given_is_an_error_and_a_boot_takes_what_there_is() {
        let budget = Budget::new(available(1000, Limit::Host), 2);
        let error = budget.memory(1500, &|_| ()).await.unwrap_err();
        assert_eq!(error.to_string(), "1500 MiB of memory are wanted, and this host has 1000");
        budget.boot(3, &|_| panic!("all cores are free")).await.unwrap();
        let error = Budget::new(available(700, Limit::Group), 2).memory(1500, &|_| ()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "1500 MiB of memory are wanted, and the control group that this runs in leaves 700"
        );
    }
}
