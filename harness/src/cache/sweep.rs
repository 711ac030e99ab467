//! What processes that were killed have left.

use super::lock::{self, Alone};
use super::place::{Cache, Kind};
use crate::host::workspace::Workspace;
use crate::size::Size;
use std::io;
use std::path::{Path, PathBuf};

/// How names of entries begin that were moved out of the way to be removed.
pub(super) const REMOVED: &str = "removed-";

impl Cache {
    /// Removes what killed processes have left: working directories of builds and labs that no process uses, entries whose
    /// removal was not finished, lock files that nobody holds. Says what it removed, and what that took.
    pub fn sweep(&self) -> io::Result<Vec<(PathBuf, Size)>> {
        let mut removed = Vec::new();
        for parent in [self.building(), self.labs()] {
            removed.extend(Workspace::sweep(&parent)?);
        }
        for path in paths(&self.building())? {
            if name_of(&path).starts_with(REMOVED) {
                removed.extend(finish_removal(path)?);
            }
        }
        for directory in Kind::ALL.map(|kind| self.entries(kind)).into_iter().chain([self.building()]) {
            for path in paths(&directory)? {
                if path.extension().is_some_and(|extension| extension == "lock") && path.is_file() {
                    remove_idle_lock(&path)?;
                }
            }
        }
        Ok(removed)
    }
}

fn paths(directory: &Path) -> io::Result<Vec<PathBuf>> {
    fs_err::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn finish_removal(path: PathBuf) -> io::Result<Option<(PathBuf, Size)>> {
    // Whoever is removing it at this moment holds its lock.
    let Alone::Yes(_alone) = lock::alone(&path)? else { return Ok(None) };
    let size = Size::on_disk(&path);
    fs_err::remove_dir_all(&path)?;
    Ok(Some((path, size)))
}

/// Nobody is told of these: they take no space.
fn remove_idle_lock(path: &Path) -> io::Result<()> {
    // A claim that ends at this moment removes its own.
    let Some(_lock) = lock::try_exclusive(path)? else { return Ok(()) };
    fs_err::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{ContentKey, EntryName};
    use std::fs;

    #[test]
    fn leftovers_go_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("cache")).unwrap();
        let name = EntryName::new("mail", &ContentKey::of([b"x".as_slice()]));
        let claimed = EntryName::new("directory", &ContentKey::of([b"x".as_slice()]));
        let claim = cache.claim(Kind::Image, &claimed, || {}).unwrap();
        let running = Workspace::create(&cache.labs(), "lab").unwrap();
        let half_removed = cache.building().join(format!("{REMOVED}{name}-0000"));
        let stale_lock = cache.entries(Kind::Template).join(format!("{name}.lock"));
        let abandoned = cache.labs().join("lab-00000000abcd");
        for directory in [&half_removed, &abandoned, &cache.labs().join("pictures"), &cache.building().join("notes")] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("a"), "x").unwrap();
        }
        // As a workspace whose owner and whose janitor were killed.
        fs::write(abandoned.join(".rehearsal-in-use"), "").unwrap();
        fs::write(&stale_lock, "").unwrap();
        let mut removed: Vec<_> = cache.sweep().unwrap().into_iter().map(|(path, _)| path).collect();
        removed.sort();
        assert_eq!(removed, [half_removed.clone(), abandoned.clone()]);
        for gone in [half_removed, stale_lock, abandoned] {
            assert!(!gone.exists(), "{}", gone.display());
        }
        for kept in [cache.labs().join("pictures/a"), cache.building().join("notes/a"), running.path().to_owned()] {
            assert!(kept.exists(), "{}", kept.display());
        }
        assert!(cache.try_claim(Kind::Image, &claimed).unwrap().is_none(), "the lock of a claim was taken away");
        drop(claim);
    }
}
