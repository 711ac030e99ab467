//! What is kept of a lab before it is gone: what steps have shown, flows, journals.

use super::case_run::{CaseRun, Engine};
use super::outcome::chain;
use crate::lab::{Lab, is_capture};
use crate::machine::{Machine, MachineName};
use crate::network::flows::restamp;
use crate::sanitize::{self, shortened};
use crate::scenario::verbs::{Artifact, TestState, flows_of};
use futures_util::future::join_all;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much of a machine's journal is kept, in bytes.
const JOURNAL: usize = 4 << 20;

impl CaseRun<'_> {
    /// Puts what steps have shown into the result directory.
    pub(crate) fn artifact(&self, artifacts: &[Artifact]) -> Result<(), String> {
        for Artifact { file, text } in artifacts {
            // JSON has its own way to say what steers.
            let text: Cow<'_, str> = if Path::new(file).extension().is_some_and(|ending| ending == "json") {
                text.into()
            } else {
                Cow::Owned(sanitize::lines(text))
            };
            fs_err::write(self.logs.join(file), text.as_bytes()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

impl Engine<'_> {
    /// Writes down what was captured. Its absence is told, and is no failure of the scenario.
    pub(crate) async fn note_flows(&self, play: &CaseRun<'_>, lab: Option<&Lab>, notes: &mut TestState) {
        let Some(lab) = lab else { return };
        let flows = tokio::select! {
            flows = flows_of(lab, notes) => flows,
            () = self.interrupt.at_once() => return,
        };
        let shown = flows.and_then(|flows| play.artifact(flows.as_slice()));
        if let Err(reason) = shown {
            (self.say)(&format!("  note  the flows are not in the results: {reason}"));
        }
    }

    /// Keeps the journals of a lab, and takes it down.
    pub(crate) async fn end(&self, play: &CaseRun<'_>, lab: Option<Lab>) -> Result<(), String> {
        play.show(None);
        let Some(lab) = lab else { return Ok(()) };
        self.collect(&lab, &play.logs).await;
        lab.tear_down().await.map_err(|error| chain(&error))?;
        self.time_captures(&play.logs).await;
        Ok(())
    }

    /// Gives the packets of captures the host's times, as journals have them. What keeps QEMU's is told, and is no failure.
    async fn time_captures(&self, logs: &Path) {
        let logs = logs.to_owned();
        let timing = tokio::task::spawn_blocking(move || {
            let timed = captures_in(&logs)?.into_iter().map(|file| (restamp(&file), file));
            Ok(timed.filter_map(|(timed, file)| Some((file, timed.err()?))).collect::<Vec<_>>())
        });
        let lost = match timing.await.map_err(std::io::Error::other).flatten() {
            Ok(lost) => lost.into_iter().map(|(file, error)| format!("{}: {error}", file.display())).collect(),
            Err(error) => vec![format!("captures keep QEMU's times: {error}")],
        };
        for loss in lost {
            (self.say)(&format!("  note  {loss}"));
        }
    }

    /// Journals of all machines at once, for whoever reads the result. One that is lost is told, and is no failure.
    async fn collect(&self, lab: &Lab, logs: &Path) {
        let outcomes = tokio::select! {
            outcomes = join_all(lab.machines().map(|machine| keep_journal(lab, machine, logs))) => outcomes,
            () = self.interrupt.at_once() => return,
        };
        for loss in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            (self.say)(&format!("  note  {loss}"));
        }
    }
}

/// The captures of all labs of a case: going back to a checkpoint begins new ones.
fn captures_in(logs: &Path) -> std::io::Result<Vec<PathBuf>> {
    let files = fs_err::read_dir(logs)?.filter_map(Result::ok);
    let captures = files.filter(|file| is_capture(&file.file_name().to_string_lossy()));
    Ok(captures.map(|file| file.path()).collect())
}

/// Why a machine's journal is not in the results.
#[derive(Debug, thiserror::Error)]
#[error("the journal of {machine} is not in the results, its console log is: {reason}")]
struct JournalLost {
    machine: MachineName,
    reason: String,
}

/// The limit keeps a guest that hangs from keeping the run; a machine at work takes a fraction of it.
async fn keep_journal(lab: &Lab, machine: &Machine, logs: &Path) -> Result<(), JournalLost> {
    let lost = |reason| JournalLost { machine: machine.name().clone(), reason };
    let deadline = lab.pace().deadline(Duration::from_secs(5)).at_most(Duration::from_mins(1));
    let command = format!("journalctl --boot --no-pager --output short-precise | tail -c {JOURNAL}");
    let journal = machine.execute(&command, deadline).await.map_err(|error| lost(chain(&error)))?;
    // A hostile guest may send more than it was asked for.
    let text = shortened(lab.identity().redact(&journal.stdout), JOURNAL);
    let file = logs.join(format!("journal-{}.log", machine.name()));
    fs_err::write(file, sanitize::lines(&text)).map_err(|error| lost(error.to_string()))
}
