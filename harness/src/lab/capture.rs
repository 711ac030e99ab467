//! Captures of a running lab: all packets of a machine's cards, in files.

use super::running::Lab;
use super::setup::LabError;
use crate::machine::{Machine, MachineName};
use crate::network::flows::{Names, Viewpoint};
use crate::seed::Host;
use crate::time::Deadline;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

/// What the lab's own end of every network is called, where probes come from.
pub const HOST: &str = "lab";

/// How long a pulse may take until it stands in all captures: nominal. The network carries it in no time; QEMU may be busy.
const PULSE: Duration = Duration::from_secs(5);

/// A file with the packets of one card of a machine, since the machine's QEMU runs or since the capture began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The machine.
    pub machine: MachineName,
    /// The file.
    pub file: PathBuf,
    /// Whether QEMU still writes to it.
    pub(super) open: bool,
}

impl Lab {
    /// Captures the packets of a machine's cards from now on, also after it was switched off and on again. If that is so
    /// already, nothing changes.
    pub async fn capture(&self, machine: &str) -> Result<(), LabError> {
        let machine = self.machine(machine).ok_or_else(|| LabError::NoMachine(machine.to_owned()))?;
        if self.captured().contains(machine.name()) {
            return Ok(());
        }
        if machine.cards() == 0 {
            return Err(LabError::NoCard(machine.name().clone()));
        }
        self.record(machine, self.pace().deadline(PULSE)).await
    }

    /// The files so far, in the order in which they were begun.
    #[must_use]
    pub fn captures(&self) -> Vec<Capture> {
        self.captures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The machines that are captured whenever they run.
    #[must_use]
    pub fn captured(&self) -> BTreeSet<MachineName> {
        self.captures().into_iter().map(|capture| capture.machine).collect()
    }

    /// Lets a machine that has just started write its packets to new files.
    pub(super) async fn record(&self, machine: &Machine, deadline: Deadline) -> Result<(), LabError> {
        for capture in self.captures.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            capture.open &= capture.machine != *machine.name();
        }
        for card in 0..machine.cards() {
            let file = new_file(&self.logs, machine.name())?;
            machine.capture(card, &file, deadline).await?;
            let capture = Capture { machine: machine.name().clone(), file, open: true };
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
        capture.open && machine.is_some_and(|machine| machine.is_linked() && machine.is_running())
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

/// Makes the next file for a machine, which only its owner can read.
fn new_file(directory: &Path, machine: &MachineName) -> Result<PathBuf, LabError> {
    let directory = directory.canonicalize().map_err(LabError::file(directory))?;
    let mut number = 1;
    loop {
        let path = directory.join(format!("capture-{machine}-{number}.pcap"));
        match File::options().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(LabError::file(&path)(error)),
        }
    }
}

fn length(file: &Path) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

/// Whether the file has the text behind this place.
fn has(file: &Path, from: u64, text: &[u8]) -> std::io::Result<bool> {
    let mut file = File::open(file)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes.windows(text.len()).any(|window| window == text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Card, Wiring};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn files_are_numbered_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let machine = MachineName::try_from("mail".to_owned()).unwrap();
        let files = [(); 2].map(|()| new_file(directory.path(), &machine).unwrap());
        let names = files.clone().map(|file| file.file_name().unwrap().to_string_lossy().into_owned());
        assert_eq!(names, ["capture-mail-1.pcap", "capture-mail-2.pcap"]);
        assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
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
}
