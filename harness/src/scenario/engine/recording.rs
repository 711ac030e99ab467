//! What steps with `record` show, compared with snapshots.

use super::case_run::{CaseRun, Engine};
use crate::lab::Lab;
use crate::record::{Record, normal};
use crate::results::StepOutcome;
use crate::scenario::format::step::Action;
use crate::scenario::verbs::{Artifact, Done, with};

/// Lines of a difference that the reason of a failure shows; all are in the results.
const SHOWN: usize = 40;

impl Engine<'_> {
    /// The outcome of a step, which fails if what it shows is not as its snapshot. With somebody's own configuration the difference
    /// is told, and is no failure: it is what that configuration changes.
    pub(crate) fn recorded(
        &self,
        play: &CaseRun<'_>,
        index: usize,
        lab: &Lab,
        (outcome, done): (StepOutcome, Done),
    ) -> (StepOutcome, Done) {
        let step = &play.case.steps[index];
        let Some(snapshots) = self.course.snapshots.filter(|_| step.record && outcome == StepOutcome::Passed) else {
            return (outcome, done);
        };
        let record = Record {
            scenario: play.scenario.name.clone(),
            case: play.case.to_string(),
            step: step.name.get_ref().clone(),
            text: lab.identity().redact(&text(&step.action, &done)),
        };
        let difference = match snapshots.compare(&record) {
            Ok(None) => return (outcome, done),
            Ok(Some(difference)) => difference,
            Err(error) => error.to_string(),
        };
        let artifact = Artifact { file: format!("record-step-{:02}.diff", index + 1), text: format!("{difference}\n") };
        if let Err(reason) = play.artifact(&[artifact]) {
            (self.say)(&format!("  note  the difference is not in the results: {reason}"));
        }
        let shown: Vec<_> = difference.lines().take(SHOWN).collect();
        if self.own_etc(play.case).is_some() {
            (self.say)(&format!("  note  {}: otherwise than recorded\n{}", record.step, shown.join("\n")));
            return (outcome, done);
        }
        let words = format!(
            "it is not as recorded (if that is right: cargo xtask record {}::{}):\n{}\n",
            record.scenario,
            record.case,
            shown.join("\n")
        );
        (StepOutcome::Failed, with(done, &words))
    }
}

/// What sssd searches for around a login depends on what it remembers: of a login less than five seconds ago all of it
/// (sssd.conf(5), `pam_id_timeout`). That the login itself reached the directory is told by its binds.
const REMEMBERED: &str = "SEARCH ";

/// What a step has shown, in its normal form.
fn text(action: &Action, done: &Done) -> String {
    let transcript = done.transcript.as_deref().unwrap_or_default();
    let shown = match action {
        // It is the same on every day; versions are what it is about.
        Action::ServiceState(_) | Action::Flows(_) => return transcript.trim_end().to_owned(),
        // How often sssd asks depends on what it remembers, too: which requests there are is what counts.
        Action::LdapRequests(_) => each_once(&normal(transcript)),
        _ => normal(transcript),
    };
    let head = match action {
        // The number of requests is different each time.
        Action::LdapRequests(_) => done.asked.clone(),
        _ => format!("{} → {}", normal(&done.asked), normal(&done.answered)),
    };
    if shown.is_empty() { head } else { format!("{head}\n\n{shown}") }
}

fn each_once(text: &str) -> String {
    let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with(REMEMBERED)).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct File {
        x: Action,
    }

    #[rstest::rstest]
    #[case::dialogue(
        "imap = { user = \"alice\", expect = \"accepted\" }",
        "IMAP alice → after TIME: accepted\n\nS: a SESSIONID=<SESSION>\nS: a SESSIONID=<SESSION>"
    )]
    #[case::requests(
        "ldap-requests = { from = \"mail\", since = \"x\", expect = \"some\" }",
        "IMAP alice\n\nS: a SESSIONID=<SESSION>"
    )]
    #[case::state("service-state = { postconf = true }", "S: a SESSIONID=<1>\nS: a SESSIONID=<2>")]
    fn what_is_recorded(#[case] action: &str, #[case] expected: &str) {
        let File { x: action } = toml::from_str(&format!("x.{action}")).unwrap();
        let done = Done {
            asked: "IMAP alice".into(),
            answered: "after 0.3 s and one look: accepted".into(),
            transcript: Some("S: a SESSIONID=<1>\nS: a SESSIONID=<2>\n".into()),
        };
        assert_eq!(text(&action, &done), expected);
    }

    #[test]
    fn searches_are_not_recorded() {
        let found = "SEARCH \"\" (objectClass=*) by mail\nBIND \"uid=carol\" by mail\nSEARCH \"ou=people\" (uid=alice)\nBIND \"uid=alice\"\nBIND \"uid=carol\" by mail";
        assert_eq!(each_once(found), "BIND \"uid=alice\"\nBIND \"uid=carol\" by mail");
    }
}
