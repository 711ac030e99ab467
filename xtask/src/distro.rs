//! `cargo xtask distro`: builds rpm distributions and shows them.

use crate::cache_entry;
use crate::ui;
use crate::workbench::project;
use anyhow::Context as _;
use clap::Subcommand;
use harness::cache::{Cache, Kind};
use harness::distro::{self, Definitions, Progress};
use std::process::ExitCode;

/// What to do with releases.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Build releases that are not in the cache yet, and the disks with which guests upgrade to them
    #[command(after_help = "Example, of one release:\n\n    cargo xtask distro build leap-15.0-like")]
    Build {
        /// The releases; all, if none is named
        names: Vec<String>,
        /// Ask the archive for package versions even if that was done today
        #[arg(long)]
        refresh: bool,
    },
    /// Show what of releases is in the cache
    #[command(after_help = "Example, for a script:\n\n    cargo xtask distro list --json")]
    List {
        /// Print one JSON array instead of a table
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub(crate) fn run(action: &Action) -> anyhow::Result<ExitCode> {
    let cache = Cache::open_default().context("failed to open the cache")?;
    match action {
        Action::Build { names, refresh } => build(names, *refresh, &cache)?,
        Action::List { json } => list(&cache, *json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The project's releases.
pub(crate) fn definitions() -> anyhow::Result<Definitions> {
    Definitions::load(&project("images")).map_err(crate::report)
}

fn build(names: &[String], refresh: bool, cache: &Cache) -> anyhow::Result<()> {
    let definitions = definitions()?;
    let all = || definitions.iter().map(|definition| definition.name.clone()).collect();
    let names: Vec<String> = if names.is_empty() { all() } else { names.to_vec() };
    for name in &names {
        let definition = definitions.get(name).map_err(crate::report)?;
        let made = distro::ensure(definition, cache, refresh, &|event| tell(name, &event))
            .map_err(crate::report)
            .with_context(|| format!("failed to make release `{name}`"))?;
        let by_rpmbuild = made.manifest.all().filter(|made| made.by_rpmbuild).count();
        print(&format!(
            "{name}  {}  {} packages, {} more in {} variants; {by_rpmbuild} written by rpmbuild  {}",
            made.key,
            made.manifest.packages.len(),
            made.manifest.all().count() - made.manifest.packages.len(),
            made.manifest.variants.len(),
            made.directory().display()
        ));
        if let Some(old) = &definition.upgrades {
            let old = definitions.get(old).map_err(crate::report)?;
            let media = distro::media(old, definition, cache, &|event| tell(name, &event)).map_err(crate::report)?;
            print(&format!("{name}  {}  {}", media.key, media.disk().display()));
        }
    }
    Ok(())
}

fn list(cache: &Cache, json: bool) -> anyhow::Result<()> {
    let kept = cache.list(Kind::Release)?;
    if json {
        ui::json(&kept.iter().map(|entry| cache_entry::as_json(entry, None)).collect::<Vec<_>>())?;
        return Ok(());
    }
    for entry in &kept {
        print(&cache_entry::line(entry));
    }
    print(&cache_entry::total(&kept, &cache.entries(Kind::Release)));
    Ok(())
}

pub(crate) fn tell(name: &str, event: &Progress) {
    ui::note(format_args!("release {name}: {event}"));
}

fn print(line: &str) {
    ui::line(format_args!("{line}"));
}
