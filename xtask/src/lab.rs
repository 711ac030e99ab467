//! `cargo xtask lab`: labs that are kept, booted and frozen.
#![expect(clippy::print_stdout, reason = "the command's result")]

use crate::kept;
use anyhow::Context as _;
use clap::Subcommand;
use harness::cache::{Cache, Kind};
use std::process::ExitCode;

/// What to do with labs.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Show the labs in the cache
    List {
        /// Print one JSON array instead of a table
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub(crate) fn run(action: &Action) -> anyhow::Result<ExitCode> {
    let Action::List { json } = *action;
    let cache = Cache::open_default().context("failed to open the cache")?;
    let labs = cache.list(Kind::Template)?;
    if json {
        let entries: Vec<_> = labs.iter().map(|lab| kept::as_json(lab, None)).collect();
        println!("{}", serde_json::to_string(&entries)?);
        return Ok(ExitCode::SUCCESS);
    }
    for lab in &labs {
        println!("{}", kept::line(lab).trim_end());
    }
    println!("{}", kept::total(&labs, &cache.entries(Kind::Template)));
    Ok(ExitCode::SUCCESS)
}
