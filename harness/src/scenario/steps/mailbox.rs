//! What a user's inbox holds, remembered and compared.

use super::super::step::{Credential, Inbox, Privacy};
use super::{Done, Stage, StepError, judged};
use crate::mail::imap::{self, MailboxName, Session};
use crate::mail::mailbox::{Difference, Holding};

/// So many differences are told in a line.
const TOLD: usize = 5;

/// The first differences, and how many more there are.
fn few(differences: &[Difference]) -> String {
    let mut told: Vec<_> = differences.iter().take(TOLD).map(ToString::to_string).collect();
    if differences.len() > TOLD {
        told.push(format!("and {} more", differences.len() - TOLD));
    }
    told.join("; ")
}

impl Stage<'_> {
    pub(super) async fn inbox(&mut self, on: &str, inbox: &Inbox) -> Result<Done, StepError> {
        let user = inbox.of.get_ref();
        let access = self.imap_access(on, user, Credential::Right, imap::Mechanism::Login, Privacy::Tls)?;
        let asked = match (&inbox.remember, &inbox.holds) {
            (Some(name), _) => format!("what the inbox of {user} holds, as `{name}`"),
            (None, Some(name)) => {
                format!("whether the inbox of {user} holds what it did at `{name}`, and what came since")
            }
            (None, None) => format!("what the inbox of {user} holds"),
        };
        let broken = |error: &dyn std::fmt::Display| StepError::Broken(error.to_string());
        let mut session = match Session::open(&self.client, &access, self.deadline()).await {
            Ok(session) => session,
            Err(probe) => {
                let transcript = Some(probe.transcript.to_string());
                return Err(StepError::Unmet(Done { asked, answered: probe.outcome.to_string(), transcript }));
            }
        };
        if let Some(flags) = &inbox.flag {
            session.select(&MailboxName::inbox()).await.map_err(|error| broken(&error))?;
            if let Some(&first) = session.uids().await.map_err(|error| broken(&error))?.first() {
                session.flag(first, flags).await.map_err(|error| broken(&error))?;
            }
        }
        let now = Holding::read(&mut session, &MailboxName::inbox()).await.map_err(|error| broken(&error))?;
        let transcript = Some(session.logout().await.to_string());
        let count = now.messages.len();
        let mut differences = Vec::new();
        if let Some(name) = &inbox.holds {
            let before = self.notes.inboxes.get(&format!("{user}:{name}"));
            let before = before
                .ok_or_else(|| StepError::Broken(format!("no step has remembered the inbox of {user} as `{name}`")))?;
            differences = before.differences(&now);
            differences.extend(now.not_once(self.notes.handed.get(user).into_iter().flatten()));
        }
        if let Some(name) = &inbox.remember {
            self.notes.inboxes.insert(format!("{user}:{name}"), now);
        }
        let accepted = self.notes.handed.get(user).map_or(0, Vec::len);
        let answered = if differences.is_empty() {
            format!("{count} messages, each of the {accepted} that were accepted, once")
        } else {
            few(&differences)
        };
        judged(differences.is_empty(), Done { asked, answered, transcript })
    }
}
