//! A guest's network cables.

use super::process::{Machine, MachineError};
use crate::time::Deadline;
use qapi::qmp;
use std::sync::atomic::Ordering;

/// Whether a cable is plugged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// It is.
    Up,
    /// It is not: the guest's card has no carrier.
    Down,
}

impl Machine {
    /// Pulls the cables of all the guest's cards, or plugs them in (qapi/net.json, `set_link`). The control channels of
    /// the harness are none of them.
    pub async fn set_link(&self, link: Link, deadline: Deadline) -> Result<(), MachineError> {
        for index in 0..self.cards() {
            let command = qmp::set_link { name: format!("net{index}"), up: link == Link::Up };
            self.controlled(self.qmp.execute(command, deadline).await).await?;
        }
        self.linked.store(link == Link::Up, Ordering::Relaxed);
        Ok(())
    }

    /// Whether its cables are plugged in.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.linked.load(Ordering::Relaxed)
    }
}
