//! Whom a machine contacted, and whether it may.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use super::destination::Destination;
use super::flow::{Answer, Count, Direction, Flow, Party, Protocol};
use super::gather::Names;
use jiff::Timestamp;
use std::collections::HashMap;
use std::fmt;

/// All that a machine said to one service of another: flows that differ in their own port only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Whom.
    pub to: Party,
    /// By what.
    pub protocol: Protocol,
    /// When it was contacted first.
    pub first: Timestamp,
    /// How many flows.
    pub flows: usize,
    /// What the machine said.
    pub sent: Count,
    /// What was said to it.
    pub received: Count,
    /// The best that became of any of them.
    pub answer: Answer,
}

impl Contact {
    /// The contacts that a machine began itself, in the order of time. What only acknowledges is no contact.
    #[must_use]
    pub fn all(flows: &[Flow]) -> Vec<Self> {
        let (mut contacts, mut places): (Vec<Self>, HashMap<_, usize>) = Default::default();
        for flow in flows.iter().filter(|flow| flow.direction == Direction::Outgoing) {
            let Some(first) = flow.contact else { continue };
            let place = *places.entry((flow.to.address, flow.to.port, flow.protocol)).or_insert(contacts.len());
            let Some(known) = contacts.get_mut(place) else {
                let Flow { to, protocol, sent, received, answer, .. } = flow.clone();
                contacts.push(Self { to, protocol, first, flows: 1, sent, received, answer });
                continue;
            };
            known.first = known.first.min(first);
            known.flows = known.flows.saturating_add(1);
            known.sent.add(flow.sent);
            known.received.add(flow.received);
            known.answer = known.answer.or(flow.answer);
        }
        contacts.sort_by_key(|contact| contact.first);
        contacts
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.to, self.protocol)?;
        if self.to.name.is_some() {
            write!(f, " ({})", self.to.address)?;
        }
        Ok(())
    }
}

/// Whether a machine contacted whom it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whom it contacted and may not.
    pub strangers: Vec<Contact>,
    /// Whom it was to contact and did not.
    pub missing: Vec<Destination>,
}

/// Holds contacts against whom a machine may contact.
#[must_use]
pub fn judge(contacts: &[Contact], may: &[Destination], names: &Names) -> Verdict {
    let is = |destination: &Destination, contact: &Contact| {
        destination.includes(contact.to.address, contact.to.port, contact.protocol, names)
    };
    let strangers = contacts.iter().filter(|contact| !may.iter().any(|known| is(known, contact))).cloned().collect();
    let missing = may.iter().filter(|known| !contacts.iter().any(|contact| is(known, contact))).cloned().collect();
    Verdict { strangers, missing }
}
