//! What steps about a machine's configuration are told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use toml::Spanned;

/// The configuration of a machine at this moment: everything under `/etc`, and configuration that packages have elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InventoryAs {
    /// Its name; `before` is the one that the explanation of a failure starts from.
    pub name: String,
}

/// What changed in the configuration of a machine. Second files, such as `.rpmsave`, stand in none of the lists.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftSince {
    /// Since this inventory.
    pub since: String,
    /// The four lists are about paths below these directories; about all, if there is none.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub below: Vec<Spanned<String>>,
    /// All paths that are gone.
    #[schemars(with = "Option<Vec<String>>")]
    pub removed: Option<Vec<Spanned<String>>>,
    /// All paths with another content, target or kind.
    #[schemars(with = "Option<Vec<String>>")]
    pub changed: Option<Vec<Spanned<String>>>,
    /// All paths that have another mode or owner only.
    #[schemars(with = "Option<Vec<String>>")]
    pub attributes: Option<Vec<Spanned<String>>>,
    /// All paths that are new.
    #[schemars(with = "Option<Vec<String>>")]
    pub added: Option<Vec<Spanned<String>>>,
    /// Paths that are there and as they were; others may be, too.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub kept: Vec<Spanned<String>>,
    /// Paths, and for each the second file that has the old content now.
    #[serde(default)]
    pub backups: BTreeMap<String, String>,
}

impl DriftSince {
    /// All paths that it names, but for second files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Spanned<String>> {
        let lists = [&self.removed, &self.changed, &self.attributes, &self.added];
        self.below.iter().chain(&self.kept).chain(lists.into_iter().flatten().flatten())
    }
}
