//! A list of rules that a person may have written: read, checked against a lab, and filled up with the lab's addresses.

use harness::diagnostic::{Diagnostic, Diagnostics, FileDiagnostics};
use harness::lab::{HOST, Topology};
use harness::network::flows::allow::AllowList;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;

/// Reads the file at `path`, which reads `text`. Who has no addresses in it gets those that the lab has for the name; a name that
/// nobody in the lab has is a mistake of the file.
pub(super) fn read(path: &Path, text: &str, lab: &Topology) -> Result<AllowList, FileDiagnostics> {
    let mut diagnostics = Diagnostics::default();
    let parsed = serde_json::from_str(text).map_err(|error| {
        let place = offset(text, error.line(), error.column());
        Diagnostic::new(format!("this is no list of rules: {error}"), place..place)
    });
    let mut list: Option<AllowList> = diagnostics.take(parsed);
    let known = addresses(lab);
    for rule in list.iter_mut().flat_map(|list| &mut list.rules) {
        for (name, own) in [(&rule.from, &mut rule.sources), (&rule.to, &mut rule.addresses)] {
            if !own.is_empty() {
                continue;
            }
            if let Ok(address) = name.parse::<IpAddr>() {
                own.insert(address);
            } else if let Some(addresses) = known.get(name) {
                own.extend(addresses);
            } else {
                let message = format!("there is nobody called `{name}` in lab `{}`", lab.name);
                diagnostics.push(Diagnostic::unknown(
                    message,
                    place(text, name),
                    name,
                    known.keys().map(String::as_str),
                ));
            }
        }
    }
    diagnostics.or_value(list, path, text)
}

/// All names of the lab, short and full.
fn addresses(lab: &Topology) -> BTreeMap<String, Vec<IpAddr>> {
    let mut known: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for host in lab.hosts() {
        let own = std::iter::once(host.address).chain(host.wiring.cards.iter().map(|card| card.address));
        let own: Vec<IpAddr> = own.map(Into::into).collect();
        known.insert(host.name.clone(), own.clone());
        known.insert(host.fqdn.clone(), own);
        for (name, address) in &host.wiring.names {
            known.entry(name.clone()).or_default().push((*address).into());
        }
    }
    known.remove(HOST);
    known
}

/// Where a name stands first, with its quotes.
fn place(text: &str, name: &str) -> Option<Range<usize>> {
    let quoted = serde_json::to_string(name).ok()?;
    text.find(&quoted).map(|start| start..start + quoted.len())
}

/// The byte at a line and a column, both from 1, as `serde_json` counts them.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workbench::lab_file;

    fn read_in_perimeter(text: &str) -> Result<AllowList, String> {
        let lab = lab_file("perimeter").unwrap();
        let read = read(Path::new("rules.json"), text, &lab.topology);
        read.map_err(|mistakes| format!("{:?}", miette::Report::new(mistakes)))
    }

    #[test]
    fn names_get_the_addresses_that_the_lab_has_for_them() {
        let rules = r#"{"rules": [
            {"from": "mail", "to": "updates.spamassassin.org", "proto": "tcp", "port": 80},
            {"from": "dmz", "to": "edge", "proto": "udp", "port": 53},
            {"from": "dmz", "to": "192.0.2.7", "proto": "icmp", "port": null}
        ]}"#;
        let list = read_in_perimeter(rules).unwrap();
        let all = |addresses: &std::collections::BTreeSet<IpAddr>| {
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(all(&list.rules[0].sources), "10.20.1.10");
        assert_eq!(all(&list.rules[0].addresses), "198.51.100.80");
        assert_eq!(all(&list.rules[1].addresses), "10.20.0.2 10.20.1.2 10.20.2.2 198.51.100.2");
        assert_eq!(all(&list.rules[2].addresses), "192.0.2.7");
    }

    #[rstest::rstest]
    #[case::nobody("{\"rules\": [\n {\"from\": \"mail\", \"to\": \"updates.example\", \"proto\": \"tcp\", \"port\": 80}]}", &["there is nobody called `updates.example` in lab `perimeter`", "rules.json:2:25"])]
    #[case::no_json("{\"rules\": [\n oops", &["this is no list of rules", "rules.json:2:"])]
    #[case::no_protocol("{\"rules\": [\n {\"from\": \"mail\", \"to\": \"edge\", \"proto\": \"tpc\"}]}", &["`tpc` is no protocol: it is tcp, udp or icmp", "rules.json:2:"])]
    #[case::a_word_that_is_unknown("{\"rules\": [\n {\"from\": \"mail\", \"too\": \"edge\"}]}", &["unknown field `too`", "rules.json:2:"])]
    fn what_is_wrong_is_told_with_its_line(#[case] text: &str, #[case] expected: &[&str]) {
        let said = read_in_perimeter(text).unwrap_err();
        assert!(expected.iter().all(|words| said.contains(words)), "{said}");
    }
}
