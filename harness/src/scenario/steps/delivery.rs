//! Deliveries: handed over, and seen where the step says.

use super::super::expectation::Sighting;
use super::super::step::{Credential, Deliver, Privacy, Seen};
use super::clock::by_clock;
use super::{Done, Stage, StepError, decided};
use crate::mail::message::{Address, Message};
use crate::mail::smtp::{self, Submission};
use crate::mail::{Client, delivery, imap};

impl Stage<'_> {
    pub(super) async fn deliver(&mut self, on: &str, deliver: &Deliver) -> Result<Done, StepError> {
        let deadline = self.deadline();
        let to = deliver.to.get_ref();
        let client = self.client_by(on, deliver.clock.as_ref()).await?;
        let (message, submission, way) = self.hand_over(on, deliver, &client).await?;
        // What is not accepted is seen nowhere: there the outcome is what matters.
        let seen = deliver.seen.unwrap_or(Seen::Later);
        let asked = format!(
            "a message {way} to {to}, {}{}",
            match seen {
                Seen::Imap => "seen over IMAP",
                Seen::Spool => "seen in the spool",
                Seen::Later => deliver.expect.name(),
            },
            by_clock(deliver.clock.as_ref())
        );
        let mut transcript = submission.transcript.to_string();
        if let Some(judged) = deliver.judge_submission(&submission.finding, submission.refused.len()) {
            return decided(&judged, asked, Some(transcript));
        }
        self.notes.handed.entry(to.clone()).or_default().push(message.id().clone());
        let id = message.id();
        let sighting = match seen {
            Seen::Later => Sighting::Later(id.as_str().to_owned()),
            Seen::Spool => Sighting::Spool(self.await_stored(on, to, id.as_str(), deadline).await?),
            Seen::Imap => {
                let reader = self.imap_access(on, to, Credential::Right, imap::Mechanism::Login, Privacy::Tls)?;
                let (outcome, reading) = delivery::await_arrival(&client, &reader, id, deadline).await;
                transcript += &reading.to_string();
                Sighting::Imap(outcome)
            }
        };
        decided(&deliver.judge(&sighting), asked, Some(transcript))
    }

    async fn hand_over(
        &self,
        on: &str,
        deliver: &Deliver,
        client: &Client,
    ) -> Result<(Message, Submission, String), StepError> {
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
            let submission = smtp::deliver(client, &endpoint, deliver.tls(), &message, deadline).await;
            return Ok((message, submission, format!("by a neighbour on port 25{}", deliver.tls().words())));
        };
        let message = Message::new(address(from, self.domain)?, [to], subject, body);
        let access = self.smtp_access(on, from, Credential::Right, smtp::Mechanism::Plain, Privacy::Starttls)?;
        let submission = smtp::submit(client, &access, &message, deadline).await;
        Ok((message, submission, format!("submitted as {from}")))
    }
}
