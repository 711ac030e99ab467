//! `cargo xtask doctor`: what this host can do.
#![expect(clippy::print_stdout, reason = "the report is what this command is for")]

use harness::host::doctor;
use std::path::PathBuf;
use std::process::ExitCode;

/// What `doctor` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// The directory for images and runs, whose free space is looked at
    #[arg(long, value_name = "DIRECTORY", default_value = "target")]
    cache: PathBuf,
}

/// Prints the state of the host; fails if scenarios cannot run here.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { json, cache } = args;
    let report = doctor::examine(&std::path::absolute(cache)?);
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
