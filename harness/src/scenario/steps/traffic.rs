//! Packets of machines: capturing them, and whom they show to be contacted.

use super::super::step::{Capture, Egress, FlowsSince};
use super::notes::Exhibit;
use super::{Done, Notes, Stage, StepError, judged};
use crate::lab::{Lab, LabError};
use crate::network::flows::clock::Clock;
use crate::network::flows::sockets::{self, Socket};
use crate::network::flows::{
    Contact, Cut, CutCapture, Destination, Exchange, Flow, Flows, FlowsOfLab, FlowsOfMachine, Names, Viewpoint, judge,
    record,
};
use crate::time::Deadline;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the last pulse of a lab is waited for.
const FAREWELL: Duration = Duration::from_secs(2);

/// What steps have left about captures.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Captured {
    /// The machines whose packets are captured whenever they run.
    pub(in crate::scenario) machines: BTreeSet<String>,
    /// Moments by name, by the host's clock.
    moments: BTreeMap<String, Timestamp>,
    /// The files so far, in the order in which they were begun, each with its machine.
    files: Vec<(String, PathBuf)>,
    /// The steps since the first capture, as they began.
    steps: Vec<Begun>,
}

/// A step that began.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begun {
    number: usize,
    name: String,
    at: Timestamp,
}

impl Captured {
    /// Takes note of the files that a lab has begun.
    pub(in crate::scenario) fn note_files(&mut self, lab: &Lab) {
        for capture in lab.captures() {
            if !self.files.iter().any(|(_, known)| *known == capture.file) {
                self.files.push((capture.machine.to_string(), capture.file));
            }
        }
    }

    /// Takes note of a step that begins.
    pub(in crate::scenario) fn note_step(&mut self, index: usize, name: &str) {
        if !self.machines.is_empty() {
            self.steps.push(Begun { number: index + 1, name: name.to_owned(), at: Timestamp::now() });
        }
    }

    /// The files belong to an earlier run, and are not here.
    pub(in crate::scenario) fn forget_files(&mut self) {
        self.files.clear();
        self.moments.clear();
    }

    fn files_of(&self, machine: &str) -> Vec<PathBuf> {
        self.files.iter().filter(|(of, _)| of == machine).map(|(_, file)| file.clone()).collect()
    }

    /// A contact that may not be.
    fn told(&self, contact: &Contact) -> String {
        let Contact { first, sent, answer, .. } = contact;
        format!(
            "{contact} was contacted at {} {} ({} packets, {answer})",
            first.strftime("%H:%M:%S%.3fZ"),
            self.step_at(*first),
            sent.packets
        )
    }

    /// The step during which something happened.
    fn step_at(&self, at: Timestamp) -> String {
        let begun = self.steps.iter().rev().find(|step| step.at <= at);
        begun.map_or_else(
            || "before the first step".into(),
            |step| format!("during step {}, \"{}\"", step.number, step.name),
        )
    }
}

impl Stage<'_> {
    pub(super) async fn capture(&mut self, on: Option<&str>, capture: &Capture) -> Result<Done, StepError> {
        let name = capture.name.get_ref();
        let machines = self.begin_capture(on, name).await.map_err(|error| StepError::Broken(error.to_string()))?;
        let asked = format!("capture all packets of {}, from `{name}` on", machines.join(", "));
        Ok(Done { asked, answered: "they are captured".into(), transcript: None })
    }

    /// Captures the packets of a machine, or of all, from a moment on that has this name; of which machines.
    pub(in crate::scenario) async fn begin_capture(
        &mut self,
        on: Option<&str>,
        name: &str,
    ) -> Result<Vec<String>, LabError> {
        let running = self.lab.machines().map(|machine| machine.name().to_string());
        let machines: Vec<_> = running.filter(|name| on.is_none_or(|on| on == name)).collect();
        for machine in &machines {
            self.lab.capture(machine).await?;
        }
        let at = self.lab.pulse().await?;
        let captured = &mut self.notes.captured;
        captured.machines.extend(machines.iter().cloned());
        captured.moments.insert(name.to_owned(), at);
        captured.note_files(self.lab);
        Ok(machines)
    }

    pub(super) async fn egress(&mut self, on: &str, egress: &Egress) -> Result<Done, StepError> {
        let since = self.captured_at(egress.since.get_ref())?;
        let seen = self.timed_since(on, since).await?;
        let may: Vec<Destination> = egress.named().filter_map(|text| text.get_ref().parse().ok()).collect();
        let contacts = Contact::all(&seen.flows);
        let verdict = judge(&contacts, &may, &seen.names);
        let mut wrong = self.strangers(on, &verdict.strangers).await;
        if egress.exactly.is_some() {
            wrong.extend(verdict.missing.iter().map(|destination| format!("{destination} was not contacted")));
        }
        if let Some(log) = &egress.logged {
            wrong.extend(self.contradicted_by_log(on, log, &seen, since).await?);
        }
        if !egress.counted.is_empty() {
            wrong.extend(self.contradicted_by_counters(on, &egress.counted, &seen, since).await?);
        }
        let asked = format!("whom {on} contacted since `{}`, by its packets", egress.since.get_ref());
        let known: Vec<_> = contacts.iter().map(ToString::to_string).collect();
        let known = if known.is_empty() { "nobody".to_owned() } else { known.join(", ") };
        let answered = if wrong.is_empty() { known } else { format!("{known}: {}", wrong.join("; ")) };
        let transcript = Some(seen.transcript());
        judged(wrong.is_empty(), Done { asked, answered, transcript })
    }

    pub(super) async fn flows(&mut self, on: Option<&str>, flows: &FlowsSince) -> Result<Done, StepError> {
        let name = flows.since.get_ref();
        let since = self.captured_at(name)?;
        let machines = on.map_or_else(|| self.notes.captured.machines.clone(), |on| [on.to_owned()].into());
        let mut all = Vec::new();
        for machine in &machines {
            all.extend(self.timed_since(machine, since).await?.flows);
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

    /// What the captures of a machine show by now, if the time of all of it is known.
    async fn timed_since(&mut self, on: &str, since: Timestamp) -> Result<Seen, StepError> {
        let seen = self.seen_since(on, since).await?;
        if seen.untimed > 0 {
            return Err(StepError::Broken(format!(
                "the time of {} packets is not known: no pulse of the lab's reached their capture",
                seen.untimed
            )));
        }
        Ok(seen)
    }

    /// What the captures of a machine show by now.
    pub(super) async fn seen_since(&mut self, on: &str, since: Timestamp) -> Result<Seen, StepError> {
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
pub(super) struct Seen {
    pub(super) flows: Vec<Flow>,
    /// What addresses are called, also by what the machine asked DNS.
    pub(super) names: Names,
    /// How many frames were read of each capture.
    frames: Vec<(PathBuf, u64)>,
    /// Captures that end in the middle of something.
    cuts: Vec<(PathBuf, Cut)>,
    untimed: u64,
}

impl Seen {
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
pub(in crate::scenario) async fn flows_of(lab: &Lab, notes: &mut Notes) -> Result<Option<Exhibit>, String> {
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
        let cuts = cuts.into_iter().map(|(file, cut)| CutCapture { file: name_of(&file), cut }).collect();
        let addresses = lab.viewpoint(machine).addresses.into_iter().collect();
        all.machines.push(FlowsOfMachine { machine: machine.clone(), addresses, captures, frames, cuts, flows });
    }
    Exhibit::json(record::FILE.into(), &all).map(Some).map_err(|error| error.to_string())
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The flows of a machine since a moment, by all its captures that stand in the notes.
async fn seen(
    lab: &Lab,
    notes: &Notes,
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
    Ok(Seen { flows: flows.flows(&names), names, frames, cuts, untimed: flows.untimed() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::flows::{Answer, Count, Party, Protocol};

    #[rstest::rstest]
    #[case::before(5, "before the first step")]
    #[case::in_the_first(10, "during step 2, \"alice logs in\"")]
    #[case::in_the_last(25, "during step 3, \"nobody was contacted\"")]
    fn a_contact_is_told_with_its_step(#[case] second: i64, #[case] step: &str) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let begun = |number, name: &str, second| Begun { number, name: name.into(), at: at(second) };
        let steps = vec![begun(2, "alice logs in", 10), begun(3, "nobody was contacted", 20)];
        let captured = Captured { steps, ..Captured::default() };
        let to =
            Party { address: "192.0.2.99".parse().unwrap(), port: Some(443), name: Some("stranger.example".into()) };
        let contact = Contact {
            to,
            protocol: Protocol::Tcp,
            first: at(second),
            flows: 1,
            sent: Count { packets: 3, bytes: 222 },
            received: Count::default(),
            answer: Answer::None,
        };
        let expected = format!(
            "stranger.example:443/tcp (192.0.2.99) was contacted at 00:00:{second:02}.000Z {step} (3 packets, no answer)"
        );
        assert_eq!(captured.told(&contact), expected);
    }

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
