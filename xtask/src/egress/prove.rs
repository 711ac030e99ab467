//! `cargo xtask egress prove`: whether a list of rules suffices, and whether each rule of it is needed.

use super::learn::Lessons;
use super::need::Need;
use super::proof::{Finding, Proved, judge, table, without};
use super::runner::{AtFilter, EgressRun, EgressRunner, Shown, results_of};
use super::{OPEN, list};
use crate::exit::{End, Invalid};
use crate::ui;
use harness::lab::Topology;
use harness::network::flows::allow::{AllowList, Rule};
use harness::network::flows::ruleset::{Refusal, Ruleset};
use harness::results::Run;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

pub(super) const EXAMPLE: &str = "\
Each trial is the lab thawed anew, with the list's rules at its filter, which refuses the rest at once. First with all rules: every
scenario must pass. Then without each of them in turn: a scenario that needed it must fail, not before the step that did, and packets must
show that the contact was tried. A rule without which all goes well is taken from the list before the next is tried.

Examples:

    cargo xtask egress prove                                  # learns the list first
    cargo xtask egress learn --json > rules.json && cargo xtask egress prove rules.json
    cargo xtask egress prove rules.json --only directory      # the rules whose line in the table contains this

Exit code: 0 if the list suffices, and it is clear of each rule whether it is needed; 1 if not.";

/// What to prove.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The list, as `egress learn --json` prints it; of each rule `from`, `to`, `proto` and `port` are enough
    rules: Option<PathBuf>,
    /// Leave out only rules that contain this, as in `mail → directory:636/tcp`
    #[arg(long, value_name = "WORDS")]
    only: Option<String>,
    /// Do not try again whether the whole list suffices
    #[arg(long)]
    suffices: bool,
    /// The machine that filters
    #[arg(long, value_name = "MACHINE", default_value = "edge")]
    filter: String,
    /// Print what is left of the list as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let play = EgressRun::read(&OPEN.map(str::to_owned), None)?;
    let lab = play.topology();
    if !lab.hosts().iter().any(|host| host.name == args.filter) {
        return Err(Invalid(format!("lab `{}` has no machine `{}`", lab.name, args.filter)).into());
    }
    let list = args.rules.as_deref().map(|path| rules_in(path, lab)).transpose()?;
    let runner = EgressRunner::open(play)?;
    let given = if let Some(list) = list {
        list
    } else {
        let mut lessons = Lessons::default();
        if !lessons.perform(&runner)? {
            return Ok(End::Failed.into());
        }
        lessons.learner.list()
    };
    // What the filter contacts itself does not pass it.
    let rules = without(&given, |rule| rule.from == args.filter);
    let proof = Proof { runner: &runner, run: results_of("prove")?, filter: &args.filter };
    if !args.suffices && !proof.suffices(&rules)? {
        return Ok(End::Failed.into());
    }
    let (proved, left) = proof.each(rules, args.only.as_deref())?;
    if args.json {
        ui::json(&left)?;
        ui::note(table(&proved));
    } else {
        ui::out(format!("{}{} rules are left.\n", table(&proved), left.rules.len()));
    }
    let is_clear = proved.iter().all(|proved| !matches!(proved.finding, Finding::Otherwise { .. }));
    Ok(if is_clear { ExitCode::SUCCESS } else { End::Failed.into() })
}

fn rules_in(path: &Path, lab: &Topology) -> anyhow::Result<AllowList> {
    let text = fs_err::read_to_string(path).map_err(|error| Invalid(error.to_string()))?;
    list::read(path, &text, lab).map_err(crate::report)
}

/// What trials are made with.
struct Proof<'a> {
    runner: &'a EgressRunner,
    run: Run,
    filter: &'a str,
}

impl Proof<'_> {
    fn perform(&self, case: &str, list: &AllowList, run: &Run) -> anyhow::Result<Shown> {
        let ruleset = Ruleset { list, filter: Some(self.filter), refusal: Refusal::Reject }.to_string();
        self.runner.perform(case, run, Some(AtFilter { machine: self.filter, ruleset: &ruleset }))
    }

    /// With all rules, every scenario passes.
    fn suffices(&self, list: &AllowList) -> anyhow::Result<bool> {
        for case in self.runner.cases() {
            let shown = self.perform(&case, list, &self.run)?;
            if !shown.has_passed() {
                let why = shown.result.reason.unwrap_or_default();
                ui::out(format!("The {} rules do not suffice: {case} fails: {why}\n", list.rules.len()));
                return Ok(false);
            }
        }
        ui::note(format_args!("the {} rules suffice: {}", list.rules.len(), self.runner.cases().join(", ")));
        Ok(true)
    }

    /// Leaves out one rule after the other; what was found, and what is left of the list.
    fn each(&self, mut list: AllowList, only: Option<&str>) -> anyhow::Result<(Vec<Proved>, AllowList)> {
        let is_tried = |rule: &&Rule| only.is_none_or(|only| rule.to_string().contains(only));
        let rules: Vec<_> = list.rules.iter().filter(is_tried).cloned().collect();
        let mut proved = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            ui::note(format_args!("rule {} of {}: what if {rule} is refused?", index + 1, rules.len()));
            let begun = Instant::now();
            let finding = self.one(&list, rule, index + 1)?;
            if finding == Finding::Dispensable {
                list = without(&list, |other| other == rule);
            }
            let found = Proved { rule: rule.clone(), finding, seconds: begun.elapsed().as_secs_f64() };
            ui::note(table(std::slice::from_ref(&found)));
            proved.push(found);
        }
        Ok((proved, list))
    }

    fn one(&self, list: &AllowList, rule: &Rule, number: usize) -> anyhow::Result<Finding> {
        let list = without(list, |other| other == rule);
        let run = results_of(&format!("prove-{number}"))?;
        let needs: Vec<_> = rule.why.iter().filter_map(|why| Need::read(why)).collect();
        for case in self.runner.cases() {
            // A rule that a person wrote does not say who needs it.
            let scenario = case.split_once("::").map_or(&*case, |(scenario, _)| scenario);
            if !needs.is_empty() && !needs.iter().any(|need| need.scenario() == scenario) {
                continue;
            }
            if let Some(finding) = judge(rule, &self.perform(&case, &list, &run)?) {
                return Ok(finding);
            }
        }
        Ok(Finding::Dispensable)
    }
}
