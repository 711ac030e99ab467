//! Puts packets together to flows.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use super::capture::{CaptureError, Cut, read};
use super::clock::Clock;
use super::flow::{Answer, Beginning, Count, Direction, Flow, Party, Protocol};
use super::naming;
use super::packet::{Act, End, Packet, Sight, look};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::net::IpAddr;
use std::ops::ControlFlow;

/// How many conversations are put together. A machine that wants to exhaust our memory invents an address for each packet.
const MOST_TALKS: usize = 1 << 16;
/// What is said where they are more.
const TOO_MANY: &str = "there are more than 65536 conversations";
/// How many addresses a machine may give itself on its links, and how many names all addresses may have together: the same.
const MOST_ADDRESSES: usize = 1 << 10;
const MOST_NAMES: usize = 1 << 14;

/// The machine whose cards were captured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Viewpoint {
    /// The hardware addresses of its cards.
    pub cards: BTreeSet<[u8; 6]>,
    /// Its addresses. Those that it gives itself on a link (RFC 4291, RFC 3927) are learned from what it sends.
    pub addresses: BTreeSet<IpAddr>,
}

/// What addresses are called. The first name of an address is the one to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    of: BTreeMap<IpAddr, Vec<String>>,
    all: usize,
}

impl Names {
    /// Makes a name of an address known, unless there are far too many already: some are told by others' DNS.
    pub fn add(&mut self, address: IpAddr, name: &str) {
        if self.all < MOST_NAMES && !self.is(address, name) {
            self.of.entry(address).or_default().push(name.to_owned());
            self.all = self.all.saturating_add(1);
        }
    }

    /// The name to show.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> Option<&str> {
        self.of.get(&address)?.first().map(String::as_str)
    }

    /// Whether the address is called so.
    #[must_use]
    pub fn is(&self, address: IpAddr, name: &str) -> bool {
        self.of.get(&address).is_some_and(|names| names.iter().any(|known| known == name))
    }
}

/// Flows, as they are put together.
#[derive(Debug, Clone, Default)]
pub struct Flows {
    view: Viewpoint,
    since: Option<Timestamp>,
    talks: HashMap<Key, Talk>,
    /// Frames that belong to flows but have no time: their capture has no pulse.
    untimed: u64,
    frames: u64,
    /// It was given up: there are too many conversations.
    crowded: bool,
    /// What DNS told the machine.
    learned: Names,
}

/// A conversation, whoever began it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    protocol: Protocol,
    low: End,
    high: End,
}

impl Key {
    fn new(protocol: Protocol, one: End, other: End) -> Self {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        Self { protocol, low, high }
    }
}

#[derive(Debug, Clone)]
struct Talk {
    client: End,
    server: End,
    beginning: Beginning,
    sent: Count,
    received: Count,
    answer: Answer,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    contact: Option<Timestamp>,
}

impl Flows {
    /// None yet. Of packets before `since` only who began is learned.
    #[must_use]
    pub fn seen_by(view: Viewpoint, since: Option<Timestamp>) -> Self {
        Self { view, since, ..Self::default() }
    }

    /// Adds the packets of a capture, up to one that begins a conversation too many. The clock is that of the same capture.
    pub fn add(&mut self, clock: &Clock, capture: impl Read) -> Result<Option<Cut>, CaptureError> {
        read(capture, |frame| {
            if let Sight::Ip(packet) = look(frame.bytes) {
                let at = clock.host_time(&frame);
                let answers = packet.protocol == Protocol::Udp && packet.from.port == Some(naming::PORT);
                if answers && self.view.cards.contains(&packet.to_card) {
                    naming::learn(frame.bytes, &mut self.learned);
                }
                self.packet(&packet, at, u64::from(frame.length))?;
            }
            self.frames = self.frames.saturating_add(1);
            ControlFlow::Continue(())
        })
    }

    /// How many frames there were, of whatever kind.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Whether there were more conversations than are put together: then not all packets are in them.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// How many packets have no time, and so are not known to be since a moment.
    #[must_use]
    pub fn untimed(&self) -> u64 {
        self.untimed
    }

    fn packet(&mut self, packet: &Packet, at: Option<Timestamp>, length: u64) -> ControlFlow<&'static str> {
        let (sent, arrived) = (self.view.cards.contains(&packet.from_card), self.view.cards.contains(&packet.to_card));
        if sent && own_on_link(packet.from.address) && self.view.addresses.len() < MOST_ADDRESSES {
            self.view.addresses.insert(packet.from.address);
        }
        let for_all = packet.to_card[0] & 1 == 1;
        // A bridge shows what is for others while it does not know where they are.
        if !(sent || arrived || for_all) {
            return ControlFlow::Continue(());
        }
        self.untimed = self.untimed.saturating_add(u64::from(at.is_none()));
        let counts = self.since.is_none_or(|since| at.is_some_and(|at| at >= since));
        if let Act::Refuse(protocol, from, to) = packet.act {
            if let Some(talk) = self.talks.get_mut(&Key::new(protocol, from, to)).filter(|_| counts) {
                talk.refused();
            }
            return ControlFlow::Continue(());
        }
        let own = |end: &End| self.view.addresses.contains(&end.address);
        // What a router passes on is in its captures twice: as it arrives, and as it leaves.
        let leaves_again = sent && !own(&packet.from) && !own(&packet.to);
        let key = Key::new(packet.protocol, packet.from, packet.to);
        if self.talks.len() >= MOST_TALKS && !self.talks.contains_key(&key) {
            self.crowded = true;
            return ControlFlow::Break(TOO_MANY);
        }
        let talk = self.talks.entry(key).or_insert_with(|| Talk::begun_by(packet));
        talk.correct(packet);
        if counts && !leaves_again {
            talk.count(packet, at, length);
        }
        ControlFlow::Continue(())
    }

    /// These names, and those that DNS told the machine.
    #[must_use]
    pub fn names(&self, known: &Names) -> Names {
        let mut names = known.clone();
        for (address, learned) in &self.learned.of {
            for name in learned {
                names.add(*address, name);
            }
        }
        names
    }

    /// The flows since the moment, in the order of their first packets.
    #[must_use]
    pub fn flows(&self, names: &Names) -> Vec<Flow> {
        let seen = self.talks.iter().filter(|(_, talk)| talk.sent.packets > 0 || talk.received.packets > 0);
        let mut flows: Vec<_> = seen.map(|(key, talk)| self.flow(key.protocol, talk, names)).collect();
        flows.sort_by_key(|flow| (flow.first, flow.from.address, flow.from.port, flow.to.address, flow.to.port));
        flows
    }

    fn flow(&self, protocol: Protocol, talk: &Talk, names: &Names) -> Flow {
        let own = |end: &End| self.view.addresses.contains(&end.address);
        let direction = match (own(&talk.client), own(&talk.server)) {
            (true, _) => Direction::Outgoing,
            (false, true) => Direction::Incoming,
            (false, false) => Direction::Between,
        };
        let party = |End { address, port }: End| {
            let name = names.of(address).map(str::to_owned);
            Party { address, port, name }
        };
        let Talk { client, server, beginning, sent, received, answer, first, last, contact } = *talk;
        let (from, to) = (party(client), party(server));
        Flow { direction, from, to, protocol, sent, received, answer, beginning, first, last, contact }
    }
}

/// Whether a machine may have given itself this address.
fn own_on_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_unspecified(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_unspecified(),
    }
}

impl Talk {
    fn begun_by(packet: &Packet) -> Self {
        let (forth, back) = ((packet.from, packet.to), (packet.to, packet.from));
        let ((client, server), beginning) = match (packet.protocol, packet.act) {
            (_, Act::Open) => (forth, Beginning::Seen),
            (_, Act::Accept) => (back, Beginning::Seen),
            (_, Act::Reply) => (back, Beginning::Guessed),
            (Protocol::Tcp, _) if packet.from.port < packet.to.port => (back, Beginning::Guessed),
            (Protocol::Tcp, _) => (forth, Beginning::Guessed),
            // A server of UDP that answers a question from before the capture.
            (Protocol::Udp, _) if packet.from.port < Some(1024) && packet.to.port >= Some(1024) => {
                (back, Beginning::Guessed)
            }
            _ => (forth, Beginning::Seen),
        };
        Self {
            client,
            server,
            beginning,
            sent: Count::default(),
            received: Count::default(),
            answer: Answer::None,
            first: None,
            last: None,
            contact: None,
        }
    }

    /// What opens a connection says for sure who began it.
    fn correct(&mut self, packet: &Packet) {
        if packet.act != Act::Open || self.beginning == Beginning::Seen {
            return;
        }
        self.beginning = Beginning::Seen;
        if self.client != packet.from {
            std::mem::swap(&mut self.client, &mut self.server);
            std::mem::swap(&mut self.sent, &mut self.received);
            (self.answer, self.contact) = (Answer::None, None);
        }
    }

    fn count(&mut self, packet: &Packet, at: Option<Timestamp>, length: u64) {
        let one = Count { packets: 1, bytes: length };
        self.first = self.first.or(at);
        self.last = at.or(self.last);
        if packet.from == self.client {
            self.sent.add(one);
            if self.contact.is_none() && matches!(packet.act, Act::Open | Act::Carry) {
                self.contact = at;
            }
            return;
        }
        self.received.add(one);
        match packet.act {
            Act::Accept | Act::Carry | Act::Reply | Act::Open => self.answer = Answer::Answered,
            Act::Reset => self.refused(),
            Act::Acknowledge | Act::Refuse(..) => {}
        }
    }

    fn refused(&mut self) {
        if self.answer == Answer::None {
            self.answer = Answer::Refused;
        }
    }
}

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
