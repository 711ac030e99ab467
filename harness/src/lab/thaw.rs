//! Makes a fresh, running copy of a frozen lab.

use super::running::{Lab, overlay};
use super::setup::{LabError, Progress, Setup};
use super::template::{Template, files_of};
use super::topology::Topology;
use crate::machine::{Origin, Spec};
use crate::seed::disk;
use crate::size::Size;
use futures_util::future::{try_join, try_join_all};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What a copy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be used: its RAM is shared with the template until it is written to.
    Use,
    /// To be used and frozen again: it has a copy of all RAM.
    Freeze,
}

impl Lab {
    /// Makes a copy of the frozen lab: the same machines and addresses in a network of its own, with the time of now.
    pub async fn thaw(
        template: &Arc<Template>,
        topology: &Topology,
        setup: &Setup,
        purpose: Purpose,
        logs: &Path,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Self, LabError> {
        Self::thaw_captured(template, topology, setup, purpose, logs, &BTreeMap::new(), progress).await
    }

    /// Makes a copy in which the packets of some machines are captured from its first moment on, up to a size of each file.
    pub async fn thaw_captured(
        template: &Arc<Template>,
        topology: &Topology,
        setup: &Setup,
        purpose: Purpose,
        logs: &Path,
        captured: &BTreeMap<String, Size>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Self, LabError> {
        let workspace = setup.workspace()?;
        let specs = specs(template, topology, setup, purpose, workspace.path())?;
        try_join_all(specs.iter().map(|spec| disks(template, spec))).await?;
        let identity = template.identity().clone();
        let mut lab = Self::start(topology, specs, identity, setup.tempo.clone(), workspace, logs).await?;
        lab.template = Some(template.clone());
        for (machine, limit) in captured {
            lab.capture(machine, *limit).await?;
        }
        lab.go_on(progress).await?;
        Ok(lab)
    }

    /// Lets machines that stand still run, and tells them the time.
    pub(super) async fn go_on(&self, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<(), LabError> {
        let deadline = self.tempo.deadline(Duration::from_secs(10));
        try_join_all(self.machines().map(|machine| machine.resume(deadline))).await?;
        progress(Progress::Running);
        try_join_all(self.machines().map(|machine| machine.wake(deadline))).await?;
        progress(Progress::Awake);
        Ok(())
    }
}

fn specs(
    template: &Template,
    topology: &Topology,
    setup: &Setup,
    purpose: Purpose,
    directory: &Path,
) -> Result<Vec<Spec>, LabError> {
    topology
        .present()
        .map(|(index, machine)| {
            let (frozen, _) = files_of(template.directory(), machine.name.get_ref());
            let origin = match purpose {
                Purpose::Use => Origin::Thawed(frozen),
                Purpose::Freeze => Origin::Copied(frozen),
            };
            let mut spec = setup.spec(topology, index, directory, origin)?;
            spec.boot = template.boot(&spec.name, &spec.boot);
            spec.below = template.disks(&spec.name);
            Ok(spec)
        })
        .collect()
}

/// The overlay of a copy, and a blank wherever the frozen guest had a seed: all that stood there is known.
async fn disks(template: &Template, spec: &Spec) -> Result<(), LabError> {
    let (_, below) = files_of(template.directory(), &spec.name);
    let blank = async { blank_seeds(spec) };
    try_join(overlay(&below, &spec.disk), blank).await.map(drop)
}

/// Blanks in the place of a machine's seed, and of those of its guests.
pub(super) fn blank_seeds(spec: &Spec) -> Result<(), LabError> {
    if let Some(seed) = &spec.seed {
        disk::blank(seed).map_err(LabError::file(seed))?;
    }
    let guests = spec.guests.iter().map(|guest| &guest.seed);
    guests.into_iter().try_for_each(|seed| disk::blank_behind_gap(seed).map_err(LabError::file(seed)))
}
