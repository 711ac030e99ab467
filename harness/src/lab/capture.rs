//! Captures of a running lab: all packets of a machine's cards, in files.

use super::running::Lab;
use super::setup::LabError;
use crate::machine::{Full, Machine, MachineName};
use crate::network::flows::{Names, Viewpoint};
use crate::seed::Host;
use crate::size::{Size, SizeError};
use crate::time::Deadline;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::watch;

/// What the lab's own end of every network is called, where probes come from.
pub const HOST: &str = "lab";

/// How long a pulse may take until it stands in all captures: nominal. The network carries it in no time; QEMU may be busy.
const PULSE: Duration = Duration::from_secs(5);

/// The environment variable that says how large a capture may become.
pub const LIMIT_VARIABLE: &str = "REHEARSAL_CAPTURE_LIMIT";
/// What it is without one.
pub const DEFAULT_LIMIT: Size = Size::mebibytes(256);
/// How much of a capture is searched at a time.
const CHUNK: usize = 64 << 10;

/// How large a capture may become that nobody gives another limit: `REHEARSAL_CAPTURE_LIMIT`, or 256 MiB.
pub fn limit() -> Result<Size, SizeError> {
    match std::env::var_os(LIMIT_VARIABLE) {
        Some(text) if !text.is_empty() => text.to_string_lossy().parse(),
        _ => Ok(DEFAULT_LIMIT),
    }
}

/// A file with the packets of one card of a machine, since the machine's QEMU runs or since the capture began.
#[derive(Debug, Clone)]
pub struct Capture {
    /// The machine.
    pub machine: MachineName,
    /// The file.
    pub file: PathBuf,
    /// Whether QEMU still writes to it.
    pub(super) open: bool,
    limit: Size,
    full: watch::Receiver<Option<Full>>,
}

impl Capture {
    /// When and why it was ended before its machine was, if it was.
    #[must_use]
    pub fn full(&self) -> Option<Full> {
        self.full.borrow().clone()
    }
}

impl Lab {
    /// Captures the packets of a machine's cards from now on, also after it was switched off and on again, in files that may
    /// become so large. If that is so already, nothing changes.
    pub async fn capture(&self, machine: &str, limit: Size) -> Result<(), LabError> {
        let machine = self.machine(machine).ok_or_else(|| LabError::NoMachine(machine.to_owned()))?;
        if self.captured().contains_key(machine.name()) {
            return Ok(());
        }
        if machine.cards() == 0 {
            return Err(LabError::NoCard(machine.name().clone()));
        }
        self.record(machine, limit, self.pace().deadline(PULSE)).await
    }

    /// The files so far, in the order in which they were begun.
    #[must_use]
    pub fn captures(&self) -> Vec<Capture> {
        self.captures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The machines that are captured whenever they run, and how large a file of them may become.
    #[must_use]
    pub fn captured(&self) -> BTreeMap<MachineName, Size> {
        self.captures().into_iter().map(|capture| (capture.machine, capture.limit)).collect()
    }

    /// Lets a machine that has just started write its packets to new files.
    pub(super) async fn record(&self, machine: &Machine, limit: Size, deadline: Deadline) -> Result<(), LabError> {
        for capture in self.captures.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            capture.open &= capture.machine != *machine.name();
        }
        for card in 0..machine.cards() {
            let (file, full) = machine.capture(card, limit, deadline).await?;
            let capture = Capture { machine: machine.name().clone(), file, open: true, limit, full };
            self.captures.lock().unwrap_or_else(PoisonError::into_inner).push(capture);
        }
        Ok(())
    }

    /// Broadcasts the host's time into all networks, and waits until it stands in the captures of all machines that run and
    /// have a network: so does all that was sent before.
    pub async fn pulse(&self) -> Result<Timestamp, LabError> {
        self.pulse_until(self.pace().deadline(PULSE)).await
    }

    /// The same, with another limit of time: at the end of a run that went wrong nobody wants to wait long.
    pub async fn pulse_until(&self, deadline: Deadline) -> Result<Timestamp, LabError> {
        let written: Vec<_> = self.captures().into_iter().filter(|capture| self.hears(capture)).collect();
        let before: Vec<_> = written.iter().map(|capture| length(&capture.file)).collect();
        let at = self.network.pulse().await?;
        let text = crate::network::flows::clock::pulse(at);
        for (capture, from) in written.iter().zip(before) {
            let look = || async {
                // What is full will never hold it.
                if capture.full().is_some() {
                    return Ok(());
                }
                match has(&capture.file, from, text.as_bytes()) {
                    Ok(true) => Ok(()),
                    Ok(false) => Err("it is not there yet".to_owned()),
                    Err(error) => Err(error.to_string()),
                }
            };
            let seen = deadline.poll(format_args!("a pulse to stand in {}", capture.file.display()), look).await;
            seen.map_err(|source| LabError::Deaf { machine: capture.machine.clone(), source })?;
        }
        Ok(at)
    }

    /// A machine as its packets show it.
    #[must_use]
    pub fn viewpoint(&self, machine: &str) -> Viewpoint {
        let cards = self.specs.iter().filter(|spec| spec.name.as_str() == machine).flat_map(|spec| &spec.cards);
        let addresses = self.host(machine).into_iter().flat_map(Host::addresses).map(IpAddr::from).collect();
        Viewpoint { cards: cards.map(|card| card.mac.bytes()).collect(), addresses }
    }

    /// What addresses in the lab are called: a machine's own by its name, further ones by the full names that they are for; and
    /// [`HOST`]. All of a machine's are known by its name, too.
    #[must_use]
    pub fn names(&self) -> Names {
        let mut names = names_of(&self.hosts);
        for network in self.network.networks() {
            names.add(network.observer().into(), HOST);
        }
        names
    }

    /// Whether what the network carries now stands in this file.
    fn hears(&self, capture: &Capture) -> bool {
        let machine = self.machines.get(&capture.machine);
        capture.open
            && capture.full().is_none()
            && machine.is_some_and(|machine| machine.is_linked() && machine.is_running())
    }
}

fn names_of(hosts: &[Host]) -> Names {
    let mut names = Names::default();
    for host in hosts {
        names.add(host.address.into(), &host.name);
        names.add(host.address.into(), &host.fqdn);
        host.wiring.names.iter().for_each(|(name, address)| names.add((*address).into(), name));
        host.addresses().for_each(|address| names.add(address.into(), &host.name));
    }
    names
}

/// Whether a file of a case that is called so is a capture of its lab.
#[must_use]
pub fn is_capture(file: &str) -> bool {
    file.strip_prefix("capture-").is_some_and(|name| name.strip_suffix(".pcap").is_some())
}

fn length(file: &Path) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

/// Whether the file has the text behind this place. It is searched in pieces: somebody may just be filling it.
fn has(file: &Path, from: u64, text: &[u8]) -> std::io::Result<bool> {
    let mut file = File::open(file)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    loop {
        // A text may stand across the edge of two pieces.
        bytes.drain(..bytes.len().saturating_sub(text.len()));
        if file.by_ref().take(CHUNK as u64).read_to_end(&mut bytes)? == 0 {
            return Ok(false);
        }
        if bytes.windows(text.len()).any(|window| window == text) {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Card, Wiring};

    #[rstest::rstest]
    #[case::as_machines_make_them("capture-mail-1.pcap", true)]
    #[case::another_ending("capture-mail-1.pcapng", false)]
    #[case::another_begin("mail-1.pcap", false)]
    fn a_capture_is_known_by_its_name(#[case] file: &str, #[case] expected: bool) {
        assert_eq!(is_capture(file), expected);
    }

    #[test]
    fn a_service_goes_by_its_own_name_and_a_router_by_one() {
        let prefix = "192.0.2.0/24".parse().unwrap();
        let mac = crate::network::MacAddress::numbered(1);
        let host = Host::new("internet", "lan.test", "internet", "192.0.2.10".parse().unwrap(), prefix, mac);
        let card = Card {
            segment: "inside".into(),
            address: "10.20.1.2".parse().unwrap(),
            prefix_length: 24,
            mac: crate::network::MacAddress::numbered(2).to_string(),
        };
        let alias = ("www.example".to_owned(), "192.0.2.11".parse().unwrap());
        let wiring = Wiring { cards: vec![card], names: [alias].into(), ..Wiring::default() };
        let names = names_of(&[host.with(wiring)]);
        let told = ["192.0.2.10", "192.0.2.11", "10.20.1.2"].map(|address| names.of(address.parse().unwrap()));
        assert_eq!(told, [Some("internet"), Some("www.example"), Some("internet")]);
        assert!(names.is("192.0.2.11".parse().unwrap(), "internet"));
        assert!(names.is("192.0.2.10".parse().unwrap(), "internet.lan.test"));
    }

    #[rstest::rstest]
    #[case::behind(4, b"pulse", true)]
    #[case::before(5, b"pulse", false)]
    #[case::other(0, b"pulses", false)]
    fn a_text_is_looked_for_behind_a_place(#[case] from: u64, #[case] text: &[u8], #[case] expected: bool) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "the pulse").unwrap();
        assert_eq!(has(file.path(), from, text).unwrap(), expected);
    }

    #[test]
    fn a_text_is_found_across_the_edge_of_two_pieces() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for before in [CHUNK - 5, CHUNK - 2, CHUNK, 3 * CHUNK - 1] {
            std::fs::write(file.path(), [&vec![b'x'; before], &b"pulse, and more"[..]].concat()).unwrap();
            assert!(has(file.path(), 0, b"pulse").unwrap(), "{before}");
            assert!(!has(file.path(), before as u64 + 1, b"pulse").unwrap(), "{before}");
        }
    }
}
