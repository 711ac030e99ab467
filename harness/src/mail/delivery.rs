//! A message's way from one user to another: submitted over SMTP by the first, waited for over IMAP by the second.

use super::client::Client;
use super::conversation::ConversationError;
use super::imap::{self, Criterion, MailboxName, Session, Uid};
use super::message::{Message, MessageId};
use super::outcome::Finding;
use super::smtp::{self, Submission};
use super::transcript::Transcript;
use crate::time::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;
use tokio::sync::Mutex;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DeliveryOutcome {
    /// The reader sees it.
    Arrived {
        /// Its number in the reader's inbox.
        uid: Uid,
        /// From the end of the submission to the sight of it, in seconds.
        seconds: f64,
    },
    /// The server did not take it for every recipient; see the submission.
    NotSubmitted,
    /// The reader could not log in: nothing is known about the delivery.
    ReaderNotAdmitted {
        /// How the server met the reader.
        finding: Finding,
    },
    /// The reader's session ended while it waited.
    ReaderCutOff {
        /// How.
        finding: Finding,
    },
    /// It did not come in time.
    NotSeen {
        /// How long the reader waited, and what it saw last.
        detail: String,
    },
    /// It came more than once.
    Duplicated {
        /// The copies' numbers in the reader's inbox.
        uids: Vec<Uid>,
    },
}

impl fmt::Display for DeliveryOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arrived { uid, seconds } => write!(f, "arrived after {seconds:.1} s as message {uid}"),
            Self::NotSubmitted => f.write_str("not taken by the server"),
            Self::ReaderNotAdmitted { finding } => write!(f, "the reader could not log in: {finding}"),
            Self::ReaderCutOff { finding } => write!(f, "the reader's session ended: {finding}"),
            Self::NotSeen { detail } => write!(f, "not seen: {detail}"),
            Self::Duplicated { uids } => write!(f, "arrived {} times", uids.len()),
        }
    }
}

/// One message's way, with both dialogues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// What became of it.
    pub outcome: DeliveryOutcome,
    /// Which message.
    pub message_id: MessageId,
    /// How it was handed over.
    pub submission: Submission,
    /// The reader's dialogue: of its looks into the inbox, the last. None if nothing was submitted.
    pub reading: Option<Transcript>,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.message_id, self.outcome)?;
        write!(f, "sent: {}", self.submission)?;
        if let Some(reading) = &self.reading {
            write!(f, "read:\n{reading}")?;
        }
        Ok(())
    }
}

/// Submits `message` as `sender`, and waits until `reader` sees it in the inbox.
pub async fn send_and_await(
    client: &Client,
    sender: &smtp::Access,
    reader: &imap::Access,
    message: &Message,
    deadline: Deadline,
) -> Delivery {
    let submission = smtp::submit(client, sender, message, deadline).await;
    follow(client, submission, reader, message.id(), deadline).await
}

/// Waits until `reader` sees the message of a `submission`, made in whichever way, in the inbox.
pub async fn follow(
    client: &Client,
    submission: Submission,
    reader: &imap::Access,
    message_id: &MessageId,
    deadline: Deadline,
) -> Delivery {
    let (outcome, reading) = if submission.finding.is_accepted() && submission.refused.is_empty() {
        let (outcome, reading) = await_arrival(client, reader, message_id, deadline).await;
        (outcome, Some(reading))
    } else {
        (DeliveryOutcome::NotSubmitted, None)
    };
    Delivery { outcome, message_id: message_id.clone(), submission, reading }
}

/// Waits until `reader` sees the message in the inbox.
pub async fn await_arrival(
    client: &Client,
    reader: &imap::Access,
    message_id: &MessageId,
    deadline: Deadline,
) -> (DeliveryOutcome, Transcript) {
    let began = Instant::now();
    let session = match Session::open(client, reader, deadline).await {
        Ok(session) => session,
        Err(probe) => return (DeliveryOutcome::ReaderNotAdmitted { finding: probe.finding }, probe.transcript),
    };
    watch(session, message_id, deadline, began).await
}

/// Looks again and again until the message is there.
async fn watch(
    session: Session,
    message_id: &MessageId,
    deadline: Deadline,
    began: Instant,
) -> (DeliveryOutcome, Transcript) {
    let mark = session.mark();
    // An attempt borrows the session, and the next one only begins when it has ended: the lock is always free.
    let session = Mutex::new(session);
    let waited = deadline
        .poll(format!("message {message_id} to arrive"), || async {
            let mut session = session.lock().await;
            session.rewind(mark);
            match look(&mut session, message_id).await {
                Ok(uids) if uids.is_empty() => Err("an inbox without it".to_owned()),
                other => Ok(other),
            }
        })
        .await;
    let outcome = match waited {
        Ok(Ok(uids)) => match uids.as_slice() {
            [uid] => DeliveryOutcome::Arrived { uid: *uid, seconds: began.elapsed().as_secs_f64() },
            _ => DeliveryOutcome::Duplicated { uids },
        },
        Ok(Err(ConversationError::Expired(expired))) | Err(expired) => {
            DeliveryOutcome::NotSeen { detail: expired.to_string() }
        }
        Ok(Err(error)) => DeliveryOutcome::ReaderCutOff { finding: Finding::from(&error) },
    };
    let mut session = session.into_inner();
    session.note(&outcome);
    (outcome, session.logout().await)
}

/// Selecting anew shows what has arrived since, whatever the server thinks of polling.
async fn look(session: &mut Session, message_id: &MessageId) -> Result<Vec<Uid>, ConversationError> {
    session.select(&MailboxName::inbox()).await?;
    session.search(Criterion::MessageId(message_id)).await
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
