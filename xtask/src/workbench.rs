//! What commands need that run labs themselves: this host, the cache, images, and where logs go.

use crate::image;
use anyhow::Context as _;
use harness::cache::Cache;
use harness::distro::Archive;
use harness::host::accelerator::{self, Selection};
use harness::host::workspace::Workspace;
use harness::image::Image;
use harness::lab::{Budget, Media, Setup, TemplateStore, Topology, usual_cases};
use harness::scenario::LabFile;
use std::path::{Path, PathBuf};

/// Everything to run labs with.
pub(crate) struct Workbench {
    pub(crate) cache: Cache,
    pub(crate) selection: Selection,
    pub(crate) setup: Setup,
    pub(crate) budget: Budget,
    /// Logs and other files that are not kept.
    pub(crate) scratch: Workspace,
    /// Held, so that nobody removes them meanwhile.
    _images: Vec<Image>,
    _disks: Vec<harness::distro::Media>,
}

/// A directory of the project.
pub(crate) fn project(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(below)
}

/// A lab of the project, by name.
pub(crate) fn lab_file(name: &str) -> anyhow::Result<LabFile> {
    LabFile::load(&project("scenarios/labs").join(format!("{name}.toml"))).map_err(crate::report)
}

impl Workbench {
    /// Builds the images of a lab if they are missing, and measures this host.
    pub(crate) fn open(cache: Cache, topology: &Topology) -> anyhow::Result<Self> {
        let wanted: Vec<_> = topology.images().into_iter().map(str::to_owned).collect();
        let images = image::build(&wanted, false, &cache)?;
        let selection = accelerator::choose(cache.root())?;
        let mut setup = Setup::of_this_host(&selection, &project("cloud-init"), &cache);
        let archive = Archive::open(&project("images"), cache.clone()).map_err(crate::report)?;
        let mut disks = Vec::new();
        for release in topology.releases() {
            let say = |words: String| image::say(&format!("release {release}: {words}"));
            let media = archive.disk(release, &say).map_err(crate::report)?;
            setup.packages.insert(release.to_owned(), media.disk());
            disks.push(media);
        }
        setup.media = images.iter().map(|image| (image.name.clone(), Media::from(image))).collect();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let budget = Budget::shared(&cache.shares(), usual_cases(cores), cores)
            .context("failed to share this host with other runs")?;
        let scratch = Workspace::create(&cache.labs(), "scratch").context("failed to make a directory for logs")?;
        Ok(Self { cache, selection, setup, budget, scratch, _images: images, _disks: disks })
    }

    /// A new stock: one that trusts nothing yet.
    pub(crate) fn stock(&self) -> anyhow::Result<TemplateStore> {
        TemplateStore::open(self.cache.clone()).context("failed to open the templates of labs")
    }
}

/// Where results of runs go: `rehearsal` in cargo's target directory, unless `REHEARSAL_RESULTS` names another.
pub(crate) fn results() -> PathBuf {
    std::env::var_os("REHEARSAL_RESULTS").map_or_else(|| target().join("rehearsal"), PathBuf::from)
}

/// Cargo's target directory: this program lies in `<target>/<profile>`.
pub(crate) fn target() -> PathBuf {
    let own = std::env::current_exe().ok();
    own.as_deref().and_then(|path| path.ancestors().nth(2)).map_or_else(|| project("target"), Path::to_owned)
}
