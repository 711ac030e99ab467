//! `cargo xtask drift`: what changed in a machine's configuration between two moments of a run.

use crate::exit::Invalid;
use crate::ui;
use crate::workbench::results;
use harness::bounded;
use harness::drift::{Drift, Inventory};
use harness::predict::Transaction;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLE: &str = "\
Examples:

    cargo xtask drift before upgraded          # two moments of the last run, by the names in its scenario
    cargo xtask drift before upgraded --case upgrade::variant=dropped
    cargo xtask drift a.json b.json            # two inventories, wherever they are

Moments are inventories (do.inventory) and kept checkpoints (do.checkpoint with keep = true).
Exit code: 0 if nothing differs on disk, 1 if something does, 2 if there are no such moments.";

/// An inventory of all of `/etc` has less.
const LARGEST: u64 = 512 << 20;

/// What to compare.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The first moment: a name, or the file of an inventory
    before: String,
    /// The second moment
    after: String,
    /// The result directory of another run than the last one
    #[arg(long, value_name = "DIRECTORY")]
    results: Option<PathBuf>,
    /// Only cases whose names contain this
    #[arg(long, value_name = "SCENARIO::CASE")]
    case: Option<String>,
    /// Only this machine
    #[arg(long, value_name = "MACHINE")]
    on: Option<String>,
    /// Print one JSON array instead of text
    #[arg(long)]
    json: bool,
}

/// Prints the drift of every machine and case that has both moments.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut drifts = Vec::new();
    for Pair { case, before, after } in pairs(args)? {
        let (before, after) = (inventory(&before)?, inventory(&after)?);
        let transaction = transaction(&case, &after.machine)?;
        drifts.push((case, Drift::between(&before, &after, transaction.as_ref())));
    }
    if args.json {
        let drifts: Vec<_> = drifts.iter().map(|(_, drift)| drift).collect();
        ui::json(&drifts)?;
    } else {
        for (index, (case, drift)) in drifts.iter().enumerate() {
            let heading = if drifts.len() > 1 { format!("== {}\n", name_of(case)) } else { String::new() };
            let gap = if index > 0 { "\n" } else { "" };
            ui::out(format_args!("{gap}{heading}{drift}"));
        }
    }
    let is_same = drifts.iter().all(|(_, drift)| drift.is_empty());
    Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Two inventories of one machine in one case.
struct Pair {
    case: PathBuf,
    before: PathBuf,
    after: PathBuf,
}

fn pairs(args: &Args) -> anyhow::Result<Vec<Pair>> {
    let (before, after) = (Path::new(&args.before), Path::new(&args.after));
    if before.is_file() && after.is_file() {
        let case = after.parent().unwrap_or(Path::new(".")).to_owned();
        return Ok(vec![Pair { case, before: before.to_owned(), after: after.to_owned() }]);
    }
    let run = args.results.clone().unwrap_or_else(|| results().join("latest"));
    let mut pairs = Vec::new();
    let mut known = BTreeSet::new();
    for case in cases(&run)? {
        let wanted = args.case.as_ref().is_none_or(|wanted| name_of(&case).contains(wanted.as_str()));
        for (moment, machine, _) in inventories(&case)?.into_iter().filter(|_| wanted) {
            known.insert(moment.clone());
            let at = |moment: &str| case.join(format!("inventory-{moment}-{machine}.json"));
            let is_wanted = args.on.as_ref().is_none_or(|on| *on == machine);
            if moment == args.before && is_wanted && at(&args.after).is_file() {
                pairs.push(Pair { case: case.clone(), before: at(&args.before), after: at(&args.after) });
            }
        }
    }
    if pairs.is_empty() {
        let known = if known.is_empty() { "none".into() } else { known.into_iter().collect::<Vec<_>>().join(", ") };
        let reason = format!(
            "no machine in {} has both `{}` and `{}`; moments there: {known}",
            run.display(),
            args.before,
            args.after
        );
        return Err(Invalid(reason).into());
    }
    Ok(pairs)
}

/// The directories of a run's cases, by name.
fn cases(run: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(run).map_err(|error| {
        Invalid(format!("there is no run in {} ({error}): `cargo xtask test` makes one", run.display()))
    })?;
    let mut cases: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    cases.sort();
    Ok(cases)
}

/// Moment, machine and file of each inventory of a case. Names of machines have no hyphen.
fn inventories(case: &Path) -> anyhow::Result<Vec<(String, String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(case)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let inner = name.strip_prefix("inventory-").and_then(|name| name.strip_suffix(".json"));
        if let Some((moment, machine)) = inner.and_then(|inner| inner.rsplit_once('-')) {
            found.push((moment.to_owned(), machine.to_owned(), path));
        }
    }
    found.sort();
    Ok(found)
}

fn inventory(path: &Path) -> anyhow::Result<Inventory> {
    json(path, "inventory")
}

/// What the package manager did in the case, if that was logged.
fn transaction(case: &Path, machine: &str) -> anyhow::Result<Option<Transaction>> {
    let path = case.join(format!("transaction-{machine}.json"));
    if !path.is_file() {
        return Ok(None);
    }
    json(&path, "transaction").map(Some)
}

fn json<T: DeserializeOwned>(path: &Path, what: &str) -> anyhow::Result<T> {
    let bytes = bounded::read(path, LARGEST).map_err(|error| Invalid(format!("failed to read the {what}: {error}")))?;
    let read = serde_json::from_slice(&bytes);
    read.map_err(|error| Invalid(format!("{} is no {what}: {error}", path.display())).into())
}

fn name_of(case: &Path) -> String {
    case.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
