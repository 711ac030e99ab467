//! What a run leaves behind: one directory with events, results, logs and transcripts.
//!
//! Each case's result is a file of its own, written when the case is over. So cases may be processes of their own that share
//! the directory, and a run that was killed leaves what there was. Reports are made from these files by [`crate::report`].

mod event;
mod result;

pub use event::{Beginning, RunEvent, Watcher};
pub use result::{CaseRecord, KeptSteps, LabNote, Part, ScenarioResult, StarvedRun, StepOutcome, StepResult, Verdict};

use crate::sanitize;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The file of a case that its result is in.
pub(crate) const RESULT: &str = "result.json";

/// The result directory of one run. Shared by everything that runs in it.
pub struct Run {
    directory: PathBuf,
    /// Paths in results are told as seen from here.
    root: Option<PathBuf>,
    events: Mutex<File>,
    /// Cases that have begun and are not over.
    open: Mutex<BTreeMap<(String, String), Open>>,
    watcher: OnceLock<Box<Watcher>>,
}

/// A case that is not over.
struct Open {
    started: Timestamp,
    lab: Vec<LabNote>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Run {
    /// Makes a new directory below `parent`, named by the time, and lets `latest` point to it.
    pub fn create(parent: &Path) -> io::Result<Self> {
        let name = format!("{}-{}", Timestamp::now().strftime("%Y%m%d-%H%M%S"), std::process::id());
        Self::open(parent, &name)
    }

    /// Takes the directory of this name below `parent`, which several processes may share, and lets `latest` point to it.
    pub fn open(parent: &Path, name: &str) -> io::Result<Self> {
        fs_err::create_dir_all(parent)?;
        let directory = parent.join(name);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        // A link is replaced in one step: a reader finds the old run or the new one.
        let link = parent.join(format!(".latest-{}", std::process::id()));
        fs_err::os::unix::fs::symlink(name, &link)?;
        fs_err::rename(link, parent.join("latest"))?;
        let events = File::options().append(true).create(true).open(directory.join("events.jsonl"))?;
        let (events, open, watcher) = (events.into(), Mutex::default(), OnceLock::new());
        Ok(Self { directory, root: None, events, open, watcher })
    }

    /// Lets results tell paths as seen from `root`.
    #[must_use]
    pub fn seen_from(mut self, root: &Path) -> Self {
        self.root = root.canonicalize().ok();
        self
    }

    /// Lets somebody watch from now on; only the first who asks does.
    pub fn watch(&self, watcher: Box<Watcher>) {
        let _ = self.watcher.set(watcher);
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory of one case, made.
    pub fn case(&self, scenario: &str, case: &str) -> io::Result<PathBuf> {
        let directory = self.directory.join(format!("{scenario}::{case}"));
        fs_err::create_dir_all(&directory)?;
        Ok(directory)
    }

    /// Tells what happens in a case: to the log of events, and to whoever watches.
    pub fn tell(&self, scenario: &str, case: &str, happening: &RunEvent) {
        let now = Timestamp::now();
        if let Ok(mut open) = self.open.lock() {
            let whose = (scenario.to_owned(), case.to_owned());
            match happening {
                RunEvent::Begins => drop(open.insert(whose, Open { started: now, lab: Vec::new() })),
                RunEvent::Lab(words) => {
                    if let Some(open) = open.get_mut(&whose) {
                        let after = now.duration_since(open.started).as_secs_f64();
                        open.lab.push(LabNote { after, words: words.clone() });
                    }
                }
                _ => {}
            }
        }
        if let Some(watcher) = self.watcher.get() {
            watcher(scenario, case, happening);
        }
        self.log(now, scenario, case, happening);
    }

    /// Appends an event. A full disk must not end a run: the event is then lost.
    fn log(&self, now: Timestamp, scenario: &str, case: &str, happening: &impl Serialize) {
        let Ok(mut event) = serde_json::to_value(happening) else { return };
        event["at"] = now.to_string().into();
        event["scenario"] = scenario.into();
        event["case"] = case.into();
        if let Some(details) = event.get_mut("details").and_then(serde_json::Value::as_object_mut) {
            // It is in the case's result, and may be long.
            details.remove("transcript");
        }
        if let Ok(mut events) = self.events.lock() {
            // In one piece: other processes may append, too.
            let _ = events.write_all(sanitize::json(&format!("{event}\n")).as_bytes());
        }
    }

    /// Adds the result of a case: it is over.
    pub fn add(&self, mut result: ScenarioResult) -> io::Result<()> {
        let whose = (result.name.clone(), result.case.clone());
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&whose);
        if let Some(Open { started, lab }) = open {
            (result.started, result.lab) = (Some(started), lab);
        }
        let result = self.named(result);
        let path = self.case(&result.name, &result.case)?.join(RESULT);
        fs_err::write(path, sanitize::json(&serde_json::to_string_pretty(&result)?))
    }

    /// Whether there is a result of this case.
    pub fn has(&self, scenario: &str, case: &str) -> bool {
        self.directory.join(format!("{scenario}::{case}")).join(RESULT).is_file()
    }

    /// The cases that have begun and are not over, as `(scenario, case)`.
    pub fn unfinished(&self) -> Vec<(String, String)> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The same result, with its file as seen from the project.
    #[must_use]
    pub fn named(&self, result: ScenarioResult) -> ScenarioResult {
        let path = PathBuf::from(&result.file);
        let whole = path.canonicalize().unwrap_or(path);
        let below = self.root.as_ref().and_then(|root| whole.strip_prefix(root).ok());
        ScenarioResult { file: below.unwrap_or(&whole).display().to_string(), ..result }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result() -> ScenarioResult {
        ScenarioResult {
            name: "pam-loss".into(),
            case: "fault".into(),
            summary: "x".into(),
            file: String::new(),
            control: false,
            outcome: Verdict::Passed,
            reason: None,
            started: None,
            seconds: 1.0,
            lab_seconds: 0.5,
            lab: Vec::new(),
            covers: Vec::new(),
            kept: None,
            close_calls: Vec::new(),
            cores: Vec::new(),
            lost: None,
            starved: None,
            steps: Vec::new(),
        }
    }

    #[test]
    fn the_newest_run_is_the_latest() {
        let parent = tempfile::tempdir().unwrap();
        let run = Run::create(parent.path()).unwrap();
        let latest = parent.path().join("latest");
        assert_eq!(latest.canonicalize().unwrap(), run.directory().canonicalize().unwrap());
        let other = Run::open(parent.path(), "other").unwrap();
        assert_eq!(latest.canonicalize().unwrap(), other.directory().canonicalize().unwrap());
    }

    #[test]
    fn what_happens_is_logged_watched_and_part_of_the_result() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("pam-loss.toml");
        std::fs::write(&file, "").unwrap();
        let run = Run::create(parent.path()).unwrap().seen_from(parent.path());
        let (heard, hear) = std::sync::mpsc::channel();
        run.watch(Box::new(move |scenario, case, _| heard.send(format!("{scenario}::{case}")).unwrap()));
        run.tell("pam-loss", "fault", &RunEvent::Begins);
        run.tell("pam-loss", "fault", &RunEvent::Lab("it boots".into()));
        assert_eq!(run.unfinished(), [("pam-loss".to_owned(), "fault".to_owned())]);
        run.add(ScenarioResult { file: file.display().to_string(), ..result() }).unwrap();
        assert!(run.unfinished().is_empty());
        assert_eq!(hear.try_iter().collect::<Vec<_>>(), ["pam-loss::fault"; 2]);
        let bytes = std::fs::read(run.directory().join("pam-loss::fault").join(RESULT)).unwrap();
        let result: ScenarioResult = serde_json::from_slice(&bytes).unwrap();
        assert!(result.started.is_some());
        assert_eq!((result.file.as_str(), result.lab[0].words.as_str()), ("pam-loss.toml", "it boots"));
        let events = std::fs::read_to_string(run.directory().join("events.jsonl")).unwrap();
        let events: Vec<serde_json::Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&events[0]["event"], &events[1]["details"]), (&"begins".into(), &"it boots".into()));
    }
}
