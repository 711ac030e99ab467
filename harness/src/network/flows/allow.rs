//! The smallest list of what a packet filter must let through, for all that flows show to work.

use super::flow::{Answer, Direction, Flow, Protocol};
use super::record::FlowsOfMachine;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// One kind of contact that must be possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The machine that began it.
    pub from: String,
    /// Whom it contacted: a name, or an address that has none.
    pub to: String,
    /// By what.
    pub proto: Protocol,
    /// At which port, where the protocol has ports.
    pub port: Option<u16>,
    /// When it was needed.
    #[serde(default)]
    pub why: BTreeSet<String>,
    /// The addresses of `from`.
    #[serde(default)]
    pub sources: BTreeSet<IpAddr>,
    /// The addresses that `to` had.
    #[serde(default)]
    pub addresses: BTreeSet<IpAddr>,
}

/// What must be let through, and what nobody answered anyway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowList {
    /// What must be let through, by machine and name.
    pub rules: Vec<Rule>,
    /// Contacts without an answer, or refused ones: they need no rule.
    #[serde(default)]
    pub unanswered: Vec<Rule>,
}

/// Collects what machines needed.
#[derive(Debug, Clone, Default)]
pub struct Learner(BTreeMap<Kind, (Rule, bool)>);

/// Who contacted whom, by what and at which port. Beside its rule stands whether anybody answered.
type Kind = (String, String, Protocol, Option<u16>);

impl Learner {
    /// Learns from the flows of a machine. `lab` is the name of the host itself, which is behind no filter; `why` tells when a flow
    /// was needed.
    pub fn learn(&mut self, machine: &FlowsOfMachine, lab: &str, why: impl Fn(&Flow) -> String) {
        for flow in machine.flows.iter().filter(|flow| flow.direction == Direction::Outgoing) {
            let is_lab = flow.to.name.as_deref() == Some(lab);
            if flow.contact.is_none() || flow.is_for_many() || is_lab {
                continue;
            }
            let to = flow.to.name.clone().unwrap_or_else(|| flow.to.address.to_string());
            let key = (machine.machine.clone(), to.clone(), flow.protocol, flow.to.port);
            let (rule, answered) = self.0.entry(key).or_insert_with(|| {
                let rule = Rule {
                    from: machine.machine.clone(),
                    to,
                    proto: flow.protocol,
                    port: flow.to.port,
                    why: BTreeSet::new(),
                    sources: BTreeSet::new(),
                    addresses: BTreeSet::new(),
                };
                (rule, false)
            });
            rule.why.insert(why(flow));
            rule.sources.insert(flow.from.address);
            rule.addresses.insert(flow.to.address);
            *answered |= flow.answer == Answer::Answered;
        }
    }

    /// What was learned.
    #[must_use]
    pub fn list(self) -> AllowList {
        let (needed, not): (Vec<_>, Vec<_>) = self.0.into_values().partition(|(_, answered)| *answered);
        let rules = |list: Vec<(Rule, bool)>| list.into_iter().map(|(rule, _)| rule).collect();
        AllowList { rules: rules(needed), unanswered: rules(not) }
    }
}

impl Rule {
    /// Whether it is about the same contact.
    #[must_use]
    pub fn is_about(&self, flow: &Flow) -> bool {
        let is_to = flow.to.name.as_ref() == Some(&self.to) || self.addresses.contains(&flow.to.address);
        is_to && self.proto == flow.protocol && self.port == flow.to.port
    }
}

/// As in `mail → directory:636/tcp`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        write!(f, "{} → {}{port}/{}", self.from, self.to, self.proto)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::{begun, party};
    use super::*;

    pub(in super::super) fn flow(
        to: &str,
        name: Option<&str>,
        protocol: Protocol,
        port: Option<u16>,
        answer: Answer,
    ) -> Flow {
        let from = if to.contains(':') { "2001:db8::10" } else { "10.20.0.10" };
        begun(party(from, Some(40000), Some("mail")), party(to, port, name), protocol, answer)
    }

    pub(in super::super) fn learned(flows: Vec<Flow>) -> AllowList {
        let machine = FlowsOfMachine {
            machine: "mail".into(),
            addresses: Vec::new(),
            captures: Vec::new(),
            frames: BTreeMap::new(),
            cuts: Vec::new(),
            flows,
        };
        let mut learner = Learner::default();
        learner.learn(&machine, "lab", |flow| format!("step 4, \"rules of {}\"", flow.to));
        learner.list()
    }

    pub(in super::super) fn some() -> AllowList {
        let tcp = Protocol::Tcp;
        learned(vec![
            flow("192.0.2.20", Some("rules.example"), tcp, Some(80), Answer::Answered),
            flow("192.0.2.21", Some("rules.example"), tcp, Some(80), Answer::None),
            flow("2001:db8::20", Some("rules.example"), tcp, Some(80), Answer::Answered),
            flow("192.0.2.30", None, Protocol::Icmp, None, Answer::Answered),
            flow("192.0.2.99", Some("stranger.example"), tcp, Some(443), Answer::None),
            flow("10.20.0.1", Some("lab"), tcp, Some(80), Answer::Answered),
            flow("224.0.0.251", None, Protocol::Udp, Some(5353), Answer::Answered),
        ])
    }

    #[test]
    fn what_was_answered_is_needed_once() {
        let list = some();
        let told = |rules: &[Rule]| {
            rules
                .iter()
                .map(|rule| format!("{} {} {} {:?}", rule.from, rule.to, rule.proto, rule.port))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&list.rules), ["mail 192.0.2.30 icmp None", "mail rules.example tcp Some(80)"]);
        assert_eq!(told(&list.unanswered), ["mail stranger.example tcp Some(443)"]);
        assert_eq!(list.rules[1].addresses.len(), 3);
    }

    /// A rule for a refused contact would open the filter for what works without it.
    #[rstest::rstest]
    #[case::answered(&[Answer::Answered], true)]
    #[case::refused(&[Answer::Refused], false)]
    #[case::not_answered(&[Answer::None], false)]
    #[case::refused_each_time(&[Answer::Refused, Answer::None, Answer::Refused], false)]
    #[case::answered_after_a_refusal(&[Answer::Refused, Answer::Answered], true)]
    #[case::refused_after_an_answer(&[Answer::Answered, Answer::Refused], true)]
    fn only_an_answered_contact_is_needed(#[case] answers: &[Answer], #[case] needed: bool) {
        let to = |answer: &Answer| flow("192.0.2.20", Some("rules.example"), Protocol::Tcp, Some(80), *answer);
        let list = learned(answers.iter().map(to).collect());
        assert_eq!((list.rules.len(), list.unanswered.len()), if needed { (1, 0) } else { (0, 1) });
    }

    /// What the machine only answers or passes on needs no rule of its own.
    #[rstest::rstest]
    #[case::begun_by_the_machine(Direction::Outgoing, true, true)]
    #[case::begun_by_others(Direction::Incoming, true, false)]
    #[case::between_others(Direction::Between, true, false)]
    #[case::only_acknowledged(Direction::Outgoing, false, false)]
    fn only_what_a_machine_begins_is_learned(
        #[case] direction: Direction,
        #[case] says_something: bool,
        #[case] learns: bool,
    ) {
        let begun = flow("192.0.2.20", Some("rules.example"), Protocol::Tcp, Some(80), Answer::Answered);
        let contact = begun.contact.filter(|_| says_something);
        let list = learned(vec![Flow { direction, contact, ..begun }]);
        assert_eq!(list.rules.len(), usize::from(learns));
        assert_eq!(list.unanswered, []);
    }

    #[test]
    fn what_was_learned_is_read_again() {
        let list = some();
        let text = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<AllowList>(&text).unwrap(), list);
        let by_hand = r#"{"rules": [{"from": "mail", "to": "directory", "proto": "tcp", "port": 636}]}"#;
        let list: AllowList = serde_json::from_str(by_hand).unwrap();
        assert_eq!(list.rules[0].to_string(), "mail → directory:636/tcp");
    }

    #[rstest::rstest]
    #[case::the_name("192.0.2.77", Some("rules.example"), 80, true)]
    #[case::one_of_its_addresses("192.0.2.21", None, 80, true)]
    #[case::another_port("192.0.2.20", Some("rules.example"), 443, false)]
    #[case::somebody_else("192.0.2.99", Some("stranger.example"), 80, false)]
    fn a_rule_knows_its_contacts(#[case] to: &str, #[case] name: Option<&str>, #[case] port: u16, #[case] is_it: bool) {
        let flow = flow(to, name, Protocol::Tcp, Some(port), Answer::None);
        assert_eq!(some().rules[1].is_about(&flow), is_it);
    }
}
