//! The smallest list of what a packet filter must let through, for all that flows show to work.

use super::flow::{Answer, Direction, Flow, Protocol};
use super::record::FlowsOfMachine;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

/// nftables keeps no longer comments (nft(8), "RULES"), in bytes.
const COMMENT: usize = 120;

/// One kind of contact that must be possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    pub why: BTreeSet<String>,
    /// The addresses of `from`.
    pub sources: BTreeSet<IpAddr>,
    /// The addresses that `to` had.
    pub addresses: BTreeSet<IpAddr>,
}

/// What must be let through, and what nobody answered anyway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AllowList {
    /// What must be let through, by machine and name.
    pub rules: Vec<Rule>,
    /// Contacts without an answer, or refused ones: they need no rule.
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
            let for_many = match flow.to.address {
                IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
                IpAddr::V6(address) => address.is_multicast() || address.is_unicast_link_local(),
            };
            let is_lab = flow.to.name.as_deref() == Some(lab);
            if flow.contact.is_none() || for_many || is_lab {
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

impl AllowList {
    /// A ruleset for nft(8), for the machine that forwards what is sent out. A name that DNS knows has a set, which the resolver
    /// on that machine can fill; the addresses that it had stand in it.
    #[must_use]
    pub fn nftables(&self) -> String {
        let mut text = "#!/usr/sbin/nft -f\n\
                        # What cargo xtask egress learn has seen to be needed; everything else is dropped, and logged.\n\
                        # Names change their addresses: let dnsmasq on the filter fill their sets, by lines such as\n\
                        #   nftset=/rules.example/4#inet#egress#to_rules_example\n\
                        table inet egress\ndelete table inet egress\ntable inet egress {\n"
            .to_owned();
        let mut sets: BTreeMap<(&str, bool), BTreeSet<IpAddr>> = BTreeMap::new();
        for rule in &self.rules {
            for address in &rule.addresses {
                sets.entry((&rule.to, address.is_ipv6())).or_default().insert(*address);
            }
        }
        for ((name, six), addresses) in &sets {
            let kind = if *six { "ipv6_addr" } else { "ipv4_addr" };
            let elements: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            let (set, elements) = (set(name, *six), elements.join(", "));
            let _ = writeln!(
                text,
                "  set {set} {{ type {kind}; comment \"{}\"; elements = {{ {elements} }} }}",
                plain(name)
            );
        }
        text += "  chain forward {\n    type filter hook forward priority filter; policy drop;\n    ct state established,related accept\n";
        for rule in &self.rules {
            rule.write(&mut text);
        }
        text += "    log prefix \"egress-drop \"\n  }\n}\n";
        text
    }
}

impl Rule {
    fn write(&self, text: &mut String) {
        for six in [false, true] {
            let sources: Vec<_> =
                self.sources.iter().filter(|address| address.is_ipv6() == six).map(ToString::to_string).collect();
            if sources.is_empty() || !self.addresses.iter().any(|address| address.is_ipv6() == six) {
                continue;
            }
            let ip = if six { "ip6" } else { "ip" };
            let what = match (self.proto, self.port) {
                (proto, Some(port)) => format!("{proto} dport {port}"),
                (Protocol::Icmp, None) if six => "meta l4proto ipv6-icmp".into(),
                (Protocol::Other(number), None) => format!("meta l4proto {number}"),
                (proto, None) => format!("meta l4proto {proto}"),
            };
            let why = self.why.first().map(|why| plain(why)).unwrap_or_default();
            let comment = shortened(&format!("{}: {why}", plain(&self.from)));
            let (sources, set) = (sources.join(", "), set(&self.to, six));
            let _ = writeln!(
                text,
                "    {ip} saddr {{ {sources} }} {ip} daddr @{set} {what} counter accept comment \"{comment}\""
            );
        }
    }
}

/// The name of the set of somebody's addresses.
fn set(name: &str, six: bool) -> String {
    let letters: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("to_{letters}{}", if six { "_6" } else { "" })
}

/// A text for a comment of nftables, which knows no quotes inside.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii() && !c.is_ascii_control() && !matches!(c, '"' | '\\')).collect()
}

fn shortened(text: &str) -> String {
    text.chars().take(COMMENT).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{begun, party};
    use super::*;

    fn flow(to: &str, name: Option<&str>, protocol: Protocol, port: Option<u16>, answer: Answer) -> Flow {
        let from = if to.contains(':') { "2001:db8::10" } else { "10.20.0.10" };
        begun(party(from, Some(40000), Some("mail")), party(to, port, name), protocol, answer)
    }

    fn learned(flows: Vec<Flow>) -> AllowList {
        let machine = FlowsOfMachine {
            machine: "mail".into(),
            addresses: Vec::new(),
            captures: Vec::new(),
            cuts: Vec::new(),
            flows,
        };
        let mut learner = Learner::default();
        learner.learn(&machine, "lab", |flow| format!("step 4, \"rules of {}\"", flow.to));
        learner.list()
    }

    fn some() -> AllowList {
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

    #[test]
    fn a_ruleset_can_be_loaded_as_it_is() {
        insta::assert_snapshot!(some().nftables(), @r##"
        #!/usr/sbin/nft -f
        # What cargo xtask egress learn has seen to be needed; everything else is dropped, and logged.
        # Names change their addresses: let dnsmasq on the filter fill their sets, by lines such as
        #   nftset=/rules.example/4#inet#egress#to_rules_example
        table inet egress
        delete table inet egress
        table inet egress {
          set to_192_0_2_30 { type ipv4_addr; comment "192.0.2.30"; elements = { 192.0.2.30 } }
          set to_rules_example { type ipv4_addr; comment "rules.example"; elements = { 192.0.2.20, 192.0.2.21 } }
          set to_rules_example_6 { type ipv6_addr; comment "rules.example"; elements = { 2001:db8::20 } }
          chain forward {
            type filter hook forward priority filter; policy drop;
            ct state established,related accept
            ip saddr { 10.20.0.10 } ip daddr @to_192_0_2_30 meta l4proto icmp counter accept comment "mail: step 4, rules of 192.0.2.30"
            ip saddr { 10.20.0.10 } ip daddr @to_rules_example tcp dport 80 counter accept comment "mail: step 4, rules of rules.example:80"
            ip6 saddr { 2001:db8::10 } ip6 daddr @to_rules_example_6 tcp dport 80 counter accept comment "mail: step 4, rules of rules.example:80"
            log prefix "egress-drop "
          }
        }
        "##);
    }

    #[test]
    fn nobody_breaks_out_of_a_comment() {
        let name = "a\" } ; flush ruleset # \u{1b}[31m";
        let list = learned(vec![flow("192.0.2.20", Some(name), Protocol::Tcp, Some(80), Answer::Answered)]);
        let text = list.nftables();
        assert!(text.lines().all(|line| line.matches('"').count() % 2 == 0), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
