//! A flow: what two ends said to each other.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// What is carried by IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP, of either version of IP.
    Icmp,
    /// Another one, by its number.
    Other(u8),
}

impl Protocol {
    /// The protocol of this number (IANA, "Assigned Internet Protocol Numbers").
    #[must_use]
    pub fn numbered(number: u8) -> Self {
        match number {
            6 => Self::Tcp,
            17 => Self::Udp,
            1 | 58 => Self::Icmp,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("tcp"),
            Self::Udp => f.write_str("udp"),
            Self::Icmp => f.write_str("icmp"),
            Self::Other(number) => write!(f, "protocol-{number}"),
        }
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "icmp" => Ok(Self::Icmp),
            other => {
                let number = other.strip_prefix("protocol-").and_then(|number| number.parse().ok());
                number.map(Self::Other).ok_or_else(|| format!("`{other}` is no protocol: it is tcp, udp or icmp"))
            }
        }
    }
}

impl TryFrom<String> for Protocol {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Protocol> for String {
    fn from(protocol: Protocol) -> Self {
        protocol.to_string()
    }
}

/// One of the two who talk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Its address.
    pub address: IpAddr,
    /// Its port, where the protocol has ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What it is called, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name)?,
            None if self.address.is_ipv6() => write!(f, "[{}]", self.address)?,
            None => write!(f, "{}", self.address)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// How much was said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Frames.
    pub packets: u64,
    /// Their length on the wire, in bytes.
    pub bytes: u64,
}

impl Count {
    /// Takes another one in.
    pub fn add(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// Seen from the machine whose card was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// It began this itself.
    Outgoing,
    /// Somebody contacted it.
    Incoming,
    /// It is between others: passed on, or for all.
    Between,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// There was none.
    None,
    /// There was one.
    Answered,
    /// A reset, or a message of ICMP that it is not possible.
    Refused,
}

impl Answer {
    /// The better of the two: any answer is better than none, and one that does not refuse is the best.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Answered, _) | (_, Self::None) => self,
            _ => other,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no answer",
            Self::Answered => "answered",
            Self::Refused => "refused",
        })
    }
}

/// How it is known who began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Beginning {
    /// The packet that began it was seen.
    Seen,
    /// It had begun before the capture; that clients have the higher port tells who was one.
    Guessed,
}

/// What two ends said to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Seen from the machine.
    pub direction: Direction,
    /// Who began.
    pub from: Party,
    /// Whom it contacted.
    pub to: Party,
    /// By what.
    pub protocol: Protocol,
    /// What `from` said.
    pub sent: Count,
    /// What `to` said.
    pub received: Count,
    /// What became of it.
    pub answer: Answer,
    /// How it is known who began.
    pub beginning: Beginning,
    /// Its first packet, by the host's clock.
    pub first: Option<Timestamp>,
    /// Its last packet.
    pub last: Option<Timestamp>,
    /// The first packet with which `from` opened something, or said something. Without one it has only acknowledged.
    pub contact: Option<Timestamp>,
}

impl Flow {
    /// Whether it is for all of a network, and for nobody alone.
    #[must_use]
    pub fn is_for_many(&self) -> bool {
        match self.to.address {
            IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
            IpAddr::V6(address) => address.is_multicast() || address.is_unicast_link_local(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{begun, party};
    use super::*;

    #[test]
    fn counts_of_others_have_an_end() {
        let mut count = Count { packets: u64::MAX, bytes: 7 };
        count.add(Count { packets: 1, bytes: u64::MAX });
        assert_eq!(count, Count { packets: u64::MAX, bytes: u64::MAX });
    }

    #[rstest::rstest]
    #[case::a_name("192.0.2.1", Some("mail"), "mail:25")]
    #[case::an_address("192.0.2.1", None, "192.0.2.1:25")]
    #[case::an_address_of_ipv6("2001:db8::1", None, "[2001:db8::1]:25")]
    fn a_party_is_told_by_name_or_address(#[case] address: &str, #[case] name: Option<&str>, #[case] told: &str) {
        let party = Party { address: address.parse().unwrap(), port: Some(25), name: name.map(str::to_owned) };
        assert_eq!(party.to_string(), told);
    }

    #[test]
    fn counts_are_added() {
        let mut count = Count { packets: 2, bytes: 100 };
        count.add(Count { packets: 3, bytes: 50 });
        assert_eq!(count, Count { packets: 5, bytes: 150 });
    }

    #[rstest::rstest]
    #[case("224.0.0.251", true)]
    #[case("255.255.255.255", true)]
    #[case("192.0.2.1", false)]
    #[case("ff02::fb", true)]
    #[case("fe80::1", true)]
    #[case("2001:db8::1", false)]
    fn what_is_for_many_is_for_nobody_alone(#[case] to: &str, #[case] many: bool) {
        let flow = |to| begun(party("192.0.2.7", None, None), party(to, None, None), Protocol::Udp, Answer::None);
        assert_eq!(flow(to).is_for_many(), many);
    }

    #[rstest::rstest]
    #[case(Answer::None, Answer::Refused, Answer::Refused)]
    #[case(Answer::Refused, Answer::Answered, Answer::Answered)]
    #[case(Answer::None, Answer::Answered, Answer::Answered)]
    #[case(Answer::None, Answer::None, Answer::None)]
    fn the_better_answer_counts_whichever_came_first(#[case] one: Answer, #[case] other: Answer, #[case] best: Answer) {
        assert_eq!((one.or(other), other.or(one)), (best, best));
    }
}
