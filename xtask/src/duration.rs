//! How long ago something was, as people write it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// An age, such as `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Age(Duration);

const UNITS: [(&str, u64); 5] = [("w", 7 * 24 * 3600), ("d", 24 * 3600), ("h", 3600), ("min", 60), ("s", 1)];

impl Age {
    /// How long ago `moment` was; a moment to come is now.
    pub(crate) fn of(moment: SystemTime) -> Self {
        Self(moment.elapsed().unwrap_or_default())
    }

    /// The moment that is so long ago.
    pub(crate) fn moment(self) -> SystemTime {
        SystemTime::now().checked_sub(self.0).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// In whole seconds.
    pub(crate) fn as_secs(self) -> u64 {
        self.0.as_secs()
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.as_secs();
        // Two of a unit say more than one of the next.
        let (unit, length) = UNITS.into_iter().find(|(_, length)| seconds >= 2 * length).unwrap_or(("s", 1));
        f.pad(&format!("{} {unit}", seconds / length))
    }
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is no age: write a whole number and one of w, d, h, min, s, such as `7d`");
        let (unit, length) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(error)?;
        let count: u64 = text.strip_suffix(unit).unwrap_or(text).trim().parse().map_err(|_| error())?;
        count.checked_mul(length).map(Duration::from_secs).map(Self).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_and_written() {
        for (text, seconds, written) in [
            ("7d", 604_800, "7 d"),
            ("3 w", 1_814_400, "3 w"),
            ("90min", 5400, "90 min"),
            ("36h", 129_600, "36 h"),
            ("0s", 0, "0 s"),
        ] {
            let age: Age = text.parse().unwrap();
            assert_eq!((age.as_secs(), age.to_string().as_str()), (seconds, written));
        }
        for text in ["", "d", "7", "-7d", "seven d", "99999999999999999w"] {
            text.parse::<Age>().unwrap_err();
        }
    }
}
