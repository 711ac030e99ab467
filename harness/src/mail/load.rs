//! A server under load: messages that a user submits after a login, at some rate or as fast as they are taken, until the recipient sees
//! each over IMAP.

use super::client::Client;
use super::conversation::ConversationError;
use super::imap::{self, Criterion, MailboxName, Session};
use super::message::{Address, Message, MessageId};
use super::smtp;
use crate::time::{Deadline, Pauses};
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use std::time::{Duration, Instant};

/// So many connections hand messages over at once when nobody waits between them.
const LANES: usize = 3;

/// Who sends what to whom.
#[derive(Debug)]
pub struct Load<'a> {
    /// Reaches the server.
    pub client: &'a Client,
    /// The login of who submits.
    pub sender: &'a smtp::Access,
    /// The login of who reads.
    pub reader: &'a imap::Access,
    /// The sender's address.
    pub from: Address,
    /// The reader's address.
    pub to: Address,
    /// How many messages.
    pub messages: u32,
}

/// How it went.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    /// From the beginning of the first submission to the sight of the last message.
    pub whole: Duration,
    /// From the beginning of each submission to the sight of its message, if they were sent one after the other.
    pub each: Vec<Duration>,
    /// The messages: all of them came.
    pub accepted: Vec<MessageId>,
}

/// Why not all messages came.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The server did not take a message.
    #[error("message {number} was not taken: {reason}")]
    NotTaken {
        /// Which, from 1.
        number: u32,
        /// What the server said.
        reason: String,
    },
    /// The reader could not log in.
    #[error("the reader could not log in: {0}")]
    NotAdmitted(String),
    /// The reader's session ended.
    #[error("the reader's session ended: {0}")]
    CutOff(#[from] ConversationError),
    /// Accepted messages did not come in time.
    #[error("{missing} of {accepted} messages that were accepted did not come in time")]
    NotSeen {
        /// How many are missing.
        missing: usize,
        /// How many were accepted.
        accepted: usize,
    },
}

impl Carried {
    /// Messages a minute.
    #[must_use]
    pub fn per_minute(&self) -> f64 {
        let count = u32::try_from(self.accepted.len()).unwrap_or(u32::MAX);
        f64::from(count) * 60.0 / self.whole.as_secs_f64().max(f64::EPSILON)
    }

    /// The middle one of the times that messages took; none if they were not sent one after the other.
    #[must_use]
    pub fn median(&self) -> Option<Duration> {
        let mut sorted = self.each.clone();
        sorted.sort();
        sorted.get(sorted.len() / 2).copied()
    }
}

impl Load<'_> {
    /// Sends the messages one after the other, each begun when `interval` has passed since the one before, or when that has come
    /// if it took longer.
    pub async fn paced(&self, interval: Duration, deadline: Deadline) -> Result<Carried, LoadError> {
        let mut session = self.reader(deadline).await?;
        let (mut each, mut accepted) = (Vec::new(), Vec::new());
        let begun = Instant::now();
        for number in 1..=self.messages {
            tokio::time::sleep_until((begun + interval * (number - 1)).into()).await;
            let started = Instant::now();
            let id = self.hand_over(number, deadline).await?;
            accepted.push(id.clone());
            arrived(&mut session, &[id], deadline).await?;
            each.push(started.elapsed());
        }
        let whole = begun.elapsed();
        session.logout().await;
        Ok(Carried { whole, each, accepted })
    }

    /// Sends the messages as fast as the server takes them, and waits until all have come.
    pub async fn flat_out(&self, deadline: Deadline) -> Result<Carried, LoadError> {
        let mut session = self.reader(deadline).await?;
        let begun = Instant::now();
        let submissions = iter(1..=self.messages).map(|number| self.hand_over(number, deadline));
        let accepted: Vec<_> = submissions.buffer_unordered(LANES).try_collect().await?;
        arrived(&mut session, &accepted, deadline).await?;
        let whole = begun.elapsed();
        session.logout().await;
        Ok(Carried { whole, each: Vec::new(), accepted })
    }

    async fn reader(&self, deadline: Deadline) -> Result<Session, LoadError> {
        let opened = Session::open(self.client, self.reader, deadline).await;
        opened.map_err(|probe| LoadError::NotAdmitted(probe.outcome.to_string()))
    }

    async fn hand_over(&self, number: u32, deadline: Deadline) -> Result<MessageId, LoadError> {
        let subject = format!("Number {number}");
        let message = Message::new(self.from.clone(), [self.to.clone()], subject, "Sent to see how long it takes.");
        let submission = smtp::submit(self.client, self.sender, &message, deadline).await;
        if submission.outcome.is_accepted() && submission.refused.is_empty() {
            Ok(message.id().clone())
        } else {
            Err(LoadError::NotTaken { number, reason: submission.outcome.to_string() })
        }
    }
}

/// Waits until the reader sees all of these.
async fn arrived(session: &mut Session, ids: &[MessageId], deadline: Deadline) -> Result<(), LoadError> {
    let mut missing: Vec<_> = ids.iter().collect();
    let mut pauses = Pauses::default();
    let mark = session.mark();
    loop {
        session.rewind(mark);
        session.select(&MailboxName::inbox()).await?;
        // The first that is not there yet ends the look: the others are most likely behind it.
        while let Some(id) = missing.first() {
            if session.search(Criterion::MessageId(id)).await?.is_empty() {
                break;
            }
            missing.remove(0);
        }
        if missing.is_empty() {
            return Ok(());
        }
        if deadline.passed() {
            return Err(LoadError::NotSeen { missing: missing.len(), accepted: ids.len() });
        }
        pauses.next(&deadline).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_told_in_messages_a_minute() {
        let seconds = |each: &[u64]| each.iter().map(|seconds| Duration::from_secs(*seconds)).collect::<Vec<_>>();
        let from = Address::new("alice@lan.test").unwrap();
        let accepted: Vec<_> =
            (0..3).map(|_| Message::new(from.clone(), [from.clone()], "x", "y").id().clone()).collect();
        let carried = Carried { whole: Duration::from_secs(18), each: seconds(&[5, 1, 2]), accepted };
        assert!((carried.per_minute() - 10.0).abs() < 1e-9);
        assert_eq!(carried.median(), Some(Duration::from_secs(2)));
        assert_eq!(Carried { each: Vec::new(), ..carried }.median(), None);
    }
}
