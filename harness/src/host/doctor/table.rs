//! The report as a table for people.

use super::{Check, Report, State};
use std::fmt;

const STATE_WIDTH: usize = "degraded".len();

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name_width = self.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
        for check in &self.checks {
            row(f, check, name_width)?;
        }
        writeln!(f)?;
        writeln!(f, "{}", summary(self))
    }
}

fn row(f: &mut fmt::Formatter<'_>, check: &Check, name_width: usize) -> fmt::Result {
    writeln!(f, "{:STATE_WIDTH$}  {:name_width$}  {}", check.state, check.name, check.finding)?;
    let indent = STATE_WIDTH + name_width + 4;
    let notes = [("so", &check.consequence), ("cure", &check.cure)];
    for (label, note) in notes.into_iter().filter_map(|(label, note)| Some((label, note.as_ref()?))) {
        writeln!(f, "{:indent$}{label}: {note}", "")?;
    }
    Ok(())
}

fn summary(report: &Report) -> String {
    let of_state = |state| report.checks.iter().filter(move |check| check.state == state);
    if report.usable {
        let how = match (report.accelerator, report.pace) {
            (Some(accelerator), Some(pace)) => format!(", by {accelerator} at pace ×{pace:.1}"),
            _ => String::new(),
        };
        let degraded = of_state(State::Degraded).count();
        let but = if degraded == 0 { String::new() } else { format!("; degraded: {degraded}") };
        format!("Scenarios can run here{how}{but}.")
    } else {
        let names: Vec<&str> = of_state(State::Missing).map(|check| check.name.as_str()).collect();
        format!("Scenarios cannot run here: missing {}.", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::accelerator::Accelerator;

    fn checks() -> Vec<Check> {
        vec![
            Check::degraded("KVM", "/dev/kvm does not exist", "guests are emulated, several times slower")
                .cure("modprobe kvm_amd"),
            Check::ok("network namespaces", "made as root"),
            Check::degraded("cores", "1", "scenarios take much longer"),
        ]
    }

    #[test]
    fn a_usable_host() {
        insta::assert_snapshot!(Report::new(checks(), Some(Accelerator::Tcg), Some(5.34)));
    }

    #[test]
    fn a_host_that_lacks_something() {
        let lacking = Check::missing("mmdebstrap", "not installed", "it is needed to build guest images")
            .cure("cargo xtask setup, which installs mmdebstrap");
        insta::assert_snapshot!(Report::new([checks(), vec![lacking]].concat(), Some(Accelerator::Tcg), Some(5.34)));
    }

    #[test]
    fn a_report_for_programs() {
        insta::assert_json_snapshot!(Report::new(checks(), Some(Accelerator::Tcg), Some(5.34)));
    }
}
