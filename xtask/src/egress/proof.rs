//! What trials with a list of rules come to: whether a rule is needed, and what is left of the list.

use super::need::Need;
use super::theatre::Shown;
use harness::network::flows::allow::{AllowList, Rule};
use harness::network::flows::{Answer, Direction, FlowsOfLab};
use std::fmt::Write as _;

/// What became of a trial without a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// A cell fails that needs it, and packets show that it was refused.
    Needed { cell: String, failed: String },
    /// All goes well without it.
    Dispensable,
    /// A cell fails, but not for want of it.
    Otherwise { cell: String, why: String },
}

/// A rule, and what was found.
pub(super) struct Proved {
    pub(super) rule: Rule,
    pub(super) finding: Finding,
    pub(super) seconds: f64,
}

/// What a performance without a rule says about it; nothing, if it has passed.
pub(super) fn judge(rule: &Rule, shown: &Shown) -> Option<Finding> {
    if shown.has_passed() {
        return None;
    }
    let cell = format!("{}::{}", shown.result.name, shown.result.cell);
    let Some((number, failed)) = shown.failed().and_then(|step| Some((step.number?, step))) else {
        let why = shown.result.reason.clone().unwrap_or_default();
        return Some(Finding::Otherwise { cell, why });
    };
    let told = format!("step {number}, \"{}\"", failed.name);
    let needs = rule.why.iter().filter_map(|why| Need::read(why)).filter(|need| need.cell == cell);
    let first = needs.map(|need| need.number()).min().unwrap_or(1);
    Some(if number < first {
        Finding::Otherwise { cell, why: format!("{told}, and step {first} is the first that needs it") }
    } else if was_refused(rule, &shown.flows) {
        Finding::Needed { cell, failed: told }
    } else {
        Finding::Otherwise { cell, why: format!("{told}, and no packet shows that {rule} was tried") }
    })
}

/// Whether the machine tried, and nobody answered.
fn was_refused(rule: &Rule, flows: &FlowsOfLab) -> bool {
    let own = flows.machines.iter().filter(|machine| machine.machine == rule.from).flat_map(|machine| &machine.flows);
    own.into_iter()
        .any(|flow| flow.direction == Direction::Outgoing && flow.answer != Answer::Answered && rule.is_about(flow))
}

/// The same list without some rules.
pub(super) fn without(list: &AllowList, left_out: impl Fn(&Rule) -> bool) -> AllowList {
    AllowList { rules: list.rules.iter().filter(|rule| !left_out(rule)).cloned().collect(), unanswered: Vec::new() }
}

/// What was found, for people.
pub(super) fn table(proved: &[Proved]) -> String {
    let mut text = String::new();
    for Proved { rule, finding, seconds } in proved {
        let found = match finding {
            Finding::Needed { cell, failed } => format!("needed: without it {cell} fails at {failed}"),
            Finding::Dispensable => "not needed: all goes well without it".into(),
            Finding::Otherwise { cell, why } => format!("NOT CLEAR: {cell} fails, but otherwise: {why}"),
        };
        let _ = writeln!(text, "  {:<56} {found} ({seconds:.0} s)", rule.to_string());
    }
    text
}
