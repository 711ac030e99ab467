//! What GitHub's Actions show: annotations at the lines of scenario files, and the summary of a job.
//!
//! Source: "Workflow commands for GitHub Actions": `::error file=…,line=…::…`, escapes `%25`, `%0D`, `%0A`, in properties
//! `%3A` and `%2C` too; the file that `GITHUB_STEP_SUMMARY` names takes GitHub Flavored Markdown.

use super::model::Report;
use super::text;
use crate::host::output;
use crate::results::{ScenarioResult, Verdict};
use std::fmt::Write as _;
use std::path::Path;

/// Bytes of a job's summary that GitHub takes (1 MiB), less what a closing line needs.
const SUMMARY_LIMIT: usize = (1 << 20) - 1024;

/// One annotation for each case that failed, as lines for standard output.
#[must_use]
pub fn annotations(report: &Report) -> String {
    report.with(Verdict::Failed).map(annotation).collect()
}

fn annotation(result: &ScenarioResult) -> String {
    let mut properties = vec![format!("file={}", property(&result.file))];
    properties.extend(result.failed_step().and_then(|step| step.line).map(|line| format!("line={line}")));
    properties.push(format!("title={}", property(&result.title())));
    let reason = text::lines(result.reason.as_deref().unwrap_or("it failed"));
    format!("::error {}::{}\n", properties.join(","), data(&reason))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(&text::line(text)).replace(':', "%3A").replace(',', "%2C")
}

/// The summary of a job, in Markdown.
#[must_use]
pub fn job_summary(report: &Report) -> String {
    let counts = report.counts();
    let mark = if counts.failed == 0 { "✅" } else { "❌" };
    let mut lines = format!(
        "## {mark} Rehearsal: {} passed, {} failed, {} did not run\n\n{} on {} cores, accelerator {}, pace ×{:.1}\n\n",
        counts.passed,
        counts.failed,
        counts.skipped,
        text::seconds(report.seconds),
        report.host.cores,
        report.host.accelerator,
        report.host.pace
    );
    if report.interrupted {
        lines.push_str("The run was interrupted: this is what there was.\n\n");
    }
    lines.push_str("| | case | time | why |\n|---|---|---:|---|\n");
    // What failed stands first, should there be too much.
    for verdict in [Verdict::Failed, Verdict::Passed] {
        for result in report.with(verdict) {
            let row = row(result);
            if lines.len() + row.len() > SUMMARY_LIMIT {
                lines.push_str("\nThere is more in the report.\n");
                return lines;
            }
            lines.push_str(&row);
        }
    }
    for (reason, cases) in report.skips() {
        let _ = writeln!(lines, "| ⏭ | {} | | {} |", text::count(cases.len(), "case", "cases"), table_text(reason));
    }
    lines
}

/// Appends the summary to the file that GitHub names for it, if it names one.
pub fn append_summary(report: &Report) -> std::io::Result<()> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else { return Ok(()) };
    output::append(Path::new(&path), job_summary(report).as_bytes()).map_err(std::io::Error::other)
}

fn row(result: &ScenarioResult) -> String {
    let mark = if result.outcome == Verdict::Failed { "❌" } else { "✅" };
    let line = result.failed_step().and_then(|step| step.line);
    let place = line.map(|line| format!("{}:{line}: ", result.file)).unwrap_or_default();
    let reason = result.reason.as_deref().unwrap_or_default();
    format!(
        "| {mark} | {} | {} | {} |\n",
        table_text(&result.title()),
        text::seconds(result.seconds),
        table_text(&format!("{place}{reason}"))
    )
}

/// Text in a table of Markdown: nothing in it is markup.
fn table_text(said: &str) -> String {
    let mut escaped = String::new();
    for c in text::lines(said).trim_end().chars() {
        match c {
            '\n' => escaped.push_str("<br>"),
            '\t' => escaped.push(' '),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '@' | '#' => {
                // No mention, and no link to an issue.
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '!' | '|' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::model::samples::{case as case_of, mixed, report};
    use super::*;

    #[test]
    fn annotations_name_the_line_of_the_file() {
        insta::assert_snapshot!(annotations(&mixed()), @r#"::error file=scenarios/pam-loss.toml,line=20,title=pam-loss%3A%3Afault::step 2 on mail, "step 2": IMAP alice Login port 993 → NO refused"#);
    }

    #[test]
    fn a_guest_writes_neither_commands_nor_markup() {
        let said = "NO\n::set-output name=x::y 100%\u{1b}[2J <script>alert(1)</script> [a](http://x) | @all #1 ![x](y)";
        let report = report(vec![case_of("fault", Verdict::Failed, Some(said), Vec::new())]);
        let annotations = annotations(&report);
        assert_eq!(annotations.lines().count(), 1, "{annotations}");
        assert!(annotations.contains("NO%0A::set-output"), "{annotations}");
        assert!(annotations.contains("100%25") && !annotations.contains('\u{1b}'));
        insta::assert_snapshot!(job_summary(&report));
    }

    #[test]
    fn the_summary_says_what_failed_first() {
        insta::assert_snapshot!(job_summary(&mixed()));
    }
}
