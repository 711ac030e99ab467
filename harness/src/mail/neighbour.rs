//! A neighbour that hands over mail, one message after the other, while something happens to the server: as fetchmail or
//! another mail server does, it keeps a message that was not taken and tries again.

use super::client::{Client, Endpoint};
use super::message::{Address, Message, MessageId};
use super::smtp::{self, TransportTls};
use crate::time::Deadline;
use std::time::Duration;

/// From one attempt to the next: how busy the neighbour is. Nothing is waited for here.
const PAUSE: Duration = Duration::from_secs(15);
/// A server that is down must not hold up the next attempt for long.
const PATIENCE: Duration = Duration::from_secs(45);

/// Where its mail goes.
#[derive(Debug)]
pub struct Neighbour {
    /// The server's port 25.
    pub endpoint: Endpoint,
    /// Who sends.
    pub sender: Address,
    /// Who gets it.
    pub recipient: Address,
}

/// What became of its mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handed {
    /// What the server accepted: from then on it must not be lost.
    pub accepted: Vec<MessageId>,
    /// How often the server did not take a message.
    pub deferred: usize,
}

impl Neighbour {
    /// Hands over messages until it is dropped. What stands in `handed` is true at any moment; a message whose acceptance is
    /// on its way at the end does not stand there.
    pub async fn hand_over(&self, client: &Client, handed: &mut Handed) {
        let mut waiting = None;
        loop {
            let message = waiting.take().unwrap_or_else(|| self.message(handed.accepted.len() + 1));
            let deadline = Deadline::after(PATIENCE);
            let submission = smtp::deliver(client, &self.endpoint, TransportTls::default(), &message, deadline).await;
            if submission.finding.is_accepted() && submission.refused.is_empty() {
                handed.accepted.push(message.id().clone());
            } else {
                handed.deferred += 1;
                waiting = Some(message);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn message(&self, number: usize) -> Message {
        let recipients = [self.recipient.clone()];
        Message::new(self.sender.clone(), recipients, format!("Number {number}"), "Sent while the server changes.")
    }
}
