//! Whether what is in the cache is what the recipes ask for now.

use super::error::ImageError;
use super::key_inputs::{disk_name, foreign, installed_as_planned, tree_name};
use super::recipe::{Catalogue, Source};
use crate::cache::{Cache, EntryName};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// Whether an image is what the recipes ask for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Freshness {
    /// It is: the next run takes it.
    Current,
    /// Another version of it is asked for, or none.
    Old,
    /// The package versions of today are not known, since nobody asked for them yet.
    Unknown,
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Current => "current",
            Self::Old => "old",
            Self::Unknown => "unknown",
        })
    }
}

/// What the recipes ask for now, by the package versions that are known without asking the archive again.
#[derive(Debug)]
pub struct Asked {
    names: BTreeSet<EntryName>,
    without_plan: BTreeSet<String>,
}

impl Asked {
    /// What all recipes of `catalogue` ask for.
    pub fn of(catalogue: &Catalogue, cache: &Cache) -> Result<Self, ImageError> {
        let mut asked = Self { names: BTreeSet::new(), without_plan: BTreeSet::new() };
        for recipe in catalogue.iter() {
            let key = match &recipe.source {
                Source::Disk(_) => Some(foreign(recipe)?),
                // Whoever knows releases would have to make one.
                Source::Release(_) => None,
                Source::Suite(_) | Source::Base(_) => installed_as_planned(catalogue, recipe, cache)?,
            };
            match key {
                Some(key) => asked.names.extend([disk_name(recipe, &key), tree_name(recipe, &key)]),
                None => drop(asked.without_plan.insert(recipe.name.clone())),
            }
        }
        Ok(asked)
    }

    /// Whether an entry is asked for.
    #[must_use]
    pub fn standing(&self, entry: &EntryName) -> Freshness {
        if self.names.contains(entry) {
            Freshness::Current
        } else if self.without_plan.contains(entry.name().trim_end_matches(".tree")) {
            Freshness::Unknown
        } else {
            Freshness::Old
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{ContentKey, Kind};
    use crate::image::ensure;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn an_image_is_old_when_its_recipe_has_changed() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("cache")).unwrap();
        let disk = crate::qcow2::tests::disk(None);
        std::fs::write(directory.path().join("disk"), &disk).unwrap();
        let digest: String = Sha256::digest(&disk).iter().map(|byte| format!("{byte:02x}")).collect();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        let cloud = |summary: &str| {
            write(
                "cloud.toml",
                &format!("summary = \"{summary}\"\n[from.disk]\npath = \"disk\"\nsha256 = \"{digest}\"\n"),
            );
        };
        cloud("one");
        write("base.toml", "summary = \"x\"\nsuite = \"bookworm\"\n");
        let load = || Catalogue::load(directory.path()).unwrap();
        ensure(&load(), "cloud", &cache, false, &mut |_| {}).unwrap();
        let [kept] = cache.list(Kind::Image).unwrap().try_into().unwrap();
        let standing = |name: &EntryName| Asked::of(&load(), &cache).unwrap().standing(name);
        assert_eq!(standing(&kept.name), Freshness::Current);
        cloud("two");
        assert_eq!(standing(&kept.name), Freshness::Old);
        // Nobody asked for package versions yet.
        let key = ContentKey::of([b"x".as_slice()]);
        assert_eq!(standing(&EntryName::new("base", &key)), Freshness::Unknown);
        assert_eq!(standing(&EntryName::new("nobody", &key)), Freshness::Old);
    }
}
