//! Deliveries: handed over, and seen where the step says.

use super::super::step::{Credential, Deliver, Privacy, Seen};
use super::{Done, Stage, StepError};
use crate::mail::message::{Address, Message};
use crate::mail::smtp::{self, Submission};
use crate::mail::{Security, delivery, imap};

impl Stage<'_> {
    pub(super) async fn deliver(&mut self, on: &str, deliver: &Deliver) -> Result<Done, StepError> {
        let deadline = self.deadline();
        let to = deliver.to.get_ref();
        let (message, submission, way) = self.hand_over(on, deliver).await?;
        let asked = format!(
            "a message {way} to {to}, {}",
            match deliver.seen {
                Seen::Imap => "seen over IMAP",
                Seen::Spool => "seen in the spool",
                Seen::Later => "accepted",
            }
        );
        if !submission.outcome.is_accepted() || !submission.refused.is_empty() {
            let transcript = Some(submission.transcript.to_string());
            return Err(StepError::Unmet(Done { asked, answered: submission.to_string(), transcript }));
        }
        self.notes.handed.entry(to.clone()).or_default().push(message.id().clone());
        let mut transcript = submission.transcript.to_string();
        let id = message.id().as_str().to_owned();
        let seen = match deliver.seen {
            Seen::Later => Ok(format!("accepted as {id}")),
            Seen::Spool => {
                let judged = self.await_stored(on, to, &id, deadline).await?.judge("seen", to);
                if judged.is_met() { Ok(judged.answered()) } else { Err(judged.answered()) }
            }
            Seen::Imap => {
                let reader = self.imap_access(on, to, Credential::Right, imap::Mechanism::Login, Privacy::Tls)?;
                let (outcome, reading) = delivery::await_arrival(&self.client, &reader, message.id(), deadline).await;
                transcript += &reading.to_string();
                match outcome {
                    delivery::DeliveryOutcome::Arrived { .. } => Ok(outcome.to_string()),
                    other => Err(other.to_string()),
                }
            }
        };
        match seen {
            Ok(where_) => Ok(Done { asked, answered: where_.trim().to_owned(), transcript: Some(transcript) }),
            Err(answered) => Err(StepError::Unmet(Done { asked, answered, transcript: Some(transcript) })),
        }
    }

    async fn hand_over(&self, on: &str, deliver: &Deliver) -> Result<(Message, Submission, String), StepError> {
        let deadline = self.deadline();
        let address = |user: &str, domain: &str| {
            Address::new(format!("{user}@{domain}")).map_err(|error| StepError::Broken(error.to_string()))
        };
        let to = address(deliver.to.get_ref(), self.domain)?;
        let subject = "Rehearsal";
        let body = "Sent to see whether it arrives.";
        let Some(from) = deliver.from.as_ref().map(toml::Spanned::get_ref) else {
            let message = Message::new(address("neighbour", "example.org")?, [to], subject, body);
            let endpoint = self.endpoint(on, smtp::PORT)?;
            let submission = smtp::deliver(&self.client, &endpoint, Security::StartTls, &message, deadline).await;
            return Ok((message, submission, "by a neighbour on port 25".into()));
        };
        let message = Message::new(address(from, self.domain)?, [to], subject, body);
        let access = self.smtp_access(on, from, Credential::Right, smtp::Mechanism::Plain, Privacy::Starttls)?;
        let submission = smtp::submit(&self.client, &access, &message, deadline).await;
        Ok((message, submission, format!("submitted as {from}")))
    }
}
