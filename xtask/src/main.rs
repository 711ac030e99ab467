//! The command line of Rehearsal.

mod doctor;
mod setup;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Rehearses the life of a private mail server in disposable virtual machines.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Install the programs that Rehearsal needs on this host
    Setup(setup::Args),
    /// Say what this host can do, and what would make it better
    Doctor(doctor::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().action {
        Action::Setup(args) => setup::run(args),
        Action::Doctor(args) => doctor::run(args),
    }
}
