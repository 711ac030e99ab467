//! The header of a qcow2 disk, read strictly before QEMU opens the disk.
//!
//! A qcow2 file can name other files: what it stands on, and where its data is. Whoever opens it reads them. So a disk of
//! others is taken only if its header asks for nothing that our own disks do not have.
//!
//! Source: QEMU's `docs/interop/qcow2.txt`. All numbers are big-endian.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use crate::size::Size;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 4] = *b"QFI\xfb";
/// The largest disk that a machine of a lab has.
const LARGEST: Size = Size::gibibytes(1024);
/// The sizes of clusters that QEMU takes: 512 bytes to 2 MiB.
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;
/// How much is read. The header, its extensions and the name of the file below lie in the first cluster, and at its beginning.
const READ: u64 = 64 << 10;
/// The longest name of a file below, as QEMU bounds it.
const LONGEST_NAME: u32 = 1023;
/// The largest table of clusters that QEMU reads: 32 MiB.
const LARGEST_TABLE: u64 = 32 << 20;

/// What a disk's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// How large the disk is for a guest.
    pub size: Size,
    /// The file that it stands on.
    pub backing: Option<PathBuf>,
}

/// Why a disk is not opened.
#[derive(Debug, thiserror::Error)]
pub enum Qcow2Error {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is no file.
    #[error("it is no regular file")]
    NoFile,
    /// It is something else.
    #[error("it is no qcow2 disk")]
    Foreign,
    /// It ends within its header.
    #[error("it ends within its header")]
    Cut,
    /// It has something that no disk needs.
    #[error("{0}, which no disk of a lab needs")]
    Feature(&'static str),
    /// A number in it cannot be true.
    #[error("{what} in its header is {found}, which cannot be")]
    Bounds {
        /// The field.
        what: &'static str,
        /// Its value.
        found: u64,
    },
    /// It stands on a file.
    #[error("it stands on another file, `{}`, which would be read with it", .0.display())]
    Backing(PathBuf),
    /// It stands on nothing.
    #[error("it stands on no image")]
    Whole,
    /// It stands on nothing, or on another file than it should.
    #[error("it should stand on {}, and stands on {}", wanted.display(), found.as_deref().map_or("nothing".into(), Path::to_string_lossy))]
    OtherBacking {
        /// What it should stand on.
        wanted: PathBuf,
        /// What it stands on.
        found: Option<PathBuf>,
    },
}

impl Header {
    /// Reads the header of a disk.
    pub fn read(disk: &Path) -> Result<Self, Qcow2Error> {
        // A FIFO would wait for somebody to write to it.
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
        let file = File::options().read(true).custom_flags(flags).open(disk)?;
        let data = file.metadata()?;
        if !data.is_file() {
            return Err(Qcow2Error::NoFile);
        }
        let mut first = Vec::new();
        file.take(READ).read_to_end(&mut first)?;
        Self::parse(&first, data.len())
    }

    /// Reads the header of a disk that stands on nothing.
    pub fn of_whole(disk: &Path) -> Result<Self, Qcow2Error> {
        let header = Self::read(disk)?;
        match header.backing {
            Some(backing) => Err(Qcow2Error::Backing(backing)),
            None => Ok(header),
        }
    }

    /// Reads the header of a disk that stands on `below`.
    pub fn of_overlay(disk: &Path, below: &Path) -> Result<Self, Qcow2Error> {
        let header = Self::read(disk)?;
        if header.backing.as_deref() == Some(below) {
            return Ok(header);
        }
        Err(Qcow2Error::OtherBacking { wanted: below.to_owned(), found: header.backing })
    }

    /// Reads the header in the first bytes of a file of this length.
    pub fn parse(first: &[u8], length: u64) -> Result<Self, Qcow2Error> {
        let fields = Fields(first);
        if first.get(..4) != Some(&MAGIC) {
            return Err(Qcow2Error::Foreign);
        }
        let version = fields.u32(4)?;
        let cluster_bits = fields.u32(20)?;
        if !CLUSTER_BITS.contains(&cluster_bits) {
            return Err(Qcow2Error::Bounds { what: "the size of clusters", found: cluster_bits.into() });
        }
        let header_length = match version {
            2 => 72,
            3 => fields.check_features()?,
            _ => return Err(Qcow2Error::Bounds { what: "the version", found: version.into() }),
        };
        if fields.u32(32)? != 0 {
            return Err(Qcow2Error::Feature("it is encrypted"));
        }
        if fields.u32(60)? != 0 {
            return Err(Qcow2Error::Feature("it holds snapshots"));
        }
        let size = Size::bytes(fields.u64(24)?);
        if size > LARGEST {
            return Err(Qcow2Error::Bounds { what: "the size of the disk", found: size.as_bytes() });
        }
        fields.check_table("the table of clusters", 40, u64::from(fields.u32(36)?) * 8, length)?;
        fields.check_table("the table of references", 48, u64::from(fields.u32(56)?) << cluster_bits, length)?;
        let cluster = first.get(..first.len().min(1 << cluster_bits)).unwrap_or(first);
        let backing = Fields(cluster).backing()?;
        let extensions_end = backing.as_ref().map_or(cluster.len(), |(place, _)| *place);
        let format = Fields(cluster.get(..extensions_end).unwrap_or(cluster)).check_extensions(header_length)?;
        if backing.is_some() && format.as_deref() != Some(b"qcow2".as_slice()) {
            return Err(Qcow2Error::Feature(
                "it stands on a file whose format it does not say, or that is no qcow2 disk",
            ));
        }
        Ok(Self { size, backing: backing.map(|(_, path)| path) })
    }
}

/// Reads numbers at places of the header.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&self, place: usize) -> Result<[u8; N], Qcow2Error> {
        let bytes = self.0.get(place..).and_then(|rest| rest.first_chunk());
        bytes.copied().ok_or(Qcow2Error::Cut)
    }

    fn u32(&self, place: usize) -> Result<u32, Qcow2Error> {
        self.bytes(place).map(u32::from_be_bytes)
    }

    fn u64(&self, place: usize) -> Result<u64, Qcow2Error> {
        self.bytes(place).map(u64::from_be_bytes)
    }

    /// Checks what version 3 says about features. Returns the length of the header.
    fn check_features(&self) -> Result<usize, Qcow2Error> {
        const INCOMPATIBLE: [(u32, &str); 4] = [
            (0, "it was not closed"),
            (1, "it says that it is damaged"),
            (2, "its data is in another file"),
            (4, "its clusters have parts"),
        ];
        let incompatible = self.u64(72)?;
        if let Some((_, what)) = INCOMPATIBLE.iter().find(|(bit, _)| incompatible >> bit & 1 == 1) {
            return Err(Qcow2Error::Feature(what));
        }
        // The third bit says how clusters are compressed.
        if incompatible & !0b1000 != 0 || self.u64(88)? != 0 {
            return Err(Qcow2Error::Feature("it has a feature that is not known here"));
        }
        let order = self.u32(96)?;
        if order > 6 {
            return Err(Qcow2Error::Bounds { what: "the size of references", found: order.into() });
        }
        let length = self.u32(100)?;
        if !(104..=4096).contains(&length) || length % 8 != 0 {
            return Err(Qcow2Error::Bounds { what: "the length of the header", found: length.into() });
        }
        usize::try_from(length).map_err(|_| Qcow2Error::Cut)
    }

    /// A table whose place stands here lies within the file.
    fn check_table(&self, what: &'static str, place: usize, bytes: u64, length: u64) -> Result<(), Qcow2Error> {
        let start = self.u64(place)?;
        let fits = bytes <= LARGEST_TABLE && start.checked_add(bytes).is_some_and(|end| end <= length || bytes == 0);
        if fits { Ok(()) } else { Err(Qcow2Error::Bounds { what, found: start }) }
    }

    /// The place of the name of the file below, and the name.
    fn backing(&self) -> Result<Option<(usize, PathBuf)>, Qcow2Error> {
        let (place, length) = (self.u64(8)?, self.u32(16)?);
        if place == 0 {
            return Ok(None);
        }
        let bounds = || Qcow2Error::Bounds { what: "the place of the file below", found: place };
        if length == 0 || length > LONGEST_NAME {
            return Err(bounds());
        }
        let start = usize::try_from(place).map_err(|_| bounds())?;
        let name = self.0.get(start..).and_then(|rest| rest.get(..usize::try_from(length).ok()?)).ok_or_else(bounds)?;
        Ok(Some((start, PathBuf::from(std::ffi::OsStr::from_bytes(name)))))
    }

    /// Checks the extensions of the header. Returns the format of the file below, if one says it.
    fn check_extensions(&self, mut place: usize) -> Result<Option<Vec<u8>>, Qcow2Error> {
        const END: u32 = 0;
        const BACKING_FORMAT: u32 = 0xE279_2ACA;
        const FEATURE_NAMES: u32 = 0x6803_F857;
        let mut format = None;
        while place < self.0.len() {
            let (kind, length) = (self.u32(place)?, self.u32(place.saturating_add(4))?);
            let length = usize::try_from(length).map_err(|_| Qcow2Error::Cut)?;
            place = place.saturating_add(8);
            let data = self.0.get(place..).and_then(|rest| rest.get(..length));
            match (kind, data) {
                (END, _) => break,
                (_, None) => return Err(Qcow2Error::Cut),
                (BACKING_FORMAT, Some(data)) => format = Some(data.to_vec()),
                (FEATURE_NAMES, Some(_)) => {}
                (0x2385_2875, _) => return Err(Qcow2Error::Feature("it holds bitmaps")),
                (0x0537_BE77, _) => return Err(Qcow2Error::Feature("it is encrypted")),
                (0x4441_5441, _) => return Err(Qcow2Error::Feature("its data is in another file")),
                _ => return Err(Qcow2Error::Feature("its header has an extension that is not known here")),
            }
            place = place.saturating_add(length.checked_next_multiple_of(8).ok_or(Qcow2Error::Cut)?);
        }
        Ok(format)
    }
}

#[cfg(test)]
#[path = "qcow2_tests.rs"]
pub(crate) mod tests;
