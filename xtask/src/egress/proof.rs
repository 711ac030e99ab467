//! What trials with a list of rules come to: whether a rule is needed, and what is left of the list.

use super::need::Need;
use super::runner::Shown;
use harness::network::flows::allow::{AllowList, Rule};
use harness::network::flows::{Answer, Direction, FlowsOfLab};
use std::fmt::Write as _;

/// What became of a trial without a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// A case fails that needs it, and packets show that it was refused.
    Needed { case: String, failed: String },
    /// All goes well without it.
    Dispensable,
    /// A case fails, but not for want of it.
    Otherwise { case: String, why: String },
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
    let case = format!("{}::{}", shown.result.name, shown.result.case);
    let Some((number, failed)) = shown.failed().and_then(|step| Some((step.number?, step))) else {
        let why = shown.result.reason.clone().unwrap_or_default();
        return Some(Finding::Otherwise { case, why });
    };
    let told = format!("step {number}, \"{}\"", failed.name);
    let needs = rule.why.iter().filter_map(|why| Need::read(why)).filter(|need| need.case == case);
    let first = needs.map(|need| need.number()).min().unwrap_or(1);
    Some(if number < first {
        Finding::Otherwise { case, why: format!("{told}, and step {first} is the first that needs it") }
    } else if was_refused(rule, &shown.flows) {
        Finding::Needed { case, failed: told }
    } else {
        Finding::Otherwise { case, why: format!("{told}, and no packet shows that {rule} was tried") }
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
            Finding::Needed { case, failed } => format!("needed: without it {case} fails at {failed}"),
            Finding::Dispensable => "not needed: all goes well without it".into(),
            Finding::Otherwise { case, why } => format!("NOT CLEAR: {case} fails, but otherwise: {why}"),
        };
        let _ = writeln!(text, "  {:<56} {found} ({seconds:.0} s)", rule.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::results::{ScenarioResult, StepOutcome, Verdict};
    use serde_json::json;

    /// mail → directory:636/tcp, which step 2 needs.
    fn rule() -> Rule {
        let rule = json!({"from": "mail", "to": "directory", "proto": "tcp", "port": 636, "why": ["logins::main: step 2, \"alice logs in\""]});
        serde_json::from_value(rule).unwrap()
    }

    /// How a case ends.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum End {
        Well,
        AtStep(usize),
        Otherwise,
    }

    fn failed_step(number: Option<usize>) -> serde_json::Value {
        let outcome = StepOutcome::Failed;
        json!({"number": number, "name": "alice logs in", "machine": "mail", "outcome": outcome, "seconds": 1.0, "asked": "", "answered": ""})
    }

    /// A case that ends so, and how the directory answered the mail server meanwhile.
    fn shown(end: End, answer: &str) -> Shown {
        let lost = match end {
            End::Well => None,
            End::AtStep(number) => Some(failed_step(Some(number))),
            End::Otherwise => Some(failed_step(None)),
        };
        let result: ScenarioResult = serde_json::from_value(json!({
            "name": "logins", "case": "main", "summary": "", "file": "logins.toml", "control": false, "seconds": 1.0, "lab_seconds": 1.0,
            "outcome": if lost.is_some() { Verdict::Failed } else { Verdict::Passed },
            "reason": lost.as_ref().map(|_| "it is broken"),
            "lab": [], "covers": [], "steps": lost.into_iter().collect::<Vec<_>>(),
        }))
        .unwrap();
        let flow = json!({
            "direction": "outgoing", "protocol": "tcp", "answer": answer, "beginning": "seen",
            "from": {"address": "10.20.1.10", "port": 40000, "name": "mail"},
            "to": {"address": "10.20.0.20", "port": 636, "name": "directory"},
            "sent": {"packets": 1, "bytes": 74}, "received": {"packets": 0, "bytes": 0},
        });
        let mail = json!({"machine": "mail", "addresses": ["10.20.1.10"], "captures": [], "flows": [flow]});
        Shown { result, flows: serde_json::from_value(json!({"machines": [mail]})).unwrap() }
    }

    #[rstest::rstest]
    #[case::passed(End::Well, "refused", None)]
    #[case::at_its_step(End::AtStep(2), "refused", Some("needed"))]
    #[case::later(End::AtStep(5), "none", Some("needed"))]
    #[case::before(End::AtStep(1), "refused", Some("step 2 is the first that needs it"))]
    #[case::though_it_was_answered(
        End::AtStep(2),
        "answered",
        Some("no packet shows that mail → directory:636/tcp was tried")
    )]
    #[case::not_at_a_step(End::Otherwise, "refused", Some("it is broken"))]
    fn a_rule_is_needed_if_its_scenario_fails_for_want_of_it(
        #[case] end: End,
        #[case] answer: &str,
        #[case] expected: Option<&str>,
    ) {
        let found = judge(&rule(), &shown(end, answer));
        match (&found, expected) {
            (None, None) => {}
            (Some(Finding::Needed { case, .. }), Some("needed")) => assert_eq!(case, "logins::main"),
            (Some(Finding::Otherwise { why, .. }), Some(words)) => assert!(why.contains(words), "{why}"),
            _ => panic!("{found:?}"),
        }
    }

    #[test]
    fn a_list_loses_what_is_left_out() {
        let list = AllowList { rules: vec![rule()], unanswered: Vec::new() };
        assert!(without(&list, |rule| rule.to == "directory").rules.is_empty());
        assert_eq!(without(&list, |rule| rule.to == "edge"), list);
    }
}
