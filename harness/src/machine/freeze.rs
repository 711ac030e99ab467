//! Stopping a guest for good, in files from which it can go on any number of times; and going on.
//!
//! RAM does not travel in QEMU's migration stream: with `x-ignore-shared` the stream holds processors and devices only
//! (QEMU `docs/devel/migration`), RAM is copied from the file in memory that it was in. A guest that goes on maps that
//! copy, so it runs before it has read a byte of it.

use super::process::{Machine, MachineError};
use super::qmp::{Qmp, QmpError};
use super::spec::{Frozen, Spec};
use crate::time::{Deadline, Expired};
use qapi::qmp;
use std::path::Path;

/// The command by which QEMU takes the state of a frozen guest.
pub(super) const LOAD: &str = "migrate-incoming";

impl Machine {
    /// Stops the guest's processors. Its clocks stand still.
    pub async fn pause(&self, deadline: Deadline) -> Result<(), MachineError> {
        self.controlled(self.qmp.execute(qmp::stop {}, deadline).await).await.map(drop)
    }

    /// Lets the guest's processors run.
    pub async fn resume(&self, deadline: Deadline) -> Result<(), MachineError> {
        self.controlled(self.qmp.execute(qmp::cont {}, deadline).await).await.map(drop)
    }

    /// Writes a paused guest to the files of `frozen` and ends it. All that it wrote to its disk is in the disk's file
    /// then; the three belong together.
    pub async fn freeze(mut self, frozen: &Frozen, deadline: Deadline) -> Result<(), MachineError> {
        let machine = self.name().clone();
        let Some(ram) = self.ram.take() else { return Err(MachineError::CannotFreeze { machine }) };
        // Completing the migration also writes back what QEMU still holds of the disk.
        self.controlled(save(&self.qmp, &self.devices, deadline).await).await?;
        let what = format!("the state of its devices as {}", frozen.devices.display());
        let moved = std::fs::rename(&self.devices, &frozen.devices);
        moved.map_err(|source| MachineError::Prepare { machine: machine.clone(), what, source })?;
        let path = frozen.memory.clone();
        let saved = tokio::task::spawn_blocking(move || ram.save(&path)).await.map_err(std::io::Error::other);
        let what = format!("its RAM as {}", frozen.memory.display());
        saved.flatten().map_err(|source| MachineError::Prepare { machine, what, source })?;
        self.stop(deadline).await
    }

    /// Writes RAM and devices of a paused guest into its own disk, under a name: the plain way (`savevm`).
    pub async fn snapshot(&self, name: &str, deadline: Deadline) -> Result<(), MachineError> {
        let command_line = format!("savevm {name}");
        let command = qmp::human_monitor_command { command_line, cpu_index: None };
        let said = self.controlled(self.qmp.execute(command, deadline).await).await?;
        // The human monitor answers a success with nothing.
        if said.trim().is_empty() {
            return Ok(());
        }
        let source = QmpError::Refused { command: "savevm", reason: said.trim().to_owned() };
        Err(MachineError::Control { machine: self.name().clone(), source })
    }
}

async fn save(qmp: &Qmp, devices: &Path, deadline: Deadline) -> Result<(), QmpError> {
    leave_ram_out(qmp, deadline).await?;
    let uri = Some(format!("file:{}", devices.display()));
    qmp.execute(qmp::migrate { uri, channels: None, detach: None, resume: None }, deadline).await?;
    completed(qmp, "migrate", deadline).await
}

/// Lets a QEMU that was started for it take the state of the frozen guest that `spec` comes from. The guest is paused.
pub(super) async fn load(qmp: &Qmp, spec: &Spec, deadline: Deadline) -> Result<(), QmpError> {
    let Some(frozen) = spec.origin.frozen() else { return Ok(()) };
    leave_ram_out(qmp, deadline).await?;
    let uri = Some(format!("file:{}", frozen.devices.display()));
    qmp.execute(qmp::migrate_incoming { uri, channels: None, exit_on_error: Some(false) }, deadline).await?;
    completed(qmp, LOAD, deadline).await
}

async fn leave_ram_out(qmp: &Qmp, deadline: Deadline) -> Result<(), QmpError> {
    let capability = qmp::MigrationCapability::x_ignore_shared;
    let capabilities = vec![qmp::MigrationCapabilityStatus { capability, state: true }];
    qmp.execute(qmp::migrate_set_capabilities { capabilities }, deadline).await.map(drop)
}

/// Waits for the end of a migration; a failed one says why.
async fn completed(qmp: &Qmp, command: &'static str, deadline: Deadline) -> Result<(), QmpError> {
    let attempt = || async {
        let info = match qmp.execute(qmp::query_migrate {}, deadline).await {
            Ok(info) => info,
            Err(error) => return Ok(Err(error)),
        };
        match info.status {
            Some(qmp::MigrationStatus::completed) => Ok(Ok(())),
            Some(qmp::MigrationStatus::failed | qmp::MigrationStatus::cancelled) => {
                let reason = info.error_desc.unwrap_or_else(|| "the migration failed".into());
                Ok(Err(QmpError::Refused { command, reason }))
            }
            status => Err(format!("{status:?}")),
        }
    };
    let ended: Result<_, Expired> = deadline.poll(format_args!("QEMU to complete `{command}`"), attempt).await;
    ended?
}
