//! How long the threads of a process had a core, and how long they waited for one.
//!
//! `/proc/PID/task/*/schedstat` has both in nanoseconds (the kernel's Documentation/scheduler/sched-stats.rst). What a
//! hypervisor below this host took is in `/proc/stat` (proc(5), `steal`).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Time on cores, and time in their queues, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreTime {
    /// How long threads ran.
    pub ran: f64,
    /// How long threads could have run, and had no core.
    pub waited: f64,
}

impl CoreTime {
    /// What all threads of a process that live now have had since they began; none of a process that has ended.
    #[must_use]
    pub fn of(process: u32) -> Option<Self> {
        Self::below(&Path::new("/proc").join(process.to_string()).join("task"))
    }

    fn below(tasks: &Path) -> Option<Self> {
        let threads = std::fs::read_dir(tasks).ok()?.filter_map(Result::ok);
        // A thread may end at any moment.
        let times =
            threads.filter_map(|thread| Self::parse(&std::fs::read_to_string(thread.path().join("schedstat")).ok()?));
        Some(times.fold(Self::default(), Self::plus))
    }

    fn parse(schedstat: &str) -> Option<Self> {
        let mut numbers = schedstat.split_whitespace().map(str::parse::<u64>);
        let mut seconds = || Some(Duration::from_nanos(numbers.next()?.ok()?).as_secs_f64());
        Some(Self { ran: seconds()?, waited: seconds()? })
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { ran: self.ran + other.ran, waited: self.waited + other.waited }
    }

    /// What came after `earlier`; nothing is negative, though threads that ended are not counted any more.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { ran: (self.ran - earlier.ran).max(0.0), waited: (self.waited - earlier.waited).max(0.0) }
    }
}

impl fmt::Display for CoreTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "had a core for {:.1} s and waited {:.1} s for one", self.ran, self.waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_threads_are_added() {
        let directory = tempfile::tempdir().unwrap();
        for (thread, text) in [("10", "1500000000 250000000 7\n"), ("11", "500000000 1000000000 9\n"), ("12", "x")] {
            std::fs::create_dir(directory.path().join(thread)).unwrap();
            std::fs::write(directory.path().join(thread).join("schedstat"), text).unwrap();
        }
        std::fs::create_dir(directory.path().join("13")).unwrap();
        let time = CoreTime::below(directory.path()).unwrap();
        assert_eq!(time, CoreTime { ran: 2.0, waited: 1.25 });
        assert_eq!(time.since(CoreTime { ran: 0.5, waited: 2.0 }), CoreTime { ran: 1.5, waited: 0.0 });
        assert_eq!(CoreTime::below(&directory.path().join("gone")), None);
    }

    #[test]
    fn this_process_has_had_a_core() {
        let begun = std::time::Instant::now();
        let own = || CoreTime::of(std::process::id()).unwrap();
        let before = own();
        while own().since(before).ran < 0.01 {
            assert!(begun.elapsed() < Duration::from_mins(1), "the time on cores does not grow");
        }
    }
}
