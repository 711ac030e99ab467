//! `cargo xtask test`: checks the host, builds images, and runs the scenarios in guests.

use crate::exit::End;
use crate::{image, setup};
use anyhow::Context as _;
use clap::{Args as ClapArgs, ValueEnum};
use harness::cache::Cache;
use harness::etc::OwnEtc;
use harness::host::spawn::tie_to_thread;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

pub(crate) const EXAMPLES: &str = "\
Examples:

    cargo xtask test --yes                 all that is quick; builds what is missing
    cargo xtask test pam-loss              one scenario
    cargo xtask test pam-loss::control     one cell
    cargo xtask test --tier full           everything
    cargo xtask test logins --etc my-etc   whether logins work with files of your own";

/// What to run.
#[derive(ClapArgs, Default)]
pub(crate) struct Args {
    /// Part of the name of a scenario or cell, such as `pam-loss` or `pam-loss::control`; all, if none is given
    filter: Option<String>,
    /// Install missing programs without asking
    #[arg(long)]
    yes: bool,
    /// Cells that run at once; as many as this host has cores, if it is not given
    #[arg(long, short, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Another directory with scenario files, and their labs in labs/ below it
    #[arg(long, value_name = "DIRECTORY")]
    scenarios: Option<PathBuf>,
    /// Which cells: `quick` leaves out those that their files call `full`
    #[arg(long, value_enum, default_value_t = Tier::Quick)]
    tier: Tier,
    /// A directory like /etc with a configuration of your own, laid over the mail machine before the first step (docs/own-etc.md)
    #[arg(long, value_name = "DIRECTORY")]
    etc: Option<PathBuf>,
    /// Run all steps, also those behind which an earlier run has kept a checkpoint
    #[arg(long)]
    fresh: bool,
    /// Only list the cells
    #[arg(long)]
    list: bool,
}

impl Args {
    /// A run that records.
    pub(crate) fn recording(filter: Option<String>, tier: Tier, scenarios: Option<PathBuf>) -> Self {
        Self { filter, scenarios, tier, ..Self::default() }
    }
}

/// How much to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tier {
    /// What every run has
    #[default]
    Quick,
    /// Everything
    Full,
}

/// What is done with what is not as its snapshot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It is a failure.
    Test,
    /// It is written beside the snapshot.
    Record,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    run_for(args, Purpose::Test)
}

/// Runs the scenarios for a purpose.
pub(crate) fn run_for(args: Args, purpose: Purpose) -> anyhow::Result<ExitCode> {
    if !args.list {
        setup::ensure_tools(args.yes)?;
        let cache = Cache::open_default().context("failed to open the cache")?;
        image::build_common(&cache)?;
    }
    let runner = build_runner()?;
    let mut command = Command::new(runner);
    command.args(args.filter);
    if let Some(directory) = args.scenarios {
        command.env("REHEARSAL_SCENARIOS", std::path::absolute(directory)?);
    }
    if let Some(directory) = args.etc {
        let directory = std::path::absolute(directory)?;
        OwnEtc::load(&directory).map_err(crate::report)?;
        command.env("REHEARSAL_ETC", directory);
    }
    if purpose == Purpose::Record {
        command.env("REHEARSAL_RECORD", "1");
    }
    if args.fresh {
        command.env("REHEARSAL_FRESH", "1");
    }
    if let Some(jobs) = args.jobs {
        command.arg(format!("--test-threads={jobs}"));
    }
    if args.tier == Tier::Full {
        command.arg("--include-ignored");
    }
    if args.list {
        command.arg("--list");
    }
    // The runner gets SIGINT and SIGTERM from us, takes its labs down, and only then do we end; if we are killed, it is.
    let mut child = tie_to_thread(&mut command).spawn().context("failed to run the scenarios")?;
    let runner = nix::unistd::Pid::from_raw(i32::try_from(child.id())?);
    forward_signals(runner)?;
    let status = child.wait()?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(End::Internal as u8)))
}

/// Compiles the runner and says where it is.
pub(crate) fn build_runner() -> anyhow::Result<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo tells us about this package is not true of others: a build script that asks for it would run each time.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    let output = cargo
        .current_dir(project)
        .args([
            "test",
            "--package",
            "scenarios",
            "--test",
            "guests",
            "--no-run",
            "--message-format=json-render-diagnostics",
        ])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("failed to run cargo")?;
    anyhow::ensure!(output.status.success(), "the runner of the scenarios does not compile");
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "guests")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    executable.context("cargo names no executable of the scenarios' runner")
}

/// From now on SIGINT and SIGTERM are the runner's.
pub(crate) fn forward_signals(runner: nix::unistd::Pid) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let entered = runtime.enter();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    drop(entered);
    runtime.spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            // A runner that has just ended is what we wanted.
            let _ = nix::sys::signal::kill(runner, nix::sys::signal::Signal::SIGINT);
        }
    });
    // It serves until the process ends.
    std::mem::forget(runtime);
    Ok(())
}
