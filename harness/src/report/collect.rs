//! From the files of a run to its report, and from the report to files.

use super::model::{CaseReport, FORMAT, Host, LogFile, NamedDrift, Report};
use super::{html, junit};
use crate::bounded;
use crate::figures::{self, Figure};
use crate::host::output::{self, Readers};
use crate::network::flows::record;
use crate::results::{RESULT, ScenarioResult};
use crate::sanitize;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The file of a run that says where and when it ran.
const HEAD: &str = "run.json";
/// The file that the report itself is in.
const REPORT: &str = "report.json";
/// Held locked while reports are made: cases that are processes of their own end at the same time.
const LOCK: &str = ".report-lock";

/// What is known of a run beside its cases.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// When it began.
    pub started: Timestamp,
    /// How long it took; none while it runs, or if it was killed.
    pub seconds: Option<f64>,
    /// Whether somebody ended it before it was over.
    pub interrupted: bool,
    /// Where it ran.
    pub host: Host,
    /// Cases that did not run.
    pub left_out: Vec<ScenarioResult>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The directory holds no run.
    #[error("there is no run in {}: it has no {HEAD}; `cargo xtask test` makes one", .0.display())]
    NoRun(PathBuf),
    /// A file of it makes no sense.
    #[error("{} is damaged: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It was made by another version.
    #[error("{} was made by another version of Rehearsal (format {format}, and this one reads {FORMAT})", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
    /// `JUnit`'s form cannot say it.
    #[error("failed to write JUnit XML: {0}")]
    Junit(#[from] quick_junit::SerializeError),
}

impl Head {
    /// A run that begins now.
    #[must_use]
    pub fn new(host: Host) -> Self {
        Self { started: Timestamp::now(), seconds: None, interrupted: false, host, left_out: Vec::new() }
    }

    /// Writes it into the directory of its run, unless another process of the run has.
    pub fn begin(&self, run: &Path) -> Result<(), ReportError> {
        let _lock = lock(run)?;
        if run.join(HEAD).exists() { Ok(()) } else { self.put(run) }
    }

    fn put(&self, run: &Path) -> Result<(), ReportError> {
        put(&run.join(HEAD), &to_json(self)?)
    }
}

/// A run, or one process of it, is over: its reports are made of what there is.
pub fn finish(run: &Path, interrupted: bool, left_out: Vec<ScenarioResult>) -> Result<Report, ReportError> {
    let _lock = lock(run)?;
    let mut head: Head = read(&run.join(HEAD))?;
    head.seconds = Some(Timestamp::now().duration_since(head.started).as_secs_f64());
    head.interrupted |= interrupted;
    head.left_out.extend(left_out);
    head.put(run)?;
    let report = collect(run)?;
    write(&report, run)?;
    Ok(report)
}

/// Makes the report of the run in a directory from what its cases have left.
pub fn collect(run: &Path) -> Result<Report, ReportError> {
    let head = run.join(HEAD);
    if !head.is_file() {
        return Err(ReportError::NoRun(run.to_owned()));
    }
    let head: Head = read(&head)?;
    let mut cases = Vec::new();
    for entry in fs_err::read_dir(run)? {
        let directory = entry?.path();
        // A link would lead out of the run, to whatever its maker chose.
        let is_own = fs_err::symlink_metadata(&directory)?.is_dir();
        if is_own && directory.join(RESULT).is_file() {
            cases.push(case(run, &directory)?);
        }
    }
    let never_ran =
        |result| CaseReport { result, drifts: Vec::new(), flows: None, figures: Vec::new(), files: Vec::new() };
    cases.extend(head.left_out.into_iter().map(never_ran));
    sort(&mut cases);
    // Of a run that was killed nobody has written down how long it took.
    let seconds = head.seconds.unwrap_or_else(|| {
        let ends = cases.iter().filter_map(|case| {
            let length = SignedDuration::try_from_secs_f64(case.result.seconds).ok()?;
            case.result.started?.checked_add(length).ok()
        });
        ends.max().map_or(0.0, |end| end.duration_since(head.started).as_secs_f64())
    });
    Ok(Report { format: FORMAT, started: head.started, seconds, interrupted: head.interrupted, host: head.host, cases })
}

/// Those of one scenario together: the scenario that began first comes first, and what never ran comes last in it.
fn sort(cases: &mut [CaseReport]) {
    let began = |case: &CaseReport| case.result.started.unwrap_or(Timestamp::MAX);
    let first =
        |name: &str, cases: &[CaseReport]| cases.iter().filter(|case| case.result.name == name).map(began).min();
    let mut keys: Vec<_> =
        cases.iter().map(|case| (first(&case.result.name, cases), case.result.name.clone())).collect();
    keys.sort();
    keys.dedup();
    cases.sort_by_key(|case| {
        let place = keys.iter().position(|(_, name)| *name == case.result.name);
        (place, began(case), case.result.case.clone())
    });
}

fn case(run: &Path, directory: &Path) -> Result<CaseReport, ReportError> {
    let result: ScenarioResult = read(&directory.join(RESULT))?;
    let mut drifts: Vec<NamedDrift> = Vec::new();
    for file in result.steps.iter().flat_map(|step| &step.files) {
        let is_new = drifts.iter().all(|known| known.file != *file);
        if file.starts_with("drift-") && is_new && directory.join(file).is_file() {
            drifts.push(NamedDrift { file: file.clone(), drift: read(&directory.join(file))? });
        }
    }
    let mut figures: Vec<Figure> = Vec::new();
    for file in result.steps.iter().flat_map(|step| &step.files) {
        if file.starts_with(figures::FILES) && directory.join(file).is_file() {
            figures.extend(read::<Vec<Figure>>(&directory.join(file))?);
        }
    }
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(directory).sort_by_file_name() {
        let entry = entry.map_err(io::Error::from)?;
        let below = entry.path().strip_prefix(run).unwrap_or(entry.path());
        if entry.file_type().is_file() && entry.file_name() != RESULT {
            let bytes = entry.metadata().map_err(io::Error::from)?.len();
            files.push(LogFile { path: below.display().to_string(), bytes });
        }
    }
    let flows = directory.join(record::FILE);
    let flows = if flows.is_file() { Some(read(&flows)?) } else { None };
    Ok(CaseReport { result, drifts, flows, figures, files })
}

/// Reads the `report.json` of a run.
pub fn load(run: &Path) -> Result<Report, ReportError> {
    let path = run.join(REPORT);
    let value: serde_json::Value = read(&path)?;
    match value["format"].as_u64() {
        Some(format) if format != u64::from(FORMAT) => Err(ReportError::Foreign { path, format }),
        _ => serde_json::from_value(value).map_err(|source| ReportError::Damaged { path, source }),
    }
}

/// Reads anything as a report, and renders it in each form; says whether it is one.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) -> bool {
    let Ok(report) = serde_json::from_slice::<Report>(bytes) else { return false };
    let _ = (junit::render(&report), html::render(&report), super::summary::render(&report));
    let _ = (super::github::annotations(&report), super::github::job_summary(&report));
    true
}

/// Writes all files of a report.
pub fn write(report: &Report, run: &Path) -> Result<(), ReportError> {
    put(&run.join(REPORT), &to_json(report)?)?;
    put(&run.join("junit.xml"), junit::render(report)?.as_bytes())?;
    put(&run.join("report.html"), html::render(report).as_bytes())
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, ReportError> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    Ok(sanitize::json(&text).into_bytes())
}

/// No run has a larger file.
const LARGEST: u64 = 256 << 20;

/// A reader finds the old file or the new one.
fn put(path: &Path, content: &[u8]) -> Result<(), ReportError> {
    output::write(path, Readers::Others, content).map_err(|error| io::Error::other(error).into())
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, ReportError> {
    let bytes = bounded::read(path, LARGEST)?;
    serde_json::from_slice(&bytes).map_err(|source| ReportError::Damaged { path: path.to_owned(), source })
}

fn lock(run: &Path) -> io::Result<File> {
    let file = File::options().write(true).create(true).truncate(false).open(run.join(LOCK))?;
    file.lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::super::model::samples::{case, mixed, step};
    use super::*;
    use crate::drift::Drift;
    use crate::results::{Run, StepOutcome, Verdict};

    fn begun() -> (tempfile::TempDir, Run) {
        let parent = tempfile::tempdir().unwrap();
        let run = Run::create(parent.path()).unwrap();
        Head::new(mixed().host).begin(run.directory()).unwrap();
        (parent, run)
    }

    #[test]
    fn what_cases_left_becomes_a_report_with_drift_and_links() {
        let (_parent, run) = begun();
        let at = Timestamp::now();
        let drift = Drift { machine: "mail".into(), before: at, after: at, changes: Vec::new(), packages: Vec::new() };
        let mut with_drift = step(1, StepOutcome::Passed, "OK in");
        with_drift.files.push("drift-before-mail.json".into());
        let directory = run.case("pam-loss", "fault").unwrap();
        std::fs::write(directory.join("drift-before-mail.json"), serde_json::to_vec(&drift).unwrap()).unwrap();
        std::fs::write(directory.join("console-mail.log"), "boot").unwrap();
        run.add(case("fault", Verdict::Passed, None, vec![with_drift]).result).unwrap();
        let left_out = case("slow", Verdict::Skipped, Some("for full runs only"), Vec::new()).result;
        finish(run.directory(), true, vec![left_out]).unwrap();
        let report = load(run.directory()).unwrap();
        assert!(report.interrupted);
        assert_eq!(report.cases.len(), 2);
        assert_eq!(report.cases[0].drifts[0].drift, drift);
        let paths: Vec<_> = report.cases[0].files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["pam-loss::fault/console-mail.log", "pam-loss::fault/drift-before-mail.json"]);
        for file in ["junit.xml", "report.html"] {
            assert!(run.directory().join(file).is_file(), "{file}");
        }
    }

    #[test]
    fn a_run_that_was_killed_has_a_report_of_what_there_was() {
        let (_parent, run) = begun();
        run.add(case("fault", Verdict::Passed, None, Vec::new()).result).unwrap();
        let report = collect(run.directory()).unwrap();
        assert_eq!(report.cases.len(), 1);
    }

    #[test]
    fn processes_of_one_run_share_its_report() {
        let (_parent, run) = begun();
        for name in ["fault", "control"] {
            Head::new(mixed().host).begin(run.directory()).unwrap();
            run.add(case(name, Verdict::Passed, None, Vec::new()).result).unwrap();
            finish(run.directory(), false, Vec::new()).unwrap();
        }
        assert_eq!(load(run.directory()).unwrap().cases.len(), 2);
    }

    #[rstest::rstest]
    #[case::nothing(None, "there is no run in")]
    #[case::half(Some("{\"started\": "), "run.json is damaged")]
    fn what_is_no_run_is_named(#[case] head: Option<&str>, #[case] words: &str) {
        let directory = tempfile::tempdir().unwrap();
        if let Some(head) = head {
            std::fs::write(directory.path().join(HEAD), head).unwrap();
        }
        let error = collect(directory.path()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn a_report_of_another_version_is_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(REPORT), "{\"format\": 99}").unwrap();
        let error = load(directory.path()).unwrap_err().to_string();
        assert!(error.contains("another version of Rehearsal (format 99"), "{error}");
    }

    #[test]
    fn scenarios_stay_together_in_the_order_of_their_begin() {
        let mut cases = mixed().cases;
        cases[0].result.name = "rewind".into();
        cases[0].result.started = Some("2026-01-02T03:03:00Z".parse().unwrap());
        cases.reverse();
        sort(&mut cases);
        let titles: Vec<_> = cases.iter().map(|case| case.result.title()).collect();
        assert_eq!(titles, ["rewind::control", "pam-loss::fault", "pam-loss::slow-one", "pam-loss::slow-two"]);
    }
}
