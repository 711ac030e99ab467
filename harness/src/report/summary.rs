//! The closing lines of a run, for people.

use super::model::Report;
use super::text;
use crate::results::Verdict;
use std::fmt::Write as _;

/// How many cases came to what, and why those did that did not pass.
#[must_use]
pub fn render(report: &Report) -> String {
    let counts = report.counts();
    let mut lines = format!(
        "{}: {} passed, {} failed, {} did not run; {}\n",
        text::count(report.cases.len(), "case", "cases"),
        counts.passed,
        counts.failed,
        counts.skipped,
        text::seconds(report.seconds)
    );
    if report.interrupted {
        lines.push_str("interrupted: this is what there was\n");
    }
    for result in report.with(Verdict::Failed) {
        let reason = text::quoted(result.reason.as_deref().unwrap_or("no reason is known"), INDENT);
        let _ = writeln!(lines, "  failed   {}: {reason}", result.title());
        if let Some(line) = result.failed_step().and_then(|step| step.line) {
            let _ = writeln!(lines, "           {}:{line}", result.file);
        }
    }
    for (title, starved) in report.starved() {
        let reason = text::line(&format!("{}; {}", starved.share, starved.reason));
        let _ = writeln!(lines, "  starved  {title}: it ran once more, since {reason}");
    }
    let close = report.close_calls();
    for (title, call) in close.iter().take(SHOWN) {
        let _ = writeln!(lines, "  close    {title}: {}", text::line(&call.to_string()));
    }
    if close.len() > SHOWN {
        let _ = writeln!(lines, "           and {} more waits took most of their time", close.len() - SHOWN);
    }
    let left_out = report.left_out_of_controls();
    if !left_out.is_empty() {
        let steps = left_out.iter().map(|(_, steps)| steps).sum();
        let cases: Vec<_> = left_out.iter().map(|(title, steps)| format!("{title} {steps}")).collect();
        let steps = text::count(steps, "step", "steps");
        let _ = writeln!(lines, "  left out {steps} of controls, to break nothing: {}", cases.join(", "));
    }
    for (reason, cases) in report.skips() {
        let named = if cases.len() <= SHOWN { format!(": {}", cases.join(", ")) } else { String::new() };
        let _ =
            writeln!(lines, "  skipped  {} {}{named}", text::count(cases.len(), "case", "cases"), text::line(reason));
    }
    lines
}

/// What stands before a further line of a reason.
const INDENT: &str = "           ";

/// Cases, or waits, that are named; more are counted only.
const SHOWN: usize = 3;

#[cfg(test)]
mod tests {
    use super::super::model::samples::{mixed, report, starved, step};
    use super::SHOWN;
    use crate::results::StepOutcome;
    use crate::time::CloseCall;

    #[test]
    fn reasons_are_told_and_skips_are_counted() {
        insta::assert_snapshot!(super::render(&mixed()), @r#"
        4 cases: 1 passed, 1 failed, 2 did not run; 1 min 15 s
          failed   pam-loss::fault: step 2 on mail, "step 2": IMAP alice Login port 993 → NO refused
                   scenarios/pam-loss.toml:20
          skipped  2 cases for full runs only: pam-loss::slow-one, pam-loss::slow-two
        "#);
        let mut close = mixed();
        close.cases[0].result.close_calls =
            vec![CloseCall { what: "mail to wake\u{1b}[2J".into(), waited: 9.0, allowed: 10.0 }; SHOWN + 1];
        let told = super::render(&close);
        assert!(told.contains("waited 9.0 of 10.0 s for mail to wake\\u{1b}[2J\n"), "{told}");
        assert!(told.contains("and 1 more waits took most of their time"), "{told}");
        let mut again = mixed();
        again.cases[0].result.starved = Some(starved());
        let told = super::render(&again);
        let words = "it ran once more, since in 10.0 s machine mail had a core for 2.0 s and waited 7.5 s for one; \
                     step 1 on mail: sssd\\u{1b}[2J has failed\n";
        assert!(told.contains(words), "{told}");
        let mut recorded = mixed();
        recorded.cases[1].result.reason = Some("it is not as recorded:\n-a\n+b\u{1b}[2J\n".into());
        let told = super::render(&recorded);
        assert!(told.contains(": it is not as recorded:\n           | -a\n           | +b\\u{1b}[2J\n"), "{told}");
        let mut control = mixed();
        control.cases[0].result.steps.push(step(2, StepOutcome::Omitted, ""));
        let told = super::render(&control);
        assert!(told.contains("\n  left out 1 step of controls, to break nothing: pam-loss::control 1\n"), "{told}");
        let mut nothing = report(Vec::new());
        nothing.interrupted = true;
        insta::assert_snapshot!(super::render(&nothing), @"
        0 cases: 0 passed, 0 failed, 0 did not run; 1 min 15 s
        interrupted: this is what there was
        ");
    }
}
