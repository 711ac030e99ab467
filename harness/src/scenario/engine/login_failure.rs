//! A login that should have been let in, and was not: why, in the result of its case.

use super::case_run::{CaseRun, Engine};
use crate::lab::Lab;
use crate::mail::Outcome;
use crate::mail::diagnosis::{Diagnosis, Login, Service};
use crate::scenario::format::step::{Action, Step};
use crate::scenario::verbs::expectation::Instead;
use crate::scenario::verbs::{Artifact, Done, Since, StepError, diagnosis_of};
use std::time::Duration;

/// What passes between the end of a probe and the begin of the collection, beside what the step took.
pub(crate) const MARGIN: Duration = Duration::from_secs(3);

/// The login of a step, if the step is one.
pub(crate) fn login_of(step: &Step) -> Option<(Login<'_>, Outcome)> {
    match &step.action {
        Action::Imap(login) => Some((Login { user: login.user.get_ref(), service: Service::Imap }, login.expect)),
        Action::Smtp(login) => Some((Login { user: login.user.get_ref(), service: Service::Smtp }, login.expect)),
        _ => None,
    }
}

/// The login, if the step is one that was not let in.
pub(crate) fn refused_login<'s>(step: &'s Step, performed: &Result<Done, StepError>) -> Option<Login<'s>> {
    let (login, expected) = login_of(step)?;
    let was_let_in = match performed {
        Ok(_) => expected == Outcome::Accepted,
        // Of an answer that nobody expects, only the sound one lets somebody in.
        Err(StepError::Unmet(_, instead)) => expected != Outcome::Accepted && *instead == Instead::Sound,
        // Nobody knows.
        Err(StepError::Broken(_) | StepError::Lacking(_)) => true,
    };
    (!was_let_in).then_some(login)
}

impl Engine<'_> {
    /// Says why, and keeps the whole diagnosis in the results; hands back the cause in words.
    pub(crate) async fn explain_refusal(
        &self,
        play: &CaseRun<'_>,
        lab: &Lab,
        (index, step): (usize, &Step),
        login: Login<'_>,
        took: Duration,
    ) -> Option<String> {
        let diagnosis = match diagnosis_of(lab, step.machine(), login, Since::Ago(took + MARGIN)).await {
            Ok(diagnosis) => diagnosis.of_failed_login(),
            Err(reason) => {
                (self.say)(&format!("  why   no diagnosis: {reason}"));
                return None;
            }
        };
        self.tell(play, lab, &format!("diagnosis-step-{:02}", index + 1), &diagnosis);
        Some(diagnosis.cause().to_string())
    }

    /// Says what was found, and keeps it in the results as `name`, as text and as JSON.
    pub(crate) fn tell(&self, play: &CaseRun<'_>, lab: &Lab, name: &str, diagnosis: &Diagnosis) {
        let text = lab.identity().redact(&diagnosis.to_string());
        let lines: Vec<_> = text.lines().map(|line| format!("  why   {line}")).collect();
        (self.say)(&lines.join("\n"));
        let json = Artifact::json(format!("{name}.json"), diagnosis).into_iter();
        let text = [Artifact { file: format!("{name}.txt"), text: format!("{text}\n") }];
        if let Err(reason) = play.artifact(&text.into_iter().chain(json).collect::<Vec<_>>()) {
            (self.say)(&format!("  note  the diagnosis is not in the results: {reason}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct File {
        step: Vec<Step>,
    }

    fn step(action: &str) -> Step {
        let text = format!("[[step]]\nname = \"x\"\non = \"mail\"\ndo.{action}\n");
        toml::from_str::<File>(&text).unwrap().step.remove(0)
    }

    #[rstest::rstest]
    #[case::refused("imap = { user = \"alice\", expect = \"accepted\" }", Some(Instead::Sound), true)]
    #[case::let_in("imap = { user = \"alice\", expect = \"accepted\" }", None, false)]
    #[case::a_symptom_in_the_control("smtp = { user = \"alice\", expect = \"refused\" }", None, true)]
    #[case::let_in_against_expectation(
        "smtp = { user = \"alice\", expect = \"refused\" }",
        Some(Instead::Sound),
        false
    )]
    #[case::unavailable_instead("smtp = { user = \"alice\", expect = \"refused\" }", Some(Instead::Unclear), true)]
    #[case::no_login("units = { active = [\"sssd\"] }", Some(Instead::Sound), false)]
    fn only_a_refused_login_is_explained(
        #[case] action: &str,
        #[case] instead: Option<Instead>,
        #[case] explained: bool,
    ) {
        let done = Done { asked: String::new(), answered: String::new(), transcript: None };
        let performed = match instead {
            None => Ok(done),
            Some(instead) => Err(StepError::Unmet(done, instead)),
        };
        assert_eq!(refused_login(&step(action), &performed).is_some(), explained);
    }
}
