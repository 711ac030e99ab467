//! Entries of a cache in one file, for another host: so that one job builds and many use.
//!
//! The file is a tar archive, compressed by zstd. Its first member is a [`Manifest`], which names every file with its size and
//! its BLAKE3 digest; then come the files, in that order, under numbers. So no path of the archive is ever used as one: places
//! follow from names that were checked. Whoever reads it takes nothing before all of it was read and found right.
//!
//! Digests tell what was damaged or cut. They do not tell who made the file: take it from where you trust.

mod export;
mod import;

pub use export::{Exported, export};
pub use import::{Imported, import};

use super::name::EntryName;
use super::place::Kind;
use crate::size::Size;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Changes when the archive has another form.
const FORMAT: u32 = 1;

/// The name of the first member.
const MANIFEST: &str = "rehearsal-manifest.json";

/// The longest manifest that is read: one of a hundred thousand files.
const MANIFEST_LIMIT: u64 = 32 << 20;

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
    name: String,
    /// The entries that it stands on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stands_on: Vec<String>,
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
    path: String,
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
    /// A name would lead out of the cache.
    #[error("the export names a place outside of the cache, `{0}`; nothing was imported")]
    Outside(String),
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

    /// Every name in it is one, and stays where it belongs.
    fn check(&self) -> Result<(), ArchiveError> {
        let outside = |name: &str| Err(ArchiveError::Outside(name.escape_debug().to_string()));
        let twice = |name: &str| Err(ArchiveError::Altered(format!("`{}` stands in it twice", name.escape_debug())));
        let mut known = BTreeSet::new();
        for entry in &self.entries {
            if EntryName::parse(&entry.name).is_none() {
                return outside(&entry.name);
            }
            if !known.insert((entry.kind.directory(), entry.name.as_str(), "")) {
                return twice(&entry.name);
            }
            for file in &entry.files {
                if !stays_inside(&file.path) {
                    return outside(&file.path);
                }
                if !known.insert((entry.kind.directory(), &entry.name, &file.path)) {
                    return twice(&file.path);
                }
            }
        }
        for loose in &self.loose {
            let fits = match loose.role {
                Role::Plan => is_plan(&loose.file.path),
                Role::Secret => loose.file.path == "secret",
            };
            if !fits {
                return outside(&loose.file.path);
            }
            if !known.insert(("", &loose.file.path, "")) {
                return twice(&loose.file.path);
            }
        }
        Ok(())
    }
}

/// A relative path of plain names, as we would write it.
fn stays_inside(path: &str) -> bool {
    let parts: Vec<_> = Path::new(path).components().collect();
    let plain = parts.iter().all(|part| matches!(part, Component::Normal(_)));
    let written: Vec<_> = parts.iter().filter_map(|part| part.as_os_str().to_str()).collect();
    plain && !parts.is_empty() && written.join("/") == path && !path.contains('\0')
}

/// `plan-<key>.json`, as images are planned.
fn is_plan(name: &str) -> bool {
    let key = name.strip_prefix("plan-").and_then(|rest| rest.strip_suffix(".json"));
    key.is_some_and(|key| key.len() == 16 && key.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)))
}

#[cfg(test)]
mod tests;
