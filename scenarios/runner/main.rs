//! Runs the scenario files in guests: one libtest-mimic test for every cell, named `scenario::cell`.
#![expect(clippy::print_stderr, reason = "live progress is what a runner is for")]

mod session;
mod voice;

use anyhow::{Context as _, anyhow};
use harness::network::become_root_of_own_user_namespace;
use harness::report::text;
use harness::scenario::{Cell, Scenario, Tier};
use libtest_mimic::{Arguments, Failed, Trial};
use session::Session;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use voice::Voice;

/// The meaning of an exit code, as `cargo xtask` has it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// An expectation failed.
    Failed = 1,
    /// A file is wrong.
    Invalid = 2,
    /// This host lacks something.
    Host = 3,
    /// Something else went wrong.
    Internal = 4,
    /// Somebody wanted it to end.
    Interrupted = 130,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        Self::from(end as u8)
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let scenarios = match scenarios() {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("Error: {error:#}");
            return End::Invalid.into();
        }
    };
    run(&mut arguments, &scenarios).unwrap_or_else(|error| {
        eprintln!("Error: {}", text::lines(&format!("{error:?}")));
        End::Internal.into()
    })
}

fn run(arguments: &mut Arguments, scenarios: &[Scenario]) -> anyhow::Result<ExitCode> {
    if arguments.list {
        harness::host::pipe::end_quietly_without_reader();
        let session = Arc::new(Session::new(Voice::Lines { several: false }));
        libtest_mimic::run(arguments, trials(scenarios, &session, Tier::Quick)).exit();
    }
    // From here on errors stand among words of guests, and are made harmless with them: colours would be, too.
    let plain = || miette::MietteHandlerOpts::new().color(false).terminal_links(false).build();
    let _ = miette::set_hook(Box::new(move |_| Box::new(plain())));
    if let Err(error) = become_root_of_own_user_namespace() {
        eprintln!("Error: {error}");
        return Ok(End::Host.into());
    }
    let jobs = arguments.test_threads.unwrap_or_else(session::jobs_of_this_host);
    arguments.test_threads = Some(jobs);
    let (chosen, left_out) = chosen(arguments, scenarios);
    let plain = arguments.logfile.is_some() || arguments.format.is_some() || arguments.quiet;
    let names: Vec<_> = chosen.iter().map(|(scenario, cell)| name(scenario, cell)).collect();
    let voice = Voice::new(&names, jobs, plain);
    if voice.is_live() {
        // It tells the same, and would write into what is drawn.
        arguments.logfile = Some("/dev/null".to_owned());
    }
    let session = Arc::new(Session::new(voice));
    let conclusion = libtest_mimic::run(arguments, trials(scenarios, &session, asked(arguments, scenarios)));
    session.finish(&conclusion, &chosen, &left_out)
}

/// The tier that a person asks for. Who names one cell in full means that cell, whatever its tier.
fn asked(arguments: &Arguments, scenarios: &[Scenario]) -> Tier {
    let cells = scenarios.iter().flat_map(|scenario| scenario.cells.iter().map(|cell| name(scenario, cell)));
    let named = arguments.filter.as_ref().is_some_and(|filter| cells.into_iter().any(|cell| cell == *filter));
    if arguments.include_ignored || arguments.ignored || named { Tier::Full } else { Tier::Quick }
}

/// A cell with its scenario.
type Chosen<'s> = (&'s Scenario, &'s Cell);

/// The cells that a filter selects: those that run, and those that the tier leaves out.
fn chosen<'s>(arguments: &Arguments, scenarios: &'s [Scenario]) -> (Vec<Chosen<'s>>, Vec<Chosen<'s>>) {
    let tier = asked(arguments, scenarios);
    let cells = scenarios.iter().flat_map(|scenario| scenario.cells.iter().map(move |cell| (scenario, cell)));
    let selected = cells.filter(|(scenario, cell)| {
        let name = name(scenario, cell);
        let selects = |filter: &String| if arguments.exact { name == *filter } else { name.contains(filter) };
        arguments.filter.as_ref().is_none_or(selects) && !arguments.skip.iter().any(selects)
    });
    selected.partition(|(_, cell)| tier == Tier::Full || cell.tier == Tier::Quick)
}

fn name(scenario: &Scenario, cell: &Cell) -> String {
    format!("{}::{cell}", scenario.name)
}

/// The project's own files.
fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The directory with scenario files; the project's own, unless the user names another.
const SCENARIOS_VARIABLE: &str = "REHEARSAL_SCENARIOS";

fn scenarios_directory() -> PathBuf {
    std::env::var_os(SCENARIOS_VARIABLE).map_or_else(|| project().join("scenarios"), PathBuf::from)
}

/// The command that brings a person to the step at which a cell fails.
fn repro(cell: &str) -> String {
    let elsewhere = std::env::var(SCENARIOS_VARIABLE).map(|directory| format!(" --scenarios {directory}"));
    format!("cargo xtask repro {cell} --break-on-failure{}", elsewhere.unwrap_or_default())
}

fn scenarios() -> anyhow::Result<Vec<Scenario>> {
    let directory = scenarios_directory();
    let paths = Scenario::files_in(&directory);
    let paths = paths.with_context(|| format!("failed to look for scenarios in {}", directory.display()))?;
    paths.iter().map(|path| Scenario::load(path).map_err(|error| anyhow!("{:?}", miette::Report::new(error)))).collect()
}

/// A cell that is for full runs is an ignored test in others: libtest's and nextest's word for what is left out.
fn trials(scenarios: &[Scenario], session: &Arc<Session>, tier: Tier) -> Vec<Trial> {
    let cells =
        scenarios.iter().flat_map(|scenario| scenario.cells.iter().map(move |cell| (scenario.clone(), cell.clone())));
    cells
        .map(|(scenario, cell)| {
            let session = session.clone();
            let left_out = cell.tier == Tier::Full && tier == Tier::Quick;
            let test = Trial::ignorable_test(name(&scenario, &cell), move || {
                session.test(&scenario, &cell).map_err(|error| Failed::from(text::quoted(&format!("{error:#}"), "")))
            });
            test.with_ignored_flag(left_out)
        })
        .collect()
}
