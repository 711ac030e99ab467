//! An explanation as people read it.

use harness::scenario::{Asked, Blame, Culprit, Explanation};
use std::fmt::Write as _;

/// The whole text.
pub(super) fn render(explanation: &Explanation) -> String {
    let Explanation { scenario, case, changes, trials, seconds, seconds_per_trial, .. } = explanation;
    let mut text = format!("{scenario}::{case}: ");
    if explanation.symptoms.iter().all(|symptom| symptom.found == Blame::NoSymptom) {
        text.push_str("there is nothing to explain: no symptom shows.\n");
    } else {
        let _ = writeln!(text, "{} of {changes} changes are to blame.", explanation.culprits.len());
    }
    if !explanation.culprits.is_empty() {
        text.push('\n');
    }
    for culprit in &explanation.culprits {
        let _ = writeln!(text, "  {}", sentence(culprit, explanation));
    }
    let notes: Vec<_> = explanation.symptoms.iter().filter_map(|symptom| note(symptom, explanation)).collect();
    if !notes.is_empty() {
        let _ = write!(text, "\n{}", notes.concat());
    }
    for path in &explanation.left_out {
        let _ = writeln!(text, "  not looked at: {path}");
    }
    let plural = if *trials == 1 { "" } else { "s" };
    let _ = writeln!(text, "\n{trials} trial{plural} in {seconds:.0} s, {seconds_per_trial:.1} s each");
    text
}

fn sentence(culprit: &Culprit, explanation: &Explanation) -> String {
    let owner = |by: &str| match &culprit.owner {
        Some(owner) => format!(" {by} {owner}"),
        None => " (no package's)".to_owned(),
    };
    let by = match &culprit.step {
        Some(step) => match step.number {
            Some(number) => format!(" by {} (step {number} of {})", step.package, step.of),
            None => format!(" by a %posttrans scriptlet of {}", step.package),
        },
        None => String::new(),
    };
    // Who did it is better known than whose it was.
    let whose = if culprit.step.is_some() { String::new() } else { owner("of") };
    format!("{}{whose} — {}{by}; {}", culprit.path, culprit.fate, restores(culprit, explanation))
}

fn restores(culprit: &Culprit, explanation: &Explanation) -> String {
    let healed = |label: &String| explanation.symptoms.iter().find(|symptom| symptom.label == *label);
    let words: Vec<_> = culprit
        .heals
        .iter()
        .filter_map(healed)
        .map(|symptom| match symptom.found {
            Blame::Changes(1) => format!("putting it back restores {}", symptom.concern),
            Blame::ChangesAndRestart(1) => {
                format!("putting it back and starting the services again restores {}", symptom.concern)
            }
            _ => format!("it has a part in {}", symptom.concern),
        })
        .collect();
    words.join(", and ")
}

/// What is to be said of a symptom that no single change explains.
fn note(symptom: &Asked, explanation: &Explanation) -> Option<String> {
    let all_absent = explanation.symptoms.iter().all(|symptom| symptom.found == Blame::NoSymptom);
    match symptom.found {
        Blame::NoSymptom if all_absent => None,
        Blame::NoSymptom => Some(format!("  {}: does not show.\n", symptom.label)),
        Blame::Changes(1) | Blame::ChangesAndRestart(1) => None,
        Blame::Restart => {
            Some(format!("  {}: gone when the services are started again; no file is to blame.\n", symptom.label))
        }
        Blame::Changes(count) | Blame::ChangesAndRestart(count) => Some(format!(
            "  {}: the {count} files with a part in it must be put back together; none of them can be left out.\n",
            symptom.label
        )),
        Blame::Elsewhere => Some(format!(
            "  {}: shows even with all files as they were, and the services that the scenario names started again. Look \
             elsewhere: other services, data, other machines.\n",
            symptom.label
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::drift::DoneBy;

    fn symptom(label: &str, concern: &str, found: Blame) -> Asked {
        Asked { label: label.into(), step: "x".into(), concern: concern.into(), found }
    }

    fn culprit(path: &str, owner: Option<&str>, fate: &str, step: Option<DoneBy>, heals: &[&str]) -> Culprit {
        Culprit {
            machine: "mail".into(),
            path: path.into(),
            owner: owner.map(str::to_owned),
            fate: fate.into(),
            step,
            heals: heals.iter().map(|label| (*label).to_owned()).collect(),
        }
    }

    fn explanation(symptoms: Vec<Asked>, culprits: Vec<Culprit>) -> Explanation {
        Explanation {
            scenario: "upgrade".into(),
            case: "variant=dropped".into(),
            changes: 41,
            trials: 7,
            seconds: 31.5,
            seconds_per_trial: 4.25,
            symptoms,
            culprits,
            left_out: Vec::new(),
        }
    }

    #[test]
    fn two_culprits_of_an_upgrade() {
        let by = |number, package: &str| Some(DoneBy { number, of: 273, package: package.into() });
        let removed = "removed without a backup";
        insta::assert_snapshot!(render(&explanation(
            vec![
                symptom("imap-login", "IMAP login of alice", Blame::Changes(1)),
                symptom("smtp-login", "SMTP login of alice", Blame::Changes(1)),
            ],
            vec![
                culprit(
                    "/etc/pam.d/imap",
                    Some("cyrus-imapd 2.4.18"),
                    removed,
                    by(Some(187), "cyrus-imapd 3.10.2"),
                    &["imap-login"]
                ),
                culprit("/etc/pam.d/smtp", None, removed, by(None, "postfix 3.10.5"), &["smtp-login"]),
            ],
        )));
    }

    #[test]
    fn several_at_once_and_one_elsewhere() {
        insta::assert_snapshot!(render(&explanation(
            vec![
                symptom("imap-login-1", "IMAP login of alice", Blame::Changes(2)),
                symptom("imap-login-2", "IMAP login of carol", Blame::NoSymptom),
                symptom("delivery", "what \"mail arrives\" is about", Blame::Elsewhere),
            ],
            vec![
                culprit("/etc/a", Some("sssd 2.8.2"), "given mode 0600 → 0644", None, &["imap-login-1"]),
                culprit("/etc/b", None, "added", None, &["imap-login-1"]),
            ],
        )));
    }

    #[test]
    fn nothing_to_explain() {
        let symptoms = vec![symptom("imap-login", "IMAP login of alice", Blame::NoSymptom)];
        insta::assert_snapshot!(render(&explanation(symptoms, Vec::new())));
    }
}
