//! `JUnit` XML: a suite for each scenario, a test case for each case.

use super::model::Report;
use super::text;
use crate::results::{ScenarioResult, StarvedRun, StepOutcome, StepResult, Verdict};
use quick_junit::{NonSuccessKind, Report as Junit, SerializeError, TestCase, TestCaseStatus, TestRerun, TestSuite};
use std::fmt::Write as _;
use std::time::Duration;

/// The report as `JUnit` XML.
pub fn render(report: &Report) -> Result<String, SerializeError> {
    let mut junit = Junit::new("rehearsal");
    junit.set_time(duration(report.seconds));
    let mut suites: Vec<TestSuite> = Vec::new();
    for case in &report.cases {
        let test_case = test_case(&case.result);
        match suites.last_mut() {
            Some(suite) if suite.name.as_str() == case.result.name => drop(suite.add_test_case(test_case)),
            _ => {
                let mut suite = TestSuite::new(case.result.name.as_str());
                suite.add_property(("accelerator", report.host.accelerator.as_str()));
                suite.add_test_case(test_case);
                suites.push(suite);
            }
        }
    }
    junit.add_test_suites(suites);
    junit.to_string()
}

fn test_case(result: &ScenarioResult) -> TestCase {
    let reason = result.reason.as_deref().unwrap_or_default().trim_end();
    // An attribute has one line; the others, as of a difference from a snapshot, stand before what the server said.
    let (message, others) = reason.split_once('\n').unwrap_or((reason, ""));
    let message = text::line(message);
    let status = match result.outcome {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(message);
            let transcript = result.failed_step().and_then(|step| step.transcript.as_deref());
            let words: Vec<_> =
                [others, transcript.unwrap_or_default()].into_iter().filter(|it| !it.is_empty()).collect();
            if !words.is_empty() {
                status.set_description(text::lines(&words.join("\n\n")));
            }
            status
        }
        Verdict::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(message);
            status
        }
    };
    let mut status = status;
    if let Some(starved) = &result.starved {
        status.add_rerun(rerun(starved));
    }
    let mut case = TestCase::new(result.case.as_str(), status);
    case.set_classname(result.name.as_str()).set_time(duration(result.seconds));
    if let Some(started) = result.started {
        case.extra.insert("timestamp".into(), format!("{started:.3}").into());
    }
    if !result.file.is_empty() {
        case.extra.insert("file".into(), result.file.as_str().into());
    }
    if let Some(line) = result.failed_step().and_then(|step| step.line) {
        case.extra.insert("line".into(), line.to_string().into());
    }
    let steps = steps(&result.steps);
    if !steps.is_empty() {
        case.set_system_out(steps);
    }
    case
}

/// The run before, which failed while a guest was starved: `flakyFailure` beside a success, `rerunFailure` beside a failure.
fn rerun(starved: &StarvedRun) -> TestRerun {
    let mut rerun = TestRerun::new(NonSuccessKind::Failure);
    rerun.set_type("starved").set_time(duration(starved.seconds));
    rerun.set_message(text::line(&format!("starved ({}): {}", starved.share, starved.reason)));
    rerun.set_system_out(steps(&starved.steps));
    rerun
}

/// The steps, as they are told in a log.
fn steps(steps: &[StepResult]) -> String {
    let mut lines = String::new();
    for step in steps {
        let mark = match step.outcome {
            StepOutcome::Passed => "ok",
            StepOutcome::Failed => "FAIL",
            StepOutcome::Omitted => "omit",
            StepOutcome::Kept => "kept",
            StepOutcome::Skipped => "skip",
        };
        let _ = writeln!(lines, "{mark:<5} {}: {} ({:.1} s)", step.machine, text::line(&step.name), step.seconds);
        if !step.asked.is_empty() {
            let _ = writeln!(lines, "        {} → {}", text::line(&step.asked), text::line(&step.answered));
        }
    }
    lines
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::model::samples::{mixed, starved};

    #[rstest::rstest]
    #[case::then_it_passed(0, "flakyFailure")]
    #[case::then_it_failed_too(1, "rerunFailure")]
    fn a_starved_run_stands_beside_the_verdict(#[case] case: usize, #[case] element: &str) {
        let mut report = mixed();
        report.cases[case].result.starved = Some(starved());
        let text = super::render(&report).unwrap();
        let words = "starved (in 10.0 s machine mail had a core for 2.0 s and waited 7.5 s for one): step 1 on mail";
        let line = text.lines().find(|line| line.contains(&format!("<{element} "))).unwrap_or_default();
        assert!(line.contains(&format!("message=\"{words}")), "{text}");
        assert_eq!(text.matches("<failure ").count(), 1, "{text}");
    }

    #[test]
    fn suites_cases_and_reasons() {
        insta::assert_snapshot!(super::render(&mixed()).unwrap());
    }

    #[test]
    fn a_difference_keeps_its_lines() {
        let mut report = mixed();
        report.cases[1].result.reason = Some("it is not as recorded:\n-a\n+b\n".into());
        let text = super::render(&report).unwrap();
        assert!(text.contains("message=\"it is not as recorded:\">-a\n+b\n"), "{text}");
    }
}
