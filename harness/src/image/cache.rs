//! Where finished images are kept.

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The name of an image's content: equal keys, equal images.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ImageKey(String);

impl ImageKey {
    /// The key of a sequence of ingredients; order and borders count.
    #[must_use]
    pub fn of<'a>(ingredients: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for ingredient in ingredients {
            hash.update((ingredient.len() as u64).to_be_bytes());
            hash.update(ingredient);
        }
        let digits: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self(digits)
    }
}

impl fmt::Display for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A directory of finished things, private to its owner.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// An image that is in the cache.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Name and key, as the directory is called.
    pub name: String,
    /// The directory.
    pub directory: PathBuf,
    /// Bytes on disk.
    pub bytes: u64,
    /// When it was built.
    pub built: SystemTime,
}

impl Cache {
    /// The cache of this user: `$XDG_CACHE_HOME/rehearsal`, or `~/.cache/rehearsal`.
    pub fn open_default() -> io::Result<Self> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let parent = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
        let parent = parent.ok_or_else(|| io::Error::other("neither XDG_CACHE_HOME nor HOME names a directory"))?;
        Self::at(parent.join("rehearsal"))
    }

    /// The cache at `root`, which is made if need be.
    pub fn at(root: PathBuf) -> io::Result<Self> {
        let cache = Self { root };
        for directory in [cache.root.clone(), cache.images(), cache.building(), cache.labs()] {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        }
        Ok(cache)
    }

    /// Its directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where finished images are.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Where images are built: on the same file system, so that they can be moved.
    #[must_use]
    pub fn building(&self) -> PathBuf {
        self.root.join("building")
    }

    /// Where the working directories of running labs are.
    #[must_use]
    pub fn labs(&self) -> PathBuf {
        self.root.join("labs")
    }

    /// The place of an image.
    #[must_use]
    pub fn place(&self, name: &str, key: &ImageKey) -> PathBuf {
        self.images().join(format!("{name}-{key}"))
    }

    /// An exclusive lock by name, held until the file is dropped. Says by `waiting` when somebody else has it.
    pub(super) fn lock(&self, name: &str, waiting: impl FnOnce()) -> io::Result<File> {
        let file = File::create(self.building().join(format!("{name}.lock")))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                waiting();
                file.lock()?;
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
        Ok(file)
    }

    /// All finished images, by name.
    pub fn list(&self) -> io::Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for entry in fs_err::read_dir(self.images())? {
            let entry = entry?;
            let files = walkdir::WalkDir::new(entry.path()).into_iter().filter_map(Result::ok);
            let bytes = files.filter_map(|file| file.metadata().ok()).map(|data| blocks(&data)).sum();
            let built = entry.metadata()?.modified()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            kept.push(Kept { name, directory: entry.path(), bytes, built });
        }
        kept.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(kept)
    }
}

fn blocks(data: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    data.blocks() * 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(&["a", "b"], &["a", "b"], true)]
    #[case(&["a", "b"], &["b", "a"], false)]
    #[case(&["ab", ""], &["a", "b"], false)]
    #[case(&["a", "b"], &["a", "c"], false)]
    fn a_key_names_its_ingredients(#[case] one: &[&str], #[case] other: &[&str], #[case] same: bool) {
        let key = |parts: &[&str]| ImageKey::of(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(key(one) == key(other), same);
    }

    #[test]
    fn the_cache_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("rehearsal")).unwrap();
        assert_eq!(cache.root().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(cache.list().unwrap().is_empty());
    }
}
