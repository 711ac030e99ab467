//! `cargo xtask bisect`: which changes of configuration are to blame for a scenario's symptoms.

mod text;

use crate::lab_context::{LabContext, case, scenario, unexplained};
use crate::setup;
use crate::ui;
use crate::workbench::results;
use harness::network::become_root_of_own_user_namespace;
use harness::results::Run;
use harness::scenario::{Blame, Engine};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLE: &str = "\
The scenario must remember the healthy configuration, and keep the broken state:

    do.inventory = { name = \"before\" }
    do.checkpoint = { name = \"broken\", keep = true }

and after that ask for logins or commands with symptom = true. Each trial thaws the broken state, puts some of the files
back that have changed since, and asks for the symptoms. If the state is not kept yet, the scenario is run up to it.

Examples:

    cargo xtask bisect culprits
    cargo xtask bisect culprits::control      # nothing is wrong there

Exit code: 0 if all symptoms are explained, or none shows; 1 if one shows even with all files as they were.";

/// What to explain.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// A scenario, or one of its cases as `SCENARIO::CASE`; of a scenario, the first case that is no control
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
    let scenario = scenario(&args.scenario, args.scenarios.as_deref())?;
    let case = case(&args.scenario, &scenario)?;
    setup::ensure_tools(false)?;
    become_root_of_own_user_namespace()?;
    let stage = LabContext::open(&case.lab.topology, |_| ())?;
    let run = Run::create(&results().join("explain"))?;
    let engine = Engine { fresh: args.fresh, ..stage.engine(&run, &|text| ui::note(text)) };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let width = args.jobs.map_or(cores, usize::from);
    let explained = stage.wait(engine.explain(&scenario, case, &args.since, width));
    stage.interrupted()?;
    let explanation = explained.map_err(unexplained)?;
    if args.json {
        ui::json(&explanation)?;
    } else {
        ui::out(text::render(&explanation));
    }
    let is_explained = explanation.symptoms.iter().all(|symptom| symptom.found != Blame::Elsewhere);
    Ok(if is_explained { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
