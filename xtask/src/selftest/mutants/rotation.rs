//! One of several parts of all mutants, so that several short runs try them all.

use jiff::Timestamp;
use std::str::FromStr;

/// The word for the part whose turn it is on this day.
const TODAY: &str = "today";

const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// The part `number` of `of`, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rotation {
    number: usize,
    of: usize,
}

/// Why a text is no part.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no part: write it as 3/10, with a number from 1 to 10, or as today/10")]
pub(super) struct NoPart(String);

impl FromStr for Rotation {
    type Err = NoPart;

    fn from_str(text: &str) -> Result<Self, NoPart> {
        let parts = text.split_once('/').and_then(|(number, of)| {
            let of: usize = of.parse().ok()?;
            Some((if number == TODAY { on(Timestamp::now(), of)? } else { number.parse().ok()? }, of))
        });
        match parts {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err(NoPart(text.to_owned())),
        }
    }
}

/// The part of so many whose turn it is on the day of this time, in UTC. They take turns, so that each comes up once in as many days.
fn on(time: Timestamp, of: usize) -> Option<usize> {
    let day = usize::try_from(time.as_second() / SECONDS_OF_A_DAY).ok()?;
    Some(day.checked_rem(of)? + 1)
}

impl Rotation {
    /// Every so manieth of them.
    pub(super) fn part<T>(self, all: Vec<T>) -> Vec<T> {
        all.into_iter().skip(self.number - 1).step_by(self.of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_all_there_is_each_once() {
        let all: Vec<_> = (0..11).collect();
        let parts = (1..=4).flat_map(|number| Rotation { number, of: 4 }.part(all.clone()));
        let mut found: Vec<_> = parts.collect();
        found.sort_unstable();
        assert_eq!(found, all);
    }

    #[test]
    fn each_part_has_its_day() {
        let begin: Timestamp = "2026-03-01T23:59:59Z".parse().unwrap();
        let days = (0..4).map(|day| on(begin + jiff::SignedDuration::from_hours(24 * day), 4).unwrap());
        let mut turns: Vec<_> = days.collect();
        turns.sort_unstable();
        assert_eq!(turns, [1, 2, 3, 4]);
        let Rotation { number, of } = "today/14".parse().unwrap();
        assert!((1..=14).contains(&number) && of == 14);
    }

    #[rstest::rstest]
    #[case::today_of_nothing("today/0")]
    #[case::none("0/3")]
    #[case::too_many("4/3")]
    #[case::of_nothing("1/0")]
    #[case::no_numbers("one/three")]
    #[case::one_number("3")]
    fn refuses_what_is_no_part(#[case] text: &str) {
        assert_eq!(text.parse::<Rotation>(), Err(NoPart(text.to_owned())));
    }
}
