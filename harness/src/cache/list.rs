//! What is in the cache.

use super::lock::{self, Alone};
use super::name::EntryName;
use super::place::{Cache, Kind};
use crate::size::Size;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// An entry that is in the cache.
#[derive(Debug, Clone)]
pub struct CacheEntry {
    /// What it is.
    pub kind: Kind,
    /// What it is called.
    pub name: EntryName,
    /// The directory.
    pub directory: PathBuf,
    /// What it takes on disk.
    pub size: Size,
    /// When it was built.
    pub built: SystemTime,
    /// When somebody began to use it, last.
    pub used: SystemTime,
    /// Whether somebody uses it now.
    pub in_use: bool,
    /// The images that a template stands on, if it says so.
    foundations: Option<BTreeSet<EntryName>>,
}

/// The file of a template that names the images it stands on, one a line.
const FOUNDATIONS: &str = "stands-on";

/// Writes into `new`, a template that is going to be published, which images it needs: they stay as long as it does.
/// A template that does not say it keeps all images.
pub fn declare_foundations<'a>(new: &Path, images: impl IntoIterator<Item = &'a EntryName>) -> io::Result<()> {
    let lines: String = images.into_iter().map(|image| format!("{image}\n")).collect();
    fs_err::write(new.join(FOUNDATIONS), lines)
}

impl CacheEntry {
    /// The entries that a template says it stands on.
    pub fn foundations(&self) -> impl Iterator<Item = &EntryName> {
        self.foundations.iter().flatten()
    }

    /// Whether this is a template that needs `other`, an image or a release's disk.
    #[must_use]
    pub fn stands_on(&self, other: &Self) -> bool {
        let is_pair = self.kind == Kind::Template && other.kind != Kind::Template;
        is_pair && self.foundations.as_ref().is_none_or(|images| images.contains(&other.name))
    }
}

impl Cache {
    /// All finished entries of a kind, by name. Directories that are no entries are left out.
    pub fn list(&self, kind: Kind) -> io::Result<Vec<CacheEntry>> {
        let mut kept = Vec::new();
        for entry in fs_err::read_dir(self.entries(kind))? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().and_then(EntryName::parse) else { continue };
            match look_at(kind, name, entry.path()) {
                Ok(found) => kept.extend(found),
                // Somebody removes it at this moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        kept.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(kept)
    }
}

fn look_at(kind: Kind, name: EntryName, directory: PathBuf) -> io::Result<Option<CacheEntry>> {
    let used = fs_err::symlink_metadata(&directory)?.modified()?;
    let in_use = match lock::alone(&directory)? {
        Alone::Yes(_) => false,
        Alone::No => true,
        Alone::Missing => return Ok(None),
    };
    // The directory's own time says when it was used; the files in it are as old as the entry.
    let built = newest_file(&directory)?.unwrap_or(used);
    let text = std::fs::read_to_string(directory.join(FOUNDATIONS)).ok();
    let foundations = text.map(|text| text.lines().filter_map(EntryName::parse).collect());
    Ok(Some(CacheEntry { kind, name, size: Size::on_disk(&directory), directory, built, used, in_use, foundations }))
}

fn newest_file(directory: &Path) -> io::Result<Option<SystemTime>> {
    let mut newest = None;
    for entry in fs_err::read_dir(directory)? {
        newest = newest.max(Some(entry?.metadata()?.modified()?));
    }
    Ok(newest)
}
