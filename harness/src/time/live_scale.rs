//! The pace of a host that gets busier or idler while labs run on it.

use super::{Deadline, TimeoutScale};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// MiB that the slowest disk or memory copies in a second: a network disk that others use, too.
const SLOWEST_COPY: u64 = 16;

/// A pace that is measured again and again. All clones tell the same.
///
/// It is never quicker than it was at first: a host that idles for a moment is soon busy again, with what is waited for.
#[derive(Debug, Clone)]
pub struct LiveTimeoutScale {
    first: Arc<AtomicU64>,
    latest: Arc<AtomicU64>,
}

impl From<TimeoutScale> for LiveTimeoutScale {
    fn from(first: TimeoutScale) -> Self {
        let [first, latest] = [(); 2].map(|()| Arc::new(AtomicU64::new(first.factor().to_bits())));
        Self { first, latest }
    }
}

impl LiveTimeoutScale {
    /// The pace now.
    #[must_use]
    pub fn pace(&self) -> TimeoutScale {
        TimeoutScale::from_factor(f64::from_bits(self.latest.load(Ordering::Relaxed)))
    }

    /// A deadline that ends when `nominal`, stretched by the pace of now, has passed from now on.
    #[must_use]
    pub fn deadline(&self, nominal: Duration) -> Deadline {
        self.pace().deadline(nominal)
    }

    /// The same for work that copies so many MiB as well: memory and disks are as slow as they are, whatever the pace of
    /// processors is.
    #[must_use]
    pub fn deadline_copying(&self, nominal: Duration, mib: u64) -> Deadline {
        let copying = Duration::from_secs(mib.div_ceil(SLOWEST_COPY));
        Deadline::after(nominal.mul_f64(self.pace().factor()) + copying)
    }

    /// Takes note of a pace that was just measured, and says how many times slower than at first it is.
    pub fn measured(&self, pace: TimeoutScale) -> f64 {
        let first = f64::from_bits(self.first.load(Ordering::Relaxed));
        let factor = pace.factor().max(first);
        self.latest.store(factor.to_bits(), Ordering::Relaxed);
        factor / first
    }

    /// Begins with another pace: the one before was of another hour.
    pub fn begin_with(&self, pace: TimeoutScale) {
        self.first.store(pace.factor().to_bits(), Ordering::Relaxed);
        self.measured(pace);
    }

    /// Takes note that this host is no quicker than that, and says how many times slower than at first it is.
    pub fn at_least(&self, pace: TimeoutScale) -> f64 {
        self.measured(TimeoutScale::from_factor(pace.factor().max(self.pace().factor())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_of_another_hour_is_no_lower_bound() {
        let tempo = LiveTimeoutScale::from(TimeoutScale::from_factor(40.0));
        tempo.begin_with(TimeoutScale::from_factor(6.0));
        assert!((tempo.pace().factor() - 6.0).abs() < 1e-9);
        assert!((tempo.measured(TimeoutScale::from_factor(12.0)) - 2.0).abs() < 1e-9);
        assert!((tempo.measured(TimeoutScale::from_factor(2.0)) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn copying_takes_its_time_at_any_pace() {
        let seconds = |pace: f64, mib| {
            let tempo = LiveTimeoutScale::from(TimeoutScale::from_factor(pace));
            tempo.deadline_copying(Duration::from_secs(2), mib).remaining().as_secs_f64().round()
        };
        for (pace, mib, expected) in [(1.0, 0, 2.0), (1.0, 1600, 102.0), (5.0, 1600, 110.0), (1.0, 1, 3.0)] {
            assert!((seconds(pace, mib) - expected).abs() < 0.5, "{pace} {mib}");
        }
    }

    #[test]
    fn a_lower_bound_makes_nothing_quicker() {
        let tempo = LiveTimeoutScale::from(TimeoutScale::from_factor(5.0));
        tempo.measured(TimeoutScale::from_factor(20.0));
        for (bound, expected) in [(10.0, 20.0), (30.0, 30.0), (2.0, 30.0)] {
            tempo.at_least(TimeoutScale::from_factor(bound));
            assert!((tempo.pace().factor() - expected).abs() < 1e-9, "{bound}");
        }
    }

    #[test]
    fn deadlines_follow_the_host_and_are_never_shorter_than_at_first() {
        let tempo = LiveTimeoutScale::from(TimeoutScale::from_factor(5.0));
        let ours = tempo.clone();
        let seconds = || tempo.deadline(Duration::from_secs(2)).remaining().as_secs_f64().round();
        assert!((seconds() - 10.0).abs() < 0.5);
        assert!((ours.measured(TimeoutScale::from_factor(20.0)) - 4.0).abs() < 1e-9);
        assert!((seconds() - 40.0).abs() < 0.5);
        assert!((ours.measured(TimeoutScale::from_factor(1.5)) - 1.0).abs() < 1e-9);
        assert!((seconds() - 10.0).abs() < 0.5);
    }
}
