//! Frames for tests: hosts of 10.20.0.0/24 by their last number; and flows.

use super::flow::{Answer, Beginning, Count, Direction, Flow, Party, Protocol};
use etherparse::{ArpOperation, ArpPacket, EtherType, PacketBuilder, PacketBuilderStep};
use std::net::{IpAddr, Ipv4Addr};

pub(super) const MAIL: u8 = 10;
pub(super) const DIRECTORY: u8 = 20;
pub(super) const LAB: u8 = 1;

pub(super) fn address(host: u8) -> IpAddr {
    Ipv4Addr::new(10, 20, 0, host).into()
}

pub(super) fn card(host: u8) -> [u8; 6] {
    if host == 255 { [0xff; 6] } else { [0x52, 0x54, 0, 0, 0, host] }
}

fn ipv4(from: u8, to: u8) -> PacketBuilderStep<etherparse::IpHeaders> {
    PacketBuilder::ethernet2(card(from), card(to)).ipv4([10, 20, 0, from], [10, 20, 0, to], 64)
}

/// `flags`: S, A, F, R.
pub(super) fn tcp(from: u8, from_port: u16, to: u8, to_port: u16, flags: &str, payload: usize) -> Vec<u8> {
    let mut step = ipv4(from, to).tcp(from_port, to_port, 1000, 1000);
    for flag in flags.chars() {
        step = match flag {
            'S' => step.syn(),
            'A' => step.ack(1),
            'F' => step.fin(),
            _ => step.rst(),
        };
    }
    let mut frame = Vec::new();
    step.write(&mut frame, &vec![7; payload]).unwrap();
    frame
}

pub(super) fn udp(from: u8, from_port: u16, to: u8, to_port: u16, payload: usize) -> Vec<u8> {
    udp_with(from, from_port, to, to_port, &vec![7; payload])
}

pub(super) fn udp_with(from: u8, from_port: u16, to: u8, to_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    ipv4(from, to).udp(from_port, to_port).write(&mut frame, payload).unwrap();
    frame
}

pub(super) fn ping(from: u8, to: u8, kind: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    ipv4(from, to).icmpv4_raw(kind, 0, [0, 1, 0, 1]).write(&mut frame, &[7; 8]).unwrap();
    frame
}

/// What `from` says of a frame that it rejects (ICMP, destination unreachable): it quotes IP's header and eight bytes.
pub(super) fn unreachable(from: u8, rejected: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let to = rejected[14 + 15];
    ipv4(from, to).icmpv4_raw(3, 3, [0; 4]).write(&mut frame, &rejected[14..14 + 28]).unwrap();
    frame
}

pub(super) fn icmpv6(kind: u8) -> Vec<u8> {
    let link_local = |host: u8| [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host];
    let step =
        PacketBuilder::ethernet2(card(MAIL), [0x33, 0x33, 0, 0, 0, 1]).ipv6(link_local(MAIL), link_local(1), 255);
    let mut frame = Vec::new();
    step.icmpv6_raw(kind, 0, [0; 4]).write(&mut frame, &[0; 16]).unwrap();
    frame
}

pub(super) fn arp(from: u8) -> Vec<u8> {
    let packet = ArpPacket::new(
        etherparse::ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &card(from),
        &[10, 20, 0, from],
        &[0; 6],
        &[10, 20, 0, DIRECTORY],
    );
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(card(from), [0xff; 6]).arp(packet.unwrap()).write(&mut frame).unwrap();
    frame
}

pub(super) fn party(address: &str, port: Option<u16>, name: Option<&str>) -> Party {
    Party { address: address.parse().unwrap(), port, name: name.map(str::to_owned) }
}

/// A flow that a machine began itself.
pub(super) fn begun(from: Party, to: Party, protocol: Protocol, answer: Answer) -> Flow {
    Flow {
        direction: Direction::Outgoing,
        from,
        to,
        protocol,
        sent: Count::default(),
        received: Count::default(),
        answer,
        beginning: Beginning::Seen,
        first: None,
        last: None,
        contact: Some(jiff::Timestamp::UNIX_EPOCH),
    }
}
