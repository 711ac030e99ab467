//! Where releases are built: the cache, and who is told of it.

use super::error::ReleaseError;
use crate::cache::{Cache, EntryName, InUse, Kind, Size};
use crate::host::workspace::Workspace;
use crate::image;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// What happens while a release is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// apt resolves the packages.
    Planning,
    /// apt could not; the last resolution is used.
    OldPlan,
    /// Somebody else builds the same.
    Waiting,
    /// Packages are fetched.
    Fetching {
        /// How many.
        packages: usize,
        /// What they take.
        size: Size,
    },
    /// Debian's packages are installed in a tree, to see what their scripts make of it.
    Installing {
        /// How many there are.
        packages: usize,
    },
    /// Packages become rpms.
    Converting {
        /// How many there are.
        packages: usize,
        /// How many of them an earlier release has, made of the same.
        kept: usize,
    },
    /// Repositories and their disk are made.
    Disk,
    /// Something was removed from the cache, which had grown too large.
    Evicted {
        /// What.
        name: EntryName,
        /// What it took.
        size: Size,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planning => image::Progress::Planning.fmt(f),
            Self::OldPlan => image::Progress::OldPlan.fmt(f),
            Self::Waiting => image::Progress::Waiting.fmt(f),
            Self::Fetching { packages, size } => write!(f, "fetching {packages} packages, {size}"),
            Self::Installing { packages } => write!(f, "installing {packages} packages in a tree"),
            Self::Converting { packages, kept } => write!(f, "{packages} rpms, {kept} of them kept from before"),
            Self::Disk => f.write_str("making the repositories and their disk"),
            Self::Evicted { name, size } => write!(f, "removed {name} ({size}): the cache had grown too large"),
        }
    }
}

/// Where releases are built.
pub(super) struct Site<'a> {
    pub(super) cache: &'a Cache,
    progress: &'a (dyn Fn(Progress) + Sync),
    built: AtomicBool,
}

impl<'a> Site<'a> {
    /// Does some work in a cache that is swept before, and does not exceed its upper bound afterwards.
    pub(super) fn work<T>(
        cache: &'a Cache,
        progress: &'a (dyn Fn(Progress) + Sync),
        work: impl FnOnce(&Self) -> Result<T, ReleaseError>,
    ) -> Result<T, ReleaseError> {
        let limit = crate::cache::limit()?;
        cache.sweep()?;
        let site = Self { cache, progress, built: AtomicBool::new(false) };
        let made = work(&site)?;
        if site.built.load(Ordering::Relaxed) {
            for gone in cache.shrink(limit)?.removed {
                site.tell(Progress::Evicted { name: gone.name, size: gone.size });
            }
        }
        Ok(made)
    }

    pub(super) fn tell(&self, progress: Progress) {
        (self.progress)(progress);
    }

    /// An entry of the cache. If it is missing, `make` makes it in a directory, and it is published: whole, or not at all.
    pub(super) fn provide(
        &self,
        entry: &EntryName,
        make: impl FnOnce(&Workspace, &Path) -> Result<(), ReleaseError>,
    ) -> Result<InUse, ReleaseError> {
        let waiting = |site: &mut &Self| site.tell(Progress::Waiting);
        let make = |_: &mut &Self, workspace: &Workspace, new: &Path| make(workspace, new);
        let provided = self.cache.provide((Kind::Release, entry), &mut &*self, waiting, make)?;
        self.built.fetch_or(provided.was_missing, Ordering::Relaxed);
        Ok(provided.in_use)
    }

    /// Refuses to begin what will not fit.
    pub(super) fn want_room(&self, needed: Size) -> Result<(), ReleaseError> {
        let place = self.cache.building();
        let free = Size::free_at(&place)?;
        if free < needed { Err(ReleaseError::Full { place, free, needed }) } else { Ok(()) }
    }
}
