//! What each verb is to a scenario: what it concerns, how it reaches a machine, whether it only looks, and whether it changes the system.
//!
//! The `match` names every verb. A new verb does not compile before it says all of this.

use super::action::Action;
use super::step::Concern;
use crate::scenario::verbs::machine::keys::Clock;
use crate::scenario::verbs::mail::keys::{Seen, TimeSource, is_of_guest};
use crate::scenario::verbs::storage::keys::Making;
use toml::Spanned;

/// What a verb is to a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nature {
    /// Whom it concerns.
    pub(crate) concern: Concern,
    /// How it reaches the machine.
    pub(crate) reach: Reach,
    /// What it does there.
    pub(crate) manner: Manner,
    /// Whether symptoms after it are those of another state of the system.
    pub(crate) changes: bool,
    /// Whether it is about all machines where it names none.
    pub(crate) of_all: bool,
    /// As what it can be asked for by itself, again and again, if it is marked as a symptom: it needs nothing that other steps have left.
    pub(crate) symptom: Option<SymptomKind>,
}

/// How a verb reaches a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// By the agent in the machine, or on the machine itself. A machine that runs inside another one has no agent of the lab.
    Agent,
    /// Over the network, as a user does.
    Network,
}

/// What a verb does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It only looks: looking again changes nothing. Of a command its author must know.
    Looks,
    /// It does something, and may find something else than it expects.
    Tries,
    /// It does something, and expects nothing.
    Does,
}

/// The kind of a symptom that can be asked for by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SymptomKind {
    /// A login by IMAP.
    Imap,
    /// A login by SMTP.
    Smtp,
    /// A login by ssh.
    Ssh,
    /// A delivery.
    Delivery,
    /// A command.
    Command,
    /// A file.
    File,
    /// States of units.
    Units,
}

impl Nature {
    const fn of(manner: Manner) -> Self {
        let (concern, reach) = (Concern::Guest, Reach::Agent);
        Self { concern, reach, manner, changes: false, of_all: false, symptom: None }
    }

    const fn looks() -> Self {
        Self::of(Manner::Looks)
    }

    const fn tries() -> Self {
        Self::of(Manner::Tries)
    }

    const fn does() -> Self {
        Self::of(Manner::Does)
    }

    const fn concerning(self, concern: Concern) -> Self {
        Self { concern, ..self }
    }

    const fn over_network(self) -> Self {
        Self { reach: Reach::Network, ..self }
    }

    const fn changing(self) -> Self {
        Self { changes: true, ..self }
    }

    const fn of_all(self) -> Self {
        Self { of_all: true, ..self }
    }

    const fn symptom(self, kind: SymptomKind) -> Self {
        Self { symptom: Some(kind), ..self }
    }

    /// Over the network, but for a machine's own clock, which its agent tells.
    fn by_clock(self, clock: Option<&Spanned<TimeSource>>) -> Self {
        if is_of_guest(clock) { self } else { self.over_network() }
    }
}

impl Action {
    /// What this verb is to its scenario.
    pub(crate) fn nature(&self) -> Nature {
        match self {
            Self::Imap(login) => Nature::looks().by_clock(login.clock.as_ref()).symptom(SymptomKind::Imap),
            Self::Smtp(login) => Nature::looks().by_clock(login.clock.as_ref()).symptom(SymptomKind::Smtp),
            Self::Ssh(_) => Nature::looks().symptom(SymptomKind::Ssh),
            Self::Deliver(deliver) => {
                let nature = Nature::tries().symptom(SymptomKind::Delivery);
                if deliver.seen == Some(Seen::Spool) { nature } else { nature.by_clock(deliver.clock.as_ref()) }
            }
            Self::Mailboxes(_) | Self::Backup(_) => Nature::does().over_network(),
            Self::Run(_) => Nature::looks().symptom(SymptomKind::Command),
            Self::File(_) => Nature::looks().symptom(SymptomKind::File),
            // With `same_since` it compares with what an earlier step has remembered.
            Self::Units(units) if units.same_since.is_none() => Nature::looks().symptom(SymptomKind::Units),
            Self::Units(_)
            | Self::LdapRequests(_)
            | Self::Diagnose(_)
            | Self::ServiceState(_)
            | Self::Drift(_)
            | Self::VerifyPrediction(_)
            | Self::Message(_)
            | Self::NoSecretInProcesses(_)
            | Self::Egress(_) => Nature::looks(),
            Self::Inbox(inbox) if inbox.remember.is_none() && inbox.flag.is_none() => Nature::looks().over_network(),
            Self::Inbox(_) | Self::Load(_) => Nature::tries().over_network(),
            Self::Storage(storage) if storage.make == Making::Compared => Nature::looks(),
            Self::Storage(_) | Self::Predict(_) => Nature::tries(),
            Self::Upgrade(_) => Nature::tries().changing(),
            Self::Write(_) | Self::Restore(_) => Nature::does().over_network().changing(),
            Self::Delete(_) | Self::Service(_) | Self::Link(_) | Self::Impair(_) | Self::Clock(Clock::Advance(_)) => {
                Nature::does().changing()
            }
            Self::Clock(Clock::RightWithin(_))
            | Self::Account(_)
            | Self::Mark(_)
            | Self::Inventory(_)
            | Self::Spool(_)
            | Self::Fio(_) => Nature::does(),
            Self::Capture(_) | Self::Flows(_) => Nature::does().of_all(),
            Self::Power(_) | Self::Reboot(_) => Nature::does().concerning(Concern::Machine).changing(),
            Self::Checkpoint(_) | Self::Rewind(_) => Nature::does().concerning(Concern::Lab).changing(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nature(verb: &str) -> Nature {
        toml::from_str::<Action>(verb).unwrap().nature()
    }

    #[rstest::rstest]
    #[case::login("imap = { user = 'a', expect = 'accepted' }", Reach::Network)]
    #[case::login_by_the_machines_clock("imap = { user = 'a', expect = 'accepted', clock = 'guest' }", Reach::Agent)]
    #[case::mail_seen_by_its_reader("deliver = { to = 'a', seen = 'imap' }", Reach::Network)]
    #[case::mail_seen_in_the_spool("deliver = { to = 'a', seen = 'spool' }", Reach::Agent)]
    #[case::command("run = { command = 'x' }", Reach::Agent)]
    fn a_verb_needs_the_agent_or_not(#[case] verb: &str, #[case] reach: Reach) {
        assert_eq!(nature(verb).reach, reach);
    }

    #[rstest::rstest]
    #[case::look_into_an_inbox("inbox = { of = 'a', holds = 'x' }", Manner::Looks)]
    #[case::what_an_inbox_holds_is_remembered("inbox = { of = 'a', remember = 'x' }", Manner::Tries)]
    #[case::layers_are_compared("storage = { make = 'compared', layers = [] }", Manner::Looks)]
    #[case::layers_are_built("storage = { layers = [] }", Manner::Tries)]
    #[case::moment("mark = { name = 'x' }", Manner::Does)]
    fn a_verb_looks_tries_or_does(#[case] verb: &str, #[case] manner: Manner) {
        assert_eq!(nature(verb).manner, manner);
    }

    #[rstest::rstest]
    #[case::clock_that_jumps("clock = { advance = '1 h' }", true)]
    #[case::clock_that_is_looked_at("clock = { right_within = '1 s' }", false)]
    #[case::checkpoint("checkpoint = { name = 'x' }", true)]
    #[case::copy("backup = { paths = ['/a'] }", false)]
    #[case::look("units = { active = [] }", false)]
    fn symptoms_after_what_changes_a_system_are_those_of_another(#[case] verb: &str, #[case] changes: bool) {
        assert_eq!(nature(verb).changes, changes);
    }

    #[rstest::rstest]
    #[case::units("units = { active = [] }", Some(SymptomKind::Units))]
    #[case::units_since_a_mark("units = { active = [], same_since = 'x' }", None)]
    #[case::requests("ldap-requests = { from = 'a', since = 'x', expect = 'none' }", None)]
    fn a_symptom_that_needs_no_other_step_can_be_asked_for(#[case] verb: &str, #[case] kind: Option<SymptomKind>) {
        assert_eq!(nature(verb).symptom, kind);
    }
}
