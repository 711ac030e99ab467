//! What the cases of one run share: host, cache, images, templates, results.

use crate::voice::Voice;
use crate::{Chosen, End, project, scenarios_directory};
use anyhow::{Context as _, anyhow};
use harness::cache::{self, Cache};
use harness::distro::Archive;
use harness::etc::OwnEtc;
use harness::host::{accelerator, busy, memory};
use harness::image::{Catalogue, Image, ensure};
use harness::lab::{Budget, Media, Setup, TemplateStore, Topology, usual_cases};
use harness::record::{OnDifference, Snapshots};
use harness::report::typical::Typical;
use harness::report::{self, Head, Host, Report};
use harness::results::{Run, Verdict};
use harness::scenario::{Case, Engine, Interrupt, RunOptions, Scenario, unjudged};
use libtest_mimic::{Completion, Conclusion};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// The directory for results; `rehearsal` in cargo's target directory, unless the user names another.
const RESULTS_VARIABLE: &str = "REHEARSAL_RESULTS";

/// If it is set, all steps are run, and kept checkpoints are made again.
const FRESH_VARIABLE: &str = "REHEARSAL_FRESH";

/// A directory with somebody's own configuration, which is laid over the mail machine of every lab.
const ETC_VARIABLE: &str = "REHEARSAL_ETC";

/// If it is set, what is not as its snapshot is written beside it, and is no failure.
const RECORD_VARIABLE: &str = "REHEARSAL_RECORD";

/// Everything is made when the first case starts.
pub(crate) struct Session {
    voice: Arc<Voice>,
    /// Cases that run at once.
    jobs: usize,
    shared: OnceLock<Result<Shared, String>>,
    interrupt: Interrupt,
    images: Mutex<BTreeMap<String, Image>>,
    disks: Mutex<BTreeMap<String, harness::distro::Media>>,
    /// How many cases failed because this host lacks something that they need.
    hindered: AtomicU64,
    /// Cases that cannot be tried here, and why.
    skipped: Mutex<Vec<(String, String)>>,
}

struct Shared {
    runtime: tokio::runtime::Runtime,
    run: Run,
    setup: Setup,
    stock: TemplateStore,
    budget: Budget,
    cache: Cache,
    catalogue: Catalogue,
    archive: Arc<Archive>,
    etc: Option<OwnEtc>,
    snapshots: Snapshots,
}

pub(crate) fn jobs_of_this_host() -> usize {
    usual_cases(cores())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

impl Session {
    pub(crate) fn new(voice: Voice, jobs: usize) -> Self {
        Self {
            voice: Arc::new(voice),
            jobs,
            shared: OnceLock::new(),
            interrupt: Interrupt::default(),
            images: Mutex::default(),
            disks: Mutex::default(),
            hindered: AtomicU64::new(0),
            skipped: Mutex::default(),
        }
    }

    /// Runs one case.
    pub(crate) fn test(&self, scenario: &Scenario, case: &Case) -> anyhow::Result<Completion> {
        let shared = self.shared.get_or_init(|| self.prepare().map_err(|error| format!("{error:#}")));
        let shared = shared.as_ref().map_err(|error| self.hindered(anyhow!("{error}")))?;
        if self.interrupt.asked() {
            return Err(anyhow!("interrupted before it started"));
        }
        let setup = self.setup(shared, &case.lab.topology).map_err(|error| {
            let result = unjudged(scenario, case).broken(&format!("{error:#}"));
            let written = shared.run.add(result).map_err(anyhow::Error::from);
            self.hindered(written.err().unwrap_or(error))
        })?;
        let name = format!("{}::{case}", scenario.name);
        let engine = Engine {
            setup: &setup,
            stock: &shared.stock,
            budget: &shared.budget,
            run: &shared.run,
            interrupt: &self.interrupt,
            fresh: std::env::var_os(FRESH_VARIABLE).is_some_and(|value| !value.is_empty()),
            course: RunOptions {
                etc: shared.etc.as_ref(),
                snapshots: Some(&shared.snapshots),
                runs_starved_again: true,
                ..RunOptions::default()
            },
            say: &|text| self.voice.case(&name, text),
        };
        let result = shared.runtime.block_on(engine.case(scenario, case));
        match result.outcome {
            Verdict::Failed => {
                if !self.interrupt.asked() {
                    self.voice.case(&name, &format!("  look  `{}` holds the lab there", crate::repro(&name)));
                }
                Err(anyhow!("{}", result.reason.unwrap_or_default()))
            }
            Verdict::Passed => Ok(Completion::Completed),
            Verdict::Skipped => {
                let mut skipped = self.skipped.lock().map_err(|_| anyhow!("another test panicked"))?;
                let reason = result.reason.unwrap_or_default();
                skipped.push((name, reason.clone()));
                Ok(Completion::ignored_with(format!("skipped, because {reason}")))
            }
        }
    }

    fn hindered(&self, error: anyhow::Error) -> anyhow::Error {
        self.hindered.fetch_add(1, Ordering::Relaxed);
        error
    }

    fn prepare(&self) -> anyhow::Result<Shared> {
        let runtime = tokio::runtime::Runtime::new()?;
        let entered = runtime.enter();
        let voice = self.voice.clone();
        self.interrupt.listen(move |first| {
            let again = if first { "; once more, and without logs" } else { "" };
            voice.note(&format!("interrupted: taking the labs down{again}"));
        })?;
        drop(entered);
        let cache = Cache::open_default().context("failed to open the cache")?;
        let selection = accelerator::choose(cache.root())?;
        let (accelerator, reason) = (selection.accelerator, &selection.reason);
        self.voice.note(&format!("accelerator {accelerator} ({reason}), pace {}", selection.pace));
        harness::host::workspace::Workspace::sweep(&cache.labs())?;
        let setup = Setup::of_this_host(&selection, &project().join("cloud-init"), &cache);
        let (voice, own) = (self.voice.clone(), busy::own_load(self.jobs, cores()));
        let slower = move |pace| voice.note(&format!("this host has become slower, pace {pace}: waits have more time"));
        runtime.spawn(busy::keep_measuring(
            selection.clone(),
            cache.root().to_owned(),
            setup.tempo.clone(),
            own,
            slower,
        ));
        memory::available().context("/proc/meminfo does not tell how much memory is available")?;
        let cases = self.jobs.max(jobs_of_this_host());
        let budget =
            Budget::shared(&cache.shares(), cases, cores()).context("failed to share this host with other runs")?;
        let stock = TemplateStore::open(cache.clone()).context("failed to open the templates of labs")?;
        let results = std::env::var_os(RESULTS_VARIABLE).map_or_else(|| target().join("rehearsal"), PathBuf::from);
        let run = match nextest_run() {
            Some(name) => Run::open(&results, &name)?,
            None => Run::create(&results)?,
        };
        let run = run.seen_from(&project());
        Head::new(Host::of(&selection, &setup.qemu_version, budget.memory_mib())).begin(run.directory())?;
        self.voice.expect(accelerator.name(), Typical::load(&cache.times()));
        let voice = self.voice.clone();
        run.watch(Box::new(move |scenario, case, happening| voice.watch(scenario, case, happening)));
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

    /// What the lab of a case is made with.
    fn setup(&self, shared: &Shared, topology: &Topology) -> anyhow::Result<Setup> {
        let (media, packages) = (self.media(shared, topology)?, self.packages(shared, topology)?);
        Ok(Setup { media, packages, ..shared.setup.clone() })
    }

    /// The images of a scenario, built if they are missing, and held until the run ends.
    fn media(&self, shared: &Shared, topology: &Topology) -> anyhow::Result<BTreeMap<String, Media>> {
        let mut images = self.images.lock().map_err(|_| anyhow!("another test panicked"))?;
        for name in topology.images() {
            if let Entry::Vacant(missing) = images.entry(name.to_owned()) {
                let name = missing.key().clone();
                let mut progress = |event| self.voice.passing(&format!("image {name}: {event}"));
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
                let say = |words: String| self.voice.passing(&format!("release {release}: {words}"));
                let disk =
                    shared.archive.disk(release, &say).map_err(|error| anyhow!("{:?}", miette::Report::new(error)));
                missing.insert(disk.with_context(|| format!("lab {} cannot be had", topology.name))?);
            }
        }
        Ok(disks.iter().map(|(name, media)| (name.clone(), media.disk())).collect())
    }

    /// Writes the reports, and says where.
    pub(crate) fn finish(
        &self,
        conclusion: &Conclusion,
        chosen: &[Chosen<'_>],
        full: &[Chosen<'_>],
    ) -> anyhow::Result<ExitCode> {
        self.voice.end();
        if !full.is_empty() {
            eprintln!("left out: {} cases for full runs only (`cargo xtask test --tier full`)", full.len());
        }
        let skipped = self.skipped.lock().map_err(|_| anyhow!("a test panicked"))?;
        if !skipped.is_empty() {
            eprintln!("skipped: {} cases that cannot be tried here", skipped.len());
            for (name, reason) in skipped.iter() {
                eprintln!("  {name}, because {reason}");
            }
        }
        if let Some(Ok(shared)) = self.shared.get() {
            let report = self.report(shared, chosen, full)?;
            let ours = report.cases.iter().map(|case| &case.result).filter(|result| is_chosen(chosen, &result.title()));
            let taught = Typical::update(&shared.cache.times(), shared.setup.accelerator.name(), ours);
            if let Err(error) = taught {
                eprintln!("what this run took is not remembered: {error}");
            }
            // Where cases are processes of their own, whoever started them reports on all.
            if nextest_run().is_none() {
                eprint!("\n{}", report::summary::render(&report));
                on_github(&report)?;
            }
            let directory = shared.run.directory().display();
            eprintln!("results: {directory}\nreport:  {directory}/report.html");
            for gone in shared.cache.shrink(cache::limit()?)?.removed {
                eprintln!("the cache was too large: removed {} ({})", gone.name, gone.size);
            }
        } else if let (true, Some(Err(error))) = (self.voice.is_live(), self.shared.get()) {
            eprintln!("Error: {error}");
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

    /// The report of what there is, after each case has some result.
    fn report(&self, shared: &Shared, chosen: &[Chosen<'_>], full: &[Chosen<'_>]) -> anyhow::Result<Report> {
        let run = &shared.run;
        for (scenario, case) in run.unfinished() {
            let whose = chosen.iter().find(|(known, of)| known.name == scenario && of.name == case);
            if let Some((scenario, case)) = whose {
                run.add(
                    unjudged(scenario, case).broken("it ended without a verdict; the words of the panic are above"),
                )?;
            }
        }
        let mut left_out: Vec<_> =
            full.iter().map(|(scenario, case)| unjudged(scenario, case).left_out("for full runs only")).collect();
        if self.interrupt.asked() {
            let never = |(scenario, case): &&Chosen<'_>| !run.has(&scenario.name, &case.name);
            let interrupted = chosen.iter().filter(never);
            left_out.extend(
                interrupted
                    .map(|(scenario, case)| unjudged(scenario, case).left_out("not started: the run was interrupted")),
            );
        }
        let left_out = left_out.into_iter().map(|result| run.named(result)).collect();
        Ok(report::finish(run.directory(), self.interrupt.asked(), left_out)?)
    }
}

fn is_chosen(chosen: &[Chosen<'_>], title: &str) -> bool {
    chosen.iter().any(|(scenario, case)| format!("{}::{case}", scenario.name) == title)
}

/// The name that all processes of one run of nextest have for it, and share their results under.
///
/// Source: nextest's documentation, "Environment variables nextest sets".
fn nextest_run() -> Option<String> {
    let id = std::env::var("NEXTEST_RUN_ID").ok()?;
    let fits = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    fits.then(|| format!("nextest-{id}"))
}

/// In GitHub's Actions: annotations, and the summary of the job.
#[expect(clippy::print_stdout, reason = "GitHub reads them there")]
fn on_github(report: &Report) -> anyhow::Result<()> {
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        print!("{}", report::github::annotations(report));
        report::github::append_summary(report)?;
    }
    Ok(())
}

/// Cargo's target directory: the runner lies in `<target>/<profile>/deps`.
fn target() -> PathBuf {
    let own = std::env::current_exe().ok();
    let found = own.as_deref().and_then(|path| path.ancestors().nth(3)).map(Path::to_owned);
    found.unwrap_or_else(|| project().join("target"))
}
