//! Deliveries: handed over, and seen where the step says.

use super::super::expectation::Sighting;
use super::super::step::{Credential, Deliver, Privacy, Seen};
use super::{Done, Stage, StepError, decided};
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
        let mut transcript = submission.transcript.to_string();
        let (outcome, refused) = (&submission.outcome, submission.refused.len());
        if let Some(refused) = Deliver::judge_submission(outcome, refused, &submission.to_string()) {
            return decided(&refused, asked, Some(transcript));
        }
        self.notes.handed.entry(to.clone()).or_default().push(message.id().clone());
        let id = message.id();
        let sighting = match deliver.seen {
            Seen::Later => Sighting::Later(id.as_str().to_owned()),
            Seen::Spool => Sighting::Spool(self.await_stored(on, to, id.as_str(), deadline).await?),
            Seen::Imap => {
                let reader = self.imap_access(on, to, Credential::Right, imap::Mechanism::Login, Privacy::Tls)?;
                let (outcome, reading) = delivery::await_arrival(&self.client, &reader, id, deadline).await;
                transcript += &reading.to_string();
                Sighting::Imap(outcome)
            }
        };
        decided(&deliver.judge(&sighting), asked, Some(transcript))
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
