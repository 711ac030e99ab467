//! `cargo xtask report`: the reports of a run, made again from what it left.

use crate::exit::{HostLacks, Invalid};
use crate::ui;
use crate::workbench::results;
use anyhow::Context as _;
use harness::host::tools::which;
use harness::report::{self, Report, ReportError, github, summary};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const EXAMPLE: &str = "\
Examples:

    cargo xtask report --open              # the last run, in the browser
    cargo xtask report run-of-last-night   # another one: a directory with its run.json, or with report.json alone
    cargo xtask report --github            # in a workflow, after cargo nextest run

Of a run that was killed, the report says what there was.";

/// Which run, and what for.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The result directory of a run; of the last one, if none is given
    directory: Option<PathBuf>,
    /// Open the page in the browser
    #[arg(long)]
    open: bool,
    /// Print annotations for GitHub's Actions, and append to the summary of the job
    #[arg(long)]
    github: bool,
}

/// Writes `report.json`, `junit.xml` and `report.html`, and says where the page is.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let directory = args.directory.clone().unwrap_or_else(|| results().join("latest"));
    let report = read(&directory)?;
    report::write(&report, &directory)?;
    if args.github {
        ui::out(github::annotations(&report));
        github::append_summary(&report).context("failed to append to the summary of the job")?;
    }
    ui::out(summary::render(&report));
    let page = std::path::absolute(directory.join("report.html"))?;
    ui::line(format_args!("report: {}", page.display()));
    if args.open {
        open(&page)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the cases of the run have left counts; without that, the report that was made of it.
fn read(directory: &Path) -> anyhow::Result<Report> {
    let found = match report::collect(directory) {
        Err(ReportError::NoRun(_)) if directory.join("report.json").is_file() => report::load(directory),
        found => found,
    };
    found.map_err(|error| match error {
        ReportError::Io(_) | ReportError::Junit(_) => error.into(),
        _ => Invalid(error.to_string()).into(),
    })
}

fn open(page: &Path) -> anyhow::Result<()> {
    let opener = ["xdg-open", "open"].into_iter().find_map(which);
    let opener = opener.ok_or_else(|| HostLacks("no program here opens pages (xdg-open): open it by hand".into()))?;
    let status = Command::new(opener).arg(page).stdin(Stdio::null()).status().context("failed to open the page")?;
    anyhow::ensure!(status.success(), "the page could not be opened: {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_run_is_a_wrong_command_line() {
        let directory = tempfile::tempdir().unwrap();
        let error = read(directory.path()).unwrap_err();
        assert!(error.is::<Invalid>() && error.to_string().contains("there is no run in"), "{error}");
    }
}
