//! `cargo xtask egress`: whom machines must be allowed to contact.
#![expect(clippy::print_stdout, reason = "the command's result")]

use crate::exit::Invalid;
use crate::workbench::results;
use anyhow::Context as _;
use clap::Subcommand;
use harness::evidence::ScenarioResult;
use harness::lab::HOST;
use harness::network::flows::allow::{AllowList, Learner, Rule};
use harness::network::flows::{Flow, FlowsOfLab, record};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLE: &str = "\
Examples:

    cargo xtask test egress-open && cargo xtask egress learn
    cargo xtask egress learn --nft > filter.nft      # for the machine that forwards what is sent out

What it learns from are the captures of a run (do.capture). Exit code: 2 if the run has captured nothing.";

/// What to say about egress.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Print the smallest list of what must be let through for all that a run did
    #[command(after_help = EXAMPLE)]
    Learn(Args),
}

/// What to learn from.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Result directories of runs; the last one, if none is given
    runs: Vec<PathBuf>,
    /// Only cells whose names contain this
    #[arg(long, value_name = "SCENARIO::CELL")]
    cell: Option<String>,
    /// Only what this machine contacted
    #[arg(long, value_name = "MACHINE")]
    on: Option<String>,
    /// Print JSON
    #[arg(long, conflicts_with = "nft")]
    json: bool,
    /// Print a ruleset for nft(8)
    #[arg(long)]
    nft: bool,
}

/// Runs the command.
pub(crate) fn run(Action::Learn(args): &Action) -> anyhow::Result<ExitCode> {
    let runs = if args.runs.is_empty() { vec![results().join("latest")] } else { args.runs.clone() };
    let (mut learner, mut cells) = (Learner::default(), 0);
    for run in &runs {
        for cell in cells_of(run)? {
            let name = cell.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if args.cell.as_ref().is_none_or(|wanted| name.contains(wanted)) {
                cells += 1;
                learn(&mut learner, &cell, &name, args.on.as_deref())?;
            }
        }
    }
    if cells == 0 {
        let places: Vec<_> = runs.iter().map(|run| run.display().to_string()).collect();
        let places = places.join(", ");
        return Err(Invalid(format!("no cell in {places} has captured packets: a step does so with do.capture")).into());
    }
    let list = learner.list();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&list)?);
    } else if args.nft {
        print!("{}", list.nftables());
    } else {
        print!("{}", table(&list, cells));
    }
    Ok(ExitCode::SUCCESS)
}

fn cells_of(run: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs_err::read_dir(run).map_err(|error| Invalid(error.to_string()))?;
    let mut cells: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    cells.retain(|cell| cell.join(record::FILE).is_file());
    cells.sort();
    Ok(cells)
}

fn learn(learner: &mut Learner, cell: &Path, name: &str, on: Option<&str>) -> anyhow::Result<()> {
    let read = |file: &str| fs_err::read(cell.join(file));
    let damaged = || format!("{} is damaged", cell.display());
    let flows: FlowsOfLab = serde_json::from_slice(&read(record::FILE)?).with_context(damaged)?;
    let result: ScenarioResult = serde_json::from_slice(&read("result.json")?).with_context(damaged)?;
    for machine in flows.machines.iter().filter(|machine| on.is_none_or(|on| on == machine.machine)) {
        learner.learn(machine, HOST, |flow| format!("{name}: {}", step_of(&result, flow)));
    }
    Ok(())
}

/// The step during which a flow began to be a contact.
fn step_of(result: &ScenarioResult, flow: &Flow) -> String {
    let begun = result.steps.iter().rev().find(|step| step.started.is_some() && step.started <= flow.contact);
    begun.map_or_else(
        || "before the first step".into(),
        |step| step.number.map_or_else(|| step.name.clone(), |number| format!("step {number}, \"{}\"", step.name)),
    )
}

fn table(list: &AllowList, cells: usize) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let line = |text: &mut String, rule: &Rule| {
        let port = rule.port.map(|port| format!(":{port}")).unwrap_or_default();
        let mut why = rule.why.iter();
        let first = why.next().map_or("", String::as_str);
        let to = format!("{}{port}/{}", rule.to, rule.proto);
        let _ = writeln!(text, "  {:<12} {to:<40} {first}", rule.from);
        for more in why.take(3) {
            let _ = writeln!(text, "  {:<12} {:<40} {more}", "", "");
        }
    };
    let _ = writeln!(text, "{} kinds of contact are needed, by the packets of {cells} cells:", list.rules.len());
    list.rules.iter().for_each(|rule| line(&mut text, rule));
    if !list.unanswered.is_empty() {
        let _ = writeln!(text, "\nNobody answered these, so they need no rule:");
        list.unanswered.iter().for_each(|rule| line(&mut text, rule));
    }
    text
}
