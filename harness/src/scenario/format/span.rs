//! Spans of time as a person writes them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A span of time: a number and `ms`, `s`, `min`, `h` or `d`, such as `30 s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeSpan(Duration);

/// A text that is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no span of time: write a whole number and a unit (ms, s, min, h, d), as in \"30 s\"")]
pub struct SpanError(String);

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const PATTERN: &str = "^[1-9][0-9]{0,8} ?(ms|s|min|h|d)$";

impl TimeSpan {
    /// As the standard library has it.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for TimeSpan {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let error = || SpanError(text.to_owned());
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let (number, unit) = text.split_at(digits);
        let number: u32 = number.parse().map_err(|_| error())?;
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
        // A span of no time would let an expectation hold that nobody has looked at.
        if number == 0 { Err(error()) } else { Ok(Self(Duration::from_millis(u64::from(number) * milliseconds))) }
    }
}

impl TryFrom<String> for TimeSpan {
    type Error = SpanError;

    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl From<TimeSpan> for String {
    fn from(span: TimeSpan) -> Self {
        span.to_string()
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        let fitting = UNITS.iter().rev().find(|(_, unit)| milliseconds.is_multiple_of(u128::from(*unit)));
        let (name, unit) = fitting.unwrap_or(&UNITS[0]);
        write!(f, "{} {name}", milliseconds / u128::from(*unit))
    }
}

impl JsonSchema for TimeSpan {
    fn schema_name() -> Cow<'static, str> {
        "TimeSpan".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A span of time: a number and `ms`, `s`, `min`, `h` or `d`, such as `30 s`.",
            "type": "string",
            "pattern": PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::seconds("30 s", 30_000)]
    #[case::without_space("500ms", 500)]
    #[case::minutes("2 min", 120_000)]
    #[case::days("30 d", 2_592_000_000)]
    fn it_is_read_and_written(#[case] text: &str, #[case] milliseconds: u64) {
        let span: TimeSpan = text.parse().unwrap();
        assert_eq!(span.duration(), Duration::from_millis(milliseconds));
        assert_eq!(span.to_string().replace(' ', ""), text.replace(' ', ""));
    }

    #[rstest::rstest]
    #[case::no_unit("30")]
    #[case::unknown_unit("30 weeks")]
    #[case::fraction("1.5 s")]
    #[case::nothing("0 s")]
    #[case::words("soon")]
    fn other_texts_are_not(#[case] text: &str) {
        assert!(text.parse::<TimeSpan>().unwrap_err().to_string().contains("as in \"30 s\""));
    }
}
