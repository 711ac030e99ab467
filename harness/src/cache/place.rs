//! Where things are.

use super::name::EntryName;
use serde::{Deserialize, Serialize};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The disk of a machine, and what it boots with.
    Image,
    /// A lab that was booted once and frozen; it stands on images, and on disks of releases.
    Template,
    /// A step on the way to an rpm distribution: packages, a tree of them, rpms, a disk with repositories.
    Release,
}

impl Kind {
    /// All, those that stand on others first.
    pub const ALL: [Self; 3] = [Self::Template, Self::Image, Self::Release];

    /// The name of its directory.
    #[must_use]
    pub fn directory(self) -> &'static str {
        match self {
            Self::Image => "images",
            Self::Template => "templates",
            Self::Release => "releases",
        }
    }
}

/// A directory of finished things, private to its owner.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache of this user: `$XDG_CACHE_HOME/rehearsal`, or `~/.cache/rehearsal`.
    pub fn open_default() -> io::Result<Self> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let parent = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
        let parent = parent.ok_or_else(|| io::Error::other("neither XDG_CACHE_HOME nor HOME names a directory"))?;
        Self::at(parent.join("rehearsal"))
    }

    /// The cache at `root`, which is made if need be. Only its owner may enter it: templates hold a lab's keys.
    pub fn at(root: PathBuf) -> io::Result<Self> {
        let cache = Self { root };
        let rooms = Kind::ALL.map(|kind| cache.entries(kind));
        for directory in rooms.into_iter().chain([cache.building(), cache.labs(), cache.root.clone()]) {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
            if directory.metadata()?.permissions().mode() & 0o777 != 0o700 {
                fs_err::set_permissions(&directory, Permissions::from_mode(0o700))?;
            }
        }
        Ok(cache)
    }

    /// Its directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the finished entries of a kind are.
    #[must_use]
    pub fn entries(&self, kind: Kind) -> PathBuf {
        self.root.join(kind.directory())
    }

    /// Where entries are built: on the same file system, so that they can be moved.
    #[must_use]
    pub fn building(&self) -> PathBuf {
        self.root.join("building")
    }

    /// Where the working directories of running labs are.
    #[must_use]
    pub fn labs(&self) -> PathBuf {
        self.root.join("labs")
    }

    /// Where processes write down what they have taken of this host's memory and cores.
    #[must_use]
    pub fn shares(&self) -> PathBuf {
        self.root.join("shares")
    }

    /// The file that the secrets of labs are derived from. It stays when entries go.
    #[must_use]
    pub fn secret(&self) -> PathBuf {
        self.root.join("secret")
    }

    /// The file with what runs took, for whoever waits for the next one.
    #[must_use]
    pub fn times(&self) -> PathBuf {
        self.root.join("times.json")
    }

    /// Where an entry is, or will be. To use what is there, [`Cache::open`] it.
    #[must_use]
    pub fn place(&self, kind: Kind, name: &EntryName) -> PathBuf {
        self.entries(kind).join(name.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_private_even_if_it_was_not() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("rehearsal");
        std::fs::create_dir(&root).unwrap();
        std::fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
        let cache = Cache::at(root).unwrap();
        let rooms = [cache.root().to_owned(), cache.entries(Kind::Image), cache.entries(Kind::Template), cache.labs()];
        for room in rooms {
            assert_eq!(room.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{}", room.display());
        }
    }
}
