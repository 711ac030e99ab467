//! What steps leave for later ones.

use super::diagnosis::marks;
use super::guest::run::Copy;
use super::mailbox::spool;
use super::traffic::captured;
use super::upgrade::prediction;
use crate::drift::{Contents, Inventory};
use crate::mail::mailbox::Holding;
use crate::mail::message::MessageId;
use crate::predict::Transaction;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What steps leave for later ones. It belongs to a state of the lab: a checkpoint keeps both. It holds contents of private
/// files, so whoever writes it down makes the file one that only its owner can read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestState {
    /// Files that were kept, by `machine:path`.
    pub(crate) kept: BTreeMap<String, Copy>,
    /// Moments, by name.
    pub(crate) marks: BTreeMap<String, marks::Moment>,
    /// What users' inboxes held.
    pub(crate) inboxes: BTreeMap<String, Holding>,
    /// What servers accepted for users.
    pub(crate) handed: BTreeMap<String, Vec<MessageId>>,
    /// How many loads there were.
    #[serde(default)]
    pub(crate) loads: usize,
    /// What predictions said, by name.
    pub(crate) predictions: BTreeMap<String, prediction::Said>,
    /// Messages that were taken from spools, by name.
    pub(crate) spools: BTreeMap<String, spool::Taken>,
    /// What is captured of machines' packets.
    #[serde(default)]
    pub(crate) captured: captured::Captured,
    /// How many files of figures there are.
    #[serde(default)]
    pub(crate) figures: u32,
    /// Invariants that a step has broken.
    pub(crate) disturbed: BTreeSet<String>,
    /// Inventories of machines.
    pub(crate) inventories: Vec<NamedInventory>,
    /// What the last upgrade of each machine did.
    pub(crate) transactions: BTreeMap<String, Transaction>,
}

/// An inventory that a step has taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedInventory {
    /// What the step calls it.
    pub(crate) name: String,
    /// What was there.
    pub(crate) inventory: Inventory,
    /// The contents of then.
    pub(crate) contents: Contents,
}

impl TestState {
    /// What is known after the lab went back to the state that these notes are of, to somebody who has forgotten nothing since.
    #[must_use]
    pub(crate) fn remembering(self, since: &Self) -> Self {
        let Self { kept, inboxes, handed, spools, .. } = since.clone();
        Self { kept, inboxes, handed, spools, ..self }
    }

    /// The last inventory of a machine that has this name.
    pub(crate) fn inventory(&self, name: &str, machine: &str) -> Option<&NamedInventory> {
        self.inventories.iter().rev().find(|kept| kept.name == name && kept.inventory.machine == machine)
    }
}

/// Something for the result directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// The name of its file.
    pub(crate) file: String,
    /// What it says.
    pub(crate) text: String,
}

impl Artifact {
    /// Something as JSON.
    pub(crate) fn json(file: String, content: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self { file, text: crate::sanitize::json(&serde_json::to_string_pretty(content)?) })
    }
}

impl NamedInventory {
    /// The inventory for the result directory: without private contents.
    pub(crate) fn artifact(&self) -> Result<Artifact, serde_json::Error> {
        let file = format!("inventory-{}-{}.json", self.name, self.inventory.machine);
        Artifact::json(file, &self.inventory)
    }
}

/// Bytes as base64.
pub(crate) mod as_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&base64::display::Base64Display::new(bytes, &BASE64))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text).map_err(serde::de::Error::custom)
    }
}
