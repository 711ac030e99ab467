//! Trials: which tests come by which mutant, and whether one of them notices it.

use super::program::{Program, Test};
use crate::mutants::bounded::Limit;
use crate::mutants::tally::Outcome;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What tests may take with a mutant where they take no time without: a busy host is slow now and then.
const LEAST_LIMIT: Duration = Duration::from_secs(20);

/// How much longer they may take.
const LIMIT_FACTOR: u32 = 10;

/// The first tests that are run, the quickest: most mutants are caught by them.
const FIRST: Duration = Duration::from_millis(500);

/// Does something with each of a list, on all cores; what was not done in time is missing.
pub(super) fn on_all_cores<T: Sync, R: Send>(
    list: &[T],
    work: impl Fn(&T) -> anyhow::Result<Option<R>> + Sync,
) -> anyhow::Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let results = Mutex::new(Ok(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(item) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = work(item);
                    let mut results = results.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    match (&mut *results, result) {
                        (Ok(list), Ok(result)) => list.extend(result),
                        (Ok(_), Err(error)) => *results = Err(error),
                        (Err(_), _) => return,
                    }
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Tests by the mutants that they come by, the quickest first.
pub(super) fn by_mutant(tests: &[Test]) -> BTreeMap<usize, Vec<&Test>> {
    let mut sorted: Vec<_> = tests.iter().collect();
    sorted.sort_by_key(|test| test.took);
    let mut map: BTreeMap<usize, Vec<&Test>> = BTreeMap::new();
    for test in sorted {
        for mutant in &test.reaches {
            map.entry(*mutant).or_default().push(test);
        }
    }
    map
}

/// Tries a mutant with the tests that come by it. `None` if the time was over before one of them could tell.
pub(super) fn try_it(
    program: &Program,
    mutant: usize,
    tests: &[&Test],
    limit: Limit,
) -> anyhow::Result<Option<Outcome>> {
    if tests.is_empty() {
        return Ok(Some(Outcome::Unreached));
    }
    let (quick, rest) = tests.split_at(quickest(tests));
    for part in [quick, rest].into_iter().filter(|part| !part.is_empty()) {
        if limit.passed() {
            return Ok(None);
        }
        let usual: Duration = part.iter().map(|test| test.took).sum();
        let status = program.with(mutant, part, limit.within(LEAST_LIMIT + LIMIT_FACTOR * usual))?;
        match status {
            Some(status) if status.success() => {}
            Some(_) => return Ok(Some(Outcome::Caught)),
            None if limit.passed() => return Ok(None),
            None => return Ok(Some(Outcome::Endless)),
        }
    }
    Ok(Some(Outcome::Missed))
}

/// How many of the tests, which are in order, are run first.
fn quickest(tests: &[&Test]) -> usize {
    let mut together = Duration::ZERO;
    let within = tests.iter().take_while(|test| {
        together += test.took;
        together <= FIRST
    });
    within.count().max(1)
}
