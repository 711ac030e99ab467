//! Measures: how fast a disk is, and how much mail a server carries.

use super::super::measures::{Fio, Load};
use super::super::step::{Credential, Privacy};
use super::notes::Exhibit;
use super::{Done, Stage, StepError};
use crate::figures::{FILES, Figure, told};
use crate::machine::quoted;
use crate::mail::message::Address;
use crate::mail::{imap, load, smtp};
use crate::storage::fio;
use std::time::Duration;

/// How long the part of a measure may take that is not bounded by itself: nominal.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a single message may take under load: nominal.
const MESSAGE: Duration = Duration::from_secs(5);

impl Stage<'_> {
    pub(super) async fn fio(&mut self, on: &str, measure: &Fio) -> Result<Done, StepError> {
        let (disk, each) = (measure.disk.get_ref(), measure.each.duration());
        let command = fio::command(&quoted(disk), measure.format(), each);
        let deadline = self.lab.pace().deadline(PATIENCE + 4 * each);
        let output = self.machine(on)?.execute(&command, deadline).await?;
        let asked = format!("fio on {disk}, served by qemu-nbd");
        let transcript = Some(format!("{command}\n\n{}{}", output.stdout, output.stderr));
        if output.status != 0 {
            return Err(StepError::Unmet(Done { asked, answered: format!("status {}", output.status), transcript }));
        }
        match fio::figures(&measure.called, &output.stdout) {
            Ok(figures) => {
                Ok(Done { asked, answered: self.record_figures("fio", &measure.called, &figures)?, transcript })
            }
            Err(unreadable) => Err(StepError::Unmet(Done { asked, answered: unreadable.to_string(), transcript })),
        }
    }

    pub(super) async fn load(&mut self, on: &str, measure: &Load) -> Result<Done, StepError> {
        let (from, to) = (measure.from.get_ref(), measure.to.get_ref());
        let address = |user: &str| {
            Address::new(format!("{user}@{}", self.domain)).map_err(|error| StepError::Broken(error.to_string()))
        };
        let messages = *measure.messages.get_ref();
        let sender = self.smtp_access(on, from, Credential::Right, smtp::Mechanism::Plain, Privacy::Starttls)?;
        let reader = self.imap_access(on, to, Credential::Right, imap::Mechanism::Login, Privacy::Tls)?;
        let (from, to_address) = (address(from)?, address(to)?);
        let load =
            load::Load { client: &self.client, sender: &sender, reader: &reader, from, to: to_address, messages };
        let deadline = self.lab.pace().deadline(PATIENCE + MESSAGE * messages);
        let (rate, carried) = match measure.interval() {
            Some(interval) => {
                let rate = format!("at {} a minute", measure.per_minute.unwrap_or_default());
                (rate, load.paced(interval, deadline.at_least(interval * messages)).await)
            }
            None => ("flat out".to_owned(), load.flat_out(deadline).await),
        };
        let asked = format!("{messages} messages to {to}, {rate}, each until it is seen over IMAP");
        let carried = match carried {
            Ok(carried) => carried,
            Err(error) => {
                return Err(StepError::Unmet(Done { asked, answered: error.to_string(), transcript: None }));
            }
        };
        let figure = |quantity: String, value: f64, unit: &str| Figure {
            subject: measure.called.clone(),
            quantity,
            value,
            unit: unit.into(),
        };
        let mut figures = vec![figure(format!("mail {rate}"), carried.per_minute(), "messages a minute")];
        if let Some(median) = carried.median() {
            figures.push(figure(format!("mail {rate}, from submission to IMAP, median"), median.as_secs_f64(), "s"));
        }
        self.notes.handed.entry(to.clone()).or_default().extend(carried.accepted);
        let answered = self.record_figures("load", &measure.called, &figures)?;
        Ok(Done { asked, answered, transcript: None })
    }

    /// Puts figures into the results, and tells them.
    fn record_figures(&mut self, verb: &str, called: &str, figures: &[Figure]) -> Result<String, StepError> {
        let name: String = called.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let number = self.notes.figures;
        self.notes.figures += 1;
        let exhibit = Exhibit::json(format!("{FILES}{number}-{verb}-{name}.json"), &figures);
        self.exhibits.push(exhibit.map_err(|error| StepError::Broken(error.to_string()))?);
        let words = figures.iter().map(|it| format!("{}: {} {}", it.quantity, told(it.value), it.unit));
        Ok(words.collect::<Vec<_>>().join("; "))
    }
}
