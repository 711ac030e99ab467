//! Runs the scenario files in guests: one libtest-mimic test for every case, named `scenario::case`.
#![expect(clippy::print_stderr, reason = "live progress is what a runner is for")]

mod session;
mod voice;

use anyhow::{Context as _, anyhow};
use harness::network::{become_root_of_own_user_namespace, enter_if_executed_for_it};
use harness::report::text;
use harness::scenario::Scenario;
use harness::scenario::format::case_filter::{self, CaseFilter, Chosen, name_of};
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
    if let Err(error) = enter_if_executed_for_it() {
        eprintln!("Error: {error}");
        return if error.is_limit_of_host() { End::Host } else { End::Internal }.into();
    }
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
    let (choice, own) = choice_of(arguments);
    if let Some(mistake) = case_filter::mistake(&own, scenarios) {
        eprintln!("Error: {mistake}");
        return Ok(End::Invalid.into());
    }
    let (chosen, left_out) = choice.of(scenarios);
    let trials = |session: &Arc<Session>| trials(&[&chosen, &left_out], &choice, session);
    if arguments.list {
        harness::host::pipe::end_quietly_without_reader();
        let session = Arc::new(Session::new(Voice::Lines { several: false }, 1));
        libtest_mimic::run(arguments, trials(&session)).exit();
    }
    // From here on errors stand among words of guests, and are made harmless with them: colours would be, too.
    let plain = || miette::MietteHandlerOpts::new().color(false).terminal_links(false).build();
    let _ = miette::set_hook(Box::new(move |_| Box::new(plain())));
    if let Err(error) = become_root_of_own_user_namespace() {
        eprintln!("Error: {error}");
        return Ok(End::Internal.into());
    }
    let jobs = arguments.test_threads.unwrap_or_else(session::jobs_of_this_host);
    arguments.test_threads = Some(jobs);
    let plain = arguments.logfile.is_some() || arguments.format.is_some() || arguments.quiet;
    let names: Vec<_> = chosen.iter().map(name_of).collect();
    let voice = Voice::new(&names, jobs, plain);
    if voice.is_live() {
        // It tells the same, and would write into what is drawn.
        arguments.logfile = Some("/dev/null".to_owned());
    }
    let session = Arc::new(Session::new(voice, jobs));
    let conclusion = libtest_mimic::run(arguments, trials(&session));
    session.finish(&conclusion, &chosen, &left_out)
}

/// More parts of names than the one that libtest's command line has room for, each in a line.
const FILTERS_VARIABLE: &str = "REHEARSAL_FILTERS";

/// What a person wants to run, of the command line and of what does not fit there; and the filters that are for this program only,
/// so each must be part of a name. libtest's is cargo's, which it hands to all tests.
fn choice_of(arguments: &mut Arguments) -> (CaseFilter, Vec<String>) {
    let more = std::env::var(FILTERS_VARIABLE).unwrap_or_default();
    let own: Vec<_> = more.lines().map(str::to_owned).collect();
    let choice = CaseFilter {
        filters: arguments.filter.take().into_iter().chain(own.iter().cloned()).collect(),
        exact: arguments.exact,
        skip: std::mem::take(&mut arguments.skip),
        full: arguments.include_ignored || arguments.ignored,
        only_extra: arguments.ignored,
    };
    (choice, own)
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

/// The command that brings a person to the step at which a case fails.
fn repro(case: &str) -> String {
    let elsewhere = std::env::var(SCENARIOS_VARIABLE).map(|directory| format!(" --scenarios {directory}"));
    format!("cargo xtask repro {case} --break-on-failure{}", elsewhere.unwrap_or_default())
}

fn scenarios() -> anyhow::Result<Vec<Scenario>> {
    let directory = scenarios_directory();
    let paths = Scenario::files_in(&directory);
    let paths = paths.with_context(|| format!("failed to look for scenarios in {}", directory.display()))?;
    paths.iter().map(|path| Scenario::load(path).map_err(|error| anyhow!("{:?}", miette::Report::new(error)))).collect()
}

/// A case that is for full runs is an ignored test in others: libtest's and nextest's word for what is left out.
fn trials(cases: &[&[Chosen<'_>]], choice: &CaseFilter, session: &Arc<Session>) -> Vec<Trial> {
    let trial = |chosen: &Chosen<'_>| {
        let (session, scenario, case) = (session.clone(), chosen.0.clone(), chosen.1.clone());
        let test = Trial::ignorable_test(name_of(chosen), move || {
            session.test(&scenario, &case).map_err(|error| Failed::from(text::quoted(&format!("{error:#}"), "")))
        });
        test.with_ignored_flag(choice.is_extra(chosen))
    };
    cases.iter().copied().flatten().map(trial).collect()
}
