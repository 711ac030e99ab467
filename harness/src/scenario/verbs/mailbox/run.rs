//! What a user's inbox holds, remembered and compared.

use crate::mail::imap::{self, MailboxName, Session};
use crate::mail::mailbox::Holding;
use crate::scenario::format::step::{Credential, Inbox, Privacy};
use crate::scenario::verbs::expectation::{InboxSeen, Instead};
use crate::scenario::verbs::{Done, StepContext, StepError, decided};

impl StepContext<'_> {
    pub(crate) async fn inbox(&mut self, on: &str, inbox: &Inbox) -> Result<Done, StepError> {
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
                let done = Done { asked, answered: probe.finding.to_string(), transcript };
                return Err(StepError::Unmet(done, Instead::Unclear));
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
        let remembered = inbox.holds.as_ref().map(|name| {
            let before = self.notes.inboxes.get(&format!("{user}:{name}"));
            before.ok_or_else(|| StepError::Broken(format!("no step has remembered the inbox of {user} as `{name}`")))
        });
        let own = self.notes.handed.get(user).map_or(&[][..], Vec::as_slice);
        let others = self.notes.handed.iter().filter(|(other, _)| *other != user);
        let of_others: Vec<_> = others.flat_map(|(_, ids)| ids).collect();
        let seen = InboxSeen { before: remembered.transpose()?, now: &now, own, of_others: &of_others };
        let judged = inbox.judge(seen);
        if let Some(name) = &inbox.remember {
            self.notes.inboxes.insert(format!("{user}:{name}"), now);
        }
        decided(&judged, asked, transcript)
    }
}
