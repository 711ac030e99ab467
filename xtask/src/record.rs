//! `cargo xtask record`: what steps show, as snapshots that a person has accepted.

use crate::exit::End;
use crate::test;
use crate::ui;
use crate::workbench::project;
use anyhow::Context as _;
use harness::record::pending;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLE: &str = "\
Steps with `record = true` are compared with snapshots in scenarios/snapshots/ by each `cargo xtask test`. This runs the scenarios,
shows what is not as recorded, and asks for each whether it is right. Where nobody can be asked, all is left for
`cargo insta review`, or for another run with --accept.

Example, after a role's configuration was changed:

    cargo xtask record pam-loss

Exit code: 0 if all is as recorded or was accepted, 1 if a case failed or something was not accepted.";

/// What to record.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// Part of the name of a scenario or case; all, if none is given
    filter: Option<String>,
    /// Which cases: `quick` leaves out those that their files call `full`
    #[arg(long, value_enum, default_value_t = test::Tier::Quick)]
    tier: test::Tier,
    /// Accept all without asking
    #[arg(long)]
    accept: bool,
    /// Another directory with scenario files, and snapshots in snapshots/ below it
    #[arg(long, value_name = "DIRECTORY")]
    scenarios: Option<PathBuf>,
}

/// Runs the scenarios, and asks.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let snapshots = args.scenarios.clone().unwrap_or_else(|| project("scenarios")).join("snapshots");
    let ended = test::run_for(test::Args::recording(args.filter, args.tier, args.scenarios), test::Purpose::Record)?;
    let waiting = pending(&snapshots).with_context(|| format!("failed to read {}", snapshots.display()))?;
    let count = waiting.len();
    let can_ask = std::io::stdin().is_terminal();
    let mut open = 0;
    for (number, one) in waiting.iter().enumerate() {
        let name = one.path.strip_prefix(&snapshots).unwrap_or(&one.path).display();
        ui::out(format_args!("\n{} of {count}: {name}\n{}\n", number + 1, one.diff));
        match answer(args.accept, can_ask)? {
            Answer::Accept => one.accept()?,
            Answer::Reject => {
                one.reject()?;
                open += 1;
            }
            Answer::Later => open += 1,
        }
    }
    ui::line(format_args!("\n{count} not as recorded, {} accepted", count - open));
    Ok(if open > 0 && ended == ExitCode::SUCCESS { End::Failed.into() } else { ended })
}

enum Answer {
    Accept,
    Reject,
    Later,
}

fn answer(accept: bool, can_ask: bool) -> anyhow::Result<Answer> {
    if accept {
        return Ok(Answer::Accept);
    }
    if !can_ask {
        return Ok(Answer::Later);
    }
    ui::out(format_args!("Is that right? [y]es, [n]o, [l]ater: "));
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(match line.trim() {
        "y" | "yes" => Answer::Accept,
        "n" | "no" => Answer::Reject,
        _ => Answer::Later,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::record::{OnDifference, Snapshots};
    use harness::scenario::Scenario;
    use std::collections::BTreeSet;

    /// A step that was renamed leaves a snapshot that nobody compares any more; two steps cannot have one.
    #[test]
    fn each_snapshot_is_of_one_step() {
        let directory = project("scenarios");
        let snapshots = Snapshots::new(&directory.join("snapshots"), OnDifference::Tell);
        let mut wanted = BTreeSet::new();
        for file in Scenario::files_in(&directory).unwrap() {
            let scenario = Scenario::load(&file).unwrap();
            for case in &scenario.cases {
                for step in case.steps.iter().filter(|step| step.record) {
                    let path = snapshots.path(&scenario.name, &case.name, step.name.get_ref());
                    assert!(wanted.insert(path.clone()), "two steps record {}", path.display());
                }
            }
        }
        let found = walk(&directory.join("snapshots"));
        let orphans: Vec<_> = found.difference(&wanted).collect();
        assert!(orphans.is_empty(), "no step records these: {orphans:#?}");
    }

    fn walk(directory: &std::path::Path) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(walk(&path));
            } else if path.extension().is_some_and(|extension| extension == "snap") {
                found.insert(path);
            }
        }
        found
    }
}
