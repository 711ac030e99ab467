//! What a guest is made of.

use crate::network::{MacAddress, TapName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

pub use crate::host::accelerator::Accelerator;

/// The name of a machine in a lab: also its short host name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MachineName(String);

impl MachineName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MachineName {
    type Error = String;

    /// Takes a host name label (RFC 1123, lower case).
    fn try_from(name: String) -> Result<Self, String> {
        let label = name.len() <= 63
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-')
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if label {
            Ok(Self(name))
        } else {
            Err(format!("`{name}` cannot name a machine: a host name label of a–z, 0–9 and -, starting with a letter"))
        }
    }
}

impl From<MachineName> for String {
    fn from(name: MachineName) -> Self {
        name.0
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the guest starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// QEMU loads the kernel itself.
    Direct {
        /// The kernel.
        kernel: PathBuf,
        /// The initial RAM disk.
        initrd: Option<PathBuf>,
        /// The kernel's command line.
        parameters: String,
    },
    /// The firmware starts the boot loader of the disk.
    Disk,
}

/// A guest that was stopped at one moment, as files. Its disk belongs to the same moment, and to no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// Its RAM, byte by byte; never written again.
    pub memory: PathBuf,
    /// The state of its processors and devices: a migration stream of QEMU's, without RAM.
    pub devices: PathBuf,
}

/// Where a guest comes from, and so where its RAM is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It is switched on. Its RAM can be read by the host: it can be frozen.
    PowerOn,
    /// It goes on where a frozen guest stopped. Of the RAM it keeps only what it changes; it cannot be frozen again.
    Thawed(Frozen),
    /// It goes on where a frozen guest stopped, with a copy of all its RAM: it can be frozen again.
    Copied(Frozen),
    /// It goes on from a snapshot inside its disk, of this name: the plain way, here to be compared with.
    Snapshot(String),
}

impl Origin {
    /// Whether such a guest can be frozen.
    #[must_use]
    pub fn can_be_frozen(&self) -> bool {
        !matches!(self, Self::Thawed(_))
    }

    /// The frozen guest that it comes from.
    #[must_use]
    pub fn frozen(&self) -> Option<&Frozen> {
        match self {
            Self::PowerOn | Self::Snapshot(_) => None,
            Self::Thawed(frozen) | Self::Copied(frozen) => Some(frozen),
        }
    }
}

/// A network card and the tap that it is plugged into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkCard {
    /// Its hardware address.
    pub mac: MacAddress,
    /// The tap, which exists already.
    pub tap: TapName,
}

/// What a machine runs a guest of its own from. It finds both as read-only disks, by their serial numbers: the guest's name
/// with `-disk` and with `-seed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The guest's name.
    pub name: MachineName,
    /// The disk of its image: a qcow2 file.
    pub disk: PathBuf,
    /// Its `NoCloud` seed, behind a gap of 1 MiB.
    pub seed: PathBuf,
}

/// What a guest is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Its name.
    pub name: MachineName,
    /// The QEMU program.
    pub qemu: PathBuf,
    /// How its instructions are run.
    pub accelerator: Accelerator,
    /// RAM in MiB.
    pub memory_mib: u32,
    /// Where it comes from.
    pub origin: Origin,
    /// Virtual processors.
    pub processors: u8,
    /// How it starts.
    pub boot: Boot,
    /// Its disk: a qcow2 file that it may write.
    pub disk: PathBuf,
    /// The disks that it stands on, each on the next one: qcow2 files, the last of which stands on nothing.
    pub below: Vec<PathBuf>,
    /// The `NoCloud` seed, read only.
    pub seed: Option<PathBuf>,
    /// A file system of packages, read only.
    pub packages: Option<PathBuf>,
    /// What it is to run guests of its own from.
    pub guests: Vec<Guest>,
    /// Its network cards, in order.
    pub cards: Vec<NetworkCard>,
}

impl Spec {
    /// Where QEMU writes the state of processors and devices when the guest is frozen: beside its disk.
    #[must_use]
    pub fn devices(&self) -> PathBuf {
        self.disk.with_extension("devices")
    }
}
