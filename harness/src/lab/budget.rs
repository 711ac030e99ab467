//! How many labs may run at once: as many as memory holds, no more cases than a run has jobs, and no more guests that boot or are
//! upgraded than cores can carry. All processes of one cache share these, as under nextest, where each case is a process.

use crate::host::memory::{self, Available, Limit};
use crate::lab::shared_budget::{Ask, SharedBudget, Turn};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Memory that is left to this host beside its guests, in bytes.
const RESERVE: u64 = 1 << 30;

/// How often who waits looks whether it can be served. That a process was killed, and its share is free, nobody is told.
const LOOK: Duration = Duration::from_millis(200);

/// What this host has for labs. Whoever waits is served in the order of asking, whatever process it is in; and nobody asks twice for
/// the same thing, so nobody waits for ever.
#[derive(Debug)]
pub struct Budget {
    cases: Pot,
    memory: Pot,
    boots: Pot,
}

/// Cases that run at once unless the user says otherwise: three for two cores, as they also wait, for what a server does after a
/// wrong password, say.
#[must_use]
pub fn usual_cases(cores: usize) -> usize {
    cores + cores.div_ceil(2)
}

/// A share of the budget, given back when it is dropped, or when its process ends.
#[derive(Debug)]
pub struct Permit {
    _share: Ask,
}

/// No share can be had.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// What was asked for can never be given.
    #[error("{wanted} {what} are wanted, and {giver} {total}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// Who has it, and a verb.
        giver: &'static str,
        /// So much.
        wanted: u32,
        /// All there is.
        total: u32,
    },
    /// Who has what cannot be read or written.
    #[error("failed to take a share of this host's {what} in {}", directory.display())]
    SharedBudget {
        /// Of what.
        what: &'static str,
        /// Where it is written down.
        directory: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

const HOST: &str = "this host has";

/// How much there is of something.
#[derive(Debug, Clone, Copy)]
enum Measure {
    /// Memory that guests can have now.
    Memory,
    /// So much, always.
    Fixed(u32),
    #[cfg(test)]
    Given(Available),
}

impl Measure {
    /// How much, and who has it.
    fn take(self) -> (u32, &'static str) {
        let memory = match self {
            Self::Fixed(amount) => return (amount, HOST),
            Self::Memory => memory::available().map(|available| available.without(RESERVE)),
            #[cfg(test)]
            Self::Given(available) => Some(available),
        };
        let memory = memory.unwrap_or(Available { bytes: 0, limit: Limit::Host });
        let giver = match memory.limit {
            Limit::Host => HOST,
            Limit::Group => "the control group that this runs in leaves",
        };
        (memory.mib(), giver)
    }
}

#[derive(Debug)]
struct Pot {
    what: &'static str,
    ledger: SharedBudget,
    measure: Measure,
}

impl Pot {
    fn open(what: &'static str, directory: PathBuf, measure: Measure) -> io::Result<Self> {
        Ok(Self { what, ledger: SharedBudget::open(directory)?, measure })
    }

    async fn take(&self, wanted: u32, waiting: &(dyn Fn(&Wait) + Sync)) -> Result<Permit, BudgetError> {
        let broken = |source| BudgetError::SharedBudget {
            what: self.what,
            directory: self.ledger.directory().to_owned(),
            source,
        };
        let mut ask = self.ledger.ask(wanted).map_err(broken)?;
        let mut looks = 0_u32;
        loop {
            match self.ledger.turn(&mut ask, || self.measure.take().0).map_err(broken)? {
                Turn::Given => return Ok(Permit { _share: ask }),
                Turn::Never { total } => {
                    let (_, giver) = self.measure.take();
                    return Err(BudgetError::TooMuch { what: self.what, giver, wanted, total });
                }
                // At the first look, who has asked a moment before may not have been served yet.
                Turn::Later { left, total } if looks == 1 => {
                    waiting(&Wait { what: self.what, wanted, left, total });
                }
                Turn::Later { .. } => {}
            }
            looks += 1;
            tokio::time::sleep(LOOK).await;
        }
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
    /// So many cases at once, this host's RAM for guests, and its cores for those that boot. Who has what stands in `directory`, for
    /// all processes that share it; how many cases there are, is said by who takes the first.
    pub fn shared(directory: &Path, cases: usize, cores: usize) -> io::Result<Self> {
        let [cases, cores] = [cases, cores].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        Self::of(directory, cases, Measure::Memory, cores)
    }

    fn of(directory: &Path, cases: u32, memory: Measure, cores: u32) -> io::Result<Self> {
        Ok(Self {
            cases: Pot::open("of the cases that run at once", directory.join("cases"), Measure::Fixed(cases))?,
            memory: Pot::open("MiB of memory", directory.join("memory"), memory)?,
            boots: Pot::open("cores for booting guests", directory.join("boots"), Measure::Fixed(cores))?,
        })
    }

    /// How much memory guests of this process can have now, in MiB, if nobody else wants any.
    #[must_use]
    pub fn memory_mib(&self) -> u32 {
        self.memory.measure.take().0
    }

    /// A case's turn to run, for as long as the permit lives. Two runs at once have no more cases between them than one: a guest whose
    /// processor is shared by twice as many takes daemons that are slow for dead ones, by limits of its own that no pace stretches.
    pub async fn case(&self, waiting: &(dyn Fn(&Wait) + Sync)) -> Result<Permit, BudgetError> {
        self.cases.take(1, waiting).await
    }

    /// RAM for a lab, for as long as the permit lives. `waiting` is called once if it cannot be had at
    /// the second look.
    pub async fn memory(&self, mib: u32, waiting: &(dyn Fn(&Wait) + Sync)) -> Result<Permit, BudgetError> {
        self.memory.take(mib, waiting).await
    }

    /// Cores for guests that boot or are upgraded; never more than there are.
    pub async fn boot(&self, processors: u32, waiting: &(dyn Fn(&Wait) + Sync)) -> Result<Permit, BudgetError> {
        self.boots.take(processors.min(self.boots.measure.take().0), waiting).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn budget(directory: &Path, mib: u64, limit: Limit) -> Budget {
        Budget::of(directory, 3, Measure::Given(Available { bytes: mib << 20, limit }), 2).unwrap()
    }

    #[tokio::test]
    async fn who_waits_says_for_what_and_is_served_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let budget = Arc::new(budget(directory.path(), 3000, Limit::Host));
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
            assert_eq!(words, format!("waits for {mib} MiB of memory: 1000 of 3000 are free"));
        }
        drop(first);
        for job in jobs {
            job.await.unwrap();
        }
        // The small one could have gone first, and did not: else a large one might wait for ever.
        assert_eq!(*order.lock().unwrap(), ["large", "small"]);
    }

    #[tokio::test]
    async fn two_runs_have_no_more_cases_than_one() {
        let directory = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| budget(directory.path(), 1000, Limit::Host));
        let mut held = Vec::new();
        for budget in [&one, &other, &one] {
            held.push(budget.case(&|_| panic!("there are three")).await.unwrap());
        }
        let (waits, mut hears) = tokio::sync::mpsc::unbounded_channel();
        let fourth =
            tokio::spawn(async move { other.case(&|wait| waits.send(wait.to_string()).unwrap()).await.unwrap() });
        let words = hears.recv().await.unwrap();
        assert_eq!(words, "waits for 1 of the cases that run at once: 0 of 3 are free");
        held.pop();
        fourth.await.unwrap();
    }

    #[tokio::test]
    async fn what_can_never_be_given_is_an_error_and_a_boot_takes_what_there_is() {
        let directory = tempfile::tempdir().unwrap();
        let own = budget(directory.path(), 1000, Limit::Host);
        let error = own.memory(1500, &|_| ()).await.unwrap_err();
        assert_eq!(error.to_string(), "1500 MiB of memory are wanted, and this host has 1000");
        own.boot(3, &|_| panic!("all cores are free")).await.unwrap();
        let error = budget(directory.path(), 700, Limit::Group).memory(1500, &|_| ()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "1500 MiB of memory are wanted, and the control group that this runs in leaves 700"
        );
    }
}
