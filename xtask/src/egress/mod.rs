//! `cargo xtask egress`: whom machines must be allowed to contact, and whether that is the whole truth.

mod learn;
mod list;
mod need;
mod proof;
mod prove;
mod runner;

use clap::Subcommand;
use std::process::ExitCode;

/// The scenarios that do, with an open filter, what a mail server has to do outside.
const OPEN: [&str; 3] = ["egress-open", "relay", "fetchmail-dmz"];

/// What to do about egress.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Run scenarios with an open filter, and print the smallest list of what must be let through for them
    #[command(after_help = learn::EXAMPLE)]
    Learn(learn::Args),
    /// Prove such a list: with it the scenarios pass, and without any of its rules one fails
    #[command(after_help = prove::EXAMPLE)]
    Prove(prove::Args),
}

/// Runs the command.
pub(crate) fn run(action: &Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::Learn(args) => learn::run(args),
        Action::Prove(args) => prove::run(args),
    }
}
