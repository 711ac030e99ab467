//! Locks by `flock(2)` on paths that others may remove meanwhile.
//!
//! A lock belongs to a file, not to its name: who waited for it may hold the lock of a file that is not there any more.
//! So each of these functions compares, once it has the lock, what it holds with what the path names.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The exclusive lock of a file that is made if need be. Calls `waiting` once if somebody else has it.
pub(super) fn exclusive(path: &Path, waiting: impl FnOnce()) -> io::Result<File> {
    let mut waiting = Some(waiting);
    loop {
        let file = open_or_create(path)?;
        if !try_lock(&file)? {
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            file.lock()?;
        }
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

/// The same without waiting: none, if somebody else has it.
pub(super) fn try_exclusive(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = open_or_create(path)?;
        if !try_lock(&file)? {
            return Ok(None);
        }
        if is_at(&file, path)? {
            return Ok(Some(file));
        }
    }
}

/// A shared lock of a directory: none, if there is none. Waits while somebody removes it.
pub(super) fn shared(directory: &Path) -> io::Result<Option<File>> {
    loop {
        let Some(file) = open(directory)? else { return Ok(None) };
        file.lock_shared()?;
        if is_at(&file, directory)? {
            return Ok(Some(file));
        }
    }
}

/// What became of an attempt to have a directory for oneself.
#[derive(Debug)]
pub(super) enum Alone {
    /// Nobody else uses it while this lives.
    Yes(File),
    /// Somebody does.
    No,
    /// It is not there.
    Missing,
}

/// The exclusive lock of a directory.
pub(super) fn alone(directory: &Path) -> io::Result<Alone> {
    let Some(file) = open(directory)? else { return Ok(Alone::Missing) };
    if !try_lock(&file)? {
        return Ok(Alone::No);
    }
    Ok(if is_at(&file, directory)? { Alone::Yes(file) } else { Alone::Missing })
}

fn open_or_create(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(false).open(path)
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether `path` still names the file that we hold.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match path.symlink_metadata() {
        Ok(named) => Ok((held.dev(), held.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Waits until nobody uses a directory any more: a child that another test forks at that moment holds our locks until it
/// executes its program.
#[cfg(test)]
pub(super) fn wait_until_free(directory: &Path) {
    let deadline = crate::time::Deadline::after(std::time::Duration::from_secs(10));
    while matches!(alone(directory), Ok(Alone::No)) {
        assert!(!deadline.passed(), "{} stays in use", directory.display());
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What lies in no directory cannot be looked for, which is not to be missing.
    #[test]
    fn a_path_through_a_file_is_an_error_and_not_missing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let below = file.path().join("entry");
        alone(&below).unwrap_err();
        is_at(file.as_file(), &below).unwrap_err();
    }

    #[test]
    fn a_path_that_names_another_file_now_is_not_what_is_held() {
        let (held, other) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
        assert!(is_at(held.as_file(), held.path()).unwrap());
        assert!(!is_at(held.as_file(), other.path()).unwrap());
    }
}
