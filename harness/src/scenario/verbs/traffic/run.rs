//! Packets of machines: capturing them, and whom they show to be contacted.

use crate::lab::{self, CAPTURE_LIMIT_VARIABLE as LIMIT_VARIABLE, Lab, LabError};
use crate::network::flows::clock::Clock;
use crate::network::flows::sockets::{self, Socket};
use crate::network::flows::{
    Contact, Cut, CutCapture, Destination, Exchange, Flow, Flows, FlowsOfLab, FlowsOfMachine, Names, Viewpoint, judge,
    record,
};
use crate::scenario::format::step::{Capture, Egress, FlowsSince};
use crate::scenario::verbs::expectation::Contacted;
use crate::scenario::verbs::test_state::Artifact;
use crate::scenario::verbs::{Done, StepContext, StepError, TestState, decided};
use crate::size::Size;
use crate::time::Deadline;
use jiff::Timestamp;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the last pulse of a lab is waited for.
const FAREWELL: Duration = Duration::from_secs(2);

impl StepContext<'_> {
    pub(crate) async fn capture(&mut self, on: Option<&str>, capture: &Capture) -> Result<Done, StepError> {
        let name = capture.name.get_ref();
        let limit = capture.limit.as_ref().map_or_else(lab::capture_limit, |limit| limit.get_ref().parse());
        let limit = limit.map_err(|error| StepError::Broken(format!("{LIMIT_VARIABLE}: {error}")))?;
        let machines = self.begin_capture(on, name, limit).await;
        let machines = machines.map_err(|error| StepError::Broken(error.to_string()))?;
        // From a capture that has ended nobody learns what is sent from now on.
        for machine in &machines {
            self.notes.captured.ended_early(Some(machine)).map_err(StepError::Broken)?;
        }
        let asked = format!("capture all packets of {}, from `{name}` on", machines.join(", "));
        Ok(Done { asked, answered: "they are captured".into(), transcript: None })
    }

    /// Captures the packets of a machine, or of all, from a moment on that has this name; of which machines.
    pub(crate) async fn begin_capture(
        &mut self,
        on: Option<&str>,
        name: &str,
        limit: Size,
    ) -> Result<Vec<String>, LabError> {
        let running = self.lab.machines().map(|machine| machine.name().to_string());
        let machines: Vec<_> = running.filter(|name| on.is_none_or(|on| on == name)).collect();
        for machine in &machines {
            self.lab.capture(machine, limit).await?;
        }
        let at = self.lab.pulse().await?;
        let captured = &mut self.notes.captured;
        captured.machines.extend(machines.iter().cloned());
        for machine in &machines {
            captured.limits.entry(machine.clone()).or_insert(limit);
        }
        captured.moments.insert(name.to_owned(), at);
        captured.note_files(self.lab);
        Ok(machines)
    }

    pub(crate) async fn egress(&mut self, on: &str, egress: &Egress) -> Result<Done, StepError> {
        let since = self.captured_at(egress.since.get_ref())?;
        let (seen, is_full) = if egress.full {
            let seen = self.seen_since(on, since).await?.timed()?;
            (seen, self.notes.captured.expect_end(on))
        } else {
            (self.complete_since(on, since).await?, false)
        };
        let may: Vec<Destination> = egress.named().filter_map(|text| text.get_ref().parse().ok()).collect();
        let contacts = Contact::all(&seen.flows);
        let verdict = judge(&contacts, &may, &seen.names);
        let mut contacted = Contacted {
            all: contacts.iter().map(ToString::to_string).collect(),
            strangers: self.strangers(on, &verdict.strangers).await,
            missing: verdict.missing.iter().map(ToString::to_string).collect(),
            is_full,
            ..Contacted::default()
        };
        if let Some(log) = &egress.logged {
            contacted.by_log = self.contradicted_by_log(on, log, &seen, since).await?;
        }
        if !egress.counted.is_empty() {
            contacted.by_counters = self.contradicted_by_counters(on, &egress.counted, &seen, since).await?;
        }
        let asked = format!("whom {on} contacted since `{}`, by its packets", egress.since.get_ref());
        decided(&egress.judge(&contacted), asked, Some(seen.transcript()))
    }

    pub(crate) async fn flows(&mut self, on: Option<&str>, flows: &FlowsSince) -> Result<Done, StepError> {
        let name = flows.since.get_ref();
        let since = self.captured_at(name)?;
        let machines = on.map_or_else(|| self.notes.captured.machines.clone(), |on| [on.to_owned()].into());
        let mut all = Vec::new();
        for machine in &machines {
            all.extend(self.complete_since(machine, since).await?.flows);
        }
        let exchanges: Vec<_> = Exchange::all(&all).iter().map(ToString::to_string).collect();
        let machines = Vec::from_iter(machines).join(", ");
        let asked = format!("who asked whom since `{name}`, by the packets of {machines}");
        let answered = format!("{} kinds of contacts", exchanges.len());
        let transcript = if exchanges.is_empty() { "nobody asked anybody".into() } else { exchanges.join("\n") };
        Ok(Done { asked, answered, transcript: Some(transcript) })
    }

    /// When the moment of this name was.
    fn captured_at(&self, name: &str) -> Result<Timestamp, StepError> {
        let since = self.notes.captured.moments.get(name).copied();
        since.ok_or_else(|| StepError::Broken(format!("no step has made the capture `{name}`")))
    }

    /// What the captures of a machine show by now, if that is all that was sent.
    async fn complete_since(&mut self, on: &str, since: Timestamp) -> Result<Seen, StepError> {
        let seen = self.seen_since(on, since).await?;
        self.notes.captured.ended_early(Some(on)).map_err(StepError::Broken)?;
        if seen.crowded {
            return Err(StepError::Broken(format!("{on} has too many conversations: not all packets can be judged")));
        }
        seen.timed()
    }

    /// What the captures of a machine show by now.
    pub(crate) async fn seen_since(&mut self, on: &str, since: Timestamp) -> Result<Seen, StepError> {
        self.lab.pulse().await.map_err(|error| StepError::Broken(error.to_string()))?;
        self.notes.captured.note_files(self.lab);
        seen(self.lab, self.notes, on, Some(since), &self.lab.names()).await.map_err(StepError::Broken)
    }

    /// Contacts that may not be, each with the process that has a socket for it now, if one has.
    async fn strangers(&self, on: &str, strangers: &[Contact]) -> Vec<String> {
        if strangers.is_empty() {
            return Vec::new();
        }
        let printed = match self.machine(on) {
            Ok(machine) => machine.execute(sockets::COMMAND, self.deadline()).await.ok(),
            Err(_) => None,
        };
        let sockets = Socket::read(&printed.map(|output| output.stdout).unwrap_or_default());
        let told = |contact: &Contact| {
            let process = sockets::told(&sockets, &contact.to, contact.protocol);
            let process = process.map(|process| format!(", by {process}")).unwrap_or_default();
            format!("{}{process}", self.notes.captured.told(contact))
        };
        strangers.iter().map(told).collect()
    }
}

/// What the captures of a machine show.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) flows: Vec<Flow>,
    /// What addresses are called, also by what the machine asked DNS.
    pub(crate) names: Names,
    /// How many frames were read of each capture.
    frames: Vec<(PathBuf, u64)>,
    /// Captures that end in the middle of something.
    cuts: Vec<(PathBuf, Cut)>,
    untimed: u64,
    /// There are too many conversations: not all are among the flows.
    crowded: bool,
}

impl Seen {
    /// The same, if the time of each packet is known.
    fn timed(self) -> Result<Self, StepError> {
        if self.untimed == 0 {
            return Ok(self);
        }
        let untimed = self.untimed;
        Err(StepError::Broken(format!(
            "the time of {untimed} packets is not known: no pulse of the lab's reached their capture"
        )))
    }

    fn transcript(&self) -> String {
        let mut text = String::new();
        for flow in &self.flows {
            let time = flow.first.map_or_else(|| "-".into(), |at| at.strftime("%H:%M:%S%.3f").to_string());
            let _ = writeln!(
                text,
                "{time}  {:<8}  {} → {}/{}  {} packets {} bytes, back {} and {}, {}",
                format!("{:?}", flow.direction).to_lowercase(),
                flow.from,
                flow.to,
                flow.protocol,
                flow.sent.packets,
                flow.sent.bytes,
                flow.received.packets,
                flow.received.bytes,
                flow.answer
            );
        }
        for (file, cut) in &self.cuts {
            let _ = writeln!(text, "{}: {cut}", file.display());
        }
        text
    }
}

/// All that was captured in a lab, for the result directory; nothing, if nothing was.
pub(crate) async fn flows_of(lab: &Lab, notes: &mut TestState) -> Result<Option<Artifact>, String> {
    notes.captured.note_files(lab);
    if notes.captured.machines.is_empty() {
        return Ok(None);
    }
    // Packets that no other pulse tells the time of have this one. Without it they have none, and are there all the same.
    let _ = lab.pulse_until(Deadline::after(FAREWELL)).await;
    let (names, mut all) = (lab.names(), FlowsOfLab::default());
    for machine in &notes.captured.machines {
        let Seen { flows, frames, cuts, .. } = seen(lab, notes, machine, None, &names).await?;
        let captures = notes.captured.files_of(machine).iter().map(|file| name_of(file)).collect();
        let frames = frames.into_iter().map(|(file, frames)| (name_of(&file), frames)).collect();
        let mut cuts: Vec<_> = cuts.into_iter().map(|(file, cut)| CutCapture { file: name_of(&file), cut }).collect();
        cuts.extend(notes.captured.cuts_of(machine));
        let addresses = lab.viewpoint(machine).addresses.into_iter().collect();
        all.machines.push(FlowsOfMachine { machine: machine.clone(), addresses, captures, frames, cuts, flows });
    }
    Artifact::json(record::FILE.into(), &all).map(Some).map_err(|error| error.to_string())
}

pub(crate) fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The flows of a machine since a moment, by all its captures that stand in the notes.
async fn seen(
    lab: &Lab,
    notes: &TestState,
    machine: &str,
    since: Option<Timestamp>,
    names: &Names,
) -> Result<Seen, String> {
    let (files, view) = (notes.captured.files_of(machine), lab.viewpoint(machine));
    let names = names.clone();
    let reading = tokio::task::spawn_blocking(move || read(files, view, since, &names));
    reading.await.map_err(|error| error.to_string())?
}

fn read(files: Vec<PathBuf>, view: Viewpoint, since: Option<Timestamp>, names: &Names) -> Result<Seen, String> {
    let mut flows = Flows::seen_by(view, since);
    let (mut frames, mut cuts) = (Vec::new(), Vec::new());
    for file in files {
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let open = || std::fs::File::open(&file).map_err(|error| told(&error));
        let clock = Clock::of(open()?).map_err(|error| told(&error))?;
        let before = flows.frames();
        let cut = flows.add(&clock, open()?).map_err(|error| told(&error))?;
        frames.push((file.clone(), flows.frames() - before));
        cuts.extend(cut.map(|cut| (file.clone(), cut)));
    }
    let names = flows.names(names);
    let (untimed, crowded) = (flows.untimed(), flows.is_crowded());
    Ok(Seen { flows: flows.flows(&names), names, frames, cuts, untimed, crowded })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A capture that is missing, empty or something else is named.
    #[rstest::rstest]
    #[case::missing(None, "No such file")]
    #[case::no_capture(Some(&[b'x'; 64]), "this is no capture in the pcap format")]
    fn a_file_that_is_no_capture_is_named(#[case] content: Option<&[u8; 64]>, #[case] words: &str) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("capture-mail-1.pcap");
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let error = read(vec![file], Viewpoint::default(), None, &Names::default()).unwrap_err();
        assert!(error.contains("capture-mail-1.pcap") && error.contains(words), "{error}");
    }
}
