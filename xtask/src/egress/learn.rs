//! `cargo xtask egress learn`: what scenarios contacted with an open filter.

use super::OPEN;
use super::need::Need;
use super::runner::{EgressRun, EgressRunner, LARGEST, flows_in, results_of};
use crate::exit::Invalid;
use crate::ui;
use anyhow::Context as _;
use harness::bounded;
use harness::lab::HOST;
use harness::network::flows::allow::{AllowList, Learner};
use harness::network::flows::ruleset::{Refusal, Ruleset};
use harness::network::flows::{FlowsOfLab, record};
use harness::results::ScenarioResult;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) const EXAMPLE: &str = "\
Examples:

    cargo xtask egress learn                        # runs egress-open, relay and fetchmail-dmz
    cargo xtask egress learn --nft > filter.nft     # for the machine that forwards what is sent out
    cargo xtask egress learn --json > rules.json && cargo xtask egress prove rules.json
    cargo xtask test egress-open && cargo xtask egress learn --from target/rehearsal/latest

All packets of all machines are captured. Exit code: 1 if a scenario fails, 2 if a run that is named has captured nothing.";

/// What to learn from.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Scenarios of one lab, instead of those that are meant for this
    scenarios: Vec<String>,
    /// Learn from a run that there was, by its result directory; may be given several times
    #[arg(long, value_name = "RUN", conflicts_with = "scenarios")]
    from: Vec<PathBuf>,
    /// Only cases whose names contain this
    #[arg(long, value_name = "SCENARIO::CASE", requires = "from")]
    case: Option<String>,
    /// Only what this machine contacted
    #[arg(long, value_name = "MACHINE")]
    on: Option<String>,
    /// The machine that filters: others need a rule for what they ask it
    #[arg(long, value_name = "MACHINE", default_value = "edge")]
    filter: String,
    /// Print JSON
    #[arg(long, conflicts_with = "nft")]
    json: bool,
    /// Print a ruleset for nft(8)
    #[arg(long)]
    nft: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut lessons = Lessons { on: args.on.clone(), ..Lessons::default() };
    if args.from.is_empty() {
        let names = if args.scenarios.is_empty() { OPEN.map(str::to_owned).to_vec() } else { args.scenarios.clone() };
        if !lessons.perform(&EgressRunner::open(EgressRun::read(&names, None)?)?)? {
            return Ok(ExitCode::FAILURE);
        }
    } else {
        lessons.read(&args.from, args.case.as_deref())?;
    }
    let (list, cases) = (lessons.learner.list(), lessons.cases);
    if args.json {
        ui::line(harness::sanitize::json(&serde_json::to_string_pretty(&list)?));
    } else if args.nft {
        // In a lab without such a machine nobody asks it for names.
        let is_there = list.rules.iter().any(|rule| [&rule.from, &rule.to].contains(&&args.filter));
        let filter = is_there.then_some(args.filter.as_str());
        ui::out(Ruleset { list: &list, filter, refusal: Refusal::Drop });
    } else {
        ui::out(table(&list, cases));
    }
    Ok(ExitCode::SUCCESS)
}

/// What cases have taught.
#[derive(Default)]
pub(super) struct Lessons {
    pub(super) learner: Learner,
    cases: usize,
    /// Only what this machine contacted.
    on: Option<String>,
}

impl Lessons {
    /// Performs all scenarios with an open filter; whether all passed.
    pub(super) fn perform(&mut self, runner: &EgressRunner) -> anyhow::Result<bool> {
        let run = results_of("learn")?;
        for case in runner.cases() {
            let shown = runner.perform(&case, &run, None)?;
            if !shown.has_passed() {
                let reason = shown.result.reason.as_deref().unwrap_or("it has not passed");
                ui::note(format_args!("{case} fails with an open filter, so nothing can be learned from it: {reason}"));
                return Ok(false);
            }
            self.learn(&shown.flows, &shown.result);
        }
        Ok(true)
    }

    /// Learns from runs that there were.
    fn read(&mut self, runs: &[PathBuf], wanted: Option<&str>) -> anyhow::Result<()> {
        for run in runs {
            for case in cases_of(run)? {
                let name = case.file_name().unwrap_or_default().to_string_lossy();
                if wanted.is_none_or(|wanted| name.contains(wanted)) {
                    let result = bounded::read(&case.join("result.json"), LARGEST);
                    let result = result.map_err(|error| Invalid(error.to_string()))?;
                    let damaged = || format!("{} is damaged", case.join("result.json").display());
                    self.learn(&flows_in(&case)?, &serde_json::from_slice(&result).with_context(damaged)?);
                }
            }
        }
        if self.cases > 0 {
            return Ok(());
        }
        let places: Vec<_> = runs.iter().map(|run| run.display().to_string()).collect();
        let places = places.join(", ");
        Err(Invalid(format!("no case in {places} has captured packets: a step does so with do.capture")).into())
    }

    fn learn(&mut self, flows: &FlowsOfLab, result: &ScenarioResult) {
        self.cases += 1;
        let case = format!("{}::{}", result.name, result.case);
        for machine in flows.machines.iter().filter(|machine| self.on.as_ref().is_none_or(|on| *on == machine.machine))
        {
            for cut in &machine.cuts {
                ui::note(format_args!("{case}: {} is not read to its end: {}", cut.file, cut.cut));
            }
            self.learner.learn(machine, HOST, |flow| Need::of(result, flow).to_string());
        }
    }
}

fn cases_of(run: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs_err::read_dir(run).map_err(|error| Invalid(error.to_string()))?;
    let mut cases: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    cases.retain(|case| case.join(record::FILE).is_file());
    cases.sort();
    Ok(cases)
}

fn table(list: &AllowList, cases: usize) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let line = |text: &mut String, rule: &harness::network::flows::allow::Rule| {
        let mut why = rule.why.iter();
        let first = why.next().map_or("", String::as_str);
        let _ = writeln!(text, "  {:<56} {first}", rule.to_string());
        for more in why.take(3) {
            let _ = writeln!(text, "  {:<56} {more}", "");
        }
    };
    let _ = writeln!(text, "{} kinds of contact are needed, by the packets of {cases} cases:", list.rules.len());
    list.rules.iter().for_each(|rule| line(&mut text, rule));
    if !list.unanswered.is_empty() {
        let _ = writeln!(text, "\nNobody answered these, so they need no rule:");
        list.unanswered.iter().for_each(|rule| line(&mut text, rule));
    }
    text
}
