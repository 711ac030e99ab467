//! Boots a lab from nothing: images, seeds, and patience.

use super::running::{Lab, overlay};
use super::setup::{LabError, Progress, Setup};
use super::topology::Topology;
use crate::machine::{Machine, Origin, Spec};
use crate::seed::{Host, Identity, LabSecret};
use crate::time::Deadline;
use futures_util::future::try_join_all;
use std::path::Path;
use std::time::Duration;

/// How long a first boot may take of a machine that has cores of its own, with all that cloud-init does: nominal.
const FIRST_BOOT: Duration = Duration::from_mins(1);

/// The same for machines that boot together, with so many processors, on a host of so many cores: they take turns.
fn patience(processors: u32, cores: usize) -> Duration {
    FIRST_BOOT * processors.div_ceil(u32::try_from(cores).unwrap_or(u32::MAX)).max(1)
}

impl Lab {
    /// Boots all machines of `topology` at once, and waits until cloud-init is done on each of them. Its passwords and
    /// keys are those of `secret`. Logs of QEMU and of the consoles appear in `logs`.
    pub async fn boot(
        topology: &Topology,
        setup: &Setup,
        secret: &LabSecret,
        logs: &Path,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Self, LabError> {
        let workspace = setup.workspace()?;
        let hosts = topology.hosts();
        let identity = Identity::generate(
            secret,
            hosts.iter().map(|host| (host.name.as_str(), host.wiring.names.keys().map(String::as_str).collect())),
            &topology.domain,
            topology.accounts.iter().map(String::as_str),
        )?;
        let specs = specs(topology, setup, &hosts, &identity, workspace.path()).await?;
        let lab = Self::start(topology, specs, identity, setup.tempo.clone(), workspace, logs).await?;
        for machine in lab.machines() {
            progress(Progress::Started(machine.name().clone()));
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let deadline = setup.tempo.deadline(patience(topology.processors(), cores));
        try_join_all(lab.machines().map(|machine| configured(machine, deadline, progress))).await?;
        Ok(lab)
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
    for (index, machine) in topology.present() {
        let host = &hosts[index];
        let spec = setup.spec(topology, index, directory, Origin::PowerOn)?;
        overlay(&setup.media_of(machine)?.disk, &spec.disk).await?;
        if let Some(seed) = &spec.seed {
            setup.roles.render(host, hosts, &topology.domain, identity)?.write(seed)?;
        }
        for ((index, _), guest) in topology.inside(&spec.name).zip(&spec.guests) {
            setup.roles.render(&hosts[index], hosts, &topology.domain, identity)?.write_behind_gap(&guest.seed)?;
        }
        specs.push(spec);
    }
    Ok(specs)
}

async fn configured(
    machine: &Machine,
    deadline: Deadline,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), LabError> {
    machine.wait_for_agent(deadline).await?;
    progress(Progress::Answers(machine.name().clone()));
    // cloud-init writes this file as its very last act ("Boot stages", result.json). Asking for it all the time would
    // slow the boot down, so systemd is waited for first.
    let result = "systemctl is-system-running --wait > /dev/null; cat /run/cloud-init/result.json";
    let result = machine.wait_until_succeeds(result, deadline).await?;
    let errors: Vec<String> = serde_json::from_str::<serde_json::Value>(&result)
        .ok()
        .and_then(|result| serde_json::from_value(result["v1"]["errors"].clone()).ok())
        .unwrap_or_else(|| vec![format!("its result cannot be read: {result}")]);
    if !errors.is_empty() {
        let log = machine.execute("tail -n 15 /var/log/cloud-init-output.log", deadline).await?.stdout;
        return Err(LabError::CloudInit { machine: machine.name().clone(), errors: errors.join("; "), log });
    }
    progress(Progress::Configured(machine.name().clone()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::one_machine(1, 2, 1)]
    #[case::cores_for_all(4, 8, 1)]
    #[case::more_than_cores(5, 2, 3)]
    #[case::machines_that_others_run(0, 2, 1)]
    fn a_crowd_has_more_patience(#[case] processors: u32, #[case] cores: usize, #[case] minutes: u64) {
        assert_eq!(patience(processors, cores), Duration::from_mins(minutes));
    }
}
