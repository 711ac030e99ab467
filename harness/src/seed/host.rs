//! A machine as its templates see it: names, addresses and cards.

use crate::network::{MacAddress, Prefix};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A machine as its templates see it.
#[derive(Debug, Clone, Serialize)]
pub struct Host {
    /// Short name.
    pub name: String,
    /// Full name.
    pub fqdn: String,
    /// Its role: a directory below `cloud-init/`.
    pub role: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// The length of its network's prefix.
    pub prefix_length: u8,
    /// The hardware address of its card.
    pub mac: String,
    /// What it has besides.
    pub wiring: Wiring,
}

/// What a machine has besides one card with one address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Wiring {
    /// Further cards, each in another network.
    pub cards: Vec<Card>,
    /// Further full names, with their addresses on the first card.
    pub names: BTreeMap<String, Ipv4Addr>,
    /// Where it sends what is for other networks.
    pub gateway: Option<Ipv4Addr>,
    /// Whom it asks for names.
    pub resolver: Option<Ipv4Addr>,
}

/// A network card after the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Card {
    /// The network that it is in.
    pub segment: String,
    /// Its address there.
    pub address: Ipv4Addr,
    /// The length of that network's prefix.
    pub prefix_length: u8,
    /// Its hardware address.
    pub mac: String,
}

impl Host {
    /// A machine with one card.
    #[must_use]
    pub fn new(name: &str, domain: &str, role: &str, address: Ipv4Addr, prefix: Prefix, mac: MacAddress) -> Self {
        Self {
            name: name.to_owned(),
            fqdn: format!("{name}.{domain}"),
            role: role.to_owned(),
            address,
            prefix_length: prefix.length(),
            mac: mac.to_string(),
            wiring: Wiring::default(),
        }
    }

    /// All its addresses, its own first; some more than once.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        let cards = self.wiring.cards.iter().map(|card| card.address);
        std::iter::once(self.address).chain(cards).chain(self.wiring.names.values().copied())
    }

    /// The same machine with more than one card, one address, or one network that it reaches.
    #[must_use]
    pub fn with(self, wiring: Wiring) -> Self {
        Self { wiring, ..self }
    }
}
