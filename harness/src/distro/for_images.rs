//! What images of releases, and labs with their packages, are given.

use super::definition::Definitions;
use super::{Media, Release, ReleaseError, ensure, media};
use crate::cache::{Cache, InUse};
use crate::image::{ReleaseTree, Releases};
use std::error::Error;
use std::path::Path;

/// The releases of a project, made in a cache when they are asked for.
#[derive(Debug)]
pub struct Archive {
    definitions: Definitions,
    cache: Cache,
}

impl Archive {
    /// The releases that are defined below `images`.
    pub fn open(images: &Path, cache: Cache) -> Result<Self, ReleaseError> {
        Ok(Self { definitions: Definitions::load(images)?, cache })
    }

    /// The disk with the packages of a release, for those who upgrade to it from the one before. Blocks.
    pub fn disk(&self, release: &str, say: &(dyn Fn(String) + Sync)) -> Result<Media, ReleaseError> {
        let new = self.definitions.get(release)?;
        let old = new.upgrades.as_deref().ok_or_else(|| ReleaseError::NoneBefore { name: release.to_owned() })?;
        let old = self.definitions.get(old)?;
        media(old, new, &self.cache, &|progress| say(progress.to_string()))
    }

    fn release(&self, name: &str, say: &(dyn Fn(String) + Sync)) -> Result<Release, ReleaseError> {
        ensure(self.definitions.get(name)?, &self.cache, false, &|progress| say(progress.to_string()))
    }
}

impl Releases for Archive {
    fn tree(&self, release: &str, say: &(dyn Fn(String) + Sync)) -> Result<ReleaseTree, Box<dyn Error + Send + Sync>> {
        let made = self.release(release, say)?;
        let (tree, added, key) = (made.tree(), made.added(), made.key.clone());
        let (packages, changed) = (made.rpms(None), made.changed());
        let held: Vec<InUse> = made.into_held();
        Ok(ReleaseTree { key, tree, added, packages, changed, held })
    }
}
