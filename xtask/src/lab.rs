//! `cargo xtask lab`: labs that are kept, booted and frozen.

use crate::cache_entry;
use crate::exit::Invalid;
use crate::setup;
use crate::ui;
use crate::workbench::{Workbench, lab_file};
use anyhow::Context as _;
use clap::Subcommand;
use harness::cache::{Cache, Kind};
use harness::lab::{TemplateRequest, Topology};
use harness::scenario::{LabFile, ReadySteps, Step};
use std::process::ExitCode;
use std::time::Instant;

/// What to do with labs.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Show the labs in the cache
    #[command(after_help = "Example, for a script:\n\n    cargo xtask lab list --json")]
    List {
        /// Print one JSON array instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Boot a lab and freeze it, if that was not done yet: every scenario in it then starts in seconds
    #[command(after_help = "Example, before a day of work:\n\n    cargo xtask lab freeze mail-lan")]
    Freeze {
        /// The lab: a file in scenarios/labs, without its ending
        lab: String,
        /// Only this machine of it; the others are known to it, and not there
        #[arg(long, value_name = "MACHINE")]
        only: Option<String>,
    },
}

/// Runs the command.
pub(crate) fn run(action: &Action) -> anyhow::Result<ExitCode> {
    let cache = Cache::open_default().context("failed to open the cache")?;
    match action {
        Action::List { json } => list(&cache, *json)?,
        Action::Freeze { lab, only } => freeze(cache, lab, only.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(cache: &Cache, json: bool) -> anyhow::Result<()> {
    let labs = cache.list(Kind::Template)?;
    if json {
        let entries: Vec<_> = labs.iter().map(|lab| cache_entry::as_json(lab, None)).collect();
        ui::json(&entries)?;
        return Ok(());
    }
    for lab in &labs {
        ui::line(cache_entry::line(lab).trim_end());
    }
    ui::line(cache_entry::total(&labs, &cache.entries(Kind::Template)));
    Ok(())
}

fn freeze(cache: Cache, lab: &str, only: Option<&str>) -> anyhow::Result<()> {
    let file = lab_file(lab)?;
    let (topology, ready) = part(&file, only)?;
    setup::ensure_tools(false)?;
    let workbench = Workbench::open(cache, &topology)?;
    let begun = Instant::now();
    let order = TemplateRequest {
        topology: &topology,
        setup: &workbench.setup,
        budget: &workbench.budget,
        readiness: &ReadySteps { domain: &topology.domain, steps: &ready },
        logs: &workbench.scratch.path().join("template"),
        progress: &|progress| {
            ui::note(format_args!("{}: {progress} ({:.1} s)", topology.name, begun.elapsed().as_secs_f64()));
        },
    };
    let template = tokio::runtime::Runtime::new()?.block_on(workbench.stock()?.template(&order))?;
    ui::line(template.directory().display());
    Ok(())
}

/// A lab, or one machine of it, with the steps that can hold there.
pub(crate) fn part(file: &LabFile, only: Option<&str>) -> anyhow::Result<(Topology, Vec<Step>)> {
    let Some(name) = only else { return Ok((file.topology.clone(), file.ready.clone())) };
    let known: Vec<_> = file.topology.machines.iter().map(|machine| machine.name.get_ref().as_str()).collect();
    if !known.contains(&name) {
        let words = format!("lab {} has no machine `{name}`; there are: {}", file.topology.name, known.join(", "));
        return Err(Invalid(words).into());
    }
    let ready = if known.len() == 1 { file.ready.clone() } else { Vec::new() };
    Ok((file.topology.only(name), ready))
}
