//! Handing a message over: sender, recipients one by one, text; every refusal is kept.

use super::super::conversation::ConversationError;
use super::super::message::{Address, Message};
use super::super::outcome::Finding;
use super::super::transcript::Transcript;
use super::reply::Reply;
use super::session::Session;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a submission came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Connection, TLS, EHLO and, if asked for, the login.
    Opening,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipients,
    /// `DATA` and the text.
    Text,
    /// The server has the message.
    Done,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opening => "connection and login",
            Self::Sender => "sender",
            Self::Recipients => "recipients",
            Self::Text => "message text",
            Self::Done => "done",
        })
    }
}

/// A recipient that the server does not take, and its reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientRefusal {
    /// Who.
    pub recipient: Address,
    /// Why, in the server's words.
    pub reply: Reply,
}

/// One attempt to hand a message over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// Accepted if the server took the message for at least one recipient.
    pub finding: Finding,
    /// How far it came.
    pub stage: Stage,
    /// The recipients that the server took.
    pub accepted: Vec<Address>,
    /// Those that it did not.
    pub refused: Vec<RecipientRefusal>,
    /// The reply that decided: to the text, or the one that ended the attempt. None if no reply did.
    pub reply: Option<Reply>,
    /// The dialogue, without secrets.
    pub transcript: Transcript,
    /// From the dialling to the verdict, in seconds of the host's clock.
    pub seconds: f64,
}

impl fmt::Display for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (at: {}, after {:.1} s)", self.finding, self.stage, self.seconds)?;
        self.transcript.fmt(f)
    }
}

/// What was found so far.
struct Progress {
    stage: Stage,
    accepted: Vec<Address>,
    refused: Vec<RecipientRefusal>,
    reply: Option<Reply>,
}

/// Hands `message` over in a session that was `opened`, and takes leave.
pub(super) async fn hand_over(
    mut session: Session,
    opened: Result<(), ConversationError>,
    message: &Message,
) -> Submission {
    let mut progress = Progress { stage: Stage::Opening, accepted: vec![], refused: vec![], reply: None };
    let result = match opened {
        Ok(()) => transact(&mut session, message, &mut progress).await,
        Err(error) => Err(error),
    };
    let finding = match (&result, &progress.reply) {
        (Err(error), _) => Finding::from(error),
        (Ok(()), Some(reply)) if !reply.is_positive() => super::finding_of(reply),
        (Ok(()), _) => Finding::accepted(),
    };
    let seconds = session.wire.recorder.seconds();
    session.close(&result).await;
    let Progress { stage, accepted, refused, reply } = progress;
    Submission { finding, stage, accepted, refused, reply, transcript: session.wire.recorder.finish(), seconds }
}

/// The mail transaction (RFC 5321 §3.3). The reply that decides is left in `progress`.
async fn transact(session: &mut Session, message: &Message, progress: &mut Progress) -> Result<(), ConversationError> {
    progress.stage = Stage::Sender;
    let sender = session.ask("MAIL", &format!("FROM:<{}>", message.sender())).await?;
    if !sender.is_positive() {
        progress.reply = Some(sender);
        return Ok(());
    }
    progress.stage = Stage::Recipients;
    for recipient in message.recipients() {
        let reply = session.ask("RCPT", &format!("TO:<{recipient}>")).await?;
        if reply.is_positive() {
            progress.accepted.push(recipient.clone());
        } else {
            progress.reply = Some(reply.clone());
            progress.refused.push(RecipientRefusal { recipient: recipient.clone(), reply });
        }
    }
    if progress.accepted.is_empty() {
        return progress.reply.is_some().then_some(()).ok_or_else(|| ConversationError::NotNow {
            command: "RCPT".into(),
            reason: "the message names no recipient".into(),
        });
    }
    progress.stage = Stage::Text;
    let mut reply = session.ask("DATA", "").await?;
    if reply.code == 354 {
        reply = session.send_data(&message.smtp_data()).await?;
        if reply.code == 250 {
            progress.stage = Stage::Done;
        }
    }
    if reply.is_positive() && progress.stage != Stage::Done {
        return Err(ConversationError::Unexpected { expected: "a reply to DATA".into(), got: reply.to_string() });
    }
    progress.reply = Some(reply);
    Ok(())
}

#[cfg(test)]
#[path = "submission_tests.rs"]
mod tests;
