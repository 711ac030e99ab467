//! What the cells of one run share: host, cache, images, templates, results.

use crate::{End, project, scenarios_directory};
use anyhow::{Context as _, anyhow};
use harness::cache::{self, Cache};
use harness::etc::OwnEtc;
use harness::evidence::{Run, ScenarioResult, Verdict};
use harness::host::{accelerator, memory};
use harness::image::{Catalogue, Image, ensure};
use harness::lab::{Budget, Media, Setup, Stock, Topology};
use harness::record::{OnDifference, Snapshots};
use harness::release::Archive;
use harness::scenario::{Cell, Course, Engine, Interrupt, Scenario};
use libtest_mimic::Conclusion;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

/// Memory that is left to this host beside its guests.
const RESERVE: u64 = 1 << 30;

/// The directory for results; `rehearsal` in cargo's target directory, unless the user names another.
const RESULTS_VARIABLE: &str = "REHEARSAL_RESULTS";

/// If it is set, all steps are run, and kept checkpoints are made again.
const FRESH_VARIABLE: &str = "REHEARSAL_FRESH";

/// A directory with somebody's own configuration, which is laid over the mail machine of every lab.
const ETC_VARIABLE: &str = "REHEARSAL_ETC";

/// If it is set, what is not as its snapshot is written beside it, and is no failure.
const RECORD_VARIABLE: &str = "REHEARSAL_RECORD";

/// Everything is made when the first cell starts.
pub(crate) struct Session {
    jobs: usize,
    shared: OnceLock<Result<Shared, String>>,
    interrupt: Interrupt,
    images: Mutex<BTreeMap<String, Image>>,
    disks: Mutex<BTreeMap<String, harness::release::Media>>,
    /// How many cells failed because this host lacks something that they need.
    hindered: AtomicU64,
    /// Cells that cannot be tried here, and why.
    skipped: Mutex<Vec<(String, String)>>,
}

struct Shared {
    runtime: tokio::runtime::Runtime,
    run: Run,
    setup: Setup,
    stock: Stock,
    budget: Budget,
    cache: Cache,
    catalogue: Catalogue,
    archive: Arc<Archive>,
    etc: Option<OwnEtc>,
    snapshots: Snapshots,
}

/// Cells that run at once unless the user says otherwise: one for each core. They wait for guests more than they work.
pub(crate) fn jobs_of_this_host() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

impl Session {
    pub(crate) fn new(jobs: usize) -> Self {
        Self {
            jobs,
            shared: OnceLock::new(),
            interrupt: Interrupt::default(),
            images: Mutex::default(),
            disks: Mutex::default(),
            hindered: AtomicU64::new(0),
            skipped: Mutex::default(),
        }
    }

    /// Runs one cell.
    pub(crate) fn test(&self, scenario: &Scenario, cell: &Cell) -> anyhow::Result<()> {
        let shared = self.shared.get_or_init(|| self.prepare().map_err(|error| format!("{error:#}")));
        let shared = shared.as_ref().map_err(|error| self.hindered(anyhow!("{error}")))?;
        if self.interrupt.asked() {
            return Err(anyhow!("interrupted before it started"));
        }
        let topology = &cell.lab.topology;
        let setup = Setup {
            media: self.media(shared, topology).map_err(|error| self.hindered(error))?,
            packages: self.packages(shared, topology).map_err(|error| self.hindered(error))?,
            ..shared.setup.clone()
        };
        let name = format!("{}::{cell}", scenario.name);
        let engine = Engine {
            setup: &setup,
            stock: &shared.stock,
            budget: &shared.budget,
            run: &shared.run,
            interrupt: &self.interrupt,
            fresh: std::env::var_os(FRESH_VARIABLE).is_some_and(|value| !value.is_empty()),
            course: Course { etc: shared.etc.as_ref(), snapshots: Some(&shared.snapshots), ..Course::default() },
            say: &|text| self.say(&name, text),
        };
        let result = shared.runtime.block_on(engine.cell(scenario, cell));
        match result.outcome {
            Verdict::Failed => {
                if !self.interrupt.asked() {
                    self.say(&name, &format!("  look  `{}` holds the lab there", crate::repro(&name)));
                }
                Err(anyhow!("{}", result.reason.unwrap_or_default()))
            }
            Verdict::Passed => Ok(()),
            Verdict::Skipped => {
                let mut skipped = self.skipped.lock().map_err(|_| anyhow!("another test panicked"))?;
                skipped.push((name, result.reason.unwrap_or_default()));
                Ok(())
            }
        }
    }

    fn hindered(&self, error: anyhow::Error) -> anyhow::Error {
        self.hindered.fetch_add(1, Ordering::Relaxed);
        error
    }

    /// Where several cells run at once, each line says whose it is.
    fn say(&self, cell: &str, text: &str) {
        if self.jobs == 1 {
            eprintln!("{text}");
        } else {
            let lines: Vec<_> = text.lines().map(|line| format!("{cell:<20} {line}")).collect();
            eprintln!("{}", lines.join("\n"));
        }
    }

    fn prepare(&self) -> anyhow::Result<Shared> {
        let runtime = tokio::runtime::Runtime::new()?;
        let entered = runtime.enter();
        self.interrupt.listen(|first| {
            let again = if first { "; once more, and without logs" } else { "" };
            eprintln!("interrupted: taking the labs down{again}");
        })?;
        drop(entered);
        let selection = accelerator::choose()?;
        eprintln!("accelerator {} ({}), pace {}", selection.accelerator, selection.reason, selection.pace);
        let cache = Cache::open_default().context("failed to open the cache")?;
        harness::host::workspace::Workspace::sweep(&cache.labs())?;
        let setup = Setup::of_this_host(&selection, &project().join("cloud-init"), &cache);
        let available = memory::available().context("/proc/meminfo does not tell how much memory is available")?;
        let memory_mib = u32::try_from(available.saturating_sub(RESERVE) >> 20).unwrap_or(u32::MAX);
        let budget = Budget::new(memory_mib, u32::try_from(jobs_of_this_host())?);
        let stock = Stock::open(cache.clone()).context("failed to open the templates of labs")?;
        let results = std::env::var_os(RESULTS_VARIABLE).map_or_else(|| target().join("rehearsal"), PathBuf::from);
        let run = Run::create(&results)?;
        let images = project().join("images");
        let report = |error: miette::Report| anyhow!("{error:?}");
        let archive = Archive::open(&images, cache.clone()).map_err(|error| report(error.into()))?;
        let archive = Arc::new(archive);
        let catalogue = Catalogue::load(&images).map_err(|error| report(error.into()))?;
        let catalogue = catalogue.with_releases(archive.clone());
        let etc = std::env::var_os(ETC_VARIABLE).map(|directory| OwnEtc::load(Path::new(&directory)));
        let etc = etc.transpose().map_err(|error| report(error.into()))?;
        let proposes = std::env::var_os(RECORD_VARIABLE).is_some_and(|value| !value.is_empty());
        let on_difference = if proposes { OnDifference::Propose } else { OnDifference::Tell };
        let snapshots = Snapshots::new(&scenarios_directory().join("snapshots"), on_difference);
        Ok(Shared { runtime, run, setup, stock, budget, cache, catalogue, archive, etc, snapshots })
    }

    /// The images of a scenario, built if they are missing, and held until the run ends.
    fn media(&self, shared: &Shared, topology: &Topology) -> anyhow::Result<BTreeMap<String, Media>> {
        let mut images = self.images.lock().map_err(|_| anyhow!("another test panicked"))?;
        let present = topology.machines.iter().filter(|machine| !machine.absent);
        let wanted: BTreeSet<_> = present.map(|machine| machine.image.clone()).collect();
        for name in wanted {
            if let Entry::Vacant(missing) = images.entry(name) {
                let name = missing.key().clone();
                let mut progress = |event| eprintln!("image {name}: {event:?}");
                let image = ensure(&shared.catalogue, &name, &shared.cache, false, &mut progress);
                missing.insert(image.with_context(|| format!("lab {} cannot be had", topology.name))?);
            }
        }
        let media = images.iter().map(|(name, image)| (name.clone(), Media::from(image)));
        Ok(media.collect())
    }

    /// The disks with packages of releases that a lab's machines have, made if they are missing, and held until the run ends.
    fn packages(&self, shared: &Shared, topology: &Topology) -> anyhow::Result<BTreeMap<String, PathBuf>> {
        let mut disks = self.disks.lock().map_err(|_| anyhow!("another test panicked"))?;
        for release in topology.releases() {
            if let Entry::Vacant(missing) = disks.entry(release.to_owned()) {
                let say = |words: String| eprintln!("release {release}: {words}");
                let disk =
                    shared.archive.disk(release, &say).map_err(|error| anyhow!("{:?}", miette::Report::new(error)));
                missing.insert(disk.with_context(|| format!("lab {} cannot be had", topology.name))?);
            }
        }
        Ok(disks.iter().map(|(name, media)| (name.clone(), media.disk())).collect())
    }

    /// Writes the results, and says where.
    pub(crate) fn finish(
        &self,
        started: Instant,
        conclusion: &Conclusion,
        left_out: &[(String, String)],
    ) -> anyhow::Result<ExitCode> {
        if !left_out.is_empty() {
            eprintln!("left out: {} cells for full runs only (`cargo xtask test --tier full`)", left_out.len());
        }
        let skipped = self.skipped.lock().map_err(|_| anyhow!("a test panicked"))?;
        if !skipped.is_empty() {
            eprintln!(
                "skipped: {} cells that cannot be tried here, though the list above calls them ok",
                skipped.len()
            );
            for (name, reason) in skipped.iter() {
                eprintln!("  {name}, because {reason}");
            }
        }
        if let Some(Ok(shared)) = self.shared.get() {
            for (scenario, cell) in left_out {
                shared.run.add(ScenarioResult::left_out(scenario, cell, "for full runs only"));
            }
            shared.run.finish(shared.setup.accelerator.name(), started.elapsed().as_secs_f64())?;
            eprintln!("results: {}", shared.run.directory().display());
            for gone in shared.cache.shrink(cache::limit()?)?.removed {
                eprintln!("the cache was too large: removed {} ({})", gone.name, gone.size);
            }
        }
        if self.interrupt.asked() {
            return Ok(End::Interrupted.into());
        }
        Ok(match conclusion.num_failed {
            0 => ExitCode::SUCCESS,
            failed if failed == self.hindered.load(Ordering::Relaxed) => End::Host.into(),
            _ => End::Failed.into(),
        })
    }
}

/// Cargo's target directory: the runner lies in `<target>/<profile>/deps`.
fn target() -> PathBuf {
    let own = std::env::current_exe().ok();
    let found = own.as_deref().and_then(|path| path.ancestors().nth(3)).map(Path::to_owned);
    found.unwrap_or_else(|| project().join("target"))
}
