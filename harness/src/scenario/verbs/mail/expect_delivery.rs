//! Messages that were handed over: taken, and seen where the step says; and mail in bulk.

use crate::mail::Finding;
use crate::mail::delivery::DeliveryOutcome;
use crate::scenario::format::step::{Arrival, Deliver, Load};
use crate::scenario::verbs::expectation::Instead::{Sound, Unclear};
use crate::scenario::verbs::expectation::{Copies, Judged};

/// Where a message was looked for after a server took it.
#[derive(Debug)]
pub(crate) enum Sighting {
    /// Nowhere: it was accepted with this identifier.
    Later(String),
    /// In the files of the server's spool.
    Spool(Copies),
    /// By the recipient, over IMAP.
    Imap(DeliveryOutcome),
}

impl Deliver {
    /// Holds the server's answer to a message against the expectation; so many recipients were refused. `None` if it is to be taken,
    /// and was for every recipient: then it is to be seen.
    pub(crate) fn judge_submission(&self, finding: &Finding, refused: usize) -> Option<Judged> {
        let mut judged = self.expected().judge(finding);
        let is_accepted = finding.is_accepted() && judged.is_met();
        judged.expect("to", !is_accepted || refused == 0, Unclear, || format!("{refused} recipients were refused"));
        (!is_accepted || !judged.is_met()).then_some(judged)
    }

    /// Holds what was seen of a message that was taken against the expectation.
    pub(crate) fn judge(&self, sighting: &Sighting) -> Judged {
        match sighting {
            Sighting::Later(id) => Judged::new(format!("accepted as {id}")),
            Sighting::Spool(copies) => copies.judge("seen", self.to.get_ref()),
            Sighting::Imap(outcome) => {
                let mut judged = Judged::new(outcome.to_string());
                let (arrived, instead) = match outcome {
                    DeliveryOutcome::Arrived { .. } => (true, Sound),
                    DeliveryOutcome::NotSeen { .. } => (false, Sound),
                    DeliveryOutcome::NotSubmitted
                    | DeliveryOutcome::ReaderNotAdmitted { .. }
                    | DeliveryOutcome::ReaderCutOff { .. }
                    | DeliveryOutcome::Duplicated { .. } => (false, Unclear),
                };
                judged.expect("seen", arrived, instead, String::new);
                judged
            }
        }
    }
}

/// What came of mail in bulk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bulk {
    /// How many messages the server took.
    pub(crate) accepted: usize,
    /// How many logins of readers it did not let in.
    pub(crate) not_admitted: usize,
    /// Whether all that was taken has arrived, once and as it was sent.
    pub(crate) is_complete: bool,
}

impl Load {
    /// Holds what came of mail in bulk against the expectation. `words` tell it.
    pub(crate) fn judge(&self, bulk: Bulk, words: String) -> Judged {
        let mut judged = Judged::new(words);
        judged.expect("to", bulk.accepted > 0, Unclear, || "nothing was accepted".into());
        let least = self.at_least.as_ref().map_or(0, |least| least.get_ref().get());
        judged.expect("at-least", bulk.accepted >= least as usize, Unclear, || {
            format!("{least} at least were to be accepted")
        });
        judged.expect("readers", bulk.not_admitted == 0, Unclear, String::new);
        let arrival = if bulk.is_complete { Arrival::Complete } else { Arrival::Wrong };
        judged.expect("expect", arrival == self.expect, Sound, String::new);
        judged
    }
}
