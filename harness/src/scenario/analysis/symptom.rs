//! A symptom that can be asked for by itself, again and again: does it still show?

use crate::lab::Lab;
use crate::scenario::format::nature::SymptomKind as Kind;
use crate::scenario::format::step::{Action, Step};
use crate::scenario::verbs::expectation::Instead;
use crate::scenario::verbs::{Done, StepContext, StepError, TestState};
use std::fmt;
use toml::Spanned;

/// A step marked `symptom`, as a question.
#[derive(Debug, Clone)]
pub(crate) struct Symptom {
    /// What it is called, such as `imap-login`.
    pub(crate) label: String,
    /// The step as it stands in the scenario.
    shows: Step,
    kind: Kind,
}

impl Symptom {
    /// The symptoms among steps that need nothing which other steps have left. Several of a kind are told apart by their
    /// users or numbers.
    pub(crate) fn among<'s>(steps: impl Iterator<Item = &'s Step>) -> Vec<Self> {
        let mut symptoms: Vec<_> = steps.filter(|step| step.symptom).filter_map(Self::of).collect();
        let kinds: Vec<_> = symptoms.iter().map(|symptom| symptom.kind).collect();
        for (index, symptom) in symptoms.iter_mut().enumerate() {
            if kinds.iter().filter(|&&kind| kind == symptom.kind).count() > 1 {
                let number = kinds[..=index].iter().filter(|&&kind| kind == symptom.kind).count();
                symptom.label = format!("{}-{number}", symptom.label);
            }
        }
        symptoms
    }

    fn of(step: &Step) -> Option<Self> {
        let kind = step.action.nature().symptom?;
        Some(Self { label: kind.to_string(), shows: step.clone(), kind })
    }

    /// The step's own sentence.
    pub(crate) fn sentence(&self) -> &str {
        self.shows.name.get_ref()
    }

    /// What it concerns, for people: what is restored when it is healed.
    pub(crate) fn concern(&self) -> String {
        let of = |user: &Spanned<String>, protocol: &str| format!("{protocol} login of {}", user.get_ref());
        match &self.shows.action {
            Action::Imap(login) => of(&login.user, "IMAP"),
            Action::Smtp(login) => of(&login.user, "SMTP"),
            Action::Ssh(login) => of(&login.user, "ssh"),
            _ => format!("what \"{}\" is about", self.sentence()),
        }
    }

    /// What files are called that belong to the service which shows it.
    pub(crate) fn words(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Imap => &["imap", "cyrus", "sasl"],
            Kind::Smtp => &["smtp", "postfix", "sasl"],
            Kind::Ssh => &["sshd", "ssh"],
            Kind::Delivery => &["postfix", "cyrus", "lmtp"],
            Kind::Command | Kind::File | Kind::Units => &[],
        }
    }

    /// Whether the lab is healed of it: it shows what a sound system does. A refused login is not healed by another refusal, and
    /// a step that cannot be carried out heals nothing.
    pub(crate) async fn is_healed(&self, lab: &Lab, domain: &str) -> bool {
        let mut notes = TestState::default();
        let Ok(mut stage) = StepContext::new(lab, domain, &mut notes, &|_| ()) else { return false };
        self.is_absent(&stage.perform(&self.shows).await)
    }

    /// Whether one look at its step shows a sound system.
    fn is_absent(&self, seen: &Result<Done, StepError>) -> bool {
        match seen {
            // What must never come true in a broken system is what a sound one does.
            Ok(_) => self.shows.never.is_some(),
            Err(StepError::Unmet(_, instead)) => self.shows.never.is_none() && *instead == Instead::Sound,
            Err(StepError::Broken(_) | StepError::Lacking(_)) => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Imap => "imap-login",
            Self::Smtp => "smtp-login",
            Self::Ssh => "ssh-login",
            Self::Delivery => "delivery",
            Self::Command => "command",
            Self::File => "file",
            Self::Units => "units",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct File {
        step: Vec<Step>,
    }

    #[rstest::rstest]
    #[case("imap = { user = 'alice', expect = 'refused' }", "imap-login", "IMAP login of alice", "imap")]
    #[case("smtp = { user = 'alice', expect = 'refused' }", "smtp-login", "SMTP login of alice", "smtp")]
    #[case("ssh = { user = 'alice', expect = 'refused' }", "ssh-login", "ssh login of alice", "sshd")]
    #[case("run = { command = 'true' }", "command", "what \"x\" is about", "")]
    #[case("file = { path = '/etc/a' }", "file", "what \"x\" is about", "")]
    #[case("units = { active = ['sssd'] }", "units", "what \"x\" is about", "")]
    fn a_symptom_says_what_it_is_about(
        #[case] action: &str,
        #[case] label: &str,
        #[case] concern: &str,
        #[case] word: &str,
    ) {
        let text = format!("[[step]]\nname = 'x'\non = 'mail'\nsymptom = true\ndo.{action}\n");
        let steps = toml::from_str::<File>(&text).unwrap().step;
        let symptom = &Symptom::among(steps.iter())[0];
        assert_eq!((symptom.label.as_str(), symptom.concern().as_str(), symptom.sentence()), (label, concern, "x"));
        assert_eq!(symptom.words().first().copied().unwrap_or_default(), word);
    }

    #[test]
    fn symptoms_are_told_apart() {
        let step = |symptom, action: &str| {
            format!("[[step]]\nname = \"x\"\non = \"mail\"\nsymptom = {symptom}\ndo.{action}\n")
        };
        let text = [
            step(true, "imap = { user = \"alice\", expect = \"refused\", reason = \"no\" }"),
            step(false, "imap = { user = \"bob\", expect = \"refused\" }"),
            step(true, "imap = { user = \"carol\", expect = \"refused\" }"),
            step(true, "smtp = { user = \"alice\", expect = \"refused\" }"),
            step(
                true,
                "diagnose = { user = \"alice\", service = \"imap\", since = \"x\", expect = \"pam-file-missing\" }",
            ),
        ];
        let steps = toml::from_str::<File>(&text.concat()).unwrap().step;
        let symptoms = Symptom::among(steps.iter());
        let labels: Vec<_> = symptoms.iter().map(|symptom| symptom.label.as_str()).collect();
        assert_eq!(labels, ["imap-login-1", "imap-login-2", "smtp-login"]);
        assert_eq!(symptoms[1].concern(), "IMAP login of carol");
    }

    #[rstest::rstest]
    #[case::it_still_shows("", None, false)]
    #[case::sound("", Some(Instead::Sound), true)]
    #[case::another_refusal("", Some(Instead::Unclear), false)]
    #[case::it_came_true("never = \"1 s\"\n", None, true)]
    #[case::it_did_not("never = \"1 s\"\n", Some(Instead::Sound), false)]
    fn only_a_sound_answer_heals(#[case] looks: &str, #[case] instead: Option<Instead>, #[case] healed: bool) {
        let action = "imap = { user = \"alice\", expect = \"refused\" }";
        let text = format!("[[step]]\nname = \"x\"\non = \"mail\"\nsymptom = true\n{looks}do.{action}\n");
        let steps = toml::from_str::<File>(&text).unwrap().step;
        let symptom = Symptom::among(steps.iter()).remove(0);
        let done = Done { asked: String::new(), answered: String::new(), transcript: None };
        let seen = match instead {
            None => Ok(done),
            Some(instead) => Err(StepError::Unmet(done, instead)),
        };
        assert_eq!(symptom.is_absent(&seen), healed);
        assert!(!symptom.is_absent(&Err(StepError::Broken("gone".into()))));
    }
}
