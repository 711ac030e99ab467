//! A diagnosis as people read it.

use super::cause::{Diagnosis, Finding, RootCause};
use std::fmt;

/// Lines of evidence that are shown of one finding.
const SHOWN: usize = 8;

/// What to do about what no rule explains.
const NEXT: &str = "log in once more, run the collector at once, and read the log of that minute, from saslauthd on";

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}: {}", self.user, self.service, self.cause())?;
        let mut findings = self.findings.iter();
        if let Some(first) = findings.next() {
            write!(f, " ({})", first.certainty)?;
            details(first, f)?;
        }
        for finding in findings {
            write!(f, "\n  also {}: {}", finding.certainty, finding.cause)?;
            details(finding, f)?;
        }
        if !self.unexplained.is_empty() && !self.findings.is_empty() {
            write!(f, "\n  not explained by this:")?;
        }
        lines(&self.unexplained, f)?;
        if self.cause() == RootCause::Unexplained {
            write!(f, "\n    next: {NEXT}")?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n  note: {}", note.trim()))
    }
}

fn lines(lines: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for line in lines.iter().take(SHOWN) {
        write!(f, "\n    {}", line.trim())?;
    }
    let more = lines.len().saturating_sub(SHOWN);
    if more > 0 { write!(f, "\n    … and {more} more lines") } else { Ok(()) }
}

fn details(finding: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    lines(&finding.evidence, f)?;
    write!(f, "\n    cure: {}", finding.cure)
}
