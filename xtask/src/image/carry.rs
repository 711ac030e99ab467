//! `cargo xtask image export` and `import`: images, and labs that were frozen on them, in one file.

use super::{catalogue, print, say};
use crate::exit::{HostLacks, Invalid};
use anyhow::Context as _;
use harness::cache::{self, ArchiveError, Cache, CacheEntry, EntryName, ImportProgress, Kind, Trust};
use harness::host::output::OutputError;
use harness::image::{Asked, Freshness};
use std::path::Path;

/// Writes the file.
pub(super) fn export(cache: &Cache, names: &[String], output: &Path, templates: bool) -> anyhow::Result<()> {
    let mut entries = images(cache, names)?;
    if templates {
        let labs = cache.list(Kind::Template)?;
        let has = |name: &EntryName| entries.iter().any(|image| image.name == *name);
        let fits = |lab: &CacheEntry| lab.foundations().next().is_some() && lab.foundations().all(has);
        let mut fitting: Vec<_> = labs.into_iter().filter(fits).collect();
        // Of one name, the one that was used last: others are of older images, steps or guests.
        fitting.sort_by_key(|lab| (lab.name.name().to_owned(), std::cmp::Reverse(lab.used)));
        fitting.dedup_by_key(|lab| lab.name.name().to_owned());
        anyhow::ensure!(
            !fitting.is_empty(),
            "no lab was frozen on these images alone: `cargo xtask lab freeze` makes one"
        );
        entries.extend(fitting);
    }
    let exported = cache::export(cache, &entries, output, &mut |name, size| say(&format!("{name} ({size})")));
    let exported = exported.map_err(told).with_context(|| format!("failed to write {}", output.display()))?;
    for (kind, name) in &exported.entries {
        print(&format!("{}/{name}", kind.directory()));
    }
    print(&format!("{} in {} ({})", exported.holds, output.display(), exported.takes));
    Ok(())
}

/// Takes what the file holds, and lets the cache not grow too large.
pub(super) fn import(cache: &Cache, file: &Path, trust: Trust) -> anyhow::Result<()> {
    let limit = cache::limit()?;
    if !file.is_file() {
        return Err(Invalid(format!("there is no file {}", file.display())).into());
    }
    let imported = cache::import(cache, file, trust, &mut |progress| match progress {
        ImportProgress::Waiting(name) => say(&format!("{name}: waits for who builds or imports it")),
        ImportProgress::Reading(name, size) => say(&format!("{name} ({size})")),
    });
    let imported = imported.map_err(told).with_context(|| format!("failed to import {}", file.display()))?;
    for (kind, name) in &imported.came {
        print(&format!("came  {}/{name}", kind.directory()));
    }
    for (kind, name) in &imported.here {
        print(&format!("here  {}/{name}", kind.directory()));
    }
    for gone in cache.shrink(limit)?.removed {
        print(&format!("gone  {} ({}): the cache had grown too large", gone.name, gone.size));
    }
    Ok(())
}

/// The images to export. Of those that the recipes ask for, the current one; else the one that was used last.
fn images(cache: &Cache, names: &[String]) -> anyhow::Result<Vec<CacheEntry>> {
    let catalogue = catalogue()?;
    let asked = Asked::of(&catalogue, cache)?;
    let kept = cache.list(Kind::Image)?;
    let bootable: Vec<_> = catalogue.bootable().map(|recipe| recipe.name.as_str()).collect();
    if names.is_empty() {
        let current = |image: &CacheEntry| {
            bootable.contains(&image.name.name()) && asked.standing(&image.name) == Freshness::Current
        };
        let current: Vec<_> = kept.into_iter().filter(current).collect();
        anyhow::ensure!(!current.is_empty(), "no image in the cache is current: `cargo xtask image build` makes them");
        return Ok(current);
    }
    let one = |name: &String| {
        if !bootable.contains(&name.as_str()) {
            return Err(Invalid(format!("no recipe is called `{name}`; there are: {}", bootable.join(", "))).into());
        }
        let own = kept.iter().filter(|image| image.name.name() == name);
        let best = own.max_by_key(|image| (asked.standing(&image.name) == Freshness::Current, image.used));
        best.cloned()
            .with_context(|| format!("image `{name}` is not in the cache: `cargo xtask image build {name}` makes it"))
    };
    names.iter().map(one).collect()
}

/// What the error means for the exit code.
fn told(error: ArchiveError) -> anyhow::Error {
    let words = error.to_string();
    match error {
        ArchiveError::Full { .. } => HostLacks(words).into(),
        ArchiveError::Output(OutputError::Taken { .. })
        | ArchiveError::Foreign(_)
        | ArchiveError::Version(_)
        | ArchiveError::Altered(_)
        | ArchiveError::Truncated(_)
        | ArchiveError::Disk { .. }
        | ArchiveError::Untrusted(_)
        | ArchiveError::OtherSecret
        | ArchiveError::Baseless { .. } => Invalid(words).into(),
        ArchiveError::Io(_) | ArchiveError::Output(_) | ArchiveError::Gone(_) | ArchiveError::NoFile(_) => error.into(),
    }
}
