//! One of several parts of all mutants, so that several short runs try them all.

use std::str::FromStr;

/// The part `number` of `of`, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rotation {
    number: usize,
    of: usize,
}

/// Why a text is no part.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no part: write it as 3/10, with a number from 1 to 10")]
pub(super) struct NoPart(String);

impl FromStr for Rotation {
    type Err = NoPart;

    fn from_str(text: &str) -> Result<Self, NoPart> {
        let parts = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parts {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err(NoPart(text.to_owned())),
        }
    }
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

    #[rstest::rstest]
    #[case::none("0/3")]
    #[case::too_many("4/3")]
    #[case::of_nothing("1/0")]
    #[case::no_numbers("one/three")]
    #[case::one_number("3")]
    fn refuses_what_is_no_part(#[case] text: &str) {
        assert_eq!(text.parse::<Rotation>(), Err(NoPart(text.to_owned())));
    }
}
