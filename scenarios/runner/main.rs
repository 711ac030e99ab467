//! Runs the scenario files in guests: one libtest-mimic test for every cell, named `scenario::cell`.
#![expect(clippy::print_stderr, reason = "live progress is what a runner is for")]

mod session;

use anyhow::{Context as _, anyhow};
use harness::network::become_root_of_own_user_namespace;
use harness::scenario::Scenario;
use libtest_mimic::{Arguments, Failed, Trial};
use session::Session;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    match run(&mut arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &mut Arguments) -> anyhow::Result<ExitCode> {
    let scenarios = scenarios()?;
    if arguments.list {
        let session = Arc::new(Session::new(1));
        libtest_mimic::run(arguments, trials(&scenarios, &session)).exit();
    }
    become_root_of_own_user_namespace()?;
    let jobs = arguments.test_threads.unwrap_or_else(session::jobs_of_this_host);
    arguments.test_threads = Some(jobs);
    let started = Instant::now();
    let session = Arc::new(Session::new(jobs));
    let conclusion = libtest_mimic::run(arguments, trials(&scenarios, &session));
    session.finish(started, &conclusion)
}

/// The project's own files.
fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The directory with scenario files; the project's own, unless the user names another.
const SCENARIOS_VARIABLE: &str = "REHEARSAL_SCENARIOS";

fn scenarios() -> anyhow::Result<Vec<Scenario>> {
    let directory = std::env::var_os(SCENARIOS_VARIABLE).map_or_else(|| project().join("scenarios"), PathBuf::from);
    let entries = std::fs::read_dir(&directory)
        .with_context(|| format!("failed to look for scenarios in {}", directory.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
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
