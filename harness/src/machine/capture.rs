//! What goes through a guest's network cards, written to files.

use super::process::{Machine, MachineError};
use crate::time::Deadline;
use qapi::qmp;
use std::path::Path;

/// How much of a packet is kept, in bytes: a whole Ethernet frame. A card that leaves the cutting to its network (TSO) sends
/// longer ones; of these the headers tell the length.
const KEPT: u32 = 1536;

impl Machine {
    /// How many network cards it has.
    #[must_use]
    pub fn cards(&self) -> usize {
        self.cards
    }

    /// Writes all packets of one card to a file from now on, until the machine ends (qemu(1), `filter-dump`). The file is
    /// there already: so its maker says who may read it. What writes it is no device: the guest knows nothing of it, and a
    /// frozen machine has nothing of it.
    pub async fn capture(&self, card: usize, file: &Path, deadline: Deadline) -> Result<(), MachineError> {
        let base = qmp::NetfilterProperties {
            netdev: format!("net{card}"),
            insert: None,
            position: None,
            queue: None,
            status: None,
        };
        let filter_dump = qmp::FilterDumpProperties { base, file: file.display().to_string(), maxlen: Some(KEPT) };
        let id = format!("capture{card}");
        let command = qmp::object_add(qmp::ObjectOptions::filter_dump { id, filter_dump });
        let done = self.qmp.execute(command, deadline).await;
        done.map(drop).map_err(|source| MachineError::Control { machine: self.name().clone(), source })
    }
}
