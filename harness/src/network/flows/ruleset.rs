//! A list of what must be let through, as a ruleset for nft(8).

use super::allow::{AllowList, Rule};
use super::flow::Protocol;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// nftables keeps no longer comments (nft(8), "RULES"), in bytes.
const COMMENT: usize = 120;

/// What the lines of the filter's log begin with, for what it refuses.
pub const LOG_PREFIX: &str = "egress-refused ";

/// What becomes of what no rule lets through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Refusal {
    /// It is thrown away in silence.
    #[default]
    Drop,
    /// Its sender is told: TCP by a reset, the rest by ICMP.
    Reject,
}

/// A ruleset for the machine that forwards what others send out, complete: it can be loaded as it is, and takes the place of one that
/// was loaded before. A name has a set, with the addresses that it had; the resolver on that machine can fill it.
///
/// Of connections only the answers are let through without a question. So whoever is not allowed is refused also if his
/// connection was made before.
#[derive(Debug, Clone, Copy)]
pub struct Ruleset<'a> {
    /// What is let through.
    pub list: &'a AllowList,
    /// The machine that filters, if others ask it for names: only whoever has a rule for that may. What it contacts itself is not filtered.
    pub filter: Option<&'a str>,
    /// What becomes of the rest.
    pub refusal: Refusal,
}

impl fmt::Display for Ruleset<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "#!/usr/sbin/nft -f\n\
             # What cargo xtask egress learn has seen to be needed; everything else is refused, and logged.\n\
             # Names change their addresses: let dnsmasq on the filter fill their sets, by lines such as\n\
             #   nftset=/rules.example/4#inet#egress#to_rules_example\n\
             table inet egress\ndelete table inet egress\ntable inet egress {\n",
        )?;
        self.write_sets(f)?;
        f.write_str(
            "  chain forward {\n    type filter hook forward priority filter; policy drop;\n    \
             ct state established,related ct direction reply accept\n",
        )?;
        self.rules().filter(|rule| !self.is_filter(&rule.to)).try_for_each(|rule| write_rule(rule, f))?;
        writeln!(f, "    log prefix \"{LOG_PREFIX}\"")?;
        f.write_str(match self.refusal {
            Refusal::Drop => "",
            Refusal::Reject => "    meta l4proto tcp reject with tcp reset\n    reject\n",
        })?;
        f.write_str("  }\n")?;
        self.write_questions(f)?;
        f.write_str("}\n")
    }
}

impl<'a> Ruleset<'a> {
    fn is_filter(&self, name: &str) -> bool {
        self.filter == Some(name)
    }

    fn rules(&self) -> impl Iterator<Item = &'a Rule> {
        let filter = self.filter;
        self.list.rules.iter().filter(move |rule| filter != Some(&rule.from))
    }

    fn write_sets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sets: BTreeMap<(&str, bool), BTreeSet<IpAddr>> = BTreeMap::new();
        for rule in self.rules() {
            for address in &rule.addresses {
                sets.entry((&rule.to, address.is_ipv6())).or_default().insert(*address);
            }
        }
        sets.into_iter().try_for_each(|((name, six), addresses)| {
            let kind = if six { "ipv6_addr" } else { "ipv4_addr" };
            let elements: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            let (set, elements, comment) = (set(name, six), elements.join(", "), shortened(&plain(name)));
            writeln!(f, "  set {set} {{ type {kind}; comment \"{comment}\"; elements = {{ {elements} }} }}")
        })
    }

    /// Who may ask the machine that filters for names.
    fn write_questions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.filter.is_none() {
            return Ok(());
        }
        f.write_str(
            "  chain input {\n    type filter hook input priority filter; policy accept;\n    iif lo accept\n    \
             ct state established,related ct direction reply accept\n",
        )?;
        self.rules().filter(|rule| self.is_filter(&rule.to)).try_for_each(|rule| write_rule(rule, f))?;
        let refusal = match self.refusal {
            Refusal::Drop => "drop",
            Refusal::Reject => "reject",
        };
        writeln!(f, "    meta l4proto {{ tcp, udp }} th dport 53 log prefix \"{LOG_PREFIX}\" {refusal}\n  }}")
    }
}

fn write_rule(rule: &Rule, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for six in [false, true] {
        let sources: Vec<_> =
            rule.sources.iter().filter(|address| address.is_ipv6() == six).map(ToString::to_string).collect();
        if sources.is_empty() || !rule.addresses.iter().any(|address| address.is_ipv6() == six) {
            continue;
        }
        let ip = if six { "ip6" } else { "ip" };
        let what = match (rule.proto, rule.port) {
            (proto, Some(port)) => format!("{proto} dport {port}"),
            (Protocol::Icmp, None) if six => "meta l4proto ipv6-icmp".into(),
            (Protocol::Other(number), None) => format!("meta l4proto {number}"),
            (proto, None) => format!("meta l4proto {proto}"),
        };
        let why = rule.why.first().map(|why| plain(why)).unwrap_or_default();
        let comment = shortened(&format!("{}: {why}", plain(&rule.from)));
        let (sources, set) = (sources.join(", "), set(&rule.to, six));
        writeln!(f, "    {ip} saddr {{ {sources} }} {ip} daddr @{set} {what} counter accept comment \"{comment}\"")?;
    }
    Ok(())
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
    use super::super::allow::tests::{flow, learned, some};
    use super::super::flow::Answer;
    use super::*;

    fn ruleset<'a>(list: &'a AllowList, filter: Option<&'a str>) -> Ruleset<'a> {
        Ruleset { list, filter, refusal: Refusal::Drop }
    }

    #[test]
    fn a_ruleset_can_be_loaded_as_it_is() {
        insta::assert_snapshot!(ruleset(&some(), None), @r##"
        #!/usr/sbin/nft -f
        # What cargo xtask egress learn has seen to be needed; everything else is refused, and logged.
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
            ct state established,related ct direction reply accept
            ip saddr { 10.20.0.10 } ip daddr @to_192_0_2_30 meta l4proto icmp counter accept comment "mail: step 4, rules of 192.0.2.30"
            ip saddr { 10.20.0.10 } ip daddr @to_rules_example tcp dport 80 counter accept comment "mail: step 4, rules of rules.example:80"
            ip6 saddr { 2001:db8::10 } ip6 daddr @to_rules_example_6 tcp dport 80 counter accept comment "mail: step 4, rules of rules.example:80"
            log prefix "egress-refused "
          }
        }
        "##);
    }

    #[test]
    fn whoever_asks_the_filter_for_names_has_a_rule_for_that() {
        let dns = flow("192.0.2.2", Some("edge"), Protocol::Udp, Some(53), Answer::Answered);
        let list =
            learned(vec![dns, flow("192.0.2.20", Some("rules.example"), Protocol::Tcp, Some(80), Answer::Answered)]);
        insta::assert_snapshot!(Ruleset { refusal: Refusal::Reject, ..ruleset(&list, Some("edge")) }, @r##"
        #!/usr/sbin/nft -f
        # What cargo xtask egress learn has seen to be needed; everything else is refused, and logged.
        # Names change their addresses: let dnsmasq on the filter fill their sets, by lines such as
        #   nftset=/rules.example/4#inet#egress#to_rules_example
        table inet egress
        delete table inet egress
        table inet egress {
          set to_edge { type ipv4_addr; comment "edge"; elements = { 192.0.2.2 } }
          set to_rules_example { type ipv4_addr; comment "rules.example"; elements = { 192.0.2.20 } }
          chain forward {
            type filter hook forward priority filter; policy drop;
            ct state established,related ct direction reply accept
            ip saddr { 10.20.0.10 } ip daddr @to_rules_example tcp dport 80 counter accept comment "mail: step 4, rules of rules.example:80"
            log prefix "egress-refused "
            meta l4proto tcp reject with tcp reset
            reject
          }
          chain input {
            type filter hook input priority filter; policy accept;
            iif lo accept
            ct state established,related ct direction reply accept
            ip saddr { 10.20.0.10 } ip daddr @to_edge udp dport 53 counter accept comment "mail: step 4, rules of edge:53"
            meta l4proto { tcp, udp } th dport 53 log prefix "egress-refused " reject
          }
        }
        "##);
    }

    #[test]
    fn what_the_filter_contacts_itself_needs_no_rule() {
        let dns = flow("192.0.2.53", Some("internet"), Protocol::Udp, Some(53), Answer::Answered);
        let list = learned(vec![dns]);
        assert!(ruleset(&list, None).to_string().contains("192.0.2.53"));
        assert!(!ruleset(&list, Some("mail")).to_string().contains("192.0.2.53"));
    }

    /// nft takes no rule with an empty set of sources.
    #[test]
    fn a_rule_is_for_the_versions_of_ip_that_both_have() {
        let mut list = learned(vec![flow("2001:db8::30", None, Protocol::Icmp, None, Answer::Answered)]);
        assert!(ruleset(&list, None).to_string().contains(" meta l4proto ipv6-icmp counter accept "));
        list.rules[0].addresses.insert("192.0.2.30".parse().unwrap());
        let text = ruleset(&list, None).to_string();
        assert_eq!(text.matches(" counter accept ").count(), 1, "{text}");
        assert!(!text.contains("{  }"), "{text}");
    }

    #[test]
    fn nobody_breaks_out_of_a_comment() {
        let name = "a\" } ; flush ruleset # \u{1b}[31m";
        let list = learned(vec![flow("192.0.2.20", Some(name), Protocol::Tcp, Some(80), Answer::Answered)]);
        let text = ruleset(&list, None).to_string();
        assert!(text.lines().all(|line| line.matches('"').count() % 2 == 0), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
