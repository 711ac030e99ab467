//! The configuration of a machine: what it is, and what changed.

use super::super::step::{DriftSince, InventoryAs};
use super::notes::{Exhibit, Kept};
use super::{Done, Notes, Stage, StepError, decided};
use crate::drift::{Drift, Inventory, collect};
use crate::lab::Lab;
use std::time::Duration;

/// How long the collection may take: nominal.
const COLLECTING: Duration = Duration::from_secs(20);

/// Takes the inventory of a machine now.
pub(in crate::scenario) async fn take_inventory(lab: &Lab, machine: &str, name: &str) -> Result<Kept, String> {
    let running = lab.machine(machine).ok_or_else(|| format!("machine {machine} is not in the lab"))?;
    let deadline = lab.pace().deadline(COLLECTING);
    let collected = collect(running, |text| lab.identity().redact(text), deadline).await;
    let (inventory, contents) = collected.map_err(|error| error.to_string())?;
    Ok(Kept { name: name.to_owned(), inventory, contents })
}

/// What changed on the machine since the inventory `since`.
pub(in crate::scenario) fn drift(notes: &Notes, since: &str, now: &Inventory) -> Option<Drift> {
    let before = &notes.inventory(since, &now.machine)?.inventory;
    Some(Drift::between(before, now, notes.transactions.get(&now.machine)))
}

impl Stage<'_> {
    pub(super) async fn inventory(&mut self, on: &str, inventory: &InventoryAs) -> Result<Done, StepError> {
        let kept = take_inventory(self.lab, on, &inventory.name).await.map_err(StepError::Broken)?;
        self.exhibits.push(kept.exhibit().map_err(|error| StepError::Broken(error.to_string()))?);
        let answered = format!("{} paths, {} packages", kept.inventory.files.len(), kept.inventory.packages.len());
        self.notes.inventories.push(kept);
        let asked = format!("the configuration of {on}, remembered as `{}`", inventory.name);
        Ok(Done { asked, answered, transcript: None })
    }

    pub(super) async fn drift(&mut self, on: &str, expected: &DriftSince) -> Result<Done, StepError> {
        let now = take_inventory(self.lab, on, "now").await.map_err(StepError::Broken)?.inventory;
        let drift = drift(self.notes, &expected.since, &now).ok_or_else(|| {
            StepError::Broken(format!("no step has taken the inventory `{}` of {on}", expected.since))
        })?;
        let exhibit = Exhibit::json(format!("drift-{}-{on}.json", expected.since), &drift);
        self.exhibits.push(exhibit.map_err(|error| StepError::Broken(error.to_string()))?);
        let asked = format!("what changed in the configuration of {on} since `{}`", expected.since);
        decided(&expected.judge(&drift, &now), asked, Some(drift.to_string()))
    }
}
