//! The rules of judgement, in all combinations.

use super::*;
use rstest::rstest;
use std::fmt::Write as _;

const KINDS: [Kind; 3] = [Kind::Main, Kind::Fault, Kind::Control];
const PARTS: [Part; 4] = [Part::Plain, Part::Fault, Part::Symptom, Part::Invariant];
const SHOWN: [Shown; 5] =
    [Shown::Met, Shown::Unmet(Instead::Sound), Shown::Unmet(Instead::Unclear), Shown::Broken, Shown::Lacking];
const OUTCOMES: [StepOutcome; 5] =
    [StepOutcome::Passed, StepOutcome::Failed, StepOutcome::Omitted, StepOutcome::Kept, StepOutcome::Skipped];

fn looks() -> [Looking; 4] {
    let span = "1 s".parse().unwrap();
    [Looking::Once, Looking::Within(span), Looking::Always(span), Looking::Never(span)]
}

fn name(looking: Looking) -> &'static str {
    match looking {
        Looking::Once => "once",
        Looking::Within(_) => "within",
        Looking::Always(_) => "always",
        Looking::Never(_) => "never",
    }
}

/// Every kind of case, every part of a step, everything that can be shown.
#[test]
fn outcomes_of_steps() {
    let mut table = String::new();
    for kind in KINDS {
        for part in PARTS {
            for shown in SHOWN {
                let outcome = outcome(kind, part, shown);
                let shown = format!("{shown:?}");
                let left_out = if is_left_out(kind, part) { ", and is left out" } else { "" };
                let _ = writeln!(table, "{kind:?} {part:?} {shown:<15} → {outcome:?}{left_out}");
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// Every way to look, everything that can be shown, within the time and when it is over.
#[test]
fn ends_of_looks() {
    let mut table = String::new();
    for looking in looks() {
        for shown in SHOWN {
            let (soon, late) = (after_look(looking, shown, false), after_look(looking, shown, true));
            let shown = format!("{shown:?}");
            let _ = writeln!(table, "{:<6} {shown:<15} → {soon:?}, at the end of the time {late:?}", name(looking));
        }
    }
    insta::assert_snapshot!(table);
}

/// A wait ends when its time is over, whatever is shown.
#[test]
fn no_look_goes_on_for_ever() {
    for looking in looks() {
        for shown in SHOWN {
            assert_ne!(after_look(looking, shown, true), Next::Again, "{} {shown:?}", name(looking));
        }
    }
}

#[test]
fn only_what_was_seen_to_hold_holds() {
    assert_eq!(SHOWN.map(holds), [true, false, false, false, false]);
}

fn result(number: Option<usize>, outcome: StepOutcome) -> StepResult {
    StepResult {
        number,
        name: "it works".into(),
        machine: "mail".into(),
        part: Part::Plain,
        phase: None,
        line: None,
        started: None,
        outcome,
        seconds: 0.0,
        asked: "whether it works".into(),
        answered: "an answer".into(),
        diagnosis: None,
        transcript: None,
        files: Vec::new(),
        cores: None,
    }
}

/// Every combination of outcomes of three steps, of which the last may be missing.
#[test]
fn a_case_passes_only_if_all_of_it_was_dealt_with_and_some_of_it_carried_out() {
    use StepOutcome::{Failed, Kept, Omitted, Passed, Skipped};
    let mut tried = 0;
    for first in OUTCOMES {
        for second in OUTCOMES {
            for third in OUTCOMES.map(Some).into_iter().chain([None]) {
                let outcomes: Vec<_> = [Some(first), Some(second), third].into_iter().flatten().collect();
                let numbered = outcomes.iter().enumerate().map(|(index, outcome)| result(Some(index + 1), *outcome));
                let steps: Vec<_> = numbered.collect();
                let any = |wanted: StepOutcome| outcomes.contains(&wanted);
                let expected = if any(Failed) {
                    Verdict::Failed
                } else if any(Skipped) {
                    Verdict::Skipped
                } else if third.is_none() || !(any(Passed) || any(Kept)) {
                    assert!(third.is_none() || outcomes.iter().all(|outcome| *outcome == Omitted));
                    Verdict::Failed
                } else {
                    Verdict::Passed
                };
                let (verdict, reason) = verdict(&steps, 3);
                assert_eq!(verdict, expected, "{outcomes:?}");
                assert_eq!(reason.is_some(), verdict != Verdict::Passed, "{outcomes:?}");
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 150);
}

/// What a run does besides its steps proves nothing, and can fail it.
#[rstest]
#[case::nothing(None, Verdict::Failed)]
#[case::prepared(Some(StepOutcome::Passed), Verdict::Failed)]
#[case::not_prepared(Some(StepOutcome::Failed), Verdict::Failed)]
fn what_has_no_number_is_no_step(#[case] outcome: Option<StepOutcome>, #[case] expected: Verdict) {
    let steps: Vec<_> = outcome.into_iter().map(|outcome| result(None, outcome)).collect();
    assert_eq!(verdict(&steps, 0).0, expected);
}

#[rstest]
#[case::met(None, "the symptom shows without the fault: refused")]
#[case::sound(Some(Instead::Sound), "no symptom: accepted")]
#[case::unclear(
    Some(Instead::Unclear),
    "whether the symptom is absent cannot be judged, since this is not what a sound system shows: unavailable: gone"
)]
fn a_control_says_what_came_instead(#[case] instead: Option<Instead>, #[case] words: &str) {
    let text = "name = \"bad\"\non = \"mail\"\nsymptom = true\ndo.imap = { user = \"alice\", expect = \"refused\" }";
    let step: Step = toml::from_str(text).unwrap();
    let done = |answered: &str| Done { asked: String::new(), answered: answered.into(), transcript: None };
    let performed = match instead {
        None => Ok(done("refused")),
        Some(Instead::Sound) => Err(StepError::Unmet(done("accepted"), Instead::Sound)),
        Some(Instead::Unclear) => Err(StepError::Unmet(done("unavailable: gone"), Instead::Unclear)),
    };
    assert_eq!(judge(Kind::Control, &step, performed).1.answered, words);
}

#[rstest]
#[case::expected(Kind::Fault, false)]
#[case::symptom_of_a_control(Kind::Control, true)]
fn what_cannot_be_tried_is_neither_good_nor_bad(#[case] kind: Kind, #[case] symptom: bool) {
    let text = format!("name = \"bad\"\non = \"mail\"\nsymptom = {symptom}\ndo.impair = {{ loss_percent = 5 }}");
    let step: Step = toml::from_str(&text).unwrap();
    let (outcome, done) = judge(kind, &step, Err(StepError::Lacking("it has no netem".into())));
    assert_eq!((outcome, done.answered.as_str()), (StepOutcome::Skipped, "it has no netem"));
}

fn step(action: &str) -> Step {
    toml::from_str(&format!("name = \"it works\"\n{action}")).unwrap()
}

#[rstest]
#[case::checkpoint("do.checkpoint = { name = \"whole\" }", "keep the state of the lab as `whole`")]
#[case::rewind("do.rewind = { to = \"whole\" }", "go back to `whole`")]
#[case::reboot("on = \"mail\"\ndo.reboot = {}", "systemctl reboot")]
#[case::cut("on = \"mail\"\ndo.power = \"cut\"", "pull the plug")]
#[case::shutdown("on = \"mail\"\ndo.power = \"shutdown\"", "systemctl poweroff")]
#[case::power_on("on = \"mail\"\ndo.power = \"on\"", "switch on")]
#[case::not_of_the_lab("on = \"mail\"\ndo.units = { active = [] }", "")]
fn what_is_asked_of_the_lab_is_told(#[case] action: &str, #[case] asked: &str) {
    assert_eq!(asked_of_lab(&step(action).action), asked);
}

#[test]
fn a_failure_names_the_step_by_its_number_from_one() {
    let words = failure(2, &result(Some(3), StepOutcome::Failed));
    assert_eq!(words, "step 3 on mail, \"it works\": whether it works → an answer");
}

#[rstest]
#[case::fault("fault = true", Part::Fault)]
#[case::symptom("symptom = true", Part::Symptom)]
#[case::fault_first("fault = true\nsymptom = true", Part::Fault)]
#[case::neither("", Part::Plain)]
fn a_step_is_what_it_is_marked_as(#[case] mark: &str, #[case] part: Part) {
    assert_eq!(part_of(&step(&format!("on = \"mail\"\n{mark}\ndo.units = {{ active = [] }}"))), part);
}

#[rstest]
#[case::once("", None)]
#[case::within("within = \"3 s\"", Some("looks until it is so, 3 s nominal"))]
#[case::always("always = \"3 s\"", Some("looks for 3 s nominal, whether it stays so"))]
#[case::never("never = \"3 s\"", Some("looks for 3 s nominal, whether it comes true"))]
fn a_step_is_announced_with_its_number_from_one(#[case] time: &str, #[case] looks: Option<&str>) {
    let begins = beginning(2, 5, &step(&format!("on = \"mail\"\n{time}\ndo.units = {{ active = [] }}")));
    assert_eq!((begins.number, begins.of, begins.looks.as_deref()), (3, 5, looks));
}

/// A cause is told once, even where the error itself has told it.
#[test]
fn an_error_is_told_with_causes_that_it_does_not_name_itself() {
    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Failure {
        words: &'static str,
        source: Option<Box<Failure>>,
    }
    let failure = |words, source: Option<Failure>| Failure { words, source: source.map(Box::new) };
    let error = failure("no login: refused", Some(failure("refused", Some(failure("too many", None)))));
    assert_eq!(chain(&error), "no login: refused: too many");
}

fn pam_loss() -> Scenario {
    Scenario::load(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/pam-loss.toml")).unwrap()
}

#[test]
fn of_the_cases_only_the_control_is_recorded_as_one() {
    let scenario = pam_loss();
    let records = scenario.cases.iter().map(|case| unjudged(&scenario, case));
    let controls: Vec<_> = records.map(|record| (record.case, record.control)).collect();
    assert_eq!(controls, [("fault".to_owned(), false), ("control".to_owned(), true)]);
}

#[test]
fn a_step_has_its_number_from_one_in_the_results() {
    let scenario = pam_loss();
    let step = &scenario.cases[0].steps[2];
    assert_eq!(result_of(&scenario, 2, step, StepOutcome::Omitted).number, Some(3));
}

#[rstest]
#[case::meanwhile(1, "at step 2, \"")]
#[case::at_the_end(usize::MAX, "after the last step")]
fn a_failure_of_a_machine_is_told_with_its_step(#[case] next: usize, #[case] place: &str) {
    let machine = MachineName::try_from("mail".to_owned()).unwrap();
    let told = befell(&pam_loss().cases[0], next, &(machine, MachineFailure::Uncontrolled));
    let expected = format!("machine mail: QEMU has closed its control channel (QMP), and still runs; {place}");
    assert!(told.starts_with(&expected), "{told}");
}
