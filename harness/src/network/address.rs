//! Names and addresses that must not be mixed up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 network in prefix notation, such as `10.20.0.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    network: Ipv4Addr,
    length: u8,
}

/// Why a text is not a network that a segment can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Not of the form `a.b.c.d/n`.
    #[error("`{0}` is not a network: write it as in 10.20.0.0/24")]
    Form(String),
    /// Too long to hold an observer and a machine, or too short to be meant.
    #[error("the prefix length of `{0}` must be from 8 to 29")]
    Length(String),
    /// Bits are set right of the prefix.
    #[error("`{given}` has bits set beyond its prefix: the network is {network}")]
    HostBits {
        /// What was written.
        given: String,
        /// The network that it lies in.
        network: Prefix,
    },
}

impl Prefix {
    /// The address of the lab's own end of the bridge: the first of the network.
    #[must_use]
    pub fn observer(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() + 1)
    }

    /// The address that all machines of the network listen to.
    #[must_use]
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() | !self.mask())
    }

    /// Number of leading bits that name the network.
    #[must_use]
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether `address` can be a machine's here: inside, and none of network, observer and broadcast address.
    #[must_use]
    pub fn holds(self, address: Ipv4Addr) -> bool {
        let host = address.to_bits() & !self.mask();
        address.to_bits() & self.mask() == self.network.to_bits() && host > 1 && host != !self.mask()
    }

    fn mask(self) -> u32 {
        u32::MAX << (32 - self.length)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let form = || PrefixError::Form(text.to_owned());
        let (address, length) = text.split_once('/').ok_or_else(form)?;
        let address: Ipv4Addr = address.parse().map_err(|_| form())?;
        let length: u8 = length.parse().map_err(|_| form())?;
        if !(8..=29).contains(&length) {
            return Err(PrefixError::Length(text.to_owned()));
        }
        let network = Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << (32 - length)));
        if network != address {
            return Err(PrefixError::HostBits { given: text.to_owned(), network: Self { network, length } });
        }
        Ok(Self { network, length })
    }
}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;

    fn try_from(text: String) -> Result<Self, PrefixError> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

/// The name of a segment: also the name of its bridge, which the kernel limits to 15 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SegmentName(String);

impl SegmentName {
    /// The bridge of this segment.
    #[must_use]
    pub fn bridge(&self) -> String {
        format!("br-{}", self.0)
    }
}

impl TryFrom<String> for SegmentName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let fits = (1..=12).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if fits {
            Ok(Self(name))
        } else {
            Err(format!("`{name}` cannot name a segment: 1 to 12 of a–z, 0–9 and -, starting with a letter"))
        }
    }
}

impl From<SegmentName> for String {
    fn from(name: SegmentName) -> Self {
        name.0
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A broadcast domain of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// Its name.
    #[schemars(with = "String")]
    pub name: SegmentName,
    /// Its addresses, as in `10.20.0.0/24`.
    #[schemars(with = "String")]
    pub prefix: Prefix,
}

/// The tap device behind a network card.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TapName(String);

impl TapName {
    /// The tap of the `index`-th card of the lab.
    #[must_use]
    pub fn numbered(index: usize) -> Self {
        Self(format!("tap{index}"))
    }
}

impl fmt::Display for TapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A hardware address. Labs are isolated from each other, so every lab gives its cards the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// The address of the `index`-th card of a lab, in the range that QEMU and KVM guests commonly use (52:54:00).
    #[must_use]
    pub fn numbered(index: u16) -> Self {
        let [high, low] = index.to_be_bytes();
        Self([0x52, 0x54, 0x00, 0x4c, high, low])
    }

    /// The address of the bridge of the `index`-th segment of a lab, beside those of the cards.
    #[must_use]
    pub fn of_bridge(index: u16) -> Self {
        let [high, low] = index.to_be_bytes();
        Self([0x52, 0x54, 0x00, 0x4d, high, low])
    }

    /// Its six bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.map(|byte| format!("{byte:02x}"));
        f.write_str(&bytes.join(":"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("10.20.0.0/24", "10.20.0.10", true)]
    #[case("10.20.0.0/24", "10.20.0.0", false)]
    #[case("10.20.0.0/24", "10.20.0.1", false)]
    #[case("10.20.0.0/24", "10.20.0.255", false)]
    #[case("10.20.0.0/24", "10.20.1.10", false)]
    #[case("192.0.2.8/29", "192.0.2.14", true)]
    fn a_prefix_knows_its_machines(#[case] prefix: Prefix, #[case] address: Ipv4Addr, #[case] holds: bool) {
        assert_eq!(prefix.holds(address), holds);
    }

    #[rstest]
    #[case("10.20.0.0", "`10.20.0.0` is not a network: write it as in 10.20.0.0/24")]
    #[case("10.20.0.0/31", "the prefix length of `10.20.0.0/31` must be from 8 to 29")]
    #[case("10.20.0.7/24", "`10.20.0.7/24` has bits set beyond its prefix: the network is 10.20.0.0/24")]
    fn a_bad_prefix_says_why(#[case] text: &str, #[case] message: &str) {
        assert_eq!(text.parse::<Prefix>().unwrap_err().to_string(), message);
    }

    #[rstest]
    #[case("lan", true)]
    #[case("", false)]
    #[case("Lan", false)]
    #[case("a-very-long-name", false)]
    #[case("x; reboot", false)]
    fn a_segment_name_fits_a_bridge(#[case] name: &str, #[case] fits: bool) {
        assert_eq!(SegmentName::try_from(name.to_owned()).is_ok(), fits);
    }

    #[test]
    fn a_mac_address_is_written_as_qemu_wants_it() {
        assert_eq!(MacAddress::numbered(258).to_string(), "52:54:00:4c:01:02");
    }
}
