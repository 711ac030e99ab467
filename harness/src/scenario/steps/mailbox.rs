//! What a user's inbox holds, remembered and compared.

use super::super::step::{Copies, Credential, Inbox, Privacy};
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

/// Whether it is no mistake that an accepted message is not there exactly once.
fn is_allowed(odd: &Difference, each: Copies) -> bool {
    each == Copies::AtLeastOnce && matches!(odd, Difference::Times(_, 2..))
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
        let (mut differences, mut repeated) = (Vec::new(), Vec::new());
        if let Some(name) = &inbox.holds {
            let before = self.notes.inboxes.get(&format!("{user}:{name}"));
            let before = before
                .ok_or_else(|| StepError::Broken(format!("no step has remembered the inbox of {user} as `{name}`")))?;
            differences = before.differences(&now);
            let odd = now.not_once(self.notes.handed.get(user).into_iter().flatten());
            let (allowed, amiss) = odd.into_iter().partition(|odd| is_allowed(odd, inbox.each));
            repeated = allowed;
            differences.extend::<Vec<_>>(amiss);
        }
        if let Some(name) = &inbox.remember {
            self.notes.inboxes.insert(format!("{user}:{name}"), now);
        }
        let accepted = self.notes.handed.get(user).map_or(0, Vec::len);
        let answered = match (differences.as_slice(), repeated.as_slice()) {
            ([], []) => format!("{count} messages, each of the {accepted} that were accepted, once"),
            ([], repeated) => format!("{count} messages, each of the {accepted} that were accepted; {}", few(repeated)),
            (differences, _) => few(differences),
        };
        judged(differences.is_empty(), Done { asked, answered, transcript })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::missing(Copies::Once, 0, false)]
    #[case::twice(Copies::Once, 2, false)]
    #[case::missing_after_a_cut(Copies::AtLeastOnce, 0, false)]
    #[case::twice_after_a_cut(Copies::AtLeastOnce, 2, true)]
    fn a_message_may_be_there_again_and_never_missing(
        #[case] each: Copies,
        #[case] times: usize,
        #[case] allowed: bool,
    ) {
        let id = serde_json::from_value("<a@b>".into()).unwrap();
        assert_eq!(is_allowed(&Difference::Times(id, times), each), allowed);
    }
}
