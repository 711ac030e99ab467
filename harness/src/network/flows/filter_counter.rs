//! The counters of a packet filter, held against packets: both must have counted the same.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use super::destination::Destination;
use super::flow::{Answer, Direction, Flow};
use super::gather::Names;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;

/// The command that prints all rules of a machine's filter with their counters.
pub const COMMAND: &str = "nft --json list ruleset";

/// What went wrong in reading a counter.
#[derive(Debug, thiserror::Error)]
pub enum CounterError {
    /// It is no output of nft.
    #[error("`{COMMAND}` printed something else than a ruleset: {0}")]
    NoRuleset(#[from] serde_json::Error),
    /// No rule is called so.
    #[error("no rule that counts has the comment `{comment}`{}", known(.there_are))]
    Unknown {
        /// The comment.
        comment: String,
        /// Those that rules with a counter have.
        there_are: BTreeSet<String>,
    },
}

fn known(comments: &BTreeSet<String>) -> String {
    if comments.is_empty() {
        return String::new();
    }
    let comments: Vec<_> = comments.iter().map(|comment| format!("`{comment}`")).collect();
    format!("; there are {}", comments.join(", "))
}

/// Packets that rules have counted, from output of [`COMMAND`]: the sum of all rules with this comment.
///
/// # Errors
///
/// If the output is no ruleset, or no rule with this comment has a counter.
pub fn read(printed: &str, comment: &str) -> Result<u64, CounterError> {
    let listing: Listing = serde_json::from_str(printed)?;
    let rules = listing.nftables.into_iter().filter_map(|object| object.rule);
    let counting = rules.filter_map(|rule| {
        let counters = rule.expr.into_iter().filter_map(|expression| expression.counter);
        let packets: Vec<_> = counters.map(|counter| counter.packets).collect();
        (!packets.is_empty()).then(|| (rule.comment.unwrap_or_default(), added(packets)))
    });
    let (own, other): (Vec<_>, Vec<_>) = counting.partition(|(known, _)| known == comment);
    if own.is_empty() {
        let there_are = other.into_iter().map(|(known, _)| known).filter(|known| !known.is_empty()).collect();
        return Err(CounterError::Unknown { comment: comment.to_owned(), there_are });
    }
    Ok(added(own.into_iter().map(|(_, packets)| packets)))
}

/// The sum. A guest may say any number, and what is beyond all numbers is the largest.
fn added(packets: impl IntoIterator<Item = u64>) -> u64 {
    packets.into_iter().fold(0, u64::saturating_add)
}

// The parts of libnftables-json(5) that are looked at.

#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    rule: Option<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    comment: Option<String>,
    #[serde(default)]
    expr: Vec<Expression>,
}

/// One part of a rule. Those that are written as a word alone, and not as an object, count nothing.
#[derive(Deserialize)]
#[serde(from = "serde_json::Value")]
struct Expression {
    counter: Option<Counter>,
}

impl From<serde_json::Value> for Expression {
    fn from(value: serde_json::Value) -> Self {
        // A counter with a name is given by that alone, and its number stands elsewhere.
        let counter = value.get("counter").and_then(|counter| Counter::deserialize(counter).ok());
        Self { counter }
    }
}

#[derive(Deserialize)]
struct Counter {
    packets: u64,
}

/// How many packets a filter must have counted, by the packets that were seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// No fewer than these: each packet of whatever nobody answered, and the first of what was answered, since a filter may let
    /// the rest pass as part of a connection.
    pub least: u64,
    /// No more than these.
    pub most: u64,
}

impl Bounds {
    /// By what a machine sent to these.
    #[must_use]
    pub fn of(flows: &[Flow], to: &[Destination], names: &Names) -> Self {
        let is_meant = |flow: &&Flow| {
            flow.direction == Direction::Outgoing
                && to.iter().any(|known| known.includes(flow.to.address, flow.to.port, flow.protocol, names))
        };
        flows.iter().filter(is_meant).fold(Self::default(), |Self { least, most }, flow| {
            let sent = flow.sent.packets;
            let counted = if flow.answer == Answer::Answered { sent.min(1) } else { sent };
            Self { least: least.saturating_add(counted), most: most.saturating_add(sent) }
        })
    }

    /// By what was seen before the counter was read, and by what was seen after that: packets may have come between.
    #[must_use]
    pub fn between(before: Self, after: Self) -> Self {
        Self { least: before.least, most: after.most }
    }

    /// Whether a counter says the same.
    #[must_use]
    pub fn include(self, counted: u64) -> bool {
        (self.least..=self.most).contains(&counted)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (least, most) if least == most => write!(f, "{least}"),
            (least, most) => write!(f, "{least} to {most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{begun, party};
    use super::*;
    use crate::network::flows::{Count, Protocol};

    const LISTING: &str = r#"{"nftables": [
        {"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}},
        {"table": {"family": "inet", "name": "perimeter", "handle": 1}},
        {"chain": {"family": "inet", "table": "perimeter", "name": "passing", "handle": 3}},
        {"rule": {"family": "inet", "table": "perimeter", "chain": "passing", "handle": 7, "comment": "neighbours", "expr": [
            {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "10.20.1.10"}},
            {"counter": {"packets": 4, "bytes": 240}}, {"accept": null}]}},
        {"rule": {"family": "inet", "table": "perimeter", "chain": "passing", "handle": 8, "comment": "refused", "expr": [
            {"counter": {"packets": 6, "bytes": 360}}, {"log": {"prefix": "perimeter-refused "}}, {"drop": null}]}},
        {"rule": {"family": "inet", "table": "perimeter", "chain": "asked", "handle": 9, "comment": "refused", "expr": [
            {"counter": {"packets": 1, "bytes": 60}}, "notrack", {"drop": null}]}},
        {"rule": {"family": "inet", "table": "perimeter", "chain": "forward", "handle": 10, "comment": "elsewhere", "expr": [
            {"counter": "named"}, {"jump": {"target": "passing"}}]}}
    ]}"#;

    #[test]
    fn numbers_beyond_all_numbers_are_the_largest() {
        let rule =
            r#"{"rule": {"comment": "x", "expr": [{"counter": {"packets": 18446744073709551615, "bytes": 1}}]}}"#;
        assert_eq!(read(&format!(r#"{{"nftables": [{rule}, {rule}]}}"#), "x").unwrap(), u64::MAX);
    }

    #[rstest::rstest]
    #[case::one("neighbours", 4)]
    #[case::in_two_chains("refused", 7)]
    fn the_rules_of_a_comment_are_counted_together(#[case] comment: &str, #[case] packets: u64) {
        assert_eq!(read(LISTING, comment).unwrap(), packets);
    }

    #[rstest::rstest]
    #[case::nobody_called_so(
        LISTING,
        "refuse",
        "no rule that counts has the comment `refuse`; there are `neighbours`, `refused`"
    )]
    #[case::counted_by_name(LISTING, "elsewhere", "no rule that counts has the comment `elsewhere`")]
    #[case::no_rules(r#"{"nftables": []}"#, "refused", "no rule that counts has the comment `refused`")]
    #[case::no_ruleset("table inet perimeter {", "refused", "printed something else than a ruleset")]
    fn what_cannot_be_read_is_told(#[case] printed: &str, #[case] comment: &str, #[case] words: &str) {
        let said = read(printed, comment).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }

    fn flow(port: u16, packets: u64, answer: Answer) -> Flow {
        let flow =
            begun(party("10.20.1.10", Some(port), None), party("192.0.2.99", Some(80), None), Protocol::Tcp, answer);
        Flow { sent: Count { packets, bytes: packets * 74 }, ..flow }
    }

    #[rstest::rstest]
    #[case::refused(&[(40000, 3, Answer::None), (40001, 1, Answer::Refused)], "192.0.2.99:80/tcp", 4, 4)]
    #[case::answered(&[(40000, 12, Answer::Answered), (40001, 9, Answer::Answered)], "192.0.2.99:80/tcp", 2, 21)]
    #[case::another(&[(40000, 3, Answer::None)], "192.0.2.99:443/tcp", 0, 0)]
    fn packets_say_how_many_a_filter_counts(
        #[case] flows: &[(u16, u64, Answer)],
        #[case] to: &str,
        #[case] least: u64,
        #[case] most: u64,
    ) {
        let flows: Vec<_> = flows.iter().map(|(port, packets, answer)| flow(*port, *packets, *answer)).collect();
        assert_eq!(Bounds::of(&flows, &[to.parse().unwrap()], &Names::default()), Bounds { least, most });
    }

    #[rstest::rstest]
    #[case::same(3, 3, 3, true, "3")]
    #[case::one_came_between(3, 4, 4, true, "3 to 4")]
    #[case::one_was_missed(3, 3, 2, false, "3")]
    #[case::one_too_many(3, 4, 5, false, "3 to 4")]
    fn a_counter_says_the_same(
        #[case] before: u64,
        #[case] after: u64,
        #[case] counted: u64,
        #[case] expected: bool,
        #[case] told: &str,
    ) {
        let seen = |packets| Bounds { least: packets, most: packets };
        let bounds = Bounds::between(seen(before), seen(after));
        assert_eq!((bounds.include(counted), bounds.to_string().as_str()), (expected, told));
    }
}
