//! Runs the scenario files in guests: one libtest-mimic test for every cell, named `scenario::cell`.
#![expect(clippy::print_stderr, reason = "live progress is what a runner is for")]

use anyhow::{Context as _, anyhow};
use harness::cache::Cache;
use harness::evidence::{Run, Verdict};
use harness::host::accelerator;
use harness::image::{Catalogue, Image, ensure};
use harness::lab::{Media, Setup};
use harness::network::become_root_of_own_user_namespace;
use harness::scenario::{Cell, Engine, Interrupt, Scenario};
use harness::seed::Templates;
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Guests under emulation keep every core busy: one lab at a time, unless the user says otherwise.
    arguments.test_threads = arguments.test_threads.or(Some(1));
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let scenarios = scenarios()?;
    if arguments.list {
        let trials = trials(&scenarios, &Arc::new(Session::default()));
        libtest_mimic::run(arguments, trials).exit();
    }
    become_root_of_own_user_namespace()?;
    let started = Instant::now();
    let session = Arc::new(Session::default());
    let conclusion = libtest_mimic::run(arguments, trials(&scenarios, &session));
    session.finish(started, &conclusion)
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn scenarios() -> anyhow::Result<Vec<Scenario>> {
    let mut paths: Vec<_> =
        std::fs::read_dir(project().join("scenarios"))?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml") && !path.ends_with("Cargo.toml"));
    paths.sort();
    paths.iter().map(|path| Scenario::load(path).map_err(|error| anyhow!("{:?}", miette::Report::new(error)))).collect()
}

fn trials(scenarios: &[Scenario], session: &Arc<Session>) -> Vec<Trial> {
    let cells =
        scenarios.iter().flat_map(|scenario| scenario.cells().into_iter().map(move |cell| (scenario.clone(), cell)));
    cells
        .map(|(scenario, cell)| {
            let session = session.clone();
            Trial::test(format!("{}::{cell}", scenario.name), move || {
                session.test(&scenario, cell).map_err(|error| Failed::from(format!("{error:#}")))
            })
        })
        .collect()
}

/// What the tests of one run share, made when the first of them starts.
#[derive(Default)]
struct Session {
    shared: OnceLock<Result<Shared, String>>,
    interrupt: Interrupt,
    media: Mutex<BTreeMap<String, Media>>,
    /// Held to the end: what is in use stays in the cache.
    images: Mutex<Vec<Image>>,
}

struct Shared {
    runtime: tokio::runtime::Runtime,
    run: Run,
    setup: Setup,
    cache: Cache,
    catalogue: Catalogue,
}

impl Session {
    fn test(&self, scenario: &Scenario, cell: Cell) -> anyhow::Result<()> {
        let shared = self.shared.get_or_init(|| self.prepare().map_err(|error| format!("{error:#}")));
        let shared = shared.as_ref().map_err(|error| anyhow!("{error}"))?;
        if self.interrupt.is_cancelled() {
            return Err(anyhow!("interrupted before it started"));
        }
        let setup = Setup { media: self.media(shared, scenario)?, ..shared.setup.clone() };
        let engine =
            Engine { setup: &setup, run: &shared.run, interrupt: &self.interrupt, say: &|line| eprintln!("{line}") };
        let result = shared.runtime.block_on(engine.cell(scenario, cell));
        match result.outcome {
            Verdict::Failed => Err(anyhow!("{}", result.reason.unwrap_or_default())),
            Verdict::Passed | Verdict::Skipped => Ok(()),
        }
    }

    fn prepare(&self) -> anyhow::Result<Shared> {
        let runtime = tokio::runtime::Runtime::new()?;
        let interrupt = self.interrupt.clone();
        let _entered = runtime.enter();
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        runtime.spawn(async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            eprintln!("interrupted: taking the lab down");
            interrupt.cancel();
        });
        let selection = accelerator::choose()?;
        eprintln!("accelerator {} ({}), pace {}", selection.accelerator, selection.reason, selection.pace);
        let cache = Cache::open_default().context("failed to open the cache")?;
        harness::host::workspace::Workspace::sweep(&cache.labs())?;
        let setup = Setup {
            media: BTreeMap::new(),
            templates: Templates::at(&project().join("cloud-init")),
            qemu: harness::host::tools::qemu_program(),
            accelerator: selection.accelerator,
            pace: selection.pace,
            workspaces: cache.labs(),
        };
        let run = Run::create(&target().join("rehearsal"))?;
        let catalogue =
            Catalogue::load(&project().join("images")).map_err(|error| anyhow!("{:?}", miette::Report::new(error)))?;
        Ok(Shared { runtime, run, setup, cache, catalogue })
    }

    /// The images of a scenario, built if they are missing.
    fn media(&self, shared: &Shared, scenario: &Scenario) -> anyhow::Result<BTreeMap<String, Media>> {
        let mut media = self.media.lock().map_err(|_| anyhow!("another test panicked"))?;
        let wanted: BTreeSet<_> = scenario.topology.machines.iter().map(|machine| machine.image.clone()).collect();
        for name in wanted {
            if let Entry::Vacant(missing) = media.entry(name) {
                let name = missing.key().clone();
                let mut progress = |event| eprintln!("image {name}: {event:?}");
                let image = ensure(&shared.catalogue, &name, &shared.cache, false, &mut progress)?;
                missing.insert(Media { disk: image.disk.clone(), boot: image.boot.clone() });
                self.images.lock().map_err(|_| anyhow!("another test panicked"))?.push(image);
            }
        }
        Ok(media.clone())
    }

    fn finish(&self, started: Instant, conclusion: &Conclusion) -> anyhow::Result<ExitCode> {
        if let Some(Ok(shared)) = self.shared.get() {
            shared.run.finish(shared.setup.accelerator.name(), started.elapsed().as_secs_f64())?;
            eprintln!("results: {}", shared.run.directory().display());
        }
        if self.interrupt.is_cancelled() {
            return Ok(ExitCode::from(130));
        }
        Ok(if conclusion.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS })
    }
}

/// Cargo's target directory: the runner lies in `<target>/<profile>/deps`.
fn target() -> PathBuf {
    let own = std::env::current_exe().ok();
    let found = own.as_deref().and_then(|path| path.ancestors().nth(3)).map(Path::to_owned);
    found.unwrap_or_else(|| project().join("target"))
}
