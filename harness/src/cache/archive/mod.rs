//! Entries of a cache in one file, for another host: so that one job builds and many use.
//!
//! The file is a tar archive, compressed by zstd. Its first member is a [`Manifest`], which names every file with its size and
//! its BLAKE3 digest; then come the files, in that order, under numbers. So no path of the archive is ever used as one: places
//! follow from names that were checked. Whoever reads it takes nothing before all of it was read and found right.
//!
//! Digests tell what was damaged or cut. They do not tell who made the file. So disks are taken only if their headers name no
//! other file ([`crate::qcow2`]), and what this host would run as root itself only if its author is trusted ([`Trust`]).

mod claims;
mod contents;
mod export;
mod import;

pub use contents::Trust;
pub use export::{Exported, export};
#[cfg(any(test, fuzzing))]
pub(crate) use import::fuzz;
pub use import::{Imported, Progress as ImportProgress, import};

use super::name::{EntryName, PlanName};
use super::place::Kind;
use crate::host::output::OutputError;
use crate::plain_path::PlainPath;
use crate::qcow2::Qcow2Error;
use crate::size::Size;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

/// Changes when the archive has another form.
const FORMAT: u32 = 1;

/// The name of the first member.
const MANIFEST: &str = "rehearsal-manifest.json";

/// The longest manifest that is read: one of a hundred thousand files.
const MANIFEST_LIMIT: u64 = 32 << 20;

/// No cache holds more: so reading an archive has an end.
const LARGEST: Size = Size::gibibytes(256);

/// The longest list of package versions that is taken.
const LONGEST_PLAN: u64 = 16 << 20;

/// The length of a cache's secret.
const SECRET_BYTES: u64 = 32;

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    made: jiff::Timestamp,
    /// The digest of the secret that its templates' passwords are derived from, if it holds templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    entries: Vec<Listed>,
    /// Files that lie beside the entries: package versions that images were planned with, and the secret.
    loose: Vec<Loose>,
}

/// An entry of the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    kind: Kind,
    name: EntryName,
    /// The entries that it stands on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stands_on: Vec<EntryName>,
    files: Vec<Noted>,
}

/// A file beside the entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Loose {
    role: Role,
    /// When it was written: package versions grow old.
    modified: jiff::Timestamp,
    file: Noted,
}

/// What a loose file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    /// Package versions.
    Plan,
    /// What secrets of labs are derived from.
    Secret,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    /// Its path in its entry, or its name.
    path: PlainPath,
    bytes: u64,
    /// Permissions, the lowest nine bits.
    mode: u32,
    /// Of what it holds, in hexadecimal digits.
    blake3: String,
}

/// Why nothing was exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is not written where it should be.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// There is not enough room.
    #[error("no space left in {}: {free} are free, {needed} are needed; `cargo xtask clean` frees some", place.display())]
    Full {
        /// Where.
        place: PathBuf,
        /// What is needed.
        needed: Size,
        /// What is free.
        free: Size,
    },
    /// The entry is not in the cache.
    #[error("{0} is not in the cache any more")]
    Gone(EntryName),
    /// An entry holds something that is neither file nor directory.
    #[error("{} is neither a file nor a directory, and cannot be exported", .0.display())]
    NoFile(PathBuf),
    /// It is something else.
    #[error("this is no export of Rehearsal: {0}")]
    Foreign(String),
    /// Another version made it.
    #[error("another version of Rehearsal made this export (format {0}, and this one reads {FORMAT}): export it again")]
    Version(u64),
    /// It is not what it was when it was made.
    #[error("the export is damaged or was altered: {0}; nothing was imported")]
    Altered(String),
    /// It ends too early.
    #[error("the export is cut off: {0}; nothing was imported: copy it again")]
    Truncated(String),
    /// A disk asks for what no disk of ours does.
    #[error("{path} of {entry} is not taken: {source}; nothing was imported")]
    Disk {
        /// The entry that it is of.
        entry: EntryName,
        /// The disk.
        path: PlainPath,
        /// What is wrong with it.
        source: Qcow2Error,
    },
    /// It holds what this host would run.
    #[error(
        "the export holds {}, which this host runs or loads as root with nothing between it and whoever made the file; if that \
         is somebody whose programs you would run as root, import it with --trust; nothing was imported",
        list(.0)
    )]
    Untrusted(Vec<(Kind, EntryName)>),
    /// Templates of labs whose passwords nobody here can derive.
    #[error(
        "the export holds frozen labs of another cache, whose passwords are derived from another secret than this cache's; \
         import it into a new cache, or export without --templates"
    )]
    OtherSecret,
    /// A template without what it stands on.
    #[error("the export holds {template}, which stands on {missing}, and that is neither in it nor here")]
    Baseless {
        /// The template.
        template: EntryName,
        /// What it stands on.
        missing: EntryName,
    },
}

impl Manifest {
    fn files(&self) -> impl Iterator<Item = &Noted> {
        self.entries.iter().flat_map(|entry| &entry.files).chain(self.loose.iter().map(|loose| &loose.file))
    }

    fn templates(&self) -> impl Iterator<Item = &Listed> {
        self.entries.iter().filter(|entry| entry.kind == Kind::Template)
    }

    /// Refuses a manifest with a name that stands in it twice, with a file that a cache does not have, or without an end.
    fn check(&self) -> Result<(), ArchiveError> {
        let twice = |name: &str| altered(format!("`{}` stands in it twice", name.escape_debug()));
        let mut known = BTreeSet::new();
        for entry in &self.entries {
            if !known.insert((entry.kind.directory(), entry.name.to_string(), "")) {
                return twice(&entry.name.to_string());
            }
            for file in &entry.files {
                if !known.insert((entry.kind.directory(), entry.name.to_string(), file.path.as_str())) {
                    return twice(file.path.as_str());
                }
            }
        }
        for loose in &self.loose {
            loose.check()?;
            if !known.insert(("", String::new(), loose.file.path.as_str())) {
                return twice(loose.file.path.as_str());
            }
        }
        self.check_secret()?;
        let total = self.files().fold(0_u64, |sum, file| sum.saturating_add(file.bytes));
        if total > LARGEST.as_bytes() {
            return altered(format!("it says that it holds {}, and no cache does", Size::bytes(total)));
        }
        Ok(())
    }

    /// A secret comes with templates, whose passwords are derived from it, and with nothing else.
    fn check_secret(&self) -> Result<(), ArchiveError> {
        let secret = self.loose.iter().find(|loose| loose.role == Role::Secret);
        if self.secret.as_ref() != secret.map(|loose| &loose.file.blake3) {
            return altered("its secret is not the one that its manifest names".into());
        }
        match (self.templates().next(), secret) {
            (Some(_), None) => altered("it holds frozen labs, and not the secret of their cache".into()),
            (None, Some(_)) => altered("it holds the secret of a cache, and no frozen lab that needs it".into()),
            _ => Ok(()),
        }
    }
}

impl Loose {
    fn check(&self) -> Result<(), ArchiveError> {
        let (name, bytes) = (self.file.path.as_str(), self.file.bytes);
        let (what, fits) = match self.role {
            Role::Plan => ("list of package versions", PlanName::parse(name).is_some() && bytes <= LONGEST_PLAN),
            Role::Secret => ("secret of a cache", name == "secret" && bytes == SECRET_BYTES),
        };
        if fits { Ok(()) } else { altered(format!("`{}` with {bytes} bytes is no {what}", name.escape_debug())) }
    }
}

fn altered<T>(diagnostic: String) -> Result<T, ArchiveError> {
    Err(ArchiveError::Altered(diagnostic))
}

fn list(entries: &[(Kind, EntryName)]) -> String {
    let names: Vec<_> = entries.iter().map(|(kind, name)| format!("{}/{name}", kind.directory())).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
