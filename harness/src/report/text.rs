//! Words of a report: what a guest said is made harmless, numbers are as a person reads them.

pub use crate::sanitize::{line, lines, quoted};
use std::time::Duration;

/// Seconds as a person reads them.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = whole(seconds);
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

/// Whole seconds. A report of others may hold any number, and what is beyond all time is the longest time.
#[must_use]
pub fn whole(seconds: f64) -> u64 {
    match Duration::try_from_secs_f64(seconds.round()) {
        Ok(time) => time.as_secs(),
        Err(_) if seconds > 0.0 => u64::MAX,
        Err(_) => 0,
    }
}

/// A number of things.
#[must_use]
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(0.04, "0.0 s")]
    #[case(59.94, "59.9 s")]
    #[case(59.96, "1 min 00 s")]
    #[case(642.1, "10 min 42 s")]
    #[case(7322.0, "2 h 02 min")]
    #[case(1e300, "5124095576030431 h 00 min")]
    #[case(f64::INFINITY, "5124095576030431 h 00 min")]
    #[case(f64::NAN, "0 min 00 s")]
    fn times_are_short(#[case] time: f64, #[case] words: &str) {
        assert_eq!(seconds(time), words);
    }
}
