//! A running lab, however it came to be.

use super::capture::Capture;
use super::setup::LabError;
use super::template::Template;
use super::topology::Topology;
use crate::host::workspace::Workspace;
use crate::machine::{Logs, Machine, MachineFailure, MachineName, Origin, Spec, ssh};
use crate::network::Namespace;
use crate::seed::{Host, Identity};
use crate::time::{Deadline, LiveTimeoutScale, TimeoutScale};
use futures_util::future::{select_all, try_join_all};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A running lab.
#[derive(Debug)]
pub struct Lab {
    // In the order of dropping: machines end before their network and their disks.
    pub(super) machines: BTreeMap<MachineName, Machine>,
    pub(super) network: Arc<Namespace>,
    pub(super) specs: Vec<Spec>,
    pub(super) hosts: Vec<Host>,
    /// Machines that others run, each with the one that does.
    pub(super) inside: BTreeMap<MachineName, MachineName>,
    pub(super) identity: Identity,
    pub(super) tempo: LiveTimeoutScale,
    workspace: Workspace,
    /// How often a machine of it was switched on again.
    pub(super) boots: u32,
    /// What its machines' cards are captured into.
    pub(super) captures: Mutex<Vec<Capture>>,
    /// Where logs and captures go.
    pub(super) logs: PathBuf,
    /// What its disks and its RAM stand on.
    pub(super) template: Option<Arc<Template>>,
}

impl Lab {
    /// Starts all machines at once, in a fresh network.
    pub(super) async fn start(
        topology: &Topology,
        specs: Vec<Spec>,
        identity: Identity,
        tempo: LiveTimeoutScale,
        workspace: Workspace,
        logs: &Path,
    ) -> Result<Self, LabError> {
        let network = Arc::new(Namespace::create(&topology.segments, &topology.taps(), tempo.pace()).await?);
        let copied = specs.iter().filter(|spec| matches!(spec.origin, Origin::Copied(_)));
        let copied: u64 = copied.map(|spec| u64::from(spec.memory_mib)).sum();
        let deadline = tempo.deadline_copying(Duration::from_secs(5), copied);
        let notes = Logs { directory: logs, captures: logs, secrets: identity.secrets() };
        let starting = specs.iter().map(|spec| Machine::start(spec, network.keeper(), notes, deadline));
        let machines = try_join_all(starting).await?;
        let machines = machines.into_iter().map(|machine| (machine.name().clone(), machine)).collect();
        Ok(Self {
            machines,
            network,
            specs,
            hosts: topology.hosts(),
            inside: topology.all_inside(),
            identity,
            tempo,
            workspace,
            boots: 0,
            captures: Mutex::default(),
            logs: logs.to_owned(),
            template: None,
        })
    }

    /// A machine by name.
    #[must_use]
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines.iter().find(|(known, _)| known.as_str() == name).map(|(_, machine)| machine)
    }

    /// All machines.
    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.machines.values()
    }

    /// A machine's names and address.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// The disk with packages that a machine has.
    #[must_use]
    pub fn packages(&self, machine: &str) -> Option<&Path> {
        self.specs.iter().find(|spec| spec.name.as_str() == machine)?.packages.as_deref()
    }

    /// The keys and passwords of this lab.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Makes further secrets known, which redaction replaces from here on.
    pub fn learn(&self, secrets: Vec<secrecy::SecretString>) {
        self.identity.secrets().learn(secrets);
    }

    /// Where its disks are.
    pub(crate) fn directory(&self) -> &Path {
        self.workspace.path()
    }

    /// How slow this host is now.
    pub fn pace(&self) -> TimeoutScale {
        self.tempo.pace()
    }

    /// The lab's network.
    pub fn network(&self) -> &Arc<Namespace> {
        &self.network
    }

    /// Opens an ssh connection to a machine from the lab's own address.
    pub async fn ssh_connection(&self, host: &Host, deadline: Deadline) -> Result<std::net::TcpStream, ssh::SshError> {
        let refused = |error: std::io::Error| ssh::SshError::Protocol(format!("{}: {error}", host.fqdn));
        let stream = self.network.dial(SocketAddr::from((host.address, 22)), deadline).await.map_err(refused)?;
        stream.into_std().map_err(refused)
    }

    /// Completes when something befalls any machine.
    pub async fn trouble(&self) -> (MachineName, MachineFailure) {
        if self.machines.is_empty() {
            return std::future::pending().await;
        }
        let watches = self
            .machines
            .values()
            .map(|machine| Box::pin(async move { (machine.name().clone(), machine.trouble().await) }));
        select_all(watches).await.0
    }

    /// Ends all machines and waits until they are gone.
    pub async fn tear_down(mut self) -> Result<(), LabError> {
        let deadline = self.tempo.deadline(Duration::from_secs(10));
        let machines = std::mem::take(&mut self.machines);
        try_join_all(machines.into_values().map(|machine| machine.stop(deadline))).await?;
        Ok(())
    }
}

/// A qcow2 file that keeps only what is changed on `disk`.
pub(super) async fn overlay(disk: &Path, overlay: &Path) -> Result<(), LabError> {
    let failed = |reason: String| LabError::Overlay { disk: disk.to_owned(), reason };
    let output = tokio::process::Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
        .args([disk, overlay])
        .output()
        .await
        .map_err(|error| failed(error.to_string()))?;
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(failed(said())) }
}
