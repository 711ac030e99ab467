//! Which names addresses have, by the answers of DNS that a machine got.

use super::gather::Names;
use etherparse::{LaxSlicedPacket, TransportSlice};
use simple_dns::rdata::RData;
use simple_dns::{Packet, PacketFlag};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The port of DNS.
pub(super) const PORT: u16 = 53;

/// Learns what an answer of DNS tells, if the frame is one: the name that was asked for, and its addresses. An answer that the
/// capture has cut, or that makes no sense, tells nothing.
pub(super) fn learn(frame: &[u8], names: &mut Names) {
    let Ok(sliced) = LaxSlicedPacket::from_ethernet(frame) else { return };
    let Some(TransportSlice::Udp(datagram)) = &sliced.transport else { return };
    let Ok(packet) = Packet::parse(datagram.payload()) else { return };
    if !packet.has_flags(PacketFlag::RESPONSE) {
        return;
    }
    let Some(name) = packet.questions.first().map(|question| question.qname.to_string()) else { return };
    // Names come from outside, and stand in texts for people and for a packet filter.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if name.is_empty() || !name.bytes().all(plain) {
        return;
    }
    for answer in &packet.answers {
        let address: IpAddr = match &answer.rdata {
            RData::A(answer) => Ipv4Addr::from(answer.address).into(),
            RData::AAAA(answer) => Ipv6Addr::from(answer.address).into(),
            _ => continue,
        };
        names.add(address, &name.to_ascii_lowercase());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::*;
    use super::*;
    use simple_dns::rdata::{A, AAAA, CNAME};
    use simple_dns::{CLASS, Name, QCLASS, QTYPE, Question, ResourceRecord, TYPE};

    /// An answer to a question for this name: an alias, and the alias' address.
    pub(in super::super) fn answer(name: &str, address: [u8; 4]) -> Packet<'_> {
        let mut packet = Packet::new_reply(7);
        let question = Question::new(Name::new_unchecked(name), QTYPE::TYPE(TYPE::A), QCLASS::CLASS(CLASS::IN), false);
        packet.questions.push(question);
        let alias = || Name::new_unchecked("alias.example");
        let cname = RData::CNAME(CNAME(alias()));
        packet.answers.push(ResourceRecord::new(Name::new_unchecked(name), CLASS::IN, 60, cname));
        let address = RData::A(A { address: u32::from_be_bytes(address) });
        packet.answers.push(ResourceRecord::new(alias(), CLASS::IN, 60, address));
        packet
    }

    fn learned(frame: &[u8]) -> Option<String> {
        let mut names = Names::default();
        learn(frame, &mut names);
        names.of(Ipv4Addr::new(192, 0, 2, 99).into()).map(str::to_owned)
    }

    #[rstest::rstest]
    #[case::through_an_alias("Stranger.example", Some("stranger.example"))]
    #[case::no_plain_name("a b.example", None)]
    #[case::markup("<b>.example", None)]
    fn the_name_that_was_asked_for_is_learned(#[case] name: &str, #[case] expected: Option<&str>) {
        let content = answer(name, [192, 0, 2, 99]).build_bytes_vec().unwrap();
        assert_eq!(learned(&udp_with(LAB, 53, MAIL, 40000, &content)).as_deref(), expected);
    }

    #[test]
    fn addresses_of_ipv6_are_learned() {
        let mut packet = answer("stranger.example", [192, 0, 2, 99]);
        let address = "2001:db8::99".parse::<Ipv6Addr>().unwrap();
        let rdata = RData::AAAA(AAAA { address: address.to_bits() });
        packet.answers.push(ResourceRecord::new(Name::new_unchecked("alias.example"), CLASS::IN, 60, rdata));
        let mut names = Names::default();
        learn(&udp_with(LAB, 53, MAIL, 40000, &packet.build_bytes_vec().unwrap()), &mut names);
        assert_eq!(names.of(address.into()), Some("stranger.example"));
    }

    /// Whatever comes from that port, reading it does not fail.
    #[test]
    fn half_an_answer_tells_nothing_that_is_not_so() {
        let content = answer("stranger.example", [192, 0, 2, 99]).build_bytes_vec().unwrap();
        let frame = udp_with(LAB, 53, MAIL, 40000, &content);
        for length in 0..frame.len() {
            let name = learned(&frame[..length]);
            assert!(name.is_none_or(|name| name == "stranger.example"));
        }
    }

    #[test]
    fn a_question_tells_nothing() {
        let mut question = answer("stranger.example", [192, 0, 2, 99]);
        question.remove_flags(PacketFlag::RESPONSE);
        assert_eq!(learned(&udp_with(MAIL, 40000, LAB, 53, &question.build_bytes_vec().unwrap())), None);
    }
}
