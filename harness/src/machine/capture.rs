//! What goes through a guest's network cards, written to files, up to a limit: a guest can send as much as it likes, and must not
//! fill this host's disk.

use super::process::{Machine, MachineError};
use super::qmp::Qmp;
use super::spec::MachineName;
use crate::size::Size;
use crate::time::Deadline;
use jiff::Timestamp;
use qapi::qmp;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// How much of a packet is kept, in bytes: a whole Ethernet frame. A card that leaves the cutting to its network (TSO) sends
/// longer ones; of these the headers tell the length.
const KEPT: u32 = 1536;

/// How often a capture's size is looked at. An emulated card writes less than 20 MiB meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// How long QEMU may take to end a capture, until it is told again.
const ENDING: Duration = Duration::from_secs(5);

/// So much stays free on the disk of a capture.
const SPARE: Size = Size::mebibytes(512);

/// A capture that was ended before its machine was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Full {
    /// When that was seen.
    pub at: Timestamp,
    /// Why.
    pub reason: Fullness,
}

/// Why a capture was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fullness {
    /// It has reached its limit.
    Limit(Size),
    /// No more than this is free on its disk.
    Disk(Size),
}

impl fmt::Display for Fullness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(limit) => write!(f, "has reached its limit of {limit}"),
            Self::Disk(free) => write!(f, "was ended because only {free} are free on its disk"),
        }
    }
}

impl Fullness {
    /// What whoever wants to see more can do.
    #[must_use]
    pub fn cure(self) -> &'static str {
        match self {
            Self::Limit(_) => {
                "`limit` of do.capture allows a capture to become larger, and REHEARSAL_CAPTURE_LIMIT=1GiB all of them"
            }
            Self::Disk(_) => "make room where the results are, or let REHEARSAL_RESULTS name another place",
        }
    }
}

/// A file for the packets of each card, made before QEMU starts: it writes to no other. What was not used is removed with this.
#[derive(Debug)]
pub(super) struct Files {
    files: Vec<PathBuf>,
    used: Vec<AtomicBool>,
}

impl Files {
    /// Makes the next files for a machine, which only their owner can read.
    pub(super) fn make(directory: &Path, machine: &MachineName, cards: usize) -> io::Result<Self> {
        let directory = directory.canonicalize()?;
        let mut made = Self { files: Vec::new(), used: Vec::new() };
        // Where one cannot be made, those before it go with this value.
        for _ in 0..cards {
            made.files.push(new_file(&directory, machine)?);
            made.used.push(AtomicBool::new(false));
        }
        Ok(made)
    }

    /// The files, by the numbers of the cards.
    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.files
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let unused = self.files.iter().zip(&self.used).filter(|(_, used)| !used.load(Ordering::Relaxed));
        for (file, _) in unused {
            // Whoever removed the results has removed it.
            let _ = std::fs::remove_file(file);
        }
    }
}

fn new_file(directory: &Path, machine: &MachineName) -> io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let path = directory.join(format!("capture-{machine}-{number}.pcap"));
        match File::options().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

impl Machine {
    /// How many network cards it has.
    #[must_use]
    pub fn cards(&self) -> usize {
        self.captures.files.len()
    }

    /// Writes all packets of one card to a file from now on, until the machine ends (qemu(1), `filter-dump`), the file has reached
    /// the limit, or its disk is nearly full; what is answered besides the file tells when. What writes it is no device: the guest
    /// knows nothing of it, and a frozen machine has nothing of it.
    pub async fn capture(
        &self,
        card: usize,
        limit: Size,
        deadline: Deadline,
    ) -> Result<(PathBuf, watch::Receiver<Option<Full>>), MachineError> {
        let file = self.captures.files[card].clone();
        let base = qmp::NetfilterProperties {
            netdev: format!("net{card}"),
            insert: None,
            position: None,
            queue: None,
            status: None,
        };
        let filter_dump = qmp::FilterDumpProperties { base, file: file.display().to_string(), maxlen: Some(KEPT) };
        let id = format!("capture{card}");
        let command = qmp::object_add(qmp::ObjectOptions::filter_dump { id: id.clone(), filter_dump });
        self.captures.used[card].store(true, Ordering::Relaxed);
        self.controlled(self.qmp.execute(command, deadline).await).await?;
        let (sender, full) = watch::channel(None);
        tokio::spawn(keep_small(Arc::downgrade(&self.qmp), id, file.clone(), limit, sender));
        Ok((file, full))
    }
}

/// Ends a capture when it is full. The machine may end at any time.
async fn keep_small(qmp: Weak<Qmp>, id: String, file: PathBuf, limit: Size, full: watch::Sender<Option<Full>>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(qmp) = qmp.upgrade() else { return };
        // A file that cannot be looked at is not written to, either.
        let Ok(Some(reason)) = fullness(&file, limit, SPARE) else { continue };
        full.send_if_modified(|told| told.is_none() && told.replace(Full { at: Timestamp::now(), reason }).is_none());
        let ending = qmp::object_del { id: id.clone() };
        if qmp.execute(ending, Deadline::after(ENDING)).await.is_ok() {
            return;
        }
    }
}

fn fullness(file: &Path, limit: Size, spare: Size) -> io::Result<Option<Fullness>> {
    if file.metadata()?.len() >= limit.as_bytes() {
        return Ok(Some(Fullness::Limit(limit)));
    }
    let free = Size::free_at(file)?;
    Ok((free < spare).then_some(Fullness::Disk(free)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn files_are_numbered_and_private_and_what_is_not_used_goes() {
        let directory = tempfile::tempdir().unwrap();
        let machine = MachineName::try_from("mail".to_owned()).unwrap();
        let made = Files::make(directory.path(), &machine, 2).unwrap();
        let names: Vec<_> = made.paths().iter().map(|file| file.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["capture-mail-1.pcap", "capture-mail-2.pcap"]);
        assert_eq!(made.paths()[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
        made.used[1].store(true, Ordering::Relaxed);
        drop(made);
        let left = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["capture-mail-2.pcap"]);
    }

    #[test]
    fn a_capture_is_full_by_its_size_or_by_its_disk() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0; 100]).unwrap();
        let of = |limit, spare| fullness(file.path(), Size::bytes(limit), Size::bytes(spare)).unwrap();
        assert_eq!(of(101, 0), None);
        assert_eq!(of(100, 0), Some(Fullness::Limit(Size::bytes(100))));
        assert!(matches!(of(101, u64::MAX), Some(Fullness::Disk(_))));
    }
}
