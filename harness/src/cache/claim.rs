//! Who may build an entry, and who uses one.

use super::lock::{self, Alone};
use super::name::EntryName;
use super::place::{Cache, Kind};
use super::sweep::REMOVED;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The right to build, replace or remove one entry: only one process and one thread has it.
#[derive(Debug)]
pub struct Claim {
    place: PathBuf,
    /// Where what is removed is moved first.
    building: PathBuf,
    lock_path: PathBuf,
    /// Held to the end: the lock goes with the open file.
    _lock: File,
}

/// The right to use one entry: while this lives, nobody removes it.
#[derive(Debug)]
pub struct InUse {
    place: PathBuf,
    /// Held to the end: the lock goes with the open file.
    _lock: File,
}

impl Cache {
    /// Claims an entry, whether it exists or not. If somebody else has the claim, calls `waiting`, and waits until they
    /// have published or given up. Blocks.
    pub fn claim(&self, kind: Kind, name: &EntryName, waiting: impl FnOnce()) -> io::Result<Claim> {
        let lock_path = self.lock_path(kind, name);
        let lock = lock::exclusive(&lock_path, waiting)?;
        Ok(self.claimed(kind, name, lock_path, lock))
    }

    /// The same without waiting: none, if somebody else has the claim.
    pub(super) fn try_claim(&self, kind: Kind, name: &EntryName) -> io::Result<Option<Claim>> {
        let lock_path = self.lock_path(kind, name);
        let lock = lock::try_exclusive(&lock_path)?;
        Ok(lock.map(|lock| self.claimed(kind, name, lock_path, lock)))
    }

    fn lock_path(&self, kind: Kind, name: &EntryName) -> PathBuf {
        self.entries(kind).join(format!("{name}.lock"))
    }

    fn claimed(&self, kind: Kind, name: &EntryName, lock_path: PathBuf, lock: File) -> Claim {
        Claim { place: self.place(kind, name), building: self.building(), lock_path, _lock: lock }
    }

    /// Takes an entry into use, if it exists, and marks it as used now. Waits no longer than somebody needs to remove it.
    pub fn open(&self, kind: Kind, name: &EntryName) -> io::Result<Option<InUse>> {
        InUse::of(self.place(kind, name))
    }
}

impl Claim {
    /// Where the entry is, or will be.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Whether the entry exists: it is complete then.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.place.is_dir()
    }

    /// Makes the directory `new`, on the cache's file system, the entry: all of it is on the disk, and then it is moved.
    /// Fails if the entry exists already.
    pub fn publish(&self, new: &Path) -> io::Result<()> {
        for entry in walkdir::WalkDir::new(new).contents_first(true) {
            let entry = entry?;
            if !entry.path_is_symlink() {
                fs_err::File::open(entry.path())?.sync_all()?;
            }
        }
        fs_err::set_permissions(new, Permissions::from_mode(0o700))?;
        fs_err::rename(new, &self.place)?;
        // The move itself is on the disk when the directory that it went to is.
        if let Some(parent) = self.place.parent() {
            fs_err::File::open(parent)?.sync_all()?;
        }
        Ok(())
    }

    /// Removes the entry, which may be missing. Fails with [`io::ErrorKind::ResourceBusy`] if somebody uses it.
    pub fn discard(&self) -> io::Result<()> {
        match lock::alone(&self.place)? {
            Alone::Missing => Ok(()),
            Alone::No => Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("{} is in use: end what runs on it, then try again", self.place.display()),
            )),
            Alone::Yes(_alone) => {
                // In one step for whoever looks for it; a half-removed entry would be taken for a whole one.
                let name = self.place.file_name().unwrap_or_default().to_string_lossy();
                let away = self.building.join(format!("{REMOVED}{name}-{:012x}", rand::random::<u64>() >> 16));
                fs_err::rename(&self.place, &away)?;
                fs_err::remove_dir_all(&away)
            }
        }
    }

    /// Lets go of the claim, and uses the entry. Nobody can remove it in between.
    pub fn into_use(self) -> io::Result<InUse> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{} was not built", self.place.display()));
        InUse::of(self.place.clone())?.ok_or_else(missing)
    }
}

impl Drop for Claim {
    /// Lock files do not pile up: the file goes while its lock is held, and whoever waited for it makes a new one.
    fn drop(&mut self) {
        let _ = fs_err::remove_file(&self.lock_path);
    }
}

impl InUse {
    fn of(place: PathBuf) -> io::Result<Option<Self>> {
        let Some(lock) = lock::shared(&place)? else { return Ok(None) };
        // The time of an entry's directory says when it was used last; an entry is never changed otherwise.
        lock.set_modified(SystemTime::now())?;
        Ok(Some(Self { place, _lock: lock }))
    }

    /// Where the entry is.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
