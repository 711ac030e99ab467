//! Whom a machine may contact, as a person names it: `directory:636/tcp`.

use super::flow::Protocol;
use super::gather::Names;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Whom a machine may contact, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Who.
    pub host: Host,
    /// At which port; at any, if there is none.
    pub port: Option<u16>,
    /// By which protocol; by any, if there is none.
    pub protocol: Option<Protocol>,
}

/// Who is contacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// Whoever has this name.
    Named(String),
    /// Whoever has this address.
    At(IpAddr),
}

/// A text that names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no destination: {reason}")]
pub struct DestinationError {
    /// The text.
    pub text: String,
    /// Why.
    pub reason: String,
}

impl Destination {
    /// How a person writes one.
    pub const FORM: &'static str =
        "write it as in \"directory:636/tcp\", \"192.0.2.7:53/udp\", \"[2001:db8::1]:443/tcp\" or \"directory/icmp\"";

    /// Whether this is one of those that are meant.
    #[must_use]
    pub fn includes(&self, address: IpAddr, port: Option<u16>, protocol: Protocol, names: &Names) -> bool {
        let host = match &self.host {
            Host::Named(name) => names.is(address, name),
            Host::At(known) => *known == address,
        };
        host && self.port.is_none_or(|known| Some(known) == port) && self.protocol.is_none_or(|known| known == protocol)
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let wrong = |reason: &str| DestinationError { text: text.to_owned(), reason: reason.to_owned() };
        let (place, protocol) = match text.split_once('/') {
            Some((place, protocol)) => (place, Some(protocol.parse().map_err(|reason: String| wrong(&reason))?)),
            None => (text, None),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']').ok_or_else(|| wrong("the bracket is not closed"))?;
                let address: Ipv6Addr = address.parse().map_err(|_| wrong("no address of IPv6 is in the brackets"))?;
                let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').unwrap_or(rest)) };
                (Host::At(address.into()), port)
            }
            None => match place.split_once(':') {
                Some((host, port)) => (Host::from(host), Some(port)),
                None => (Host::from(place), None),
            },
        };
        if matches!(&host, Host::Named(name) if name.is_empty()) {
            return Err(wrong("it names no host"));
        }
        let port = port.map(str::parse).transpose().map_err(|_| wrong("a port is a number up to 65535"))?;
        match (port, protocol) {
            (Some(_), None) => Err(wrong("a port needs its protocol, tcp or udp")),
            (Some(_), Some(Protocol::Icmp | Protocol::Other(_))) => Err(wrong("only tcp and udp have ports")),
            _ => Ok(Self { host, port, protocol }),
        }
    }
}

impl From<&str> for Host {
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Named(text.to_owned()), Self::At)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Named(name) => f.write_str(name)?,
            Host::At(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            Host::At(address) => write!(f, "{address}")?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.protocol.map_or(Ok(()), |protocol| write!(f, "/{protocol}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("directory:636/tcp")]
    #[case("192.0.2.7:53/udp")]
    #[case("[2001:db8::1]:443/tcp")]
    #[case("[2001:db8::1]")]
    #[case("directory/icmp")]
    #[case("directory/protocol-47")]
    #[case("directory")]
    fn a_destination_is_told_as_it_is_written(#[case] text: &str) {
        assert_eq!(text.parse::<Destination>().unwrap().to_string(), text);
    }

    #[rstest::rstest]
    #[case("directory:ldaps/tcp", "a port is a number")]
    #[case("directory:66000/tcp", "a port is a number")]
    #[case("directory:636", "a port needs its protocol")]
    #[case("directory:636/tls", "`tls` is no protocol: it is tcp, udp or icmp")]
    #[case("directory:8/icmp", "only tcp and udp have ports")]
    #[case("[2001:db8::1:443/tcp", "the bracket is not closed")]
    #[case("[192.0.2.1]:443/tcp", "no address of IPv6")]
    #[case(":636/tcp", "it names no host")]
    #[case("", "it names no host")]
    fn what_names_nobody_says_why(#[case] text: &str, #[case] words: &str) {
        let error = text.parse::<Destination>().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }

    #[rstest::rstest]
    #[case("directory:636/tcp", true)]
    #[case("ldap:636/tcp", true)]
    #[case("10.20.0.20:636/tcp", true)]
    #[case("directory/tcp", true)]
    #[case("directory", true)]
    #[case("directory:389/tcp", false)]
    #[case("directory:636/udp", false)]
    #[case("mail:636/tcp", false)]
    #[case("10.20.0.21:636/tcp", false)]
    fn a_destination_knows_whom_it_means(#[case] text: &str, #[case] expected: bool) {
        let address = "10.20.0.20".parse().unwrap();
        let mut names = Names::default();
        names.add(address, "directory");
        names.add(address, "ldap");
        let destination: Destination = text.parse().unwrap();
        assert_eq!(destination.includes(address, Some(636), Protocol::Tcp, &names), expected);
    }
}
