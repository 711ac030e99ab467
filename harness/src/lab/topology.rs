//! What a lab consists of, as data.

use crate::diagnostic::Diagnostic;
use crate::machine::{MachineName, NetworkCard};
use crate::network::{MacAddress, Segment, SegmentName, TapName};
use crate::seed::{Card, Host, Wiring};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
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
    /// Further network cards, each in another network.
    #[serde(default, rename = "card")]
    pub cards: Vec<FurtherCard>,
    /// Further full names of it, in any domain, each with an address in its first network: its own, or another that it has
    /// besides. Its certificate is valid for them. Nobody knows them but from the DNS that a machine of the lab serves.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub names: BTreeMap<String, Spanned<Ipv4Addr>>,
    /// The machine that it sends what is for other networks, in its own network.
    #[schemars(with = "Option<String>")]
    pub gateway: Option<Spanned<MachineName>>,
    /// The machine that it asks for names.
    #[schemars(with = "Option<String>")]
    pub resolver: Option<Spanned<MachineName>>,
    /// RAM in MiB, from 64 to 1048576.
    #[schemars(range(min = 64, max = 1_048_576))]
    pub memory_mib: u32,
    /// Virtual processors, from 1 to 255.
    #[schemars(range(min = 1, max = 255))]
    pub processors: u8,
    /// The others know it by name and address, and it is not there.
    #[serde(default)]
    pub absent: bool,
}

/// A further network card of a machine.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FurtherCard {
    /// The network that it is in.
    #[schemars(with = "String")]
    pub segment: Spanned<SegmentName>,
    /// The machine's address there.
    #[schemars(with = "String")]
    pub address: Spanned<Ipv4Addr>,
}

impl Topology {
    /// A lab, if its parts fit together.
    pub fn new(
        name: String,
        domain: String,
        accounts: Vec<String>,
        segments: Vec<Segment>,
        machines: Vec<Definition>,
    ) -> Result<Self, Diagnostic> {
        let topology = Self { name, domain, accounts, segments, machines };
        let mut names = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for machine in &topology.machines {
            for (segment, address) in machine.places() {
                topology.check_address(segment, address)?;
                if !addresses.insert(*address.get_ref()) {
                    return Err(Diagnostic::new("two machines have this address", address.span()));
                }
            }
            let own: BTreeSet<_> = machine.places().map(|(_, address)| *address.get_ref()).collect();
            for address in machine.names.values() {
                topology.check_address(&machine.segment, address)?;
                if addresses.contains(address.get_ref()) && !own.contains(address.get_ref()) {
                    return Err(Diagnostic::new("another machine has this address", address.span()));
                }
            }
            addresses.extend(machine.names.values().map(|address| *address.get_ref()));
            if !names.insert(machine.name.get_ref().clone()) {
                return Err(Diagnostic::new("two machines have this name", machine.name.span()));
            }
        }
        topology.machines.iter().try_for_each(|machine| topology.check_inside(machine))?;
        topology.machines.iter().try_for_each(|machine| topology.check_routes(machine))?;
        Ok(topology)
    }

    /// Who runs a machine is a machine that the lab itself runs.
    fn check_inside(&self, machine: &Definition) -> Result<(), Diagnostic> {
        let Some(inside) = &machine.inside else { return Ok(()) };
        let name = inside.get_ref();
        let Some(host) = self.machine(name.as_str()) else {
            return Err(Diagnostic::new(format!("there is no machine `{name}` to run it"), inside.span()));
        };
        if host.inside.is_some() || host.name.get_ref() == machine.name.get_ref() {
            let diagnostic =
                Diagnostic::new(format!("`{name}` is no machine that the lab itself starts"), inside.span());
            return Err(diagnostic.with_help("name a machine without `inside`"));
        }
        if let Some(packages) = &machine.packages {
            return Err(Diagnostic::new("a machine inside another one has no disk of packages", packages.span()));
        }
        Ok(())
    }

    fn check_address(&self, segment: &Spanned<SegmentName>, address: &Spanned<Ipv4Addr>) -> Result<(), Diagnostic> {
        let Some(known) = self.segment(segment.get_ref()) else {
            let known: Vec<_> = self.segments.iter().map(|segment| segment.name.to_string()).collect();
            let diagnostic = Diagnostic::new(format!("there is no segment `{}`", segment.get_ref()), segment.span());
            return Err(diagnostic.with_help(format!("segments: {}", known.join(", "))));
        };
        if known.prefix.holds(*address.get_ref()) {
            return Ok(());
        }
        let message = format!("{} is no address for a machine in {}", address.get_ref(), known.prefix);
        let help = format!("{} is the lab's own address", known.prefix.observer());
        Err(Diagnostic::new(message, address.span()).with_help(help))
    }

    /// A gateway is in the machine's own network, and a resolver where the machine can send packets.
    fn check_routes(&self, machine: &Definition) -> Result<(), Diagnostic> {
        let known = self.machines.iter().map(|machine| machine.name.get_ref().as_str());
        for peer in [&machine.gateway, &machine.resolver].into_iter().flatten() {
            if self.machine(peer.get_ref().as_str()).is_none() {
                let message = format!("there is no machine `{}`", peer.get_ref());
                return Err(Diagnostic::unknown(message, peer.span(), peer.get_ref().as_str(), known));
            }
        }
        let segment = machine.segment.get_ref();
        if let Some(gateway) = &machine.gateway
            && self.address_in(gateway.get_ref(), segment).is_none()
        {
            let message = format!("{} has no card in segment {segment}: it is no way out of it", gateway.get_ref());
            return Err(Diagnostic::new(message, gateway.span()).with_help("give it a [[machine.card]] there"));
        }
        if let Some(resolver) = &machine.resolver
            && machine.gateway.is_none()
            && machine.places().all(|(segment, _)| self.address_in(resolver.get_ref(), segment.get_ref()).is_none())
        {
            let message =
                format!("{} has no route to {}: it has no gateway", machine.name.get_ref(), resolver.get_ref());
            return Err(
                Diagnostic::new(message, resolver.span()).with_help("name a machine of its network as its `gateway`")
            );
        }
        Ok(())
    }

    /// A machine's address in a network.
    fn address_in(&self, machine: &MachineName, segment: &SegmentName) -> Option<Ipv4Addr> {
        let mut places = self.machine(machine.as_str())?.places();
        places.find(|(there, _)| there.get_ref() == segment).map(|(_, address)| *address.get_ref())
    }

    /// The address by which `machine` knows `peer`: the one in its own network, else the peer's first.
    fn address_for(&self, machine: &Definition, peer: &MachineName) -> Option<Ipv4Addr> {
        let near = machine.places().find_map(|(segment, _)| self.address_in(peer, segment.get_ref()));
        near.or_else(|| self.machine(peer.as_str()).map(|peer| *peer.address.get_ref()))
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

    /// The machines that others run, each with the one that does.
    pub(super) fn all_inside(&self) -> BTreeMap<MachineName, MachineName> {
        let guests = self.machines.iter().filter(|machine| !machine.absent);
        guests
            .filter_map(|guest| Some((guest.name.get_ref().clone(), guest.inside.as_ref()?.get_ref().clone())))
            .collect()
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
        self.present().fold(0, |sum: u32, (_, machine)| sum.saturating_add(machine.memory_mib))
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
        numbered.filter_map(|(index, machine)| self.host(index, machine)).collect()
    }

    fn host(&self, index: usize, machine: &Definition) -> Option<Host> {
        let name = machine.name.get_ref().as_str();
        let prefix = self.segment(machine.segment.get_ref())?.prefix;
        let host = Host::new(name, &self.domain, &machine.role, *machine.address.get_ref(), prefix, Self::mac(index));
        let cards = machine.cards.iter().zip(self.further_cards_of(index)).filter_map(|(card, number)| {
            let segment = self.segment(card.segment.get_ref())?;
            Some(Card {
                segment: segment.name.to_string(),
                address: *card.address.get_ref(),
                prefix_length: segment.prefix.length(),
                mac: Self::mac(number).to_string(),
            })
        });
        let names = machine.names.iter().map(|(name, address)| (name.clone(), *address.get_ref()));
        Some(host.with(Wiring {
            cards: cards.collect(),
            names: names.collect(),
            gateway: machine.gateway.as_ref().and_then(|it| self.address_in(it.get_ref(), machine.segment.get_ref())),
            resolver: machine.resolver.as_ref().and_then(|resolver| self.address_for(machine, resolver.get_ref())),
        }))
    }

    fn segment(&self, name: &SegmentName) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.name == *name)
    }

    fn mac(number: usize) -> MacAddress {
        MacAddress::numbered(u16::try_from(number).unwrap_or(u16::MAX))
    }

    /// The numbers of a machine's cards after the first, among all cards of the lab: first cards have the machines' numbers.
    fn further_cards_of(&self, index: usize) -> impl Iterator<Item = usize> {
        let count = |machines: &[Definition]| machines.iter().map(|machine| machine.cards.len()).sum::<usize>();
        let first = self.machines.len() + count(&self.machines[..index]);
        first..first + self.machines[index].cards.len()
    }

    /// The network cards of the machine with this number.
    pub(super) fn cards(&self, index: usize) -> Vec<NetworkCard> {
        let numbers = std::iter::once(index).chain(self.further_cards_of(index));
        numbers.map(|number| NetworkCard { mac: Self::mac(number), tap: TapName::numbered(number) }).collect()
    }

    /// The taps of all machines, in order, and the segments that they belong to.
    pub(super) fn taps(&self) -> Vec<(TapName, Segment)> {
        let numbered = self.machines.iter().enumerate();
        let plugs = numbered.flat_map(|(index, machine)| {
            let segments = machine.places().map(|(segment, _)| segment.get_ref());
            std::iter::once(index).chain(self.further_cards_of(index)).zip(segments)
        });
        let mut plugs: Vec<_> = plugs.collect();
        plugs.sort_by_key(|(number, _)| *number);
        let taps = plugs
            .into_iter()
            .map(|(number, segment)| Some((TapName::numbered(number), self.segment(segment)?.clone())));
        taps.flatten().collect()
    }
}

impl Definition {
    /// The networks that it is in, and its address in each.
    fn places(&self) -> impl Iterator<Item = (&Spanned<SegmentName>, &Spanned<Ipv4Addr>)> {
        std::iter::once((&self.segment, &self.address))
            .chain(self.cards.iter().map(|card| (&card.segment, &card.address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Parts {
        segment: Vec<Segment>,
        machine: Vec<Definition>,
    }

    const LAB: &str = r#"
[[segment]]
name = "inside"
prefix = "10.20.1.0/24"
[[segment]]
name = "outside"
prefix = "198.51.100.0/24"
[[machine]]
name = "mail"
image = "mail"
role = "mail"
segment = "inside"
address = "10.20.1.10"
gateway = "edge"
resolver = "edge"
memory_mib = 1024
processors = 2
[[machine]]
name = "edge"
image = "edge"
role = "edge"
segment = "outside"
address = "198.51.100.2"
card = [{ segment = "inside", address = "10.20.1.2" }]
memory_mib = 256
processors = 1
[[machine]]
name = "internet"
image = "internet"
role = "internet"
segment = "outside"
address = "198.51.100.10"
names = { "www.example" = "198.51.100.11" }
memory_mib = 256
processors = 1
"#;

    /// A machine that another one runs.
    const GUEST: &str = r#"
[[machine]]
name = "guest"
image = "mail"
role = "mail"
inside = "mail"
segment = "inside"
address = "10.20.1.11"
memory_mib = 512
processors = 1
"#;

    fn names<'a>(machines: impl Iterator<Item = (usize, &'a Definition)>) -> Vec<&'a str> {
        machines.map(|(_, machine)| machine.name.get_ref().as_str()).collect()
    }

    fn lab(text: &str) -> Result<Topology, Diagnostic> {
        let Parts { segment, machine } = toml::from_str(text).unwrap();
        Topology::new("lab".into(), "lan.test".into(), Vec::new(), segment, machine)
    }

    #[test]
    fn a_router_has_a_tap_in_each_of_its_networks() {
        let lab = lab(LAB).unwrap();
        let taps: Vec<_> = lab.taps().iter().map(|(tap, segment)| format!("{tap} {}", segment.name)).collect();
        assert_eq!(taps, ["tap0 inside", "tap1 outside", "tap2 outside", "tap3 inside"]);
        let cards: Vec<_> = lab.cards(1).iter().map(|card| card.tap.to_string()).collect();
        assert_eq!(cards, ["tap1", "tap3"]);
        let [mail, edge, internet] = lab.hosts().try_into().unwrap();
        assert_eq!(mail.wiring.gateway, Some(Ipv4Addr::new(10, 20, 1, 2)));
        assert_eq!(mail.wiring.resolver, mail.wiring.gateway);
        assert_eq!(edge.wiring.cards[0].mac, "52:54:00:4c:00:03");
        assert_eq!(internet.wiring.names["www.example"], Ipv4Addr::new(198, 51, 100, 11));
    }

    #[test]
    fn further_cards_have_numbers_after_those_of_the_machines_before() {
        let card = "address = \"198.51.100.10\"\ncard = [{ segment = \"inside\", address = \"10.20.1.3\" }]";
        let lab = lab(&LAB.replace("address = \"198.51.100.10\"", card)).unwrap();
        let taps = |index| lab.cards(index).iter().map(|card| card.tap.to_string()).collect::<Vec<_>>();
        assert_eq!(taps(0), ["tap0"]);
        assert_eq!(taps(1), ["tap1", "tap3"]);
        assert_eq!(taps(2), ["tap2", "tap4"]);
    }

    #[rstest::rstest]
    #[case::one_of_the_lab("mail", "lab-mail-alone", &["mail"])]
    #[case::another_one("edge", "lab-edge-alone", &["edge"])]
    #[case::none_of_the_lab("nobody", "lab-nobody-alone", &[])]
    fn of_a_lab_with_one_machine_the_others_are_only_known(
        #[case] machine: &str,
        #[case] name: &str,
        #[case] present: &[&str],
    ) {
        let alone = lab(LAB).unwrap().only(machine);
        assert_eq!(alone.name, name);
        assert_eq!(names(alone.present()), present);
        assert_eq!(alone.hosts().len(), 3);
    }

    #[rstest::rstest]
    #[case::its_host("", "mail", &["guest"])]
    #[case::another_machine("", "edge", &[])]
    #[case::an_absent_guest("absent = true\n", "mail", &[])]
    fn a_host_runs_its_guests_that_are_there(#[case] more: &str, #[case] host: &str, #[case] guests: &[&str]) {
        let lab = lab(&[LAB, GUEST, more].concat()).unwrap();
        let host = lab.machine(host).unwrap().name.get_ref();
        assert_eq!(names(lab.inside(host)), guests);
    }

    #[rstest::rstest]
    #[case::a_guest("", &["guest in mail"])]
    #[case::an_absent_guest("absent = true\n", &[])]
    fn a_guest_is_started_by_its_host_and_not_by_the_lab(#[case] more: &str, #[case] guests: &[&str]) {
        let lab = lab(&[LAB, GUEST, more].concat()).unwrap();
        assert_eq!(names(lab.present()), ["mail", "edge", "internet"]);
        let inside: Vec<_> = lab.all_inside().iter().map(|(guest, host)| format!("{guest} in {host}")).collect();
        assert_eq!(inside, guests);
    }

    #[rstest::rstest]
    #[case::no_machine("inside = \"mail\"", "inside = \"male\"", "there is no machine `male` to run it")]
    #[case::itself("inside = \"mail\"", "inside = \"guest\"", "`guest` is no machine that the lab itself starts")]
    #[case::another_guest(
        "gateway = \"edge\"",
        "gateway = \"edge\"\ninside = \"edge\"",
        "`mail` is no machine that the lab itself starts"
    )]
    #[case::with_packages(
        "inside = \"mail\"",
        "inside = \"mail\"\npackages = \"trixie\"",
        "a machine inside another one has no disk of packages"
    )]
    fn what_cannot_run_a_guest_is_named(#[case] good: &str, #[case] bad: &str, #[case] words: &str) {
        let diagnostic = lab(&[LAB, GUEST].concat().replace(good, bad)).unwrap_err();
        assert!(diagnostic.message.contains(words), "{}", diagnostic.message);
        assert!(diagnostic.span.is_some());
    }

    #[test]
    fn what_a_lab_takes_is_what_its_machines_take() {
        let own = lab(LAB).unwrap();
        assert_eq!((own.memory_mib(), own.processors()), (1024 + 256 + 256, 2 + 1 + 1));
        assert_eq!(own.images(), ["edge", "internet", "mail"].into());
        assert_eq!(own.all_inside(), BTreeMap::new());
    }

    #[rstest::rstest]
    #[case::no_such_machine("gateway = \"edge\"", "gateway = \"egde\"", "there is no machine `egde`")]
    #[case::elsewhere("gateway = \"edge\"", "gateway = \"internet\"", "internet has no card in segment inside")]
    #[case::no_way_to_the_resolver(
        "gateway = \"edge\"\nresolver = \"edge\"",
        "resolver = \"internet\"",
        "mail has no route to internet: it has no gateway"
    )]
    #[case::of_another("198.51.100.11", "198.51.100.2", "another machine has this address")]
    #[case::outside("198.51.100.11", "10.20.1.11", "10.20.1.11 is no address for a machine in 198.51.100.0/24")]
    #[case::no_such_segment(
        "segment = \"inside\", address",
        "segment = \"inner\", address",
        "there is no segment `inner`"
    )]
    #[case::taken("10.20.1.2\"", "10.20.1.10\"", "two machines have this address")]
    fn what_has_no_way_is_named(#[case] good: &str, #[case] bad: &str, #[case] words: &str) {
        let diagnostic = lab(&LAB.replace(good, bad)).unwrap_err();
        assert!(diagnostic.message.contains(words), "{}", diagnostic.message);
        assert!(diagnostic.span.is_some());
    }
}
