//! What a user's inbox holds, held against what it did, and against what the server has accepted.

use crate::mail::mailbox::{Difference, Holding};
use crate::mail::message::MessageId;
use crate::scenario::format::step::{Copies as Times, Inbox};
use crate::scenario::verbs::expectation::Instead::Sound;
use crate::scenario::verbs::expectation::Judged;

/// So many differences are told in a line.
const TOLD: usize = 5;

/// What an inbox held, holds, and should have got.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InboxSeen<'a> {
    /// What it held when that was remembered.
    pub(crate) before: Option<&'a Holding>,
    /// What it holds.
    pub(crate) now: &'a Holding,
    /// What the server has accepted for its user.
    pub(crate) own: &'a [MessageId],
    /// What the server has accepted for other users.
    pub(crate) of_others: &'a [&'a MessageId],
}

impl Inbox {
    /// Holds an inbox against the expectation.
    pub(crate) fn judge(&self, seen: InboxSeen<'_>) -> Judged {
        let (count, accepted) = (seen.now.messages.len(), seen.own.len());
        let Some(before) = seen.before else {
            return Judged::new(format!("{count} messages"));
        };
        let (allowed, amiss): (Vec<_>, Vec<_>) =
            seen.now.not_once(seen.own).into_iter().partition(|odd| is_allowed(odd, self.each));
        let mut judged = Judged::new(match allowed.as_slice() {
            [] => format!("{count} messages, each of the {accepted} that were accepted, once"),
            repeated => format!("{count} messages, each of the {accepted} that were accepted; {}", few(repeated)),
        });
        let mut differences = before.differences(seen.now);
        differences.extend(seen.now.strays(seen.of_others));
        let (missing, repeated): (Vec<_>, Vec<_>) =
            amiss.into_iter().partition(|odd| !matches!(odd, Difference::Times(_, 2..)));
        differences.extend(missing);
        if !(differences.is_empty() && repeated.is_empty()) {
            judged.observed = format!("{count} messages");
        }
        judged.expect("holds", differences.is_empty(), Sound, || few(&differences));
        judged.expect("each", repeated.is_empty(), Sound, || few(&repeated));
        judged
    }
}

/// The first differences, and how many more there are.
fn few(differences: &[Difference]) -> String {
    let mut told: Vec<_> = differences.iter().take(TOLD).map(ToString::to_string).collect();
    if differences.len() > TOLD {
        told.push(format!("and {} more", differences.len() - TOLD));
    }
    told.join("; ")
}

/// Whether it is no mistake that an accepted message is not there exactly once.
fn is_allowed(odd: &Difference, each: Times) -> bool {
    each == Times::AtLeastOnce && matches!(odd, Difference::Times(_, 2..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::missing(Times::Once, 0, false)]
    #[case::twice(Times::Once, 2, false)]
    #[case::missing_after_a_cut(Times::AtLeastOnce, 0, false)]
    #[case::twice_after_a_cut(Times::AtLeastOnce, 2, true)]
    fn a_message_may_be_there_again_and_never_missing(
        #[case] each: Times,
        #[case] times: usize,
        #[case] allowed: bool,
    ) {
        let id = serde_json::from_value("<a@b>".into()).unwrap();
        assert_eq!(is_allowed(&Difference::Times(id, times), each), allowed);
    }

    #[rstest]
    #[case::one(1, "")]
    #[case::as_many_as_are_told(5, "")]
    #[case::one_more(6, "; and 1 more")]
    fn of_many_differences_the_first_are_told(#[case] count: usize, #[case] rest: &str) {
        let id: MessageId = serde_json::from_value("<a@b>".into()).unwrap();
        let differences = vec![Difference::Times(id, 2); count];
        let told = vec![differences[0].to_string(); count.min(TOLD)];
        assert_eq!(few(&differences), format!("{}{rest}", told.join("; ")));
    }
}
