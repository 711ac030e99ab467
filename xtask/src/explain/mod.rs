//! `cargo xtask explain`: which changes of configuration are to blame for a scenario's symptoms.
#![expect(clippy::print_stdout, reason = "the command's result")]
#![expect(clippy::print_stderr, reason = "progress")]

mod text;

use crate::exit::Invalid;
use crate::say;
use crate::setup;
use crate::workbench::{Workbench, project, results};
use anyhow::{Context as _, anyhow};
use harness::cache::Cache;
use harness::evidence::Run;
use harness::network::become_root_of_own_user_namespace;
use harness::scenario::{Blame, Cell, Course, Engine, ExplainError, Interrupt, Kind, Scenario};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLE: &str = "\
The scenario must remember the healthy configuration, and keep the broken state:

    do.inventory = { name = \"before\" }
    do.checkpoint = { name = \"broken\", keep = true }

and after that ask for logins or commands with symptom = true. Each trial thaws the broken state, puts some of the files
back that have changed since, and asks for the symptoms. If the state is not kept yet, the scenario is run up to it.

Examples:

    cargo xtask explain culprits
    cargo xtask explain culprits::control      # nothing is wrong there

Exit code: 0 if all symptoms are explained, or none shows; 1 if one shows even with all files as they were.";

/// What to explain.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// A scenario, or one of its cells as `SCENARIO::CELL`; of a scenario, the first cell that is no control
    scenario: String,
    /// The name of the healthy inventory
    #[arg(long, default_value = "before", value_name = "NAME")]
    since: String,
    /// Trials that run at once; as many as this host has cores, if it is not given
    #[arg(long, short, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Another directory with scenario files, and their labs in labs/ below it
    #[arg(long, value_name = "DIRECTORY")]
    scenarios: Option<PathBuf>,
    /// Run the scenario up to the broken state again, though that is kept
    #[arg(long)]
    fresh: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Prints what is to blame.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    setup::ensure_tools(false)?;
    let scenario = scenario(&args.scenario, args.scenarios.as_deref())?;
    let cell = cell(&args.scenario, &scenario)?;
    become_root_of_own_user_namespace()?;
    let cache = Cache::open_default().context("failed to open the cache")?;
    let workbench = Workbench::open(cache, &cell.lab.topology)?;
    let run = Run::create(&results().join("explain"))?;
    let stock = workbench.stock()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let interrupt = Interrupt::default();
    let entered = runtime.enter();
    interrupt.listen(|_| ())?;
    drop(entered);
    let engine = Engine {
        setup: &workbench.setup,
        stock: &stock,
        budget: &workbench.budget,
        run: &run,
        interrupt: &interrupt,
        fresh: args.fresh,
        course: Course::default(),
        say: &|text| say::note(text),
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let width = args.jobs.map_or(cores, usize::from);
    let explained = runtime.block_on(engine.explain(&scenario, cell, &args.since, width));
    let explanation = explained.map_err(|error| match error {
        ExplainError::Scenario(reason) => Invalid(reason).into(),
        ExplainError::Failed(reason) => anyhow!("{reason}"),
    })?;
    if args.json {
        say::json(&explanation)?;
    } else {
        say::out(text::render(&explanation));
    }
    let is_explained = explanation.symptoms.iter().all(|symptom| symptom.found != Blame::Elsewhere);
    Ok(if is_explained { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The scenario that is named, by itself or with a cell.
pub(crate) fn scenario(named: &str, directory: Option<&Path>) -> anyhow::Result<Scenario> {
    let directory = directory.map_or_else(|| project("scenarios"), Path::to_owned);
    let name = named.split_once("::").map_or(named, |(name, _)| name);
    Scenario::load(&directory.join(format!("{name}.toml"))).map_err(crate::report)
}

/// The cell that is named, or the first one that is no control.
pub(crate) fn cell<'s>(named: &str, scenario: &'s Scenario) -> anyhow::Result<&'s Cell> {
    let found = match named.split_once("::") {
        Some((_, name)) => scenario.cells.iter().find(|cell| cell.name == name),
        None => scenario.cells.iter().find(|cell| cell.kind != Kind::Control),
    };
    found.ok_or_else(|| {
        let known: Vec<_> = scenario.cells.iter().map(|cell| cell.name.as_str()).collect();
        Invalid(format!("scenario {} has no such cell; there are: {}", scenario.name, known.join(", "))).into()
    })
}
