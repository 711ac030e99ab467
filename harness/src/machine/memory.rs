//! A guest's RAM as a file in memory (`memfd_create(2)`): QEMU maps it, and so the host can read it when the guest stops.
//!
//! The file has no name: it ends with the last process that holds it, so a killed run leaves none.

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{Whence, lseek};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// What is copied at a time, and the least stretch of zeroes that is left out.
const BLOCK: usize = 64 << 10;

/// The RAM of one guest.
#[derive(Debug)]
pub(super) struct Ram {
    file: File,
    bytes: u64,
}

impl Ram {
    /// RAM full of zeroes.
    pub(super) fn empty(mib: u32) -> io::Result<Self> {
        let file = File::from(memfd_create(c"guest-ram", MFdFlags::MFD_CLOEXEC)?);
        let bytes = u64::from(mib) << 20;
        file.set_len(bytes)?;
        Ok(Self { file, bytes })
    }

    /// RAM as it was saved.
    pub(super) fn saved(mib: u32, saved: &Path) -> io::Result<Self> {
        let ram = Self::empty(mib)?;
        copy(fs_err::File::open(saved)?.file(), &ram.file, ram.bytes)?;
        Ok(ram)
    }

    /// Writes a copy that holds no zeroes: holes are where the guest has nothing.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let copied = fs_err::File::create_new(path)?;
        copied.set_len(self.bytes)?;
        copy(&self.file, copied.file(), self.bytes)
    }

    /// A descriptor for QEMU.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.file.as_fd().try_clone_to_owned()
    }
}

/// Copies all that is not zero; `to` is a hole so far.
fn copy(from: &File, to: &File, bytes: u64) -> io::Result<()> {
    static ZEROES: [u8; BLOCK] = [0; BLOCK];
    let mut block = vec![0; BLOCK];
    let mut position = 0;
    while let Some(start) = next_data(from, position)? {
        // From a whole block on, so that zeroes are left out wherever data starts.
        position = start - start % BLOCK as u64;
        let length = BLOCK.min(usize::try_from(bytes - position).unwrap_or(BLOCK));
        let piece = &mut block[..length];
        from.read_exact_at(piece, position)?;
        if *piece != ZEROES[..length] {
            to.write_all_at(piece, position)?;
        }
        position += length as u64;
        if position >= bytes {
            break;
        }
    }
    Ok(())
}

/// The next place at or after `position` that is no hole (lseek(2), `SEEK_DATA`).
fn next_data(file: &File, position: u64) -> io::Result<Option<u64>> {
    let position = i64::try_from(position).map_err(io::Error::other)?;
    match lseek(file, position, Whence::SeekData) {
        Ok(found) => Ok(Some(found.cast_unsigned())),
        Err(Errno::ENXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn what_is_saved_comes_back_and_zeroes_take_no_room() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mail.memory");
        let ram = Ram::empty(8).unwrap();
        let last = (8 << 20) - 5;
        ram.file.write_all_at(b"first", 3).unwrap();
        ram.file.write_all_at(&vec![0; 1 << 20], 1 << 20).unwrap();
        ram.file.write_all_at(b"last!", last).unwrap();
        ram.save(&path).unwrap();
        let data = path.metadata().unwrap();
        assert_eq!(data.len(), 8 << 20);
        assert!(data.blocks() * 512 <= 4 * BLOCK as u64, "{} blocks", data.blocks());
        let again = Ram::saved(8, &path).unwrap();
        for (text, place) in [(b"first", 3), (b"last!", last)] {
            let mut found = [0; 5];
            again.file.read_exact_at(&mut found, place).unwrap();
            assert_eq!(&found, text);
        }
    }

    #[test]
    fn a_file_that_is_too_short_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mail.memory");
        std::fs::write(&path, b"short").unwrap();
        assert!(Ram::saved(1, &path).is_err());
    }
}
