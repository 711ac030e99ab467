//! The configuration of a machine: what it is, and what changed.

use crate::drift::{Drift, Inventory, collect};
use crate::lab::Lab;
use crate::scenario::format::step::{DriftSince, InventoryAs};
use crate::scenario::verbs::test_state::{Artifact, NamedInventory};
use crate::scenario::verbs::{Done, StepContext, StepError, TestState, decided};
use std::time::Duration;

/// How long the collection may take: nominal.
const COLLECTING: Duration = Duration::from_secs(20);

/// Takes the inventory of a machine now.
pub(crate) async fn take_inventory(lab: &Lab, machine: &str, name: &str) -> Result<NamedInventory, String> {
    let running = lab.machine(machine).ok_or_else(|| format!("machine {machine} is not in the lab"))?;
    let deadline = lab.pace().deadline(COLLECTING);
    let collected = collect(running, |text| lab.identity().redact(text), deadline).await;
    let (inventory, contents) = collected.map_err(|error| error.to_string())?;
    Ok(NamedInventory { name: name.to_owned(), inventory, contents })
}

/// What changed on the machine since the inventory `since`.
pub(crate) fn drift(notes: &TestState, since: &str, now: &Inventory) -> Option<Drift> {
    let before = &notes.inventory(since, &now.machine)?.inventory;
    Some(Drift::between(before, now, notes.transactions.get(&now.machine)))
}

impl StepContext<'_> {
    pub(crate) async fn inventory(&mut self, on: &str, inventory: &InventoryAs) -> Result<Done, StepError> {
        let kept = take_inventory(self.lab, on, &inventory.name).await.map_err(StepError::Broken)?;
        self.artifacts.push(kept.artifact().map_err(|error| StepError::Broken(error.to_string()))?);
        let answered = format!("{} paths, {} packages", kept.inventory.files.len(), kept.inventory.packages.len());
        self.notes.inventories.push(kept);
        let asked = format!("the configuration of {on}, remembered as `{}`", inventory.name);
        Ok(Done { asked, answered, transcript: None })
    }

    pub(crate) async fn drift(&mut self, on: &str, expected: &DriftSince) -> Result<Done, StepError> {
        let now = take_inventory(self.lab, on, "now").await.map_err(StepError::Broken)?.inventory;
        let drift = drift(self.notes, &expected.since, &now).ok_or_else(|| {
            StepError::Broken(format!("no step has taken the inventory `{}` of {on}", expected.since))
        })?;
        let artifact = Artifact::json(format!("drift-{}-{on}.json", expected.since), &drift);
        self.artifacts.push(artifact.map_err(|error| StepError::Broken(error.to_string()))?);
        let asked = format!("what changed in the configuration of {on} since `{}`", expected.since);
        decided(&expected.judge(&drift, &now), asked, Some(drift.to_string()))
    }
}
