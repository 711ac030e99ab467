//! A guest that ends by its own will: its services stop, its file systems are written, and then QEMU is gone.

use super::process::{Machine, MachineError};
use crate::machine::failure::MachineFailure;
use crate::time::Deadline;
use qapi::qmp;

/// How QEMU's process ends when its guest has.
const CLEAN: &str = "exit status: 0";

impl Machine {
    /// From now on QEMU ends where it would start the guest again (qapi/run-state.json, `set-action`): whoever starts it
    /// anew can do what a boot loader does, and choose another kernel.
    pub async fn end_at_reboot(&self, deadline: Deadline) -> Result<(), MachineError> {
        let reboot = Some(qmp::RebootAction::shutdown);
        let action = qmp::set_action { reboot, shutdown: None, panic: None, watchdog: None };
        self.controlled(self.qmp.execute(action, deadline).await).await.map(drop)
    }

    /// Waits until the guest, which was told to, has ended.
    pub async fn ended(self, deadline: Deadline) -> Result<(), MachineError> {
        let machine = || self.name().clone();
        match deadline.bound("the guest to shut down", self.trouble()).await {
            Ok(MachineFailure::Exited { how }) if how.starts_with(CLEAN) => self.stop(deadline).await,
            Ok(trouble) => Err(MachineError::MachineFailure { machine: machine(), trouble }),
            Err(source) => Err(MachineError::Expired { machine: machine(), source }),
        }
    }
}
