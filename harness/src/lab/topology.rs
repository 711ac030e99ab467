//! What a lab consists of, as data.

use crate::machine::MachineName;
use crate::mistake::Flaw;
use crate::network::{MacAddress, Segment, SegmentName, TapName};
use crate::seed::Host;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use toml::Spanned;

/// What a lab consists of.
#[derive(Debug, Clone)]
pub struct Topology {
    /// Its name.
    pub name: String,
    /// The DNS domain of all its machines.
    pub domain: String,
    /// Accounts that passwords are made for.
    pub accounts: Vec<String>,
    /// Its networks.
    pub segments: Vec<Segment>,
    /// Its machines.
    pub machines: Vec<Definition>,
}

/// One machine of a lab.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name.
    #[schemars(with = "String")]
    pub name: Spanned<MachineName>,
    /// The image that it is made from.
    pub image: String,
    /// What cloud-init makes of it.
    pub role: String,
    /// The machine of the lab that runs it, as a guest of its own. That one has its disk and its seed, read-only, and starts
    /// it; the lab only knows where it is reached.
    #[schemars(with = "Option<String>")]
    pub inside: Option<Spanned<MachineName>>,
    /// The release whose packages it finds on a disk of their own.
    #[schemars(with = "Option<String>")]
    pub packages: Option<Spanned<String>>,
    /// The network that it is in.
    #[schemars(with = "String")]
    pub segment: Spanned<SegmentName>,
    /// Its address there.
    #[schemars(with = "String")]
    pub address: Spanned<Ipv4Addr>,
    /// RAM in MiB.
    pub memory_mib: u32,
    /// Virtual processors.
    pub processors: u8,
    /// The others know it by name and address, and it is not there.
    #[serde(default)]
    pub absent: bool,
}

impl Topology {
    /// A lab, if its parts fit together.
    pub fn new(
        name: String,
        domain: String,
        accounts: Vec<String>,
        segments: Vec<Segment>,
        machines: Vec<Definition>,
    ) -> Result<Self, Flaw> {
        let topology = Self { name, domain, accounts, segments, machines };
        let mut names = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for machine in &topology.machines {
            topology.check_address(machine)?;
            if !addresses.insert(*machine.address.get_ref()) {
                return Err(Flaw::new("two machines have this address", machine.address.span()));
            }
            if !names.insert(machine.name.get_ref().clone()) {
                return Err(Flaw::new("two machines have this name", machine.name.span()));
            }
        }
        topology.machines.iter().try_for_each(|machine| topology.check_inside(machine))?;
        Ok(topology)
    }

    /// Who runs a machine is a machine that the lab itself runs.
    fn check_inside(&self, machine: &Definition) -> Result<(), Flaw> {
        let Some(inside) = &machine.inside else { return Ok(()) };
        let name = inside.get_ref();
        let Some(host) = self.machine(name.as_str()) else {
            return Err(Flaw::new(format!("there is no machine `{name}` to run it"), inside.span()));
        };
        if host.inside.is_some() || host.name.get_ref() == machine.name.get_ref() {
            let flaw = Flaw::new(format!("`{name}` is no machine that the lab itself starts"), inside.span());
            return Err(flaw.with_help("name a machine without `inside`"));
        }
        if let Some(packages) = &machine.packages {
            return Err(Flaw::new("a machine inside another one has no disk of packages", packages.span()));
        }
        Ok(())
    }

    fn check_address(&self, machine: &Definition) -> Result<(), Flaw> {
        let (segment, address) = (machine.segment.get_ref(), *machine.address.get_ref());
        let Some(known) = self.segment_of(machine) else {
            let known: Vec<_> = self.segments.iter().map(|segment| segment.name.to_string()).collect();
            let flaw = Flaw::new(format!("there is no segment `{segment}`"), machine.segment.span());
            return Err(flaw.with_help(format!("segments: {}", known.join(", "))));
        };
        if known.prefix.holds(address) {
            return Ok(());
        }
        let message = format!("{address} is no address for a machine in {}", known.prefix);
        let help = format!("{} is the lab's own address", known.prefix.observer());
        Err(Flaw::new(message, machine.address.span()).with_help(help))
    }

    /// The machine of that name.
    #[must_use]
    pub fn machine(&self, name: &str) -> Option<&Definition> {
        self.machines.iter().find(|machine| machine.name.get_ref().as_str() == name)
    }

    /// The same lab with one machine; the others are only known to it.
    #[must_use]
    pub fn only(&self, name: &str) -> Self {
        let mut lab = Self { name: format!("{}-{name}-alone", self.name), ..self.clone() };
        for machine in &mut lab.machines {
            machine.absent |= machine.name.get_ref().as_str() != name;
        }
        lab
    }

    /// The machines that the lab starts, with their numbers.
    pub(super) fn present(&self) -> impl Iterator<Item = (usize, &Definition)> {
        self.machines.iter().enumerate().filter(|(_, machine)| !machine.absent && machine.inside.is_none())
    }

    /// The machines that run inside `host`, with their numbers.
    pub(super) fn inside<'a>(&'a self, host: &'a MachineName) -> impl Iterator<Item = (usize, &'a Definition)> {
        let inside = move |machine: &Definition| machine.inside.as_ref().is_some_and(|name| name.get_ref() == host);
        self.machines.iter().enumerate().filter(move |(_, machine)| !machine.absent && inside(machine))
    }

    /// The images that its machines are made from.
    #[must_use]
    pub fn images(&self) -> BTreeSet<&str> {
        let there = self.machines.iter().filter(|machine| !machine.absent);
        there.map(|machine| machine.image.as_str()).collect()
    }

    /// The releases whose packages its machines have on a disk.
    pub fn releases(&self) -> impl Iterator<Item = &str> {
        self.present().filter_map(|(_, machine)| machine.packages.as_ref().map(|release| release.get_ref().as_str()))
    }

    /// RAM of all machines, in MiB.
    #[must_use]
    pub fn memory_mib(&self) -> u32 {
        self.present().map(|(_, machine)| machine.memory_mib).sum()
    }

    /// Virtual processors of all machines.
    #[must_use]
    pub fn processors(&self) -> u32 {
        self.present().map(|(_, machine)| u32::from(machine.processors)).sum()
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
