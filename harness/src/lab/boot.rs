//! Boots a lab from nothing, and ends it.

use super::topology::Topology;
use crate::host::accelerator::Accelerator;
use crate::host::workspace::Workspace;
use crate::machine::{Boot, Machine, MachineError, MachineName, Memory, NetworkCard, Spec, Trouble, VerbError, ssh};
use crate::network::{Namespace, NetworkError, TapName};
use crate::seed::{Host, Identity, IdentityError, SeedError, Templates};
use crate::time::{Deadline, Pace};
use futures_util::future::{select_all, try_join_all};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a machine of the lab boots from; the lab writes to overlays only.
#[derive(Debug, Clone)]
pub struct Media {
    /// A qcow2 file.
    pub disk: PathBuf,
    /// How it starts.
    pub boot: Boot,
}

/// What the lab is made with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Media by image name.
    pub media: BTreeMap<String, Media>,
    /// The templates of the roles.
    pub templates: Templates,
    /// The QEMU program.
    pub qemu: PathBuf,
    /// How guests run.
    pub accelerator: Accelerator,
    /// How slow this host is.
    pub pace: Pace,
    /// Where working directories of labs are made.
    pub workspaces: PathBuf,
}

/// Why there is no lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// No medium was given for an image.
    #[error("machine {machine} wants image `{image}`, which was not built")]
    NoImage {
        /// The machine.
        machine: MachineName,
        /// The image.
        image: String,
    },
    /// Keys or passwords could not be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A seed could not be made.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The network could not be made.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The working directory could not be made.
    #[error("failed to make a working directory in {}", parent.display())]
    Workspace {
        /// Where.
        parent: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An overlay could not be made.
    #[error("qemu-img failed to make an overlay on {}: {reason}", disk.display())]
    Overlay {
        /// The backing file.
        disk: PathBuf,
        /// Its words.
        reason: String,
    },
    /// A machine did not start.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// A machine did not answer.
    #[error(transparent)]
    Verb(#[from] VerbError),
    /// cloud-init reported errors.
    #[error("machine {machine}: cloud-init failed: {errors}\n{log}")]
    CloudInit {
        /// The machine.
        machine: MachineName,
        /// Its own summary.
        errors: String,
        /// The end of its output.
        log: String,
    },
}

/// What happens while a lab boots.
#[derive(Debug, Clone)]
pub enum Progress {
    /// QEMU runs.
    Started(MachineName),
    /// The guest's user space answers.
    Answers(MachineName),
    /// cloud-init has made the machine what it is.
    Ready(MachineName),
}

/// A running lab.
#[derive(Debug)]
pub struct Lab {
    // In the order of dropping: machines end before their network and their disks.
    machines: BTreeMap<MachineName, Machine>,
    network: Arc<Namespace>,
    hosts: Vec<Host>,
    identity: Identity,
    pace: Pace,
    _workspace: Workspace,
}

/// A first boot includes all that cloud-init does: nominal.
const FIRST_BOOT: Duration = Duration::from_mins(1);

impl Lab {
    /// Boots all machines of `topology` at once, and waits until cloud-init is done on each of them. Logs of QEMU and of
    /// the consoles appear in `logs`.
    pub async fn boot(
        topology: &Topology,
        setup: &Setup,
        logs: &Path,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Self, LabError> {
        let workspace = Workspace::create(&setup.workspaces, "lab")
            .map_err(|source| LabError::Workspace { parent: setup.workspaces.clone(), source })?;
        let hosts = topology.hosts();
        let identity = Identity::generate(
            hosts.iter().map(|host| host.name.as_str()),
            &topology.domain,
            topology.accounts.iter().map(String::as_str),
        )?;
        let specs = specs(topology, setup, &hosts, &identity, workspace.path()).await?;
        let network = Arc::new(Namespace::create(&topology.segments, &topology.taps()).await?);
        let mut machines = BTreeMap::new();
        for spec in specs {
            let deadline = setup.pace.deadline(Duration::from_secs(5));
            let machine = Machine::start(&spec, network.keeper(), logs, deadline).await?;
            progress(Progress::Started(spec.name.clone()));
            machines.insert(spec.name, machine);
        }
        let lab = Self { machines, network, hosts, identity, pace: setup.pace, _workspace: workspace };
        lab.wait_until_ready(progress).await?;
        Ok(lab)
    }

    async fn wait_until_ready(&self, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<(), LabError> {
        let deadline = self.pace.deadline(FIRST_BOOT);
        try_join_all(self.machines.values().map(|machine| ready(machine, deadline, progress))).await?;
        Ok(())
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

    /// The keys and passwords of this lab.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// How slow this host is.
    pub fn pace(&self) -> Pace {
        self.pace
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
    pub async fn trouble(&self) -> (MachineName, Trouble) {
        let watches = self
            .machines
            .values()
            .map(|machine| Box::pin(async move { (machine.name().clone(), machine.trouble().await) }));
        select_all(watches).await.0
    }

    /// Ends all machines and waits until they are gone.
    pub async fn tear_down(self) -> Result<(), LabError> {
        let deadline = self.pace.deadline(Duration::from_secs(10));
        for machine in self.machines.into_values() {
            machine.stop(deadline).await?;
        }
        Ok(())
    }
}

async fn specs(
    topology: &Topology,
    setup: &Setup,
    hosts: &[Host],
    identity: &Identity,
    directory: &Path,
) -> Result<Vec<Spec>, LabError> {
    let mut specs = Vec::new();
    for (index, (machine, host)) in topology.machines.iter().zip(hosts).enumerate() {
        let name = machine.name.get_ref().clone();
        let media = setup.media.get(&machine.image);
        let media = media.ok_or_else(|| LabError::NoImage { machine: name.clone(), image: machine.image.clone() })?;
        let disk = directory.join(format!("{name}.qcow2"));
        overlay(&media.disk, &disk).await?;
        let seed = directory.join(format!("{name}.seed"));
        setup.templates.render(host, hosts, &topology.domain, identity)?.write(&seed)?;
        specs.push(Spec {
            name,
            qemu: setup.qemu.clone(),
            accelerator: setup.accelerator,
            memory_mib: machine.memory_mib,
            memory: Memory::Anonymous,
            processors: machine.processors,
            boot: media.boot.clone(),
            disk,
            seed: Some(seed),
            cards: vec![NetworkCard { mac: Topology::mac(index), tap: TapName::numbered(index) }],
        });
    }
    Ok(specs)
}

/// A qcow2 file that keeps only what is changed on `disk`.
async fn overlay(disk: &Path, overlay: &Path) -> Result<(), LabError> {
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

async fn ready(
    machine: &Machine,
    deadline: Deadline,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), LabError> {
    machine.wait_for_agent(deadline).await?;
    progress(Progress::Answers(machine.name().clone()));
    // cloud-init writes this file as its very last act ("Boot stages", result.json).
    let result = machine.wait_until_succeeds("cat /run/cloud-init/result.json", deadline).await?;
    let errors: Vec<String> = serde_json::from_str::<serde_json::Value>(&result)
        .ok()
        .and_then(|result| serde_json::from_value(result["v1"]["errors"].clone()).ok())
        .unwrap_or_else(|| vec![format!("its result cannot be read: {result}")]);
    if !errors.is_empty() {
        let log = machine.execute("tail -n 15 /var/log/cloud-init-output.log", deadline).await?.stdout;
        return Err(LabError::CloudInit { machine: machine.name().clone(), errors: errors.join("; "), log });
    }
    progress(Progress::Ready(machine.name().clone()));
    Ok(())
}
