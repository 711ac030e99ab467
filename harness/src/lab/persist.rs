//! Checkpoints that outlive their run: frozen on the way, and kept in the cache as templates are.
//!
//! A kept checkpoint is a template with metadata: what the run knew at that moment. It stands on images only, like every
//! template: what its disks had from the template that the lab was thawed from is written into them. So no removal of
//! another template can break it, and one rule of eviction serves both.

use super::key::{checkpoint_entry, entry};
use super::running::Lab;
use super::setup::{LabError, Progress, Setup};
use super::template::{Holds, Manifest, Template, files_of};
use super::template_store::{NEW, TemplateRequest, TemplateStore};
use super::topology::Topology;
use crate::cache::{Claim, EntryName, declare_foundations};
use crate::host::workspace::Workspace;
use futures_util::future::try_join_all;
use serde::Serialize;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, PoisonError};

/// A file that is kept with a checkpoint, for its owner alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub content: Vec<u8>,
}

/// What a kept checkpoint must be to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Any that can be trusted.
    Kept,
    /// One that this process has made.
    Fresh,
}

/// What there is of a kept checkpoint.
#[derive(Debug)]
pub enum Found<P> {
    /// It is there, with its metadata.
    Kept(Arc<Template>, P),
    /// There is none that can be used, and whoever holds this makes it. Others wait for it.
    ToMake(Claim),
}

impl TemplateStore {
    /// The entry of the checkpoint `name` of a lab; `history` is all that is done between the lab's template and it.
    pub fn checkpoint_name(
        &self,
        order: &TemplateRequest<'_>,
        name: &str,
        history: &impl Serialize,
    ) -> Result<EntryName, LabError> {
        let template = entry(order.topology, order.setup, &order.readiness.cache_key()?)?;
        checkpoint_entry(&template, name, history)
    }

    /// Looks for a kept checkpoint. `read` reads its metadata, or says why they are of no use.
    pub async fn find<P>(
        &self,
        order: &TemplateRequest<'_>,
        name: &EntryName,
        wanted: Wanted,
        read: impl Fn(&Path) -> Result<P, String>,
    ) -> Result<Found<P>, LabError> {
        let claim = self.claim(name, order.progress).await?;
        if !claim.exists() {
            return Ok(Found::ToMake(claim));
        }
        let is_ours = self.fresh.lock().unwrap_or_else(PoisonError::into_inner).contains(name);
        if wanted == Wanted::Fresh && !is_ours {
            claim.discard().map_err(LabError::file(claim.place()))?;
            return Ok(Found::ToMake(claim));
        }
        // The metadata is read first: it is small, and what is wrong with one is known before all else is read.
        let (claim, why) = match read(claim.place()) {
            Err(why) => (claim, why),
            Ok(metadata) => match self.checked(order.topology, order.setup, claim).await? {
                Ok(template) => return Ok(Found::Kept(Arc::new(template), metadata)),
                Err(unused) => unused,
            },
        };
        (order.progress)(Progress::Distrusted(why));
        claim.discard().map_err(LabError::file(claim.place()))?;
        Ok(Found::ToMake(claim))
    }

    /// Freezes a running lab and keeps it under the claim. The lab must have been thawed for that.
    pub async fn keep(
        &self,
        lab: Lab,
        topology: &Topology,
        setup: &Setup,
        claim: Claim,
        metadata: &[Metadata],
    ) -> Result<Arc<Template>, LabError> {
        self.check_room(topology)?;
        let made = self.freeze_with_papers(lab, topology, setup, metadata).await;
        let (new, manifest) = made.map_err(|error| error.or_full(&self.cache.building()))?;
        let place = claim.place().to_owned();
        claim.publish(&new.path().join(NEW)).map_err(LabError::file(&place))?;
        let used = claim.into_use().map_err(LabError::file(&place))?;
        if let Some(name) = place.file_name().and_then(|name| EntryName::parse(&name.to_string_lossy())) {
            self.fresh.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        }
        Ok(Arc::new(Template::trusted(&place, manifest, topology, &self.secret, Holds::Cached(used))?))
    }

    async fn freeze_with_papers(
        &self,
        lab: Lab,
        topology: &Topology,
        setup: &Setup,
        metadata: &[Metadata],
    ) -> Result<(Workspace, Manifest), LabError> {
        let Some(below) = lab.template.clone() else {
            return Err(LabError::NotReady("only a lab that was thawed can be frozen on the way".into()));
        };
        lab.settle().await?;
        let building = self.cache.building();
        let workspace = Workspace::create(&building, &topology.name).map_err(LabError::file(&building))?;
        let new = workspace.path().join(NEW);
        std::fs::create_dir(&new).map_err(LabError::file(&new))?;
        lab.freeze_into(&new).await?;
        stand_on_images(&new, topology, setup).await?;
        for paper in metadata {
            let path = new.join(paper.name);
            write_private(&path, &paper.content).map_err(LabError::file(&path))?;
        }
        let (nonce, authority) = (below.manifest().nonce.clone(), below.manifest().authority.clone());
        let manifest = tokio::task::block_in_place(|| {
            let mut manifest = Manifest::of(&new, topology, setup, nonce, &authority)?;
            metadata.iter().try_for_each(|paper| manifest.add(&new, paper.name))?;
            Ok::<_, LabError>(manifest)
        })?;
        manifest.write(&new)?;
        declare_foundations(&new, setup.media_below(topology)).map_err(LabError::file(&new))?;
        Ok((workspace, manifest))
    }
}

/// Lets the frozen disks stand on the images themselves: what differed in between is written into them.
async fn stand_on_images(new: &Path, topology: &Topology, setup: &Setup) -> Result<(), LabError> {
    let rebasing = topology.present().map(|(_, machine)| async move {
        let (_, disk) = files_of(new, machine.name.get_ref());
        let image = &setup.media_of(machine)?.disk;
        let failed = |reason: String| LabError::Overlay { disk: image.clone(), reason };
        let mut command = tokio::process::Command::new("qemu-img");
        command.args(["rebase", "-q", "-f", "qcow2", "-F", "qcow2", "-b"]).arg(image).arg(&disk).kill_on_drop(true);
        let output = command.output().await.map_err(|error| failed(error.to_string()))?;
        let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.success() { Ok(()) } else { Err(failed(said())) }
    });
    try_join_all(rebasing).await.map(drop)
}

fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)
}
