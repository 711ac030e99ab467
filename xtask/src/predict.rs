//! `cargo xtask predict`: what an upgrade will do to each configuration file, said before the upgrade.

mod text;

use crate::exit::End;
use crate::ui;
use harness::predict::model::wanted;
use harness::predict::{COLLECTOR, Extent, Plan, Repository, System, UpgradePrediction, predict};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLE: &str = "\
Example, for a mail server that is to be upgraded (root's login is needed, as some files in /etc are private):

    cargo xtask predict --print-collector | ssh root@mail sh > mail.json
    cargo xtask predict --system mail.json --repo /srv/mirror/15.0

The dump holds names, digests and scriptlets, and no content of files; keep it private nevertheless.
On the server, `zypper dup --download-only` fetches just what will be installed; with a copy of that, add --downloaded.

Exit code: 0 if every changed file stays in force as it is; 1 if one is lost, set aside, no longer read, edited by a scriptlet,
or if that cannot be told; 2 if the dump or the repository cannot be used.";

/// What `predict` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The dump of the system, as the collector printed it there
    #[arg(long, value_name = "DUMP", required_unless_present = "print_collector")]
    system: Option<PathBuf>,
    /// The directory with the packages that the system will be upgraded to
    #[arg(long, value_name = "DIR", required_unless_present = "print_collector")]
    repo: Option<PathBuf>,
    /// All packages of the directory will be installed, and no others
    #[arg(long)]
    downloaded: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Print the shell script that makes the dump, and do nothing else
    #[arg(long, exclusive = true)]
    print_collector: bool,
}

/// Prints the prediction.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (Some(system), Some(repo)) = (&args.system, &args.repo) else {
        ui::out(format_args!("{COLLECTOR}"));
        return Ok(ExitCode::SUCCESS);
    };
    let system = match System::read(system) {
        Ok(system) => system,
        Err(error) => return Ok(bad_input(&error)),
    };
    let repository = match Repository::read(repo, wanted(&system)) {
        Ok(repository) => repository,
        Err(error) => return Ok(bad_input(&error)),
    };
    let extent = if args.downloaded { Extent::Transaction } else { Extent::Repository };
    let forecast = predict(&system, &repository, &Plan::new(&system, &repository, extent));
    if args.json {
        ui::json(&forecast)?;
    } else {
        ui::out(text::render(&forecast));
    }
    Ok(exit_code(&forecast))
}

fn bad_input(error: &dyn std::error::Error) -> ExitCode {
    ui::note(format_args!("Error: {error}"));
    End::Invalid.into()
}

fn exit_code(forecast: &UpgradePrediction) -> ExitCode {
    if forecast.alarms().next().is_some() { End::Failed.into() } else { ExitCode::SUCCESS }
}
