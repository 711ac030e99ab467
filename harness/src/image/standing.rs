//! Whether what is in the cache is what the recipes ask for now.

use super::error::ImageError;
use super::ingredients::{disk_name, foreign, installed_as_planned, tree_name};
use super::recipe::{Catalogue, Source};
use crate::cache::{Cache, EntryName};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// Whether an image is what the recipes ask for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It is: the next run takes it.
    Current,
    /// Another version of it is asked for, or none.
    Old,
    /// The package versions of today are not known, since nobody asked for them yet.
    Unknown,
}

impl fmt::Display for Standing {
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
    pub fn standing(&self, entry: &EntryName) -> Standing {
        if self.names.contains(entry) {
            Standing::Current
        } else if self.without_plan.contains(entry.name().trim_end_matches(".tree")) {
            Standing::Unknown
        } else {
            Standing::Old
        }
    }
}
