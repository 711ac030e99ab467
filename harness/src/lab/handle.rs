//! What can be reached of a running lab by somebody who does not own it: a person who works in it by hand.

use super::running::Lab;
use crate::machine::{Commands, MachineName, Terminal};
use crate::network::Namespace;
use crate::seed::{Host, Identity};
use crate::time::{Deadline, LiveTimeoutScale, TimeoutScale};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use tokio::net::TcpStream;

/// A view into a running lab. It keeps nothing alive: when the lab ends, what is asked here fails.
#[derive(Debug, Clone)]
pub struct LabHandle {
    network: Weak<Namespace>,
    hosts: Arc<[Host]>,
    identity: Arc<Identity>,
    machines: Arc<BTreeMap<MachineName, Running>>,
    inside: Arc<BTreeMap<MachineName, MachineName>>,
    tempo: LiveTimeoutScale,
}

/// A machine that runs.
#[derive(Debug, Clone)]
pub struct Running {
    /// Its serial console.
    pub terminal: Terminal,
    /// Its guest agent, which no packet filter cuts off.
    pub commands: Commands,
}

impl Lab {
    /// A view into the lab as it is now: after a machine was switched off or on, another one is needed.
    #[must_use]
    pub fn window(&self) -> LabHandle {
        let running = self.machines().map(|machine| {
            let running = Running { terminal: machine.terminal().clone(), commands: machine.commands() };
            (machine.name().clone(), running)
        });
        LabHandle {
            network: Arc::downgrade(self.network()),
            hosts: self.hosts.clone().into(),
            identity: self.identity().clone().into(),
            machines: Arc::new(running.collect()),
            inside: Arc::new(self.inside.clone()),
            tempo: self.tempo.clone(),
        }
    }
}

impl LabHandle {
    /// All machines that the lab knows, in order, and whether they run.
    pub fn hosts(&self) -> impl Iterator<Item = (&Host, bool)> {
        self.hosts.iter().map(|host| (host, self.running(&host.name).is_some()))
    }

    /// A machine's names and address.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// A machine that runs.
    #[must_use]
    pub fn running(&self, name: &str) -> Option<&Running> {
        self.machines.iter().find(|(known, _)| known.as_str() == name).map(|(_, running)| running)
    }

    /// Who runs a machine, if another one of the lab does: whether it runs, only that one knows.
    #[must_use]
    pub fn inside(&self, name: &str) -> Option<&MachineName> {
        self.inside.iter().find(|(known, _)| known.as_str() == name).map(|(_, host)| host)
    }

    /// The keys and passwords of the lab.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// How slow this host is.
    #[must_use]
    pub fn pace(&self) -> TimeoutScale {
        self.tempo.pace()
    }

    /// Opens a TCP connection from the lab's own address.
    pub async fn dial(&self, address: SocketAddr, deadline: Deadline) -> io::Result<TcpStream> {
        let gone = || io::Error::new(io::ErrorKind::NotConnected, "the lab is gone");
        // Held for this moment only: the connection itself keeps no lab alive.
        let network = self.network.upgrade().ok_or_else(gone)?;
        network.dial(address, deadline).await
    }
}
