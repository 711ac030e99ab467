//! One file as the header of a package describes it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a header's file digests are made: the tag `FILEDIGESTALGO`, whose numbers are the ones of `OpenPGP`.
///
/// A header without the tag has MD5, the only algorithm before rpm 4.6 and the default before 4.14.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// Number 1.
    Md5,
    /// Number 8.
    Sha256,
    /// Another one, by its number. No dump holds digests of files on disk in it.
    Other(u32),
}

impl Algorithm {
    /// The algorithm of a header with this `FILEDIGESTALGO`.
    pub fn from_tag(number: Option<u32>) -> Self {
        match number {
            None | Some(0 | 1) => Self::Md5,
            Some(8) => Self::Sha256,
            Some(other) => Self::Other(other),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Md5 => f.write_str("MD5"),
            Self::Sha256 => f.write_str("SHA-256"),
            Self::Other(number) => write!(f, "digest algorithm {number}"),
        }
    }
}

/// The digest of a regular file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// How it is made.
    pub algorithm: Algorithm,
    /// Its digits, in lower case.
    pub hex: String,
}

/// What a package puts at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A regular file. A `%ghost` has no digest: the package does not hold its content.
    Regular(Option<Digest>),
    /// A symbolic link to this target.
    Link(String),
    /// A directory.
    Directory,
    /// A device, socket or pipe.
    Special,
}

/// How a package asks rpm to treat changes that the administrator made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// Not `%config`: rpm takes the file for its own and keeps no copy of changes.
    None,
    /// `%config`: the package's file wins, a changed one is set aside.
    Config,
    /// `%config(noreplace)`: a changed file wins, the package's is put beside it.
    NoReplace,
}

impl Care {
    /// Whether the file is `%config` in any form.
    pub fn is_config(self) -> bool {
        self != Self::None
    }
}

/// One path of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// What lies there.
    pub content: Content,
    /// How changes of it are treated.
    pub care: Care,
    /// `%ghost`: owned, but neither brought nor compared.
    pub ghost: bool,
    /// `%config(missingok)`: a file that is missing stays missing.
    pub missing_ok: bool,
    /// In the database of installed packages: whether rpm counts the file as this package's own (`FILESTATES` is 0).
    /// It is not, for instance, when another package's file has replaced it. Always true for packages that come.
    pub present: bool,
}

/// Bits of `FILEFLAGS` (`rpmfileAttrs` in rpm's rpmfiles.h).
mod flag {
    pub(super) const CONFIG: u32 = 1;
    pub(super) const MISSING_OK: u32 = 1 << 3;
    pub(super) const NO_REPLACE: u32 = 1 << 4;
    pub(super) const GHOST: u32 = 1 << 6;
}

impl FileEntry {
    /// Reads an entry from the values of the tags `FILEFLAGS`, `FILEMODES`, `FILEDIGESTS` and `FILELINKTOS`.
    pub fn from_tags(flags: u32, mode: u32, algorithm: Algorithm, digest: &str, link: &str) -> Self {
        const TYPE: u32 = 0o170_000;
        let content = match mode & TYPE {
            0o100_000 => {
                Content::Regular((!digest.is_empty()).then(|| Digest { algorithm, hex: digest.to_ascii_lowercase() }))
            }
            0o120_000 => Content::Link(link.to_owned()),
            0o040_000 => Content::Directory,
            _ => Content::Special,
        };
        let care = match (flags & flag::CONFIG != 0, flags & flag::NO_REPLACE != 0) {
            (false, _) => Care::None,
            (true, false) => Care::Config,
            (true, true) => Care::NoReplace,
        };
        Self {
            content,
            care,
            ghost: flags & flag::GHOST != 0,
            missing_ok: flags & flag::MISSING_OK != 0,
            present: true,
        }
    }

    /// Whether `flags` say `%config` in any form.
    pub(super) fn flags_say_config(flags: u32) -> bool {
        flags & flag::CONFIG != 0
    }
}
