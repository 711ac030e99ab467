//! Figures that steps have measured: what of, how much, and how they stand side by side.

use serde::{Deserialize, Serialize};

/// How the names of files begin that figures are in.
pub const FILES: &str = "figures-";

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// What was measured, such as a way to lay out a disk.
    pub subject: String,
    /// Which property of it.
    pub quantity: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: String,
}

/// Figures of one quantity, side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison<'f> {
    /// The quantity.
    pub quantity: &'f str,
    /// Its unit.
    pub unit: &'f str,
    /// Subjects with their figures, in the order in which they were measured.
    pub bars: Vec<(&'f str, f64)>,
}

impl Comparison<'_> {
    /// The largest figure.
    #[must_use]
    pub fn most(&self) -> f64 {
        self.bars.iter().map(|(_, value)| *value).fold(0.0, f64::max)
    }
}

/// Figures by quantity, in the order in which they were measured first. A subject that was measured again has its last figure.
#[must_use]
pub fn compared<'f>(figures: impl IntoIterator<Item = &'f Figure>) -> Vec<Comparison<'f>> {
    let mut comparisons: Vec<Comparison<'f>> = Vec::new();
    for Figure { subject, quantity, value, unit } in figures {
        let place = comparisons.iter().position(|it| it.quantity == quantity && it.unit == unit);
        let place = place.unwrap_or_else(|| {
            comparisons.push(Comparison { quantity, unit, bars: Vec::new() });
            comparisons.len() - 1
        });
        let bars = &mut comparisons[place].bars;
        match bars.iter_mut().find(|(known, _)| known == subject) {
            Some((_, known)) => *known = *value,
            None => bars.push((subject, *value)),
        }
    }
    comparisons
}

/// A figure for people: three digits that count.
#[must_use]
pub fn told(value: f64) -> String {
    match value {
        small if small < 9.995 => format!("{small:.2}"),
        middle if middle < 99.95 => format!("{middle:.1}"),
        large => format!("{large:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(subject: &str, quantity: &str, value: f64) -> Figure {
        Figure { subject: subject.into(), quantity: quantity.into(), value, unit: "MiB/s".into() }
    }

    #[test]
    fn a_quantity_is_compared_over_all_subjects() {
        let figures = [
            figure("plain", "read", 10.0),
            figure("plain", "write", 5.0),
            figure("LUKS", "read", 8.0),
            figure("plain", "read", 12.0),
        ];
        let comparisons = compared(&figures);
        assert_eq!(comparisons.len(), 2);
        assert_eq!(comparisons[0].bars, [("plain", 12.0), ("LUKS", 8.0)]);
        assert!((comparisons[0].most() - 12.0).abs() < f64::EPSILON);
    }

    #[rstest::rstest]
    #[case(0.126, "0.13")]
    #[case(9.996, "10.0")]
    #[case(42.34, "42.3")]
    #[case(1234.5, "1234")]
    fn three_digits_count(#[case] value: f64, #[case] words: &str) {
        assert_eq!(told(value), words);
    }
}
