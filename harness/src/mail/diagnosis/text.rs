//! A diagnosis as people read it.

use super::cause::{Diagnosis, Finding};
use std::fmt;

/// Lines of evidence that are shown of one finding.
const SHOWN: usize = 8;

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
        Ok(())
    }
}

fn details(finding: &Finding, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for line in finding.evidence.iter().take(SHOWN) {
        write!(f, "\n    {}", line.trim())?;
    }
    let more = finding.evidence.len().saturating_sub(SHOWN);
    if more > 0 {
        write!(f, "\n    … and {more} more lines")?;
    }
    write!(f, "\n    cure: {}", finding.cure)
}
