//! The plain way to keep a running lab: snapshots inside its disks, by `savevm` and `-loadvm`. Nothing uses it but the
//! benchmark, where templates are compared with it.

use super::running::Lab;
use super::setup::{LabError, Progress, Setup};
use super::template::files_of;
use super::thaw::blank_seeds;
use super::topology::Topology;
use crate::machine::Origin;
use crate::seed::Identity;
use futures_util::future::try_join_all;
use std::path::Path;
use std::time::Duration;

/// The name of the snapshots.
const NAME: &str = "rehearsal";

impl Lab {
    /// Keeps all machines, each in its own disk, ends them, and moves the disks to `directory`.
    pub async fn snapshot_into(self, directory: &Path) -> Result<(), LabError> {
        self.settle().await?;
        let deadline = self.tempo.deadline(Duration::from_mins(1));
        try_join_all(self.machines().map(|machine| machine.pause(deadline))).await?;
        try_join_all(self.machines().map(|machine| machine.snapshot(NAME, deadline))).await?;
        self.end_and_move_disks(directory, deadline).await
    }

    /// Lets the machines go on whose disks, with snapshots in them, are in `directory`. The disks are moved from there.
    pub async fn load_snapshots(
        directory: &Path,
        topology: &Topology,
        setup: &Setup,
        identity: Identity,
        logs: &Path,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Self, LabError> {
        let workspace = setup.workspace()?;
        let mut specs = Vec::new();
        for (index, _) in topology.present() {
            let spec = setup.spec(topology, index, workspace.path(), Origin::Snapshot(NAME.into()))?;
            let (_, kept) = files_of(directory, &spec.name);
            std::fs::rename(&kept, &spec.disk).map_err(LabError::file(&spec.disk))?;
            blank_seeds(&spec)?;
            specs.push(spec);
        }
        let lab = Self::start(topology, specs, identity, setup.tempo.clone(), workspace, logs).await?;
        lab.go_on(progress).await?;
        Ok(lab)
    }
}
