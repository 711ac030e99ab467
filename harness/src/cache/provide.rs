//! Entries that are made when they are missing: whole, or not at all.

use super::claim::InUse;
use super::name::EntryName;
use super::place::{Cache, Kind};
use crate::host::workspace::Workspace;
use std::io;
use std::path::Path;

/// An entry, taken into use.
#[derive(Debug)]
pub struct Provided {
    /// It.
    pub in_use: InUse,
    /// Whether it was missing.
    pub was_missing: bool,
}

impl Cache {
    /// Takes an entry into use. If it is missing, `make` makes it in an empty directory, beside which a workspace has room, and
    /// the directory is published. If somebody else makes it, `waiting` is called, and they are waited for. Both are given the
    /// maker. Blocks.
    pub fn provide<M, E: From<io::Error>>(
        &self,
        (kind, name): (Kind, &EntryName),
        maker: &mut M,
        waiting: impl FnOnce(&mut M),
        make: impl FnOnce(&mut M, &Workspace, &Path) -> Result<(), E>,
    ) -> Result<Provided, E> {
        if let Some(in_use) = self.open(kind, name)? {
            return Ok(Provided { in_use, was_missing: false });
        }
        let claim = self.claim(kind, name, || waiting(maker))?;
        let was_missing = !claim.exists();
        if was_missing {
            let workspace = Workspace::create(&self.building(), name.name())?;
            let new = workspace.path().join("new");
            fs_err::create_dir(&new)?;
            make(maker, &workspace, &new)?;
            claim.publish(&new)?;
        }
        Ok(Provided { in_use: claim.into_use()?, was_missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::ContentKey;

    fn provide(cache: &Cache, makes: &mut u32, result: Result<(), io::Error>) -> Result<Provided, io::Error> {
        let name = EntryName::new("mail", &ContentKey::of([b"mail".as_slice()]));
        let make = |makes: &mut u32, _: &Workspace, new: &Path| {
            *makes += 1;
            fs_err::write(new.join("disk"), "")?;
            result
        };
        cache.provide((Kind::Image, &name), makes, |_| panic!("nobody else makes it"), make)
    }

    #[test]
    fn what_is_missing_is_made_once_and_whole() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("cache")).unwrap();
        let mut makes = 0;
        let failed = provide(&cache, &mut makes, Err(io::Error::other("no room"))).unwrap_err();
        assert_eq!((failed.to_string(), cache.list(Kind::Image).unwrap().len()), ("no room".into(), 0));
        assert_eq!(fs_err::read_dir(cache.building()).unwrap().count(), 0, "nothing is left of what failed");
        let first = provide(&cache, &mut makes, Ok(())).unwrap();
        let second = provide(&cache, &mut makes, Ok(())).unwrap();
        assert_eq!((first.was_missing, second.was_missing, makes), (true, false, 2));
        assert!(second.in_use.place().join("disk").exists());
    }
}
