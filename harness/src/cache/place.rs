//! Where things are.

use super::name::EntryName;
use serde::{Deserialize, Serialize};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
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

/// Why a directory is no cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// No variable says where it is.
    #[error("neither XDG_CACHE_HOME nor HOME names a directory: the cache is in one of them")]
    NoPlace,
    /// Programs that build images cannot take its path.
    #[error(
        "the cache is to be in {}, and {what} in a path is more than the programs can take that build images: let XDG_CACHE_HOME \
         name another directory",
        root.display()
    )]
    Path {
        /// The path.
        root: PathBuf,
        /// What is in it.
        what: &'static str,
    },
    /// A directory of it is none.
    #[error(
        "{} is {what}, and what lies there would be changed as a part of the cache: remove it, or let XDG_CACHE_HOME name the \
         directory itself",
        path.display()
    )]
    NoDirectory {
        /// Its place.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// It is another user's.
    #[error(
        "{} belongs to the user with number {owner}, and you are {user}: run this as its owner, or let XDG_CACHE_HOME name a \
         directory of your own",
        path.display()
    )]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// A directory cannot be made or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Cache {
    /// The cache of this user: `$XDG_CACHE_HOME/rehearsal`, or `~/.cache/rehearsal`.
    pub fn open_default() -> Result<Self, CacheError> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let parent = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
        Self::at(parent.ok_or(CacheError::NoPlace)?.join("rehearsal"))
    }

    /// The cache at `root`, which is made if need be. Only its owner may enter it: templates hold a lab's keys. Nothing is changed
    /// where one of its directories is another user's, or leads elsewhere.
    pub fn at(root: PathBuf) -> Result<Self, CacheError> {
        check_path(&root)?;
        let cache = Self { root };
        let rooms = Kind::ALL.map(|kind| cache.entries(kind)).into_iter().chain([cache.building(), cache.labs()]);
        let directories: Vec<_> = rooms.chain([cache.root.clone()]).collect();
        directories.iter().chain([&cache.shares()]).try_for_each(|directory| check_directory(directory))?;
        for directory in directories {
            make_private(&directory).map_err(|source| CacheError::Io { path: directory, source })?;
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

/// Paths stand in the configuration of apt, which has no escapes, and in lists whose ends are lines.
fn check_path(root: &Path) -> Result<(), CacheError> {
    let text = root.to_str();
    let is_bad = |c: char| c.is_control() || matches!(c, '"' | '\\');
    let what = match text {
        None => "what is not UTF-8",
        Some(text) if text.contains(is_bad) => "a quotation mark, a backslash or a control character",
        Some(_) => return Ok(()),
    };
    Err(CacheError::Path { root: root.to_owned(), what })
}

/// A directory of the cache is one, and ours, or is not there yet.
fn check_directory(path: &Path) -> Result<(), CacheError> {
    let data = match path.symlink_metadata() {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(CacheError::Io { path: path.to_owned(), source }),
    };
    if !data.is_dir() {
        let what = if data.is_symlink() { "a link" } else { "no directory" };
        return Err(CacheError::NoDirectory { path: path.to_owned(), what });
    }
    let (owner, user) = (data.uid(), nix::unistd::geteuid().as_raw());
    if owner == user { Ok(()) } else { Err(CacheError::Owner { path: path.to_owned(), owner, user }) }
}

fn make_private(directory: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    if directory.metadata()?.permissions().mode() & 0o777 != 0o700 {
        std::fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    #[rstest::rstest]
    #[case::no_text(b"a\xff", "what is not UTF-8")]
    #[case::quotation_mark(b"a\"b", "a quotation mark, a backslash or a control character")]
    #[case::backslash(b"a\\b", "a quotation mark, a backslash or a control character")]
    #[case::line(b"a\nb", "a quotation mark, a backslash or a control character")]
    #[case::what_shells_read(b"it's; $(x) & a,b|c\xc3\xa9", "")]
    fn a_path_that_programs_cannot_take_is_refused(#[case] name: &[u8], #[case] what: &str) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join(OsStr::from_bytes(name));
        let error = Cache::at(root.clone()).map_or_else(|error| error.to_string(), |_| String::new());
        assert!(if what.is_empty() { error.is_empty() } else { error.contains(what) }, "{error}");
        assert_eq!(root.exists(), what.is_empty());
    }

    /// What lies behind keeps its mode and all its files.
    #[rstest::rstest]
    #[case::itself("")]
    #[case::images("images")]
    #[case::building("building")]
    #[case::labs("labs")]
    #[case::shares("shares")]
    fn a_room_that_is_a_link_is_refused(#[case] room: &str) {
        let directory = tempfile::tempdir().unwrap();
        let (root, elsewhere) = (directory.path().join("rehearsal"), directory.path().join("elsewhere"));
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::set_permissions(&elsewhere, Permissions::from_mode(0o755)).unwrap();
        let link = if room.is_empty() {
            root.clone()
        } else {
            std::fs::create_dir(&root).unwrap();
            root.join(room)
        };
        std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
        let error = Cache::at(root).unwrap_err().to_string();
        assert!(error.contains(&format!("{} is a link", link.display())), "{error}");
        assert_eq!(elsewhere.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    #[test]
    fn a_cache_of_somebody_else_is_refused() {
        let theirs =
            if nix::unistd::geteuid().is_root() { tempfile::tempdir().unwrap() } else { return assert_of_root() };
        std::os::unix::fs::chown(theirs.path(), Some(12345), None).unwrap();
        let error = Cache::at(theirs.path().to_owned()).unwrap_err().to_string();
        assert!(error.contains("belongs to the user with number 12345, and you are 0"), "{error}");
        assert_eq!(std::fs::read_dir(theirs.path()).unwrap().count(), 0);
    }

    /// The same for a user who can give nothing away: `/usr` is root's.
    fn assert_of_root() {
        let error = check_directory(Path::new("/usr")).unwrap_err().to_string();
        assert!(error.contains("/usr belongs to the user with number"), "{error}");
    }

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

    #[test]
    fn what_runs_took_is_a_file_of_the_cache() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("rehearsal")).unwrap();
        assert_eq!(cache.times(), directory.path().join("rehearsal/times.json"));
    }

    #[test]
    fn a_place_that_cannot_be_looked_at_is_an_error_and_not_missing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        check_directory(&file.path().join("rehearsal")).unwrap_err();
    }
}
