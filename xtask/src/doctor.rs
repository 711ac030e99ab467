//! `cargo xtask doctor`: what this host can do.

use crate::exit::End;
use crate::ui;
use anyhow::Context;
use harness::cache::Cache;
use harness::host::doctor;
use std::process::ExitCode;

/// What `doctor` is told.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Forget what the probe of KVM and of the pace said before, and run it again
    #[arg(long)]
    fresh: bool,
}

/// Prints the state of the host; fails if scenarios cannot run here.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { json, fresh } = args;
    let cache = Cache::open_default().context("failed to open the cache")?;
    let report = doctor::examine(cache.root(), fresh);
    if json {
        ui::json(&report)?;
    } else {
        ui::out(format_args!("{report}"));
    }
    Ok(if report.usable { ExitCode::SUCCESS } else { End::Host.into() })
}
