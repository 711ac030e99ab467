//! Deliveries: handed over, and seen where the step says.

use crate::mail::message::{Address, Message};
use crate::mail::smtp::{self, Submission};
use crate::mail::{Client, delivery, imap};
use crate::scenario::format::step::{Credential, Deliver, Privacy, Seen};
use crate::scenario::verbs::expectation::Sighting;
use crate::scenario::verbs::machine::clock::by_clock;
use crate::scenario::verbs::{Done, StepContext, StepError, decided};

impl StepContext<'_> {
    pub(crate) async fn deliver(&mut self, on: &str, deliver: &Deliver) -> Result<Done, StepError> {
        let deadline = self.deadline();
        let to = deliver.to.get_ref();
        let client = self.client_by(on, deliver.clock.as_ref()).await?;
        let (message, submission, way) = self.hand_over(on, deliver, &client).await?;
        // Nobody looks for a message that is not accepted: the outcome is what matters.
        let asked = format!(
            "a message {way} to {to}, {}{}",
            match deliver.seen {
                Some(Seen::Imap) => "seen over IMAP",
                Some(Seen::Spool) => "seen in the spool",
                None => deliver.expect.name(),
            },
            by_clock(deliver.clock.as_ref())
        );
        let mut transcript = submission.transcript.to_string();
        if let Some(judged) = deliver.judge_submission(&submission.finding, submission.refused.len()) {
            return decided(&judged, asked, Some(transcript));
        }
        self.notes.handed.entry(to.clone()).or_default().push(message.id().clone());
        let id = message.id();
        let sighting = match deliver.seen {
            None => Sighting::Later(id.as_str().to_owned()),
            Some(Seen::Spool) => Sighting::Spool(self.await_stored(on, to, id.as_str(), deadline).await?),
            Some(Seen::Imap) => {
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
