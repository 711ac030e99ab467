//! What one Ethernet frame is.

use super::clock::pulse_in;
use super::flow::Protocol;
use etherparse::{LaxNetSlice, LaxSlicedPacket, LinkSlice, TransportSlice};
use std::net::IpAddr;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// A pulse of the lab's ([`super::clock`]).
    Pulse,
    /// What a network needs to be one: nobody is contacted with it.
    Housekeeping,
    /// A packet of IP.
    Ip(Packet),
    /// Nothing that is known here.
    Unknown,
}

/// One end of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// Its address.
    pub address: IpAddr,
    /// Its port, where the protocol has ports.
    pub port: Option<u16>,
}

/// A packet of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// The hardware address that sent the frame.
    pub from_card: [u8; 6],
    /// The hardware address that the frame is for.
    pub to_card: [u8; 6],
    /// Where it comes from.
    pub from: End,
    /// Where it goes to.
    pub to: End,
    /// What it carries.
    pub protocol: Protocol,
    /// What it does to the conversation that it belongs to.
    pub act: Act,
}

/// What a packet does to its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It opens a connection, as a SYN does.
    Open,
    /// It agrees to an opened one: SYN and ACK.
    Accept,
    /// It carries something.
    Carry,
    /// It carries nothing: an acknowledgement, or the end of a connection.
    Acknowledge,
    /// It breaks a connection off, or refuses one: RST.
    Reset,
    /// It answers a question, as an ICMP echo reply does.
    Reply,
    /// It says that the packet of another conversation, between these ends, did not arrive (ICMP).
    Refuse(Protocol, End, End),
}

/// Looks at a frame. Of one that was cut by the capture, its headers tell enough.
#[must_use]
pub fn look(frame: &[u8]) -> Sight {
    if pulse_in(frame).is_some() {
        return Sight::Pulse;
    }
    let Ok(sliced) = LaxSlicedPacket::from_ethernet(frame) else { return Sight::Unknown };
    let Some(LinkSlice::Ethernet2(link)) = &sliced.link else { return Sight::Unknown };
    if matches!(sliced.net, Some(LaxNetSlice::Arp(_))) {
        return Sight::Housekeeping;
    }
    let Some(inside) = Inside::of(&sliced) else { return Sight::Unknown };
    if is_housekeeping(&sliced, &inside) {
        return Sight::Housekeeping;
    }
    let Inside { from, to, protocol, .. } = inside;
    let (from_card, to_card) = (link.source(), link.destination());
    Sight::Ip(Packet { from_card, to_card, from, to, protocol, act: act(&sliced) })
}

/// Ends and protocol of a packet.
struct Inside {
    from: End,
    to: End,
    protocol: Protocol,
}

impl Inside {
    fn of(sliced: &LaxSlicedPacket<'_>) -> Option<Self> {
        let (from, to) = match sliced.net.as_ref()? {
            LaxNetSlice::Ipv4(ip) => {
                (IpAddr::from(ip.header().source_addr()), IpAddr::from(ip.header().destination_addr()))
            }
            LaxNetSlice::Ipv6(ip) => {
                (IpAddr::from(ip.header().source_addr()), IpAddr::from(ip.header().destination_addr()))
            }
            LaxNetSlice::Arp(_) => return None,
        };
        let number = sliced.net.as_ref()?.ip_payload_ref()?.ip_number.0;
        let ports = match &sliced.transport {
            Some(TransportSlice::Tcp(tcp)) => Some((tcp.source_port(), tcp.destination_port())),
            Some(TransportSlice::Udp(udp)) => Some((udp.source_port(), udp.destination_port())),
            _ => None,
        };
        let end = |address, port| End { address, port };
        Some(Self {
            from: end(from, ports.map(|(from, _)| from)),
            to: end(to, ports.map(|(_, to)| to)),
            protocol: Protocol::numbered(number),
        })
    }
}

/// DHCP (RFC 2131, RFC 8415), neighbour discovery and multicast listeners of IPv6 (RFC 4861, RFC 3810), groups of IPv4 (RFC 3376).
fn is_housekeeping(sliced: &LaxSlicedPacket<'_>, inside: &Inside) -> bool {
    const IGMP: Protocol = Protocol::Other(2);
    if let Some(TransportSlice::Icmpv6(icmp)) = &sliced.transport {
        return matches!(icmp.type_u8(), 130..=137 | 143);
    }
    let ports = (inside.from.port, inside.to.port);
    let is_dhcp = inside.protocol == Protocol::Udp
        && matches!(ports, (Some(67 | 68), Some(67 | 68)) | (Some(546 | 547), Some(546 | 547)));
    is_dhcp || inside.protocol == IGMP
}

fn act(sliced: &LaxSlicedPacket<'_>) -> Act {
    // Destination unreachable, source quench, redirect, time exceeded, parameter problem (RFC 792, RFC 4443).
    let refused = |payload: &[u8]| {
        let quoted = LaxSlicedPacket::from_ip(payload).ok();
        let inside = quoted.as_ref().and_then(quoted_ends);
        inside.map_or(Act::Reply, |Inside { from, to, protocol }| Act::Refuse(protocol, from, to))
    };
    match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => match (tcp.rst(), tcp.syn(), tcp.ack()) {
            (true, _, _) => Act::Reset,
            (_, true, true) => Act::Accept,
            (_, true, false) => Act::Open,
            _ if tcp.payload().is_empty() => Act::Acknowledge,
            _ => Act::Carry,
        },
        Some(TransportSlice::Icmpv4(icmp)) => match icmp.type_u8() {
            3 | 11 | 12 => refused(icmp.payload()),
            0 | 4 | 5 | 14 => Act::Reply,
            _ => Act::Carry,
        },
        Some(TransportSlice::Icmpv6(icmp)) => match icmp.type_u8() {
            1..=4 => refused(icmp.payload()),
            129 => Act::Reply,
            _ => Act::Carry,
        },
        _ => Act::Carry,
    }
}

/// The ends of a packet of which an ICMP message has eight bytes behind its IP header: the ports of TCP and UDP are the first.
fn quoted_ends(sliced: &LaxSlicedPacket<'_>) -> Option<Inside> {
    let mut inside = Inside::of(sliced)?;
    let payload = sliced.net.as_ref()?.ip_payload_ref()?.payload;
    if let (Protocol::Tcp | Protocol::Udp, [a, b, c, d, ..]) = (inside.protocol, payload) {
        inside.from.port = Some(u16::from_be_bytes([*a, *b]));
        inside.to.port = Some(u16::from_be_bytes([*c, *d]));
    }
    Some(inside)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn ip(frame: &[u8]) -> Packet {
        match look(frame) {
            Sight::Ip(packet) => packet,
            other => panic!("{other:?}"),
        }
    }

    #[rstest::rstest]
    #[case::open(tcp(MAIL, 40000, DIRECTORY, 636, "S", 0), Act::Open)]
    #[case::accept(tcp(DIRECTORY, 636, MAIL, 40000, "SA", 0), Act::Accept)]
    #[case::carry(tcp(MAIL, 40000, DIRECTORY, 636, "A", 5), Act::Carry)]
    #[case::acknowledge(tcp(MAIL, 40000, DIRECTORY, 636, "A", 0), Act::Acknowledge)]
    #[case::end(tcp(MAIL, 40000, DIRECTORY, 636, "AF", 0), Act::Acknowledge)]
    #[case::reset(tcp(MAIL, 40000, DIRECTORY, 636, "AR", 0), Act::Reset)]
    #[case::datagram(udp(MAIL, 40000, DIRECTORY, 53, 20), Act::Carry)]
    #[case::echo(ping(MAIL, DIRECTORY, 8), Act::Carry)]
    #[case::echo_reply(ping(DIRECTORY, MAIL, 0), Act::Reply)]
    fn a_packet_says_what_it_does(#[case] frame: Vec<u8>, #[case] act: Act) {
        assert_eq!(ip(&frame).act, act);
    }

    #[test]
    fn a_packet_says_who_speaks_to_whom() {
        let packet = ip(&tcp(MAIL, 40000, DIRECTORY, 636, "S", 0));
        assert_eq!((packet.from_card, packet.to_card), (card(MAIL), card(DIRECTORY)));
        assert_eq!(packet.from, End { address: address(MAIL), port: Some(40000) });
        assert_eq!(packet.to, End { address: address(DIRECTORY), port: Some(636) });
        assert_eq!(packet.protocol, Protocol::Tcp);
    }

    #[rstest::rstest]
    #[case::echo(128, Act::Carry)]
    #[case::echo_reply(129, Act::Reply)]
    fn a_packet_of_icmpv6_says_what_it_does(#[case] kind: u8, #[case] act: Act) {
        assert_eq!(ip(&icmpv6(kind)).act, act);
    }

    /// RFC 4443, 3: the message quotes the packet that did not arrive.
    #[rstest::rstest]
    #[case::unreachable(1)]
    #[case::too_big(2)]
    #[case::time_exceeded(3)]
    #[case::bad_parameter(4)]
    fn what_ipv6_refuses_is_named(#[case] kind: u8) {
        let (own, other) = ([0x20; 16], [0x30; 16]);
        let mut rejected = Vec::new();
        etherparse::PacketBuilder::ipv6(own, other, 64).udp(40000, 53).write(&mut rejected, &[7; 4]).unwrap();
        let builder = etherparse::PacketBuilder::ethernet2(card(DIRECTORY), card(MAIL)).ipv6(other, own, 64);
        let mut frame = Vec::new();
        builder.icmpv6_raw(kind, 0, [0; 4]).write(&mut frame, &rejected).unwrap();
        let end = |address: [u8; 16], port| End { address: address.into(), port: Some(port) };
        assert_eq!(ip(&frame).act, Act::Refuse(Protocol::Udp, end(own, 40000), end(other, 53)));
    }

    /// Frames are padded to 60 bytes on the wire.
    #[test]
    fn padding_is_no_content() {
        let mut frame = tcp(MAIL, 40000, DIRECTORY, 636, "A", 0);
        frame.resize(60, 0);
        assert_eq!(ip(&frame).act, Act::Acknowledge);
    }

    #[test]
    fn of_a_frame_that_the_capture_cut_the_headers_tell() {
        let frame = tcp(MAIL, 40000, DIRECTORY, 636, "A", 1400);
        assert_eq!(ip(&frame[..100]), ip(&frame));
    }

    #[test]
    fn what_a_packet_filter_rejects_is_named() {
        let refused = unreachable(DIRECTORY, &tcp(MAIL, 40000, DIRECTORY, 636, "S", 0));
        let end = |host, port| End { address: address(host), port: Some(port) };
        assert_eq!(ip(&refused).act, Act::Refuse(Protocol::Tcp, end(MAIL, 40000), end(DIRECTORY, 636)));
    }

    #[rstest::rstest]
    #[case::arp(arp(MAIL))]
    #[case::dhcp(udp(MAIL, 68, 255, 67, 300))]
    #[case::router_solicitation(icmpv6(133))]
    #[case::neighbour_solicitation(icmpv6(135))]
    #[case::listener_report(icmpv6(143))]
    fn housekeeping_contacts_nobody(#[case] frame: Vec<u8>) {
        assert_eq!(look(&frame), Sight::Housekeeping);
    }

    #[rstest::rstest]
    #[case::nothing(&[])]
    #[case::short(&[0; 13])]
    #[case::spanning_tree(&[0; 60])]
    fn what_is_not_known_is_not_guessed(#[case] frame: &[u8]) {
        assert_eq!(look(frame), Sight::Unknown);
    }

    /// Whatever a guest sends, reading it does not fail.
    #[test]
    fn no_frame_is_too_short() {
        for whole in [tcp(MAIL, 1, DIRECTORY, 2, "S", 9), udp(MAIL, 1, DIRECTORY, 2, 9), icmpv6(135), arp(MAIL)] {
            for length in 0..whole.len() {
                let _ = look(&whole[..length]);
            }
        }
    }
}
