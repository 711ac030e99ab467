//! `cargo xtask bench`: how long things take here, side by side in one run.

mod distro;
mod figures;
mod flows;
mod storage;
mod thaw;

use clap::Subcommand;
use std::process::ExitCode;

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Labs booted from nothing, thawed from a template, and loaded from plain snapshots; memory of many copies
    #[command(after_help = "Example, for a script:\n\n    cargo xtask bench thaw --json")]
    Thaw(thaw::Args),
    /// All packages of a release, made by us and by rpmbuild
    #[command(after_help = "Example, of another release:\n\n    cargo xtask bench distro leap-15.0-like --repeat 1")]
    Distro(distro::Args),
    /// A capture of packets, turned into flows
    #[command(after_help = "Example, of a larger one:\n\n    cargo xtask bench flows --megabytes 1000")]
    Flows(flows::Args),
    /// Disks in four layerings, and mail to guests on them; the figures stand in the run's report, too
    #[command(after_help = "Example, for a first look:\n\n    cargo xtask bench storage --quick")]
    Storage(storage::Args),
}

/// Runs the command.
pub(crate) fn run(action: &Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::Thaw(args) => thaw::run(args),
        Action::Distro(args) => distro::run(args),
        Action::Flows(args) => flows::run(args),
        Action::Storage(args) => storage::run(args),
    }
}
