//! What a lab consists of, as data.

use crate::machine::MachineName;
use crate::network::{MacAddress, Segment, SegmentName, TapName};
use crate::seed::Host;
use miette::{Diagnostic, NamedSource, SourceSpan};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use toml::Spanned;

/// A lab as its file describes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// One line for people.
    pub summary: String,
    /// The DNS domain of all its machines.
    pub domain: String,
    /// Accounts that passwords are made for.
    pub accounts: Vec<String>,
    /// Its networks.
    #[serde(rename = "segment")]
    pub segments: Vec<Segment>,
    /// Its machines.
    #[serde(rename = "machine")]
    pub machines: Vec<Definition>,
}

/// One machine of a lab.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name.
    pub name: Spanned<MachineName>,
    /// The image that it is made from.
    pub image: String,
    /// What cloud-init makes of it.
    pub role: String,
    /// The network that it is in.
    pub segment: Spanned<SegmentName>,
    /// Its address there.
    pub address: Spanned<Ipv4Addr>,
    /// RAM in MiB.
    pub memory_mib: u32,
    /// Virtual processors.
    pub processors: u8,
}

/// What is wrong with a topology file, and where.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum TopologyError {
    /// It cannot be read.
    #[error("failed to read the topology: {0}")]
    Read(#[from] std::io::Error),
    /// It is not what a topology must be.
    #[error("{message}")]
    Content {
        /// What is wrong.
        message: String,
        /// The file.
        #[source_code]
        source_code: NamedSource<String>,
        /// The place.
        #[label("here")]
        span: Option<SourceSpan>,
        /// What to do.
        #[help]
        help: Option<String>,
    },
}

impl Topology {
    /// Reads and checks a topology file.
    pub fn load(path: &Path) -> Result<Self, TopologyError> {
        let text = fs_err::read_to_string(path)?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Checks the text of a topology file called `name`.
    pub fn parse(name: &str, text: &str) -> Result<Self, TopologyError> {
        let content =
            |message: String, span: Option<std::ops::Range<usize>>, help: Option<String>| TopologyError::Content {
                message,
                source_code: NamedSource::new(name, text.to_owned()).with_language("TOML"),
                span: span.map(Into::into),
                help,
            };
        let topology: Self =
            toml::from_str(text).map_err(|error| content(error.message().to_owned(), error.span(), None))?;
        let mut names = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for machine in &topology.machines {
            let Some(segment) = topology.segments.iter().find(|segment| segment.name == *machine.segment.get_ref())
            else {
                let known: Vec<_> = topology.segments.iter().map(|segment| segment.name.to_string()).collect();
                let message = format!("there is no segment `{}`", machine.segment.get_ref());
                return Err(content(
                    message,
                    Some(machine.segment.span()),
                    Some(format!("segments: {}", known.join(", "))),
                ));
            };
            if !segment.prefix.holds(*machine.address.get_ref()) {
                let message =
                    format!("{} is no address for a machine in {}", machine.address.get_ref(), segment.prefix);
                let help = format!("{} is the lab's own address", segment.prefix.observer());
                return Err(content(message, Some(machine.address.span()), Some(help)));
            }
            if !addresses.insert(*machine.address.get_ref()) {
                return Err(content("two machines have this address".into(), Some(machine.address.span()), None));
            }
            if !names.insert(machine.name.get_ref().clone()) {
                return Err(content("two machines have this name".into(), Some(machine.name.span()), None));
            }
        }
        Ok(topology)
    }

    /// The machine of that name.
    #[must_use]
    pub fn machine(&self, name: &str) -> Option<&Definition> {
        self.machines.iter().find(|machine| machine.name.get_ref().as_str() == name)
    }

    /// The machines as cloud-init sees them, in order.
    #[must_use]
    pub fn hosts(&self) -> Vec<Host> {
        let numbered = self.machines.iter().enumerate();
        numbered
            .filter_map(|(index, machine)| Some(self.host(machine, Self::mac(index), self.segment_of(machine)?)))
            .collect()
    }

    fn host(&self, machine: &Definition, mac: MacAddress, segment: &Segment) -> Host {
        let name = machine.name.get_ref().as_str();
        Host::new(name, &self.domain, &machine.role, *machine.address.get_ref(), segment.prefix, mac)
    }

    fn segment_of(&self, machine: &Definition) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.name == *machine.segment.get_ref())
    }

    pub(super) fn mac(index: usize) -> MacAddress {
        MacAddress::numbered(u16::try_from(index).unwrap_or(u16::MAX))
    }

    /// The taps of all machines, in order, and the segments that they belong to.
    pub(super) fn taps(&self) -> Vec<(TapName, Segment)> {
        let numbered = self.machines.iter().enumerate();
        numbered
            .filter_map(|(index, machine)| Some((TapName::numbered(index), self.segment_of(machine)?.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: &str = r#"
summary = "a LAN"
domain = "lan.test"
accounts = []
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
"#;

    fn message(text: &str) -> String {
        let error = Topology::parse("lan.toml", text).unwrap_err();
        let mut message = String::new();
        miette::NarratableReportHandler::new().render_report(&mut message, &error).unwrap();
        message
    }

    #[test]
    fn a_good_one_has_hosts() {
        let topology = Topology::parse("lan.toml", LAN).unwrap();
        assert_eq!(topology.hosts()[0].fqdn, "mail.lan.test");
        assert_eq!(topology.taps().len(), 1);
    }

    #[rstest::rstest]
    #[case::unknown_key("processors = 2", "cpus = 2", "unknown field `cpus`")]
    #[case::unknown_segment("segment = \"lan\"", "segment = \"wan\"", "there is no segment `wan`")]
    #[case::address_outside("10.20.0.10", "10.21.0.10", "10.21.0.10 is no address for a machine in 10.20.0.0/24")]
    #[case::the_labs_own_address("10.20.0.10", "10.20.0.1", "10.20.0.1 is the lab's own address")]
    fn mistakes_have_a_place(#[case] good: &str, #[case] bad: &str, #[case] words: &str) {
        let message = message(&LAN.replace(good, bad));
        assert!(message.contains(words) && message.contains("lan.toml") && message.contains("line"), "{message}");
    }
}
