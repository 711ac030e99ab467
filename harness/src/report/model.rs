//! A whole run, as data: `report.json`.

use crate::drift::Drift;
use crate::figures::Figure;
use crate::host::accelerator::Selection;
use crate::network::flows::FlowsOfLab;
use crate::results::{ScenarioResult, StarvedRun, Verdict};
use crate::time::CloseCall;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Changes when the model has another form.
pub(super) const FORMAT: u32 = 2;

/// A whole run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The form of this model.
    pub format: u32,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// Whether somebody ended it before it was over.
    pub interrupted: bool,
    /// Where it ran.
    pub host: Host,
    /// Its cases: those of one scenario together, in the order in which they began.
    pub cases: Vec<CaseReport>,
}

/// The host of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// What ran the guests' processors: `kvm` or `tcg`.
    pub accelerator: String,
    /// Why that.
    pub reason: String,
    /// How much slower than with KVM on an idle host guests ran.
    pub pace: f64,
    /// Processors of the host.
    pub cores: usize,
    /// Memory for guests, in MiB.
    pub memory_mib: u32,
    /// What QEMU says of its version.
    pub qemu: String,
}

/// One case, with what it left.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseReport {
    /// What became of it.
    pub result: ScenarioResult,
    /// What changed in the configuration of machines, where a step asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drifts: Vec<NamedDrift>,
    /// Who contacted whom, where packets were captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flows: Option<FlowsOfLab>,
    /// What its steps have measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figure>,
    /// Its files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<LogFile>,
}

/// A drift, and the file that it was read from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedDrift {
    /// The file, in the directory of the case.
    pub file: String,
    /// What changed.
    pub drift: Drift,
}

/// A file of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFile {
    /// Its path, as seen from the report.
    pub path: String,
    /// What it holds, in bytes.
    pub bytes: u64,
}

/// How many cases came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
    /// Cases that did not run.
    pub skipped: usize,
}

impl Host {
    /// This host, as guests run on it.
    #[must_use]
    pub fn of(selection: &Selection, qemu: &str, memory_mib: u32) -> Self {
        Self {
            accelerator: selection.accelerator.name().to_owned(),
            reason: selection.reason.clone(),
            pace: selection.pace.factor(),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_mib,
            qemu: qemu.to_owned(),
        }
    }
}

impl Report {
    /// How many cases came to what.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let count = |verdict| self.with(verdict).count();
        Counts { passed: count(Verdict::Passed), failed: count(Verdict::Failed), skipped: count(Verdict::Skipped) }
    }

    /// Cases that ran twice, by title, since their guests were starved the first time.
    pub fn starved(&self) -> impl Iterator<Item = (String, &StarvedRun)> {
        self.cases.iter().filter_map(|case| Some((case.result.title(), case.result.starved.as_ref()?)))
    }

    /// The cases with this verdict.
    pub fn with(&self, verdict: Verdict) -> impl Iterator<Item = &ScenarioResult> {
        self.cases.iter().map(|case| &case.result).filter(move |result| result.outcome == verdict)
    }

    /// Waits that took most of their time, with the cases that they are of: the closest first.
    #[must_use]
    pub fn close_calls(&self) -> Vec<(String, &CloseCall)> {
        let mut close: Vec<_> = Vec::new();
        for CaseReport { result, .. } in &self.cases {
            close.extend(result.close_calls.iter().map(|call| (result.title(), call)));
        }
        close.sort_by(|(_, one), (_, other)| (other.waited / other.allowed).total_cmp(&(one.waited / one.allowed)));
        close
    }

    /// Controls that have left steps out, each with how many.
    #[must_use]
    pub fn left_out_of_controls(&self) -> Vec<(String, usize)> {
        let controls = self.cases.iter().map(|case| &case.result).filter(|result| result.control);
        let counted = controls.map(|result| (result.title(), result.not_carried_out().count()));
        counted.filter(|(_, steps)| *steps > 0).collect()
    }

    /// Why cases did not run: each reason with the cases that it concerns.
    #[must_use]
    pub fn skips(&self) -> BTreeMap<&str, Vec<String>> {
        let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for result in self.with(Verdict::Skipped) {
            reasons.entry(result.reason.as_deref().unwrap_or("no reason is known")).or_default().push(result.title());
        }
        reasons
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::host::core_meter::CoreShare;
    use crate::results::{Part, StarvedRun, StepOutcome, StepResult};

    /// A step that a guest has answered.
    pub(crate) fn step(number: usize, outcome: StepOutcome, answered: &str) -> StepResult {
        StepResult {
            number: Some(number),
            name: format!("step {number}"),
            machine: "mail".into(),
            part: Part::Plain,
            phase: None,
            line: Some(number * 10),
            started: Some("2026-01-02T03:04:05Z".parse().unwrap()),
            outcome,
            seconds: 1.5,
            asked: "IMAP alice Login port 993".into(),
            answered: answered.into(),
            diagnosis: None,
            transcript: Some(format!("S: * OK ready\nC: a1 LOGIN alice ******\nS: a1 {answered}\n")),
            files: vec![format!("step-{number:02}.txt")],
            cores: None,
        }
    }

    /// A run that says nothing.
    pub(crate) fn starved() -> StarvedRun {
        let share = CoreShare { machine: "mail".into(), seconds: 10.0, ran: 2.0, waited: 7.5, stolen: 0.0 };
        let steps = vec![step(1, StepOutcome::Failed, "NO")];
        StarvedRun { reason: "step 1 on mail: sssd\u{1b}[2J has failed".into(), seconds: 30.0, share, steps }
    }

    /// A case of these steps.
    pub(crate) fn case(case: &str, outcome: Verdict, reason: Option<&str>, steps: Vec<StepResult>) -> CaseReport {
        let result = ScenarioResult {
            name: "pam-loss".into(),
            case: case.into(),
            summary: "the loss of two files".into(),
            file: "scenarios/pam-loss.toml".into(),
            control: case == "control",
            outcome,
            reason: reason.map(str::to_owned),
            started: (outcome != Verdict::Skipped).then(|| "2026-01-02T03:04:00Z".parse().unwrap()),
            seconds: 12.0,
            lab_seconds: 3.0,
            lab: Vec::new(),
            covers: vec!["U3".into()],
            kept: None,
            close_calls: Vec::new(),
            cores: Vec::new(),
            lost: None,
            starved: None,
            steps,
        };
        CaseReport { result, drifts: Vec::new(), flows: None, figures: Vec::new(), files: Vec::new() }
    }

    /// A run of these cases.
    pub(crate) fn report(cases: Vec<CaseReport>) -> Report {
        let host = Host {
            accelerator: "tcg".into(),
            reason: "there is no /dev/kvm".into(),
            pace: 8.0,
            cores: 2,
            memory_mib: 4096,
            qemu: "QEMU emulator version 10.0.2".into(),
        };
        let started = "2026-01-02T03:04:00Z".parse().unwrap();
        Report { format: FORMAT, started, seconds: 75.0, interrupted: false, host, cases }
    }

    /// One case that passed, one that failed, two that were left out.
    pub(crate) fn mixed() -> Report {
        let failed = "step 2 on mail, \"step 2\": IMAP alice Login port 993 → NO refused";
        report(vec![
            case("control", Verdict::Passed, None, vec![step(1, StepOutcome::Passed, "OK in")]),
            case(
                "fault",
                Verdict::Failed,
                Some(failed),
                vec![step(1, StepOutcome::Passed, "OK in"), step(2, StepOutcome::Failed, "NO refused")],
            ),
            case("slow-one", Verdict::Skipped, Some("for full runs only"), Vec::new()),
            case("slow-two", Verdict::Skipped, Some("for full runs only"), Vec::new()),
        ])
    }

    #[test]
    fn a_report_survives_json_and_counts() {
        let json = serde_json::to_string(&mixed()).unwrap();
        let report: Report = serde_json::from_str(&json).unwrap();
        assert_eq!(report.counts(), Counts { passed: 1, failed: 1, skipped: 2 });
        assert_eq!(report.skips()["for full runs only"].len(), 2);
        assert_eq!(serde_json::to_string(&report).unwrap(), json);
    }
}
