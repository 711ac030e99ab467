//! What is known of captures from one step to the next: their files, who is captured and how much of it, the moments that steps have named, and
//! captures that have ended early.

use super::run::name_of;
use crate::lab::{DEFAULT_CAPTURE_LIMIT, Lab};
use crate::machine::Full;
use crate::network::flows::{Contact, Cut, CutCapture};
use crate::size::Size;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What steps have left about captures.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Captured {
    /// The machines whose packets are captured whenever they run.
    pub(crate) machines: BTreeSet<String>,
    /// How large a file of them may become, in bytes.
    #[serde(default)]
    pub(crate) limits: BTreeMap<String, Size>,
    /// Moments by name, by the host's clock.
    pub(crate) moments: BTreeMap<String, Timestamp>,
    /// The files so far, in the order in which they were begun, each with its machine.
    files: Vec<(String, PathBuf)>,
    /// The steps since the first capture, as they began.
    steps: Vec<Begun>,
    /// Captures that were ended before their machines were.
    #[serde(default)]
    ended: Vec<Ended>,
}

/// A capture that was ended before its machine was.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ended {
    machine: String,
    file: PathBuf,
    at: Timestamp,
    reason: String,
    /// What can be done.
    cure: String,
    /// A step says that it should be so.
    expected: bool,
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
    /// The machines that are captured, each with how large a file of it may become.
    pub(crate) fn limits(&self) -> BTreeMap<String, Size> {
        let limit = |machine: &String| self.limits.get(machine).copied().unwrap_or(DEFAULT_CAPTURE_LIMIT);
        self.machines.iter().map(|machine| (machine.clone(), limit(machine))).collect()
    }

    /// Takes note of the files that a lab has begun.
    pub(crate) fn note_files(&mut self, lab: &Lab) {
        for capture in lab.captures() {
            if !self.files.iter().any(|(_, known)| *known == capture.file) {
                self.files.push((capture.machine.to_string(), capture.file.clone()));
            }
            if let Some(Full { at, reason }) = capture.full()
                && !self.ended.iter().any(|known| known.file == capture.file)
            {
                let (machine, cure, reason) =
                    (capture.machine.to_string(), reason.cure().to_owned(), reason.to_string());
                self.ended.push(Ended { machine, file: capture.file, at, reason, cure, expected: false });
            }
        }
    }

    /// Takes note of a step that begins.
    pub(crate) fn note_step(&mut self, index: usize, name: &str) {
        if !self.machines.is_empty() {
            self.steps.push(Begun { number: index + 1, name: name.to_owned(), at: Timestamp::now() });
        }
    }

    /// The files belong to an earlier run, and are not here.
    pub(crate) fn forget_files(&mut self) {
        self.files.clear();
        self.moments.clear();
        self.ended.clear();
    }

    pub(crate) fn files_of(&self, machine: &str) -> Vec<PathBuf> {
        self.files.iter().filter(|(of, _)| of == machine).map(|(_, file)| file.clone()).collect()
    }

    /// The first capture of a machine, or of any, that was ended before its machine was though no step expects that: what is
    /// wrong, and what can be done.
    pub(crate) fn ended_early(&self, machine: Option<&str>) -> Result<(), String> {
        let mut early = self.ended.iter().filter(|ended| !ended.expected);
        early.find(|ended| machine.is_none_or(|machine| ended.machine == machine)).map_or(Ok(()), |ended| {
            let (machine, when, cure) = (&ended.machine, self.ended_when(ended), &ended.cure);
            Err(format!("machine {machine}: its capture {when}; what came after that is not known. {cure}"))
        })
    }

    fn ended_when(&self, ended: &Ended) -> String {
        format!("{} {} {}", name_of(&ended.file), ended.reason, self.step_at(ended.at))
    }

    /// Where captures of a machine were ended.
    pub(crate) fn cuts_of(&self, machine: &str) -> impl Iterator<Item = CutCapture> {
        self.ended.iter().filter(move |ended| ended.machine == machine).map(|ended| {
            let offset = ended.file.metadata().map_or(0, |file| file.len());
            let reason = format!("the capture {} {}", ended.reason, self.step_at(ended.at));
            CutCapture { file: name_of(&ended.file), cut: Cut { offset, reason } }
        })
    }

    /// It is expected that captures of a machine were ended; whether one was.
    pub(crate) fn expect_end(&mut self, machine: &str) -> bool {
        let mut any = false;
        for ended in self.ended.iter_mut().filter(|ended| ended.machine == machine) {
            (ended.expected, any) = (true, true);
        }
        any
    }

    /// A contact that may not be.
    pub(crate) fn told(&self, contact: &Contact) -> String {
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

    /// Nobody looks at what a capture does not show, unless a step says so.
    #[test]
    fn a_capture_that_ended_early_is_told_unless_it_is_expected() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let ended = |machine: &str, second| Ended {
            machine: machine.into(),
            file: format!("/results/capture-{machine}-1.pcap").into(),
            at: at(second),
            reason: "has reached its limit of 8.0 MiB".into(),
            cure: "Make room.".into(),
            expected: false,
        };
        let steps = vec![Begun { number: 2, name: "it sends".into(), at: at(10) }];
        let mut captured = Captured { steps, ended: vec![ended("mail", 12)], ..Captured::default() };
        let said = captured.ended_early(None).unwrap_err();
        assert_eq!(
            said,
            "machine mail: its capture capture-mail-1.pcap has reached its limit of 8.0 MiB during step 2, \"it sends\"; what came \
             after that is not known. Make room."
        );
        assert_eq!(captured.ended_early(Some("mail")), Err(said));
        assert_eq!(captured.ended_early(Some("directory")), Ok(()));
        assert_eq!(captured.cuts_of("mail").count(), 1);
        assert!(!captured.expect_end("directory"));
        assert!(captured.expect_end("mail"));
        assert_eq!(captured.ended_early(None), Ok(()));
    }
}
