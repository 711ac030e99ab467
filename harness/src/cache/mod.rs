//! The cache: finished things that took long to make, kept by the content that they were made from.
//!
//! There are three [`Kind`]s of entries: images of machines, templates of booted labs, and releases. An entry is a directory that is
//! complete and never changed: whoever builds one holds its [`Claim`], builds in [`Cache::building`], and publishes in one
//! step. Whoever uses one holds an [`InUse`]; as long as it lives, nobody removes the entry.
//!
//! Both are locks of `flock(2)`, so they end with their process, whatever way it ends: the claim is one on a file
//! `<entry>.lock` beside the entry, the use a shared one on the entry's own directory. Who removes an entry needs both.
//!
//! Entries travel to other hosts in one file: [`export`] and [`import`].
//!
//! This room knows directories and their names. It does not know what is in them.

mod archive;
mod claim;
mod clean;
mod evict;
mod list;
mod lock;
mod name;
mod place;
mod provide;
mod sweep;

pub use crate::size::{Size, SizeError};
#[cfg(any(test, fuzzing))]
pub(crate) use archive::fuzz;
pub use archive::{ArchiveError, Exported, ImportProgress, Imported, Trust, export, import};
pub use claim::{Claim, InUse};
pub use clean::{Cleaned, Reason};
pub use evict::{LIMIT_VARIABLE, Removal, Shrunk, limit};
pub use list::{CacheEntry, declare_foundations};
pub use name::{ContentKey, EntryName, PlanName};
pub use place::{Cache, CacheError, Kind};
pub use provide::Provided;
