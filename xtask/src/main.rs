//! The command line of Rehearsal.

mod age;
mod bench;
mod clean;
mod doctor;
mod drift;
mod explain;
mod image;
mod kept;
mod lab;
mod predict;
mod release;
mod selftest;
mod setup;
mod test;
mod workbench;

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
    /// Build images of machines, and show those in the cache
    #[command(subcommand)]
    Image(image::Action),
    /// Build rpm distributions that guests are upgraded from and to
    #[command(subcommand)]
    Release(release::Action),
    /// Show the labs that are kept, booted and frozen
    #[command(subcommand)]
    Lab(lab::Action),
    /// Remove what is kept in the cache, and what killed processes have left
    Clean(clean::Args),
    /// Live through bad days for real: slow, and not part of `cargo test`
    #[command(subcommand)]
    Selftest(selftest::Action),
    /// Run the scenarios in guests
    Test(test::Args),
    /// Say what changed in a machine's configuration between two moments of a run
    Drift(drift::Args),
    /// Say which changes of configuration are to blame for a scenario's symptoms
    Explain(explain::Args),
    /// Say what an upgrade with rpm will do to each configuration file of a system
    Predict(predict::Args),
    /// Measure how long things take on this host, side by side
    #[command(subcommand)]
    Bench(bench::Action),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().action {
        Action::Setup(args) => setup::run(args),
        Action::Doctor(args) => doctor::run(args),
        Action::Image(action) => image::run(action),
        Action::Release(action) => release::run(&action),
        Action::Lab(action) => lab::run(&action),
        Action::Clean(args) => clean::run(&args),
        Action::Selftest(action) => selftest::run(&action),
        Action::Test(args) => test::run(args),
        Action::Drift(args) => drift::run(&args),
        Action::Explain(args) => explain::run(&args),
        Action::Predict(args) => predict::run(&args),
        Action::Bench(action) => bench::run(&action),
    }
}

/// A diagnostic with its place in the file, as an error for the end of `main`.
fn report(diagnostic: impl miette::Diagnostic + Send + Sync + 'static) -> anyhow::Error {
    anyhow::anyhow!("{:?}", miette::Report::new(diagnostic))
}
