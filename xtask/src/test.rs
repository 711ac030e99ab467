//! `cargo xtask test`: checks the host, builds images, and runs the scenarios in guests.

use crate::exit::End;
use crate::workbench::project;
use crate::{image, setup, ui};
use anyhow::Context as _;
use clap::{Args as ClapArgs, ValueEnum};
use harness::cache::Cache;
use harness::etc::OwnEtc;
use harness::host::raw::tie_to_thread;
use harness::scenario::Scenario;
use harness::scenario::format::case_filter::CaseFilter;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

pub(crate) const EXAMPLES: &str = "\
Examples:

    cargo xtask test --yes                 all that is quick; builds what is missing
    cargo xtask test pam-loss              one scenario
    cargo xtask test pam-loss::control     one case
    cargo xtask test egress relay          several
    cargo xtask test --tier full           everything
    cargo xtask test logins --etc my-etc   whether logins work with files of your own
    cargo xtask test rewind --repeat 20 --until-failure      whether it fails now and then";

/// What to run.
#[derive(ClapArgs, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Args {
    /// Parts of names of scenarios or cases, such as `pam-loss` or `pam-loss::control`; all, if none is given
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// Install missing programs without asking
    #[arg(long)]
    yes: bool,
    /// Cases that run at once; three for two cores of this host, if it is not given. Runs beside each other share them
    #[arg(long, short, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Another directory with scenario files, and their labs in labs/ below it
    #[arg(long, value_name = "DIRECTORY")]
    scenarios: Option<PathBuf>,
    /// Which cases: `quick` leaves out those that their files call `full`
    #[arg(long, value_enum, default_value_t = Tier::Quick)]
    tier: Tier,
    /// A directory like /etc with a configuration of your own, laid over the mail machine before the first step (docs/own-etc.md)
    #[arg(long, value_name = "DIRECTORY")]
    etc: Option<PathBuf>,
    /// Run all steps, also those behind which an earlier run has kept a checkpoint
    #[arg(long)]
    fresh: bool,
    /// Run all of it so many times, and count
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "list")]
    repeat: Option<u32>,
    /// Run it again and again until something fails; with --repeat, at most so many times
    #[arg(long, conflicts_with = "list")]
    until_failure: bool,
    /// Only list the cases
    #[arg(long)]
    list: bool,
    /// Where results go; standard output is for something else then
    #[arg(skip)]
    aside: Option<PathBuf>,
}

impl Args {
    /// A run of cases that measure, one at a time, with results of its own; what it says goes to standard error.
    pub(crate) fn measuring(filter: String, results: PathBuf) -> Self {
        Self { filters: vec![filter], tier: Tier::Full, jobs: Some(1), aside: Some(results), ..Self::default() }
    }

    /// A run that records.
    pub(crate) fn recording(filter: Option<String>, tier: Tier, scenarios: Option<PathBuf>) -> Self {
        Self { filters: filter.into_iter().collect(), scenarios, tier, ..Self::default() }
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
    let etc = args.etc.as_deref().map(std::path::absolute).transpose()?;
    if let Some(directory) = &etc {
        OwnEtc::load(directory).map_err(crate::report)?;
    }
    if !args.list {
        setup::ensure_tools(args.yes)?;
        let cache = Cache::open_default().context("failed to open the cache")?;
        image::build_common(&images_for(&args), &cache)?;
    }
    let runner = build_runner()?;
    let rounds = Rounds { repeat: args.repeat, until_failure: args.until_failure };
    let mut command = Command::new(runner);
    // libtest's command line has room for one.
    command.env("REHEARSAL_FILTERS", args.filters.join("\n"));
    if let Some(directory) = args.scenarios {
        command.env("REHEARSAL_SCENARIOS", std::path::absolute(directory)?);
    }
    if let Some(directory) = etc {
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
    if let Some(results) = args.aside {
        command.env("REHEARSAL_RESULTS", results).stdout(std::io::stderr());
    }
    // The runner gets SIGINT, SIGTERM and SIGHUP from us, takes its labs down, and only then do we end; if we are killed, it is.
    let runner = Runner::watched()?;
    repeated(rounds, || runner.run(&mut command))
}

/// The images of the cases that may run. What is wrong with a file or a filter is the runner's to tell.
fn images_for(args: &Args) -> BTreeSet<String> {
    let directory = args.scenarios.clone().unwrap_or_else(|| project("scenarios"));
    let files = Scenario::files_in(&directory).unwrap_or_default();
    let scenarios: Vec<_> = files.iter().filter_map(|file| Scenario::load(file).ok()).collect();
    let full = args.tier == Tier::Full;
    let (chosen, _) = CaseFilter { filters: args.filters.clone(), full, ..CaseFilter::default() }.of(&scenarios);
    chosen.iter().flat_map(|(_, case)| case.lab.topology.images()).map(str::to_owned).collect()
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

/// How many times.
#[derive(Clone, Copy, Default)]
struct Rounds {
    repeat: Option<u32>,
    until_failure: bool,
}

/// The exit code of a run that a person has interrupted.
const INTERRUPTED: u8 = End::Interrupted as u8;

/// Runs so many rounds, and ends with the first code that is not 0.
fn repeated(rounds: Rounds, mut round: impl FnMut() -> anyhow::Result<u8>) -> anyhow::Result<ExitCode> {
    let Rounds { repeat, until_failure } = rounds;
    if repeat.is_none() && !until_failure {
        return Ok(ExitCode::from(round()?));
    }
    let (mut passed, mut failed, mut worst) = (0_u32, 0_u32, 0);
    let of = repeat.map_or_else(String::new, |most| format!(" of {most}"));
    while repeat.is_none_or(|most| passed + failed < most) {
        let begun = Instant::now();
        let code = round()?;
        if code == INTERRUPTED {
            worst = code;
            break;
        }
        let (count, word) = if code == 0 { (&mut passed, "passed") } else { (&mut failed, "FAILED") };
        *count += 1;
        worst = if worst == 0 { code } else { worst };
        let seconds = begun.elapsed().as_secs_f64();
        ui::note(format_args!(
            "round {}{of}: {word}, {seconds:.1} s; {passed} passed, {failed} failed",
            passed + failed
        ));
        if until_failure && failed > 0 {
            break;
        }
    }
    Ok(ExitCode::from(worst))
}

/// Whoever runs now gets our SIGINT, SIGTERM and SIGHUP.
struct Runner(Arc<AtomicI32>);

impl Runner {
    fn watched() -> anyhow::Result<Self> {
        let runs = Arc::new(AtomicI32::new(0));
        forward(runs.clone())?;
        Ok(Self(runs))
    }

    /// Runs it to its end, and hands back its exit code.
    fn run(&self, command: &mut Command) -> anyhow::Result<u8> {
        let mut child = tie_to_thread(command).spawn().context("failed to run the scenarios")?;
        self.0.store(i32::try_from(child.id())?, Ordering::SeqCst);
        let status = child.wait();
        self.0.store(0, Ordering::SeqCst);
        Ok(status?.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(End::Internal as u8))
    }
}

/// From now on SIGINT, SIGTERM and SIGHUP are this process's.
pub(crate) fn forward_signals(runner: Pid) -> anyhow::Result<()> {
    forward(Arc::new(AtomicI32::new(runner.as_raw())))
}

/// From now on SIGINT, SIGTERM and SIGHUP are of the process whose id stands there; 0 is none.
fn forward(runs: Arc<AtomicI32>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let entered = runtime.enter();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    let mut hung_up = harness::host::signals::hangup()?;
    drop(entered);
    runtime.spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = hung_up.recv() => {}
            }
            let process = runs.load(Ordering::SeqCst);
            if process > 0 {
                // One that has just ended is what we wanted.
                let _ = kill(Pid::from_raw(process), Signal::SIGINT);
            }
        }
    });
    // It serves until the process ends.
    std::mem::forget(runtime);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::one_scenario(&["pam-loss"], Tier::Quick, &["directory", "mail"])]
    #[case::of_another_tier(&["encrypted-close"], Tier::Quick, &[])]
    #[case::everything_of_it(&["encrypted-close"], Tier::Full, &["directory", "nested-mail", "virthost"])]
    #[case::named_in_full(&["encrypted-close::main"], Tier::Quick, &["directory", "nested-mail", "virthost"])]
    #[case::no_such(&["pam-los\u{e9}"], Tier::Full, &[])]
    fn only_images_that_cases_need_are_built(#[case] filters: &[&str], #[case] tier: Tier, #[case] images: &[&str]) {
        let filters = filters.iter().map(ToString::to_string).collect();
        let found = images_for(&Args { filters, tier, ..Args::default() });
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), images);
    }

    #[rstest::rstest]
    #[case::once(None, false, &[1], 1, 1)]
    #[case::three_times(Some(3), false, &[0, 0, 0], 3, 0)]
    #[case::a_failure_is_counted_and_not_the_end(Some(3), false, &[0, 1, 0], 3, 1)]
    #[case::or_is_the_end(Some(5), true, &[0, 0, 4], 3, 4)]
    #[case::or_there_is_none(Some(2), true, &[0, 0], 2, 0)]
    #[case::without_a_bound(None, true, &[0, 0, 0, 0, 1], 5, 1)]
    #[case::interrupted(Some(9), false, &[0, 130], 2, 130)]
    fn rounds_are_counted(
        #[case] repeat: Option<u32>,
        #[case] until_failure: bool,
        #[case] codes: &[u8],
        #[case] rounds: usize,
        #[case] end: u8,
    ) {
        let mut left = codes.iter();
        let mut count = 0;
        let ended = repeated(Rounds { repeat, until_failure }, || {
            count += 1;
            left.next().copied().context("it runs too often")
        });
        assert_eq!((count, format!("{:?}", ended.unwrap())), (rounds, format!("{:?}", ExitCode::from(end))));
    }
}
