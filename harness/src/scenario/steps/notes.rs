//! What steps leave for later ones.

use super::{captured, forecast, guest, moments, spool};
use crate::drift::{Contents, Inventory};
use crate::mail::mailbox::Holding;
use crate::mail::message::MessageId;
use crate::packages::Transaction;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What steps leave for later ones. It belongs to a state of the lab: a checkpoint keeps both. It holds contents of private
/// files, so whoever writes it down makes the file one that only its owner can read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Notes {
    /// Files that were kept, by `machine:path`.
    pub(super) kept: BTreeMap<String, guest::Copy>,
    /// Moments, by name.
    pub(super) marks: BTreeMap<String, moments::Moment>,
    /// What users' inboxes held.
    pub(super) inboxes: BTreeMap<String, Holding>,
    /// What servers accepted for users.
    pub(super) handed: BTreeMap<String, Vec<MessageId>>,
    /// How many loads there were.
    #[serde(default)]
    pub(super) loads: usize,
    /// What forecasts said, by name.
    pub(super) forecasts: BTreeMap<String, forecast::Said>,
    /// Messages that were taken from spools, by name.
    pub(super) spools: BTreeMap<String, spool::Taken>,
    /// What is captured of machines' packets.
    #[serde(default)]
    pub(in crate::scenario) captured: captured::Captured,
    /// How many files of figures there are.
    #[serde(default)]
    pub(super) figures: u32,
    /// Invariants that a step has broken.
    pub(super) disturbed: BTreeSet<String>,
    /// Inventories of machines.
    pub(in crate::scenario) inventories: Vec<Kept>,
    /// What the last upgrade of each machine did.
    pub(in crate::scenario) transactions: BTreeMap<String, Transaction>,
}

/// An inventory that a step has taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Kept {
    /// What the step calls it.
    pub(in crate::scenario) name: String,
    /// What was there.
    pub(in crate::scenario) inventory: Inventory,
    /// The contents of then.
    pub(in crate::scenario) contents: Contents,
}

impl Notes {
    /// What is known after the lab went back to the state that these notes are of, to somebody who has forgotten nothing since.
    #[must_use]
    pub(in crate::scenario) fn remembering(self, since: &Self) -> Self {
        let Self { kept, inboxes, handed, spools, .. } = since.clone();
        Self { kept, inboxes, handed, spools, ..self }
    }

    /// The last inventory of a machine that has this name.
    pub(in crate::scenario) fn inventory(&self, name: &str, machine: &str) -> Option<&Kept> {
        self.inventories.iter().rev().find(|kept| kept.name == name && kept.inventory.machine == machine)
    }
}

/// Something for the result directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scenario) struct Exhibit {
    /// The name of its file.
    pub(in crate::scenario) file: String,
    /// What it says.
    pub(in crate::scenario) text: String,
}

impl Exhibit {
    /// Something as JSON.
    pub(in crate::scenario) fn json(file: String, content: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self { file, text: crate::harmless::json(&serde_json::to_string_pretty(content)?) })
    }
}

impl Kept {
    /// The inventory for the result directory: without private contents.
    pub(in crate::scenario) fn exhibit(&self) -> Result<Exhibit, serde_json::Error> {
        let file = format!("inventory-{}-{}.json", self.name, self.inventory.machine);
        Exhibit::json(file, &self.inventory)
    }
}

/// Bytes as base64.
pub(super) mod as_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&base64::display::Base64Display::new(bytes, &BASE64))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text).map_err(serde::de::Error::custom)
    }
}
