use super::super::capture::tests::file;
use super::super::testing::*;
use super::super::{Contact, Destination, judge};
use super::*;

/// The frames of a capture, a microsecond from each other from 1001 on; the first is a pulse at 1000.
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut pulse = udp(LAB, 5000, 255, 9, 0);
    pulse.extend(super::super::clock::pulse(Timestamp::from_microsecond(1000).unwrap()).bytes());
    let all = [&[pulse], frames].concat();
    let timed: Vec<_> = (1000_i64..).zip(all).collect();
    file(&timed)
}

fn names() -> Names {
    let mut names = Names::default();
    for (host, name) in [(MAIL, "mail"), (DIRECTORY, "directory"), (LAB, "lab")] {
        names.add(address(host), name);
    }
    names
}

fn flows_since(since: Option<i64>, frames: &[Vec<u8>]) -> Vec<Flow> {
    let view = Viewpoint { cards: [card(MAIL)].into(), addresses: [address(MAIL)].into() };
    let since = since.map(|micros| Timestamp::from_microsecond(micros).unwrap());
    let mut flows = Flows::seen_by(view, since);
    let file = capture(frames);
    flows.add(&Clock::of(&file[..]).unwrap(), &file[..]).unwrap();
    flows.flows(&names())
}

/// A flow in few words.
fn told(flow: &Flow) -> String {
    let Flow { direction, from, to, protocol, sent, received, answer, beginning, .. } = flow;
    let (sent, received) = (sent.packets, received.packets);
    let contact = if flow.contact.is_some() { "contact" } else { "no contact" };
    format!("{direction:?} {from} {to}/{protocol} {sent}/{received} {answer} {beginning:?} {contact}")
}

fn told_all(flows: &[Flow]) -> Vec<String> {
    flows.iter().map(told).collect()
}

fn login() -> Vec<Vec<u8>> {
    vec![
        tcp(MAIL, 40000, DIRECTORY, 636, "S", 0),
        tcp(DIRECTORY, 636, MAIL, 40000, "SA", 0),
        tcp(MAIL, 40000, DIRECTORY, 636, "A", 0),
        tcp(MAIL, 40000, DIRECTORY, 636, "A", 100),
        tcp(DIRECTORY, 636, MAIL, 40000, "A", 200),
        tcp(MAIL, 40000, DIRECTORY, 636, "AF", 0),
    ]
}

#[rstest::rstest]
#[case::a_login(login(), &["Outgoing mail:40000 directory:636/tcp 4/2 answered Seen contact"])]
#[case::a_probe(
    vec![tcp(LAB, 50000, MAIL, 993, "S", 0), tcp(MAIL, 993, LAB, 50000, "SA", 0), tcp(MAIL, 993, LAB, 50000, "A", 9)],
    &["Incoming lab:50000 mail:993/tcp 1/2 answered Seen contact"]
)]
#[case::a_probe_from_before_the_capture(
    vec![tcp(MAIL, 993, LAB, 50000, "A", 9), tcp(LAB, 50000, MAIL, 993, "A", 9)],
    &["Incoming lab:50000 mail:993/tcp 1/1 answered Guessed contact"]
)]
#[case::a_closed_port(
    vec![tcp(MAIL, 40000, DIRECTORY, 25, "S", 0), tcp(DIRECTORY, 25, MAIL, 40000, "AR", 0)],
    &["Outgoing mail:40000 directory:25/tcp 1/1 refused Seen contact"]
)]
#[case::a_port_that_a_filter_rejects(
    vec![tcp(MAIL, 40000, DIRECTORY, 25, "S", 0), unreachable(DIRECTORY, &tcp(MAIL, 40000, DIRECTORY, 25, "S", 0))],
    &["Outgoing mail:40000 directory:25/tcp 1/0 refused Seen contact"]
)]
#[case::a_port_that_a_filter_drops(
    vec![tcp(MAIL, 40000, DIRECTORY, 25, "S", 0), tcp(MAIL, 40000, DIRECTORY, 25, "S", 0)],
    &["Outgoing mail:40000 directory:25/tcp 2/0 no answer Seen contact"]
)]
#[case::a_question_and_its_answer(
    vec![udp(MAIL, 40000, DIRECTORY, 53, 20), udp(DIRECTORY, 53, MAIL, 40000, 90)],
    &["Outgoing mail:40000 directory:53/udp 1/1 answered Seen contact"]
)]
#[case::an_answer_to_a_question_from_before(
    vec![udp(DIRECTORY, 53, MAIL, 40000, 90)],
    &["Outgoing mail:40000 directory:53/udp 0/1 answered Guessed no contact"]
)]
#[case::the_end_of_a_connection_from_before(
    vec![tcp(MAIL, 40000, DIRECTORY, 636, "AF", 0), tcp(DIRECTORY, 636, MAIL, 40000, "A", 0)],
    &["Outgoing mail:40000 directory:636/tcp 1/1 no answer Guessed no contact"]
)]
#[case::an_acceptance_of_what_was_opened_before(
    vec![tcp(DIRECTORY, 636, MAIL, 40000, "SA", 0)],
    &["Outgoing mail:40000 directory:636/tcp 0/1 answered Seen no contact"]
)]
#[case::a_reply_to_a_ping_from_before(
    vec![ping(DIRECTORY, MAIL, 0)],
    &["Outgoing mail directory/icmp 0/1 answered Guessed no contact"]
)]
#[case::equal_ports_in_the_middle_of_a_connection(
    vec![tcp(MAIL, 500, DIRECTORY, 500, "A", 9)],
    &["Outgoing mail:500 directory:500/tcp 1/0 no answer Guessed contact"]
)]
#[case::a_question_from_the_first_port_of_clients(
    vec![udp(DIRECTORY, 1024, MAIL, 2000, 9)],
    &["Incoming directory:1024 mail:2000/udp 1/0 no answer Seen contact"]
)]
#[case::pings(
    vec![ping(MAIL, DIRECTORY, 8), ping(DIRECTORY, MAIL, 0), ping(LAB, MAIL, 8), ping(MAIL, LAB, 0)],
    &["Outgoing mail directory/icmp 1/1 answered Seen contact", "Incoming lab mail/icmp 1/1 answered Seen contact"]
)]
#[case::what_a_bridge_shows_of_others(vec![tcp(LAB, 50000, DIRECTORY, 636, "S", 0)], &[])]
#[case::a_broadcast_of_others(
    vec![udp(DIRECTORY, 5353, 255, 5353, 20)],
    &["Between directory:5353 10.20.0.255:5353/udp 1/0 no answer Seen contact"]
)]
#[case::housekeeping(vec![arp(MAIL), icmpv6(135), udp(MAIL, 68, 255, 67, 300)], &[])]
fn packets_become_flows(#[case] frames: Vec<Vec<u8>>, #[case] expected: &[&str]) {
    assert_eq!(told_all(&flows_since(None, &frames)), expected);
}

/// A connection seems to be the other's by its ports, until a SYN tells.
#[test]
fn a_syn_corrects_a_guess() {
    let frames = [tcp(MAIL, 500, DIRECTORY, 2049, "A", 9), tcp(MAIL, 500, DIRECTORY, 2049, "S", 0)];
    assert_eq!(
        told_all(&flows_since(None, &frames)),
        ["Outgoing mail:500 directory:2049/tcp 2/0 no answer Seen contact"]
    );
}

/// 1001 is the SYN, 1004 the question.
#[rstest::rstest]
#[case::all(1001, &["Outgoing mail:40000 directory:636/tcp 4/2 answered Seen contact"])]
#[case::from_the_question_on(1004, &["Outgoing mail:40000 directory:636/tcp 2/1 answered Seen contact"])]
#[case::behind_the_question(1005, &["Outgoing mail:40000 directory:636/tcp 1/1 answered Seen no contact"])]
#[case::behind_all(1007, &[])]
fn what_was_before_a_moment_says_who_began_and_counts_for_nothing(#[case] since: i64, #[case] expected: &[&str]) {
    assert_eq!(told_all(&flows_since(Some(since), &login())), expected);
}

#[test]
fn times_are_the_hosts() {
    let flow = flows_since(None, &login()).remove(0);
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
    assert_eq!((micros(flow.first), micros(flow.last), micros(flow.contact)), (Some(1001), Some(1006), Some(1001)));
}

#[test]
fn packets_without_a_pulse_have_no_time_and_are_counted() {
    let frame = || tcp(MAIL, 40000, DIRECTORY, 636, "S", 0);
    let file = file(&[(5, frame()), (6, frame())]);
    let view = Viewpoint { cards: [card(MAIL)].into(), addresses: [address(MAIL)].into() };
    let mut flows = Flows::seen_by(view, Some(Timestamp::UNIX_EPOCH));
    flows.add(&Clock::of(&file[..]).unwrap(), &file[..]).unwrap();
    assert_eq!((flows.untimed(), flows.frames(), flows.flows(&names()).len()), (2, 2, 0));
    assert!(!flows.is_crowded());
}

/// What stands before the cut is there.
#[test]
fn a_cut_capture_tells_what_it_has() {
    let file = capture(&login());
    let view = Viewpoint { cards: [card(MAIL)].into(), addresses: [address(MAIL)].into() };
    let mut flows = Flows::seen_by(view, None);
    let half = &file[..file.len() - 10];
    let cut = flows.add(&Clock::of(half).unwrap(), half).unwrap().unwrap();
    assert_eq!(cut.offset, (file.len() - 54 - 16) as u64);
    assert_eq!(told_all(&flows.flows(&names())), ["Outgoing mail:40000 directory:636/tcp 3/2 answered Seen contact"]);
}

#[rstest::rstest]
#[case::right(&["directory:636/tcp"], &[], &[])]
#[case::more(&["directory:636/tcp", "lab"], &[], &["lab"])]
#[case::other_port(&["directory:389/tcp"], &["directory:636/tcp (10.20.0.20)"], &["directory:389/tcp"])]
#[case::nobody(&[], &["directory:636/tcp (10.20.0.20)"], &[])]
fn contacts_are_held_against_a_list(#[case] may: &[&str], #[case] strangers: &[&str], #[case] missing: &[&str]) {
    let frames = [login(), vec![tcp(MAIL, 40001, DIRECTORY, 636, "S", 0)]].concat();
    let contacts = Contact::all(&flows_since(None, &frames));
    assert_eq!((contacts.len(), contacts[0].flows, contacts[0].sent.packets), (1, 2, 5));
    let may: Vec<Destination> = may.iter().map(|text| text.parse().unwrap()).collect();
    let verdict = judge(&contacts, &may, &names());
    assert_eq!(verdict.strangers.iter().map(ToString::to_string).collect::<Vec<_>>(), strangers);
    assert_eq!(verdict.missing.iter().map(ToString::to_string).collect::<Vec<_>>(), missing);
}

/// A machine that invents an address for each packet takes no more memory than that.
#[test]
fn conversations_have_an_upper_bound() {
    let ports = (1..=60_000).map(|port| (port, 30)).chain((1..=60_000).map(|port| (port, 31)));
    let frames = ports.take(MOST_TALKS + 10).map(|(port, host)| udp(MAIL, port, host, 9, 0));
    let frames: Vec<_> = frames.collect();
    let view = Viewpoint { cards: [card(MAIL)].into(), addresses: [address(MAIL)].into() };
    let mut flows = Flows::seen_by(view, None);
    let file = capture(&frames);
    let cut = flows.add(&Clock::of(&file[..]).unwrap(), &file[..]).unwrap();
    assert_eq!(cut.unwrap().reason, TOO_MANY);
    assert!(flows.is_crowded());
    assert_eq!(flows.flows(&names()).len(), MOST_TALKS);
}

#[test]
fn names_have_an_upper_bound() {
    let mut names = Names::default();
    for number in 0..2 * MOST_NAMES {
        names.add(address(MAIL), &format!("{}.example", number % 100));
        names.add(std::net::Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into(), "one");
    }
    assert_eq!(names.of.values().map(Vec::len).sum::<usize>(), MOST_NAMES);
}

/// A datagram between any cards and addresses of IPv4.
fn datagram(cards: (u8, u8), from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = etherparse::PacketBuilder::ethernet2(card(cards.0), card(cards.1)).ipv4(from, to, 64);
    builder.udp(40000, 2000).write(&mut frame, &[7; 9]).unwrap();
    frame
}

#[rstest::rstest]
#[case("169.254.1.2", true)]
#[case("0.0.0.0", true)]
#[case("10.20.0.10", false)]
#[case("fe80::1", true)]
#[case("::", true)]
#[case("2001:db8::1", false)]
fn an_address_of_a_link_is_known(#[case] address: &str, #[case] own: bool) {
    assert_eq!(own_on_link(address.parse().unwrap()), own);
}

/// Only what it sends tells: anybody can write to it with such an address.
#[rstest::rstest]
#[case::by_itself((MAIL, DIRECTORY), Direction::Outgoing)]
#[case::by_others((DIRECTORY, MAIL), Direction::Incoming)]
fn an_address_that_a_machine_gave_itself_is_its_own(#[case] cards: (u8, u8), #[case] direction: Direction) {
    let to = if cards.0 == MAIL { [10, 20, 0, DIRECTORY] } else { [10, 20, 0, MAIL] };
    let flows = flows_since(None, &[datagram(cards, [169, 254, 7, 7], to)]);
    assert_eq!(flows[0].direction, direction);
}

#[test]
fn addresses_that_a_machine_gives_itself_have_an_upper_bound() {
    let frames: Vec<_> = (0..2 * u16::try_from(MOST_ADDRESSES).unwrap())
        .map(|host| {
            datagram((MAIL, DIRECTORY), [169, 254, host.to_be_bytes()[0], host.to_be_bytes()[1]], [10, 20, 0, 20])
        })
        .collect();
    let mut flows = Flows::seen_by(Viewpoint { cards: [card(MAIL)].into(), addresses: [].into() }, None);
    let file = capture(&frames);
    flows.add(&Clock::of(&file[..]).unwrap(), &file[..]).unwrap();
    assert_eq!(flows.view.addresses.len(), MOST_ADDRESSES);
}

/// It arrives at a router, and leaves it again.
#[test]
fn what_a_router_passes_on_is_counted_once() {
    let passes = |cards| datagram(cards, [10, 20, 0, LAB], [10, 20, 0, DIRECTORY]);
    let flows = flows_since(None, &[passes((LAB, MAIL)), passes((MAIL, DIRECTORY))]);
    assert_eq!(told_all(&flows), ["Between lab:40000 directory:2000/udp 1/0 no answer Seen contact"]);
}

#[rstest::rstest]
#[case::an_answer_to_the_machine(53, MAIL, Some("stranger.example"))]
#[case::from_another_port(54, MAIL, None)]
#[case::to_somebody_else(53, DIRECTORY, None)]
fn names_are_learned_from_answers_to_the_machine(#[case] port: u16, #[case] to: u8, #[case] name: Option<&str>) {
    let content = naming::tests::answer("stranger.example", [192, 0, 2, 99]).build_bytes_vec().unwrap();
    let mut flows = Flows::seen_by(Viewpoint { cards: [card(MAIL)].into(), addresses: [address(MAIL)].into() }, None);
    let file = capture(&[udp_with(LAB, port, to, 40000, &content)]);
    flows.add(&Clock::of(&file[..]).unwrap(), &file[..]).unwrap();
    let names = flows.names(&names());
    assert_eq!(names.of("192.0.2.99".parse().unwrap()), name);
    assert_eq!(names.of(address(MAIL)), Some("mail"), "what was known stays known");
}
