//! What goes when the cache grows too large: least recently used first, and never what is in use.

use super::list::CacheEntry;
use super::name::EntryName;
use super::place::{Cache, Kind};
use crate::size::{Size, SizeError};
use std::ffi::OsString;
use std::io;

/// The variable that sets the upper bound of the cache, such as `20GiB`.
pub const LIMIT_VARIABLE: &str = "REHEARSAL_CACHE_LIMIT";

/// Holds the images, and a few templates with their memory.
const DEFAULT_LIMIT: Size = Size::gibibytes(20);

/// What became of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// Somebody uses or builds it.
    InUse,
    /// It was not there.
    Missing,
}

/// What [`Cache::shrink`] did.
#[derive(Debug, Default)]
pub struct Shrunk {
    /// What it removed, in that order.
    pub removed: Vec<CacheEntry>,
    /// What is left.
    pub size: Size,
}

/// How large the cache may grow: `REHEARSAL_CACHE_LIMIT`, or 20 GiB.
pub fn limit() -> Result<Size, SizeError> {
    limit_by(std::env::var_os(LIMIT_VARIABLE))
}

fn limit_by(variable: Option<OsString>) -> Result<Size, SizeError> {
    match variable {
        Some(text) if !text.is_empty() => text.to_string_lossy().parse(),
        _ => Ok(DEFAULT_LIMIT),
    }
}

impl Cache {
    /// Removes an entry, unless somebody uses or builds it.
    pub fn remove(&self, kind: Kind, name: &EntryName) -> io::Result<Removal> {
        let Some(claim) = self.try_claim(kind, name)? else { return Ok(Removal::InUse) };
        if !claim.exists() {
            return Ok(Removal::Missing);
        }
        match claim.discard() {
            Ok(()) => Ok(Removal::Removed),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(Removal::InUse),
            Err(error) => Err(error),
        }
    }

    /// Removes entries until the rest is no larger than `limit`, or all that is left is in use. The least recently used
    /// goes first, but an image never before a template that stands on it. Call it after something was added.
    pub fn shrink(&self, limit: Size) -> io::Result<Shrunk> {
        let mut kept = Vec::new();
        for kind in Kind::ALL {
            kept.extend(self.list(kind)?);
        }
        let mut shrunk = Shrunk { size: kept.iter().map(|entry| entry.size).sum(), ..Shrunk::default() };
        while shrunk.size > limit
            && let Some(index) = next_to_go(&kept)
        {
            match self.remove(kept[index].kind, &kept[index].name)? {
                Removal::InUse => kept[index].in_use = true,
                Removal::Removed | Removal::Missing => {
                    let gone = kept.remove(index);
                    shrunk.size = shrunk.size.less(gone.size);
                    shrunk.removed.push(gone);
                }
            }
        }
        Ok(shrunk)
    }
}

/// The least recently used of those that may go.
fn next_to_go(kept: &[CacheEntry]) -> Option<usize> {
    let carries = |image: &CacheEntry| kept.iter().any(|template| template.stands_on(image));
    let may_go = kept.iter().enumerate().filter(|(_, entry)| !entry.in_use && !carries(entry));
    may_go.min_by_key(|(_, entry)| entry.used).map(|(index, _)| index)
}

#[cfg(test)]
#[path = "evict_tests.rs"]
mod tests;
