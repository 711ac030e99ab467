//! How busy this host gets while labs run on it: the pace, measured again and again.

use super::accelerator::{self, Selection};
use super::probe::Shortfall;
use crate::time::{LiveTimeoutScale, TimeoutScale};
use std::path::PathBuf;
use std::time::Duration;

/// The time between two measurements. Each takes half a second of a processor under emulation, and less with KVM.
const EVERY: Duration = Duration::from_secs(30);

/// So many times slower than at first is worth a word, and each doubling after it.
const NOTABLE: f64 = 4.0;

/// Measures the pace for ever, so that whoever begins to wait waits as long as this host needs then. `own` is by how much the cases
/// that run here may slow each other down: waits have reckoned with that already. `tell` hears of a host that has become much slower.
///
/// A pace that somebody gave is left as it is. What was remembered in the directory `cache` is replaced at once.
pub async fn keep_measuring(
    selection: Selection,
    cache: PathBuf,
    tempo: LiveTimeoutScale,
    own: f64,
    tell: impl Fn(TimeoutScale),
) {
    if !selection.is_measured {
        return;
    }
    let mut worth_a_word = NOTABLE;
    // What is remembered was measured at another hour.
    let mut is_of_now = selection.remembered.is_none();
    loop {
        if is_of_now {
            tokio::time::sleep(EVERY).await;
        }
        let is_first = !std::mem::replace(&mut is_of_now, true);
        let cache = cache.clone();
        let measuring = tokio::task::spawn_blocking(move || accelerator::measure_again(&cache, selection.accelerator));
        let Ok(probed) = measuring.await else { continue };
        let Some(seen) = Seen::of(&probed) else { continue };
        let pace = by_others(seen.pace(), own);
        if is_first {
            tempo.begin_with(pace);
            continue;
        }
        let slower = match seen {
            Seen::Exactly(_) => tempo.measured(pace),
            Seen::AtLeast(_) => tempo.at_least(pace),
        };
        if slower >= worth_a_word {
            tell(pace);
            worth_a_word = slower * 2.0;
        }
    }
}

/// What a probe tells of the pace.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    Exactly(TimeoutScale),
    /// The probe did not end: this host is at least so slow.
    AtLeast(TimeoutScale),
}

impl Seen {
    /// A probe that could not be run says nothing.
    fn of(probed: &Result<Duration, Shortfall>) -> Option<Self> {
        match probed {
            Ok(work) => Some(Self::Exactly(accelerator::pace_of(*work))),
            Err(Shortfall::Hung { after, .. }) => Some(Self::AtLeast(accelerator::pace_of(*after))),
            Err(_) => None,
        }
    }

    fn pace(self) -> TimeoutScale {
        let (Self::Exactly(pace) | Self::AtLeast(pace)) = self;
        pace
    }
}

/// What of a measured pace is not the work of cases here.
fn by_others(measured: TimeoutScale, own: f64) -> TimeoutScale {
    TimeoutScale::from_factor(measured.factor() / own.max(1.0))
}

/// By how much so many cases at once may slow each other down, with the probe that measures.
#[must_use]
pub fn own_load(cases: usize, cores: usize) -> f64 {
    let [cases, cores] = [cases, cores].map(|count| f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    ((cases + 1.0) / cores.max(1.0)).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::one_case_on_two_cores(1, 2, 1.0)]
    #[case::the_usual(3, 2, 2.0)]
    #[case::a_single_core(1, 1, 2.0)]
    #[case::many_cores(4, 16, 1.0)]
    fn cases_slow_each_other_down(#[case] cases: usize, #[case] cores: usize, #[case] expected: f64) {
        assert!((own_load(cases, cores) - expected).abs() < 1e-9);
    }

    #[rstest]
    #[case::our_own_cases(12.0, 2.0, 6.0)]
    #[case::others_too(26.0, 2.0, 13.0)]
    #[case::nobody_else(6.0, 1.0, 6.0)]
    fn what_others_take_makes_a_host_slower(#[case] measured: f64, #[case] own: f64, #[case] expected: f64) {
        assert!((by_others(TimeoutScale::from_factor(measured), own).factor() - expected).abs() < 1e-9);
    }

    #[rstest]
    #[case::it_ends(Ok(Duration::from_millis(900)), Some(Seen::Exactly(TimeoutScale::from_factor(10.0))))]
    #[case::it_does_not_end(hung(), Some(Seen::AtLeast(TimeoutScale::from_factor(20.0))))]
    #[case::it_does_not_run(Err(Shortfall::NoDevice), None)]
    fn a_probe_that_does_not_end_tells_of_a_slow_host(
        #[case] probed: Result<Duration, Shortfall>,
        #[case] seen: Option<Seen>,
    ) {
        assert_eq!(Seen::of(&probed), seen);
    }

    fn hung() -> Result<Duration, Shortfall> {
        Err(Shortfall::Hung { passed: 9, after: Duration::from_millis(1800), last_words: None })
    }

    #[tokio::test]
    async fn a_pace_that_somebody_gave_stays() {
        let pace = TimeoutScale::from_factor(7.0);
        let accelerator = accelerator::Accelerator::Tcg;
        let selection = Selection { accelerator, reason: String::new(), pace, is_measured: false, remembered: None };
        let measuring = keep_measuring(selection, PathBuf::new(), pace.into(), 1.0, |_| panic!("nothing is measured"));
        tokio::time::timeout(Duration::from_secs(5), measuring).await.unwrap();
    }
}
