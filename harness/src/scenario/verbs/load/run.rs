//! Mail in bulk, and whether all of it arrives.

use crate::figures::Figure;
use crate::mail::ConversationError;
use crate::mail::imap::{self, MailboxName, Session};
use crate::mail::load::{self as bulk, Bodies, Ledger, Rhythm, Spread, Way, Wrong};
use crate::mail::message::Address;
use crate::mail::smtp;
use crate::scenario::format::step::{Arrival, Credential, Load, Privacy};
use crate::scenario::verbs::expectation::Bulk;
use crate::scenario::verbs::test_state::Artifact;
use crate::scenario::verbs::{Done, StepContext, StepError, decided};
use crate::time::Deadline;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// After the last message was accepted, how long all of them may take to arrive: nominal.
const ARRIVAL: Duration = Duration::from_mins(1);
/// The same where some are expected not to.
const LOSS: Duration = Duration::from_secs(5);
/// How often somebody who waits hears how far it is.
const BEAT: Duration = Duration::from_secs(15);
/// So many messages that are wrong are told in a line.
const TOLD: usize = 5;

impl StepContext<'_> {
    pub(crate) async fn load(&mut self, on: &str, load: &Load) -> Result<Done, StepError> {
        let bulk = self.bulk(on, load)?;
        let asked = asked(load);
        let last = Mutex::new(Instant::now());
        let say = self.say;
        let told = |ledger: &Ledger| {
            let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if last.elapsed() >= BEAT {
                *last = Instant::now();
                say(&format!("        {} accepted, {} not taken", ledger.accepted.len(), ledger.not_taken.len()));
            }
        };
        let begun = Instant::now();
        let ledger = bulk.carry_out(&self.client, self.lab.pace(), &told).await;
        self.notes.loads += 1;
        let artifact = Artifact::json(format!("load-{}.json", self.notes.loads), &ledger);
        self.artifacts.push(artifact.map_err(|error| StepError::Broken(error.to_string()))?);
        for accepted in &ledger.accepted {
            let user = accepted.to.as_str().split('@').next().unwrap_or_default();
            self.notes.handed.entry(user.to_owned()).or_default().push(accepted.id.clone());
        }
        let all_were_let_in = ledger.not_admitted.is_empty();
        // Where readers were refused it has failed already, and who looks for the mail will hardly get in.
        let patience = if load.expect == Arrival::Complete && all_were_let_in { ARRIVAL } else { LOSS };
        let (since, deadline) = (Instant::now(), self.lab.pace().deadline(patience));
        let (mut wrong, mut unseen) = (Vec::new(), Vec::new());
        for user in load.to.get_ref() {
            match self.arrived(on, user.get_ref(), &ledger, deadline).await {
                Err(StepError::Broken(reason)) if !all_were_let_in => unseen.push(reason),
                found => wrong.extend(found?),
            }
        }
        let mut answered = ledger.to_string();
        if let Some(reason) = unseen.first() {
            let _ = write!(answered, "; what has arrived cannot be seen: {reason}");
        } else if wrong.is_empty() {
            let after = since.elapsed().as_secs_f64();
            let _ = write!(answered, "; {after:.1} s later all are there, each once and as it was sent");
        } else {
            let few: Vec<_> = wrong.iter().take(TOLD).map(ToString::to_string).collect();
            let _ = write!(answered, "; {} are not as they should be: {}", wrong.len(), few.join("; "));
        }
        let complete = wrong.is_empty() && unseen.is_empty();
        if let (Some(label), true) = (&load.label, complete) {
            self.record_figures("load", label, &figures(label, load, &ledger, begun.elapsed()))?;
        }
        let (accepted, not_admitted) = (ledger.accepted.len(), ledger.not_admitted.len());
        decided(&load.judge(Bulk { accepted, not_admitted, is_complete: complete }, answered), asked, None)
    }

    fn bulk(&self, on: &str, load: &Load) -> Result<bulk::Load, StepError> {
        let broken = |error: &dyn std::fmt::Display| StepError::Broken(error.to_string());
        let address =
            |user: &str, domain: &str| Address::new(format!("{user}@{domain}")).map_err(|error| broken(&error));
        let (way, sender) = match load.from.as_ref().map(toml::Spanned::get_ref) {
            Some(user) => {
                let mechanism = smtp::Mechanism::Plain;
                let access = self.smtp_access(on, user, Credential::Right, mechanism, Privacy::Starttls)?;
                (Way::Submission(access), address(user, self.domain)?)
            }
            None => (Way::Neighbour(self.endpoint(on, smtp::PORT)?), address("neighbour", "example.org")?),
        };
        let recipients = load.to.get_ref().iter().map(|user| address(user.get_ref(), self.domain));
        let readers = load.readers.iter().map(|user| self.reader(on, user.get_ref()));
        let rhythm = match (&load.per_minute, &load.senders) {
            (Some(messages), _) => Rhythm::PerMinute(*messages.get_ref()),
            (None, senders) => Rhythm::FlatOut(senders.as_ref().map_or(NonZeroU32::MIN, |senders| *senders.get_ref())),
        };
        Ok(bulk::Load {
            way,
            sender,
            recipients: recipients.collect::<Result<_, _>>()?,
            rhythm,
            lasts: load.lasts.duration(),
            bytes: load.bytes(),
            readers: readers.collect::<Result<_, _>>()?,
        })
    }

    fn reader(&self, on: &str, user: &str) -> Result<imap::Access, StepError> {
        self.imap_access(on, user, Credential::Right, imap::Mechanism::Login, Privacy::Tls)
    }

    /// What is wrong with what was accepted for a user, once it has arrived, or when there is no more time.
    async fn arrived(
        &self,
        on: &str,
        user: &str,
        ledger: &Ledger,
        deadline: Deadline,
    ) -> Result<Vec<Wrong>, StepError> {
        let recipient = Address::new(format!("{user}@{}", self.domain));
        let recipient = recipient.map_err(|error| StepError::Broken(error.to_string()))?;
        let access = self.reader(on, user)?;
        let expected = ledger.accepted_for(&recipient).count();
        let waited = deadline
            .poll(format!("{expected} messages for {user} to arrive"), || async {
                let bodies = self.bodies(&access, expected).await?;
                match ledger.wrong(&recipient, &bodies) {
                    wrong if wrong.iter().any(|wrong| matches!(wrong, Wrong::Times(_, 0))) => {
                        Err(format!("an inbox that lacks {} of them", wrong.len()))
                    }
                    wrong => Ok(wrong),
                }
            })
            .await;
        if let Ok(wrong) = waited {
            return Ok(wrong);
        }
        let bodies = self.bodies(&access, 0).await.map_err(StepError::Broken)?;
        Ok(ledger.wrong(&recipient, &bodies))
    }

    /// What an inbox holds. To read all of it takes long, so that begins when it has `least` messages.
    async fn bodies(&self, access: &imap::Access, least: usize) -> Result<Bodies, String> {
        let session = Session::open(&self.client, access, self.deadline()).await;
        let mut session = session.map_err(|probe| probe.finding.to_string())?;
        let read = async {
            session.select(&MailboxName::inbox()).await?;
            let count = session.uids().await?.len();
            if count < least { Ok(Err(count)) } else { bulk::bodies(&mut session).await.map(Ok) }
        };
        let read: Result<_, ConversationError> = read.await;
        session.logout().await;
        match read {
            Ok(Ok(bodies)) => Ok(bodies),
            Ok(Err(count)) => Err(format!("an inbox with {count} messages")),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Messages a minute on the whole way, from the first submission to the last message that was read back, and how long a submission
/// took.
fn figures(called: &str, load: &Load, ledger: &Ledger, whole: Duration) -> Vec<Figure> {
    let rhythm = match &load.per_minute {
        Some(messages) => format!("mail at {} a minute", messages.get_ref()),
        None => "mail flat out".into(),
    };
    let count = u32::try_from(ledger.accepted.len()).map_or(f64::INFINITY, f64::from);
    let figure = |quantity: String, value: f64, unit: &str| Figure {
        subject: called.to_owned(),
        quantity,
        value,
        unit: unit.into(),
    };
    let each = Spread::of(&ledger.accepted.iter().map(|accepted| accepted.took).collect::<Vec<_>>());
    vec![
        figure(
            format!("{rhythm}, from SMTP to all of it read by IMAP"),
            count * 60.0 / whole.as_secs_f64().max(f64::EPSILON),
            "messages a minute",
        ),
        figure(format!("{rhythm}, submission of one, median"), each.median, "s"),
    ]
}

/// The load in a few words.
fn asked(load: &Load) -> String {
    let rhythm = match (&load.per_minute, &load.senders) {
        (Some(messages), _) => {
            let least =
                load.at_least.as_ref().map_or_else(String::new, |least| format!(" (at least {})", least.get_ref()));
            format!("{} messages a minute{least}", messages.get_ref())
        }
        (None, None) => "messages by one sender".into(),
        (None, Some(senders)) => format!("messages by {} senders at once", senders.get_ref()),
    };
    let from = load
        .from
        .as_ref()
        .map_or("by a neighbour on port 25".into(), |user| format!("submitted as {}", user.get_ref()));
    let to: Vec<_> = load.to.get_ref().iter().map(|user| user.get_ref().as_str()).collect();
    let readers = match load.readers.len() {
        0 => String::new(),
        1 => format!(" while {} reads", load.readers[0].get_ref()),
        many => format!(" while {many} users read"),
    };
    format!("{rhythm} for {}, {from}, to {}{readers}", load.lasts, to.join(" and "))
}
