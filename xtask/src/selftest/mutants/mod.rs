//! `cargo xtask selftest mutants`: breakages of the labs, each of which a step of a case must notice.

pub(crate) mod definition;
pub(crate) mod page;
mod record;
mod rotation;
mod verdict;

use crate::exit::{End, Invalid};
use crate::lab_context::LabContext;
use crate::workbench::results;
use crate::{setup, ui};
use definition::{Mutants, Placed};
use harness::network::become_root_of_own_user_namespace;
use harness::results::Run;
use harness::scenario::{Engine, RunOptions};
use record::Record;
use rotation::Rotation;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use verdict::Verdict;

pub(super) const EXAMPLE: &str = "\
A mutant is a breakage of a lab in scenarios/mutants/: a command for one machine, and the step of a case that must fail for it. The
case runs with the mutant in force, up to that step. `caught` is what each must be; a case that passes, or fails at another step or
with another answer, has not noticed.

Examples:

    cargo xtask selftest mutants                      # all of the quick cases
    cargo xtask selftest mutants --full --resume      # all, without those that an earlier run has caught
    cargo xtask selftest mutants --only open-relay    # those whose name contains this
    cargo xtask selftest mutants --rotation 3/10      # the third of ten parts
    cargo xtask selftest mutants --rotation today/14  # the part whose turn it is today

Exit code: 0 if all were caught, 1 if not, 2 if a mutant names what is not there.";

/// Which mutants to try.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(crate) struct Args {
    /// Only mutants whose name contains this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Only one of several parts, as in `3/10` or `today/14`
    #[arg(long, value_name = "N/M")]
    rotation: Option<Rotation>,
    /// Also those of cases that only full runs carry out
    #[arg(long)]
    full: bool,
    /// Leave out what an earlier run has caught, if neither the mutant nor its scenario has changed
    #[arg(long)]
    resume: bool,
    /// Say which there are, and try none
    #[arg(long)]
    list: bool,
    /// Install missing programs without asking
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mutants = Mutants::load()?;
    let chosen = chosen(&mutants, args)?;
    if args.list {
        for placed in &chosen {
            let mutant = &placed.mutant;
            ui::out(format!("{:<40} {:<44} {}\n", mutant.name, mutant.case, mutant.breaks));
        }
        return Ok(ExitCode::SUCCESS);
    }
    setup::ensure_tools(args.yes)?;
    become_root_of_own_user_namespace()?;
    let trials = Trials { mutants: &mutants, directory: results().join("mutants"), resume: args.resume };
    let tally = trials.of_all(chosen)?;
    ui::out(format!("\n{} caught, {} not caught, {} not tried\n", tally.caught, tally.missed, tally.not_tried));
    Ok(if tally.missed == 0 && tally.caught > 0 { ExitCode::SUCCESS } else { End::Failed.into() })
}

/// The mutants that a command line asks for; those of one lab stand together.
fn chosen<'m>(mutants: &'m Mutants, args: &Args) -> anyhow::Result<Vec<&'m Placed>> {
    let mut chosen = Vec::new();
    for placed in &mutants.mutants {
        let is_named = args.only.as_ref().is_none_or(|only| placed.mutant.name.contains(only));
        // Who names one wants it tried.
        if is_named && (args.full || args.only.is_some() || !mutants.is_full(&placed.mutant)?) {
            let (_, case) = mutants.case(&placed.mutant)?;
            chosen.push((case.lab.topology.name.as_str(), placed));
        }
    }
    if let Some(rotation) = args.rotation {
        chosen = rotation.part(chosen);
    }
    chosen.sort_by_key(|(lab, _)| *lab);
    if chosen.is_empty() {
        let name = args.only.as_deref().unwrap_or_default();
        return Err(Invalid(format!("no mutant's name contains `{name}`: see `selftest mutants --list --full`")).into());
    }
    Ok(chosen.into_iter().map(|(_, placed)| placed).collect())
}

/// How many mutants ended how.
#[derive(Default)]
struct Tally {
    caught: usize,
    missed: usize,
    not_tried: usize,
}

/// Trials of mutants, one after the other.
struct Trials<'m> {
    mutants: &'m Mutants,
    directory: PathBuf,
    resume: bool,
}

impl Trials<'_> {
    fn of_all(&self, chosen: Vec<&Placed>) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        let mut record = Record::open(&self.directory)?;
        let mut stage: Option<(&str, LabContext)> = None;
        for placed in chosen {
            let (scenario, case) = self.mutants.case(&placed.mutant)?;
            let earlier = record.earlier(placed, scenario)?.filter(|judged| judged.verdict == Verdict::Caught);
            if let Some(judged) = earlier.filter(|_| self.resume) {
                tally.count(placed, &judged.verdict, judged.seconds);
                continue;
            }
            let topology = &case.lab.topology;
            if stage.as_ref().is_none_or(|(lab, _)| *lab != topology.name) {
                // What the stage before held is let go of first.
                drop(stage.take());
                stage = Some((&topology.name, LabContext::open(topology, |_| ())?));
            }
            let Some((_, stage)) = &stage else { continue };
            let begun = Instant::now();
            let verdict = self.of_one(placed, stage)?;
            let seconds = begun.elapsed().as_secs_f64();
            tally.count(placed, &verdict, seconds);
            record.add(placed, scenario, verdict, seconds)?;
        }
        Ok(tally)
    }

    /// The verdict on one mutant.
    fn of_one(&self, placed: &Placed, stage: &LabContext) -> anyhow::Result<Verdict> {
        let (scenario, case) = self.mutants.case(&placed.mutant)?;
        ui::note(format_args!("mutant {}: {}", placed.mutant.name, placed.mutant.breaks));
        let run = Run::create(&self.directory.join(&placed.mutant.name))?;
        let say = |text: &str| ui::note(text);
        let course = RunOptions { mutation: Some(placed.mutation()), ..RunOptions::default() };
        let engine = Engine { course, ..stage.engine(&run, &say) };
        let result = stage.wait(engine.case(scenario, case));
        stage.interrupted()?;
        Ok(Verdict::of(placed, &result))
    }
}

impl Tally {
    /// Counts a verdict, and prints it.
    fn count(&mut self, placed: &Placed, verdict: &Verdict, seconds: f64) {
        let mutant = &placed.mutant;
        ui::out(format!("{verdict:<12}  {:<40} {} ({seconds:.1} s)\n", mutant.name, mutant.case));
        if let Some(why) = verdict.why() {
            ui::out(format!("              {why}\n"));
        }
        match verdict {
            Verdict::Caught => self.caught += 1,
            Verdict::NotTried { .. } => self.not_tried += 1,
            _ => self.missed += 1,
        }
    }
}
