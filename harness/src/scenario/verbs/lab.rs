//! What verbs about the whole lab are told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// A state of the lab to come back to: all machines, their disks and RAM, at one moment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Its name.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// It stays in the cache, and later runs with the same steps before it start behind it.
    #[serde(default)]
    pub keep: bool,
}

/// A return.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rewind {
    /// The checkpoint, which an earlier step made.
    #[schemars(with = "String")]
    pub to: Spanned<String>,
    /// A copy of the machines takes their place, and who does that has forgotten nothing: copies of files, what inboxes held,
    /// what was accepted, and what was taken from spools stays known. Without it, all is as it was then.
    #[serde(default)]
    pub keep_test_state: bool,
}
