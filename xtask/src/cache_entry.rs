//! Entries of the cache as a person, or a program, reads them.

use crate::duration::Age;
use harness::cache::{CacheEntry, Size};
use harness::image::Freshness;
use serde::Serialize;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// An entry for programs; times are seconds since 1970.
#[derive(Serialize)]
pub(crate) struct Entry<'a> {
    name: String,
    directory: &'a Path,
    bytes: u64,
    built: u64,
    used: u64,
    in_use: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    standing: Option<Freshness>,
}

/// An entry for programs.
pub(crate) fn as_json(kept: &CacheEntry, standing: Option<Freshness>) -> Entry<'_> {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Entry {
        name: kept.name.to_string(),
        directory: &kept.directory,
        bytes: kept.size.as_bytes(),
        built: seconds(kept.built),
        used: seconds(kept.used),
        in_use: kept.in_use,
        standing,
    }
}

/// An entry as a line of a table.
pub(crate) fn line(kept: &CacheEntry) -> String {
    let used = if kept.in_use { "in use now".to_owned() } else { format!("used {} ago", Age::of(kept.used)) };
    let (size, built) = (kept.size.to_string(), Age::of(kept.built).to_string());
    format!("{:<36} {size:>10}  built {built:>7} ago  {used:<17}", kept.name.to_string())
}

/// The last line of a table.
pub(crate) fn total(kept: &[CacheEntry], place: &Path) -> String {
    let size: Size = kept.iter().map(|entry| entry.size).sum();
    format!("{} in {}: {size}", kept.len(), place.display())
}
