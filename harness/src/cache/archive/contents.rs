//! What the files of an archive may do to whoever takes them.

use super::super::name::EntryName;
use super::super::place::Kind;
use super::{ArchiveError, Listed, Manifest};
use crate::plain_path::PlainPath;
use crate::qcow2::{Header, Qcow2Error};
use std::path::Path;

/// How far whoever made an archive is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// What runs in guests is taken: disks, and kernels that QEMU loads.
    Guests,
    /// All is taken, as programs that one would run as root.
    Author,
}

/// What an entry consists of that runs in guests only.
const OF_GUESTS: [&str; 4] = ["disk.qcow2", "vmlinuz", "initrd.img", "manifest.json"];

/// Refuses what this host would run, unless its author is trusted: trees, which builders enter as root; the state of frozen labs,
/// which QEMU loads into its own memory, and their secret; packages of releases, which builders unpack.
pub(super) fn check_trust(manifest: &Manifest, trust: Trust) -> Result<(), ArchiveError> {
    if trust == Trust::Author {
        return Ok(());
    }
    let is_of_guests = |entry: &Listed| {
        entry.kind == Kind::Image && entry.files.iter().all(|file| OF_GUESTS.contains(&file.path.as_str()))
    };
    let others = manifest.entries.iter().filter(|entry| !is_of_guests(entry));
    let others: Vec<_> = others.map(|entry| (entry.kind, entry.name.clone())).collect();
    if others.is_empty() { Ok(()) } else { Err(ArchiveError::Untrusted(others)) }
}

/// Looks at the header of a disk that was laid down at `place`: one of a template stands on the disk of an image that the template
/// names, and no other stands on anything.
pub(super) fn check_disk(entry: &Listed, path: &PlainPath, place: &Path) -> Result<(), ArchiveError> {
    if Path::new(path.file_name()).extension().is_none_or(|extension| extension != "qcow2") {
        return Ok(());
    }
    let checked = match entry.kind {
        Kind::Template => Header::read(place).and_then(|header| check_backing(header, &entry.stands_on)),
        Kind::Image | Kind::Release => Header::of_whole(place).map(drop),
    };
    checked.map_err(|source| ArchiveError::Disk { entry: entry.name.clone(), path: path.clone(), source })
}

/// Whoever thaws a lab holds the whole path against the one that it knows. Here the cache may lie at another place.
fn check_backing(header: Header, images: &[EntryName]) -> Result<(), Qcow2Error> {
    let Some(backing) = header.backing else { return Err(Qcow2Error::Whole) };
    let disk_of = |image: &EntryName| Path::new(Kind::Image.directory()).join(image.to_string()).join("disk.qcow2");
    let is_known = images.iter().any(|image| backing.ends_with(disk_of(image)));
    if is_known { Ok(()) } else { Err(Qcow2Error::Backing(backing)) }
}
