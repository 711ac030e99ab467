//! The file of a lab: its topology, and how it shows that it is ready.

use super::scenario::ScenarioError;
use super::schema;
use super::shape::Shape;
use super::step::Step;
use crate::bounded;
use crate::diagnostic::{self, Diagnostic, Diagnostics};
use crate::lab::Topology;
use crate::lab::topology::Definition;
use crate::network::Segment;
use serde::Deserialize;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// A lab as its file describes it.
#[derive(Debug, Clone)]
pub struct LabFile {
    /// What it consists of.
    pub topology: Topology,
    /// What must hold before a scenario starts; repeated until it does.
    pub ready: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    #[expect(dead_code, reason = "for whoever reads the file")]
    summary: Option<String>,
    /// The DNS domain of all machines.
    domain: String,
    /// Accounts that passwords are made for.
    accounts: Vec<String>,
    #[serde(rename = "segment")]
    segments: Vec<Segment>,
    #[serde(rename = "machine")]
    machines: Vec<Definition>,
}

impl LabFile {
    /// Reads and checks the file of a lab, which is called like the file.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = bounded::read_text(path, diagnostic::LARGEST)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut diagnostics = Diagnostics::default();
        let lab = Self::parse(&name, &text, &mut diagnostics);
        Ok(diagnostics.or_value(lab, path, &text)?)
    }

    /// Reads the text of the file of the lab called `name`.
    pub(crate) fn parse(name: &str, text: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let good = errors.is_empty();
        for error in errors {
            diagnostics.push(error);
        }
        if good { Self::from_table(name, table, None, diagnostics) } else { None }
    }

    /// Reads a lab from its table, which is a file of its own or, at a place, a part of a scenario's.
    pub(crate) fn from_table(
        name: &str,
        mut table: Spanned<DeTable<'_>>,
        place: Option<&Range<usize>>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let ready = steps(table.get_mut().remove("ready"), "ready", diagnostics);
        let good = Shape::of(&schema::LAB_HEADER).check_table(table.get_ref(), place, diagnostics);
        let ready: Vec<Step> = ready.into_iter().filter_map(|step| read(step, &schema::STEP, diagnostics)).collect();
        if !good {
            return None;
        }
        let header: Header = diagnostics.take(Deserialize::deserialize(toml::de::Deserializer::from(table)))?;
        let topology = Topology::new(name.to_owned(), header.domain, header.accounts, header.segments, header.machines);
        let topology = diagnostics.take(topology)?;
        for step in &ready {
            step.check(Some(&topology), diagnostics);
        }
        Some(Self { topology, ready })
    }
}

/// One value, if it has the shape of what it is to be; else all that is wrong with it.
pub(crate) fn read<'t, T: Deserialize<'t>>(
    value: Spanned<DeValue<'t>>,
    schema: &serde_json::Value,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let good = Shape::of(schema).check(&value, diagnostics);
    if good { diagnostics.take(T::deserialize(ValueDeserializer::from(value))) } else { None }
}

/// The tables of `[[name]]`, each to be read by itself, so that a mistake in one does not hide those in others.
pub(crate) fn steps<'t>(
    list: Option<Spanned<DeValue<'t>>>,
    name: &str,
    diagnostics: &mut Diagnostics,
) -> Vec<Spanned<DeValue<'t>>> {
    let Some(list) = list else { return Vec::new() };
    let span = list.span();
    if let DeValue::Array(steps) = list.into_inner() {
        return steps.into_iter().collect();
    }
    diagnostics.push(Diagnostic::new(format!("`{name}` must be a list"), span).with_help(format!("write [[{name}]]")));
    Vec::new()
}

/// Reads anything as a lab.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(text: &str) {
    let mut diagnostics = Diagnostics::default();
    let lab = LabFile::parse("fuzzed", text, &mut diagnostics);
    if let Err(mistakes) = diagnostics.or_value(lab, Path::new("labs/fuzzed.toml"), text) {
        let _ = crate::diagnostic::plain_text(&mistakes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::plain_text;

    const LAN: &str = r#"
summary = "a LAN"
domain = "lan.test"
accounts = ["alice"]
[[segment]]
name = "lan"
prefix = "10.20.0.0/24"
[[machine]]
name = "mail"
image = "mail"
role = "mail"
segment = "lan"
address = "10.20.0.10"
memory_mib = 1024
processors = 2
[[ready]]
name = "alice logs in"
on = "mail"
do.imap = { user = "alice", expect = "accepted" }
"#;

    #[test]
    fn a_good_one_has_hosts() {
        let mut diagnostics = Diagnostics::default();
        let lab = LabFile::parse("lan", LAN, &mut diagnostics).unwrap();
        assert!(diagnostics.is_empty());
        assert_eq!(lab.topology.hosts()[0].fqdn, "mail.lan.test");
        assert_eq!(lab.ready.len(), 1);
    }

    #[rstest::rstest]
    #[case::unknown_key("processors = 2", "cpus = 2", "unknown key `cpus`")]
    #[case::unknown_segment("segment = \"lan\"", "segment = \"wan\"", "there is no segment `wan`")]
    #[case::address_outside("10.20.0.10", "10.21.0.10", "10.21.0.10 is no address for a machine in 10.20.0.0/24")]
    #[case::the_labs_own_address("10.20.0.10", "10.20.0.1", "10.20.0.1 is the lab's own address")]
    #[case::unknown_account("user = \"alice\"", "user = \"eve\"", "there is no account `eve`")]
    #[case::no_memory("memory_mib = 1024", "memory_mib = 0", "0 is too small")]
    #[case::endless_memory("memory_mib = 1024", "memory_mib = 4000000000", "4000000000 is too large")]
    #[case::no_processor("processors = 2", "processors = 0", "0 is too small")]
    fn mistakes_have_a_place(#[case] good: &str, #[case] bad: &str, #[case] words: &str) {
        let text = LAN.replace(good, bad);
        let mut diagnostics = Diagnostics::default();
        let lab = LabFile::parse("lan", &text, &mut diagnostics);
        let message = plain_text(&diagnostics.or_value(lab, Path::new("lan.toml"), &text).unwrap_err());
        assert!(message.contains(words) && message.contains("lan.toml") && message.contains("line"), "{message}");
    }
}
