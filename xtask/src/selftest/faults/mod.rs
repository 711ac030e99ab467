//! Everything that can befall a run, on purpose: who is killed and when, guests that misbehave, hosts that lack something. After
//! each there is the right verdict or a clear error, and nothing is left: no process, mount, directory or template.

mod guests;
mod host;
mod kills;
mod load;
mod memory;
mod outside;
mod secrets;

use super::runs::Stage;
use super::{Given, Outcome, Report, labs};

/// How often a lab is thawed and taken down.
const CYCLES: usize = 8;
/// The same, with `--all`.
const ALL_CYCLES: usize = 200;

/// Runs the rows; the slow ones if all are wanted.
pub(super) fn run(given: &Given, all: bool, report: &mut Report) {
    let stage = match Stage::new(given) {
        Ok(stage) => stage,
        Err(error) => return report.row("faults: a cache to run in", || Err(error)),
    };
    // These need that there is no template yet.
    kills::run(&stage, kills::Phase::Boot, report);
    if all {
        kills::run(&stage, kills::Phase::Freeze, report);
    }
    report.row("faults: a scenario passes, and its lab stays as a template", || passes(&stage));
    kills::run(&stage, kills::Phase::Thaw, report);
    kills::run(&stage, kills::Phase::Step, report);
    report.row("faults: QEMU closes its control channel in a step", || kills::uncontrolled(&stage));
    guests::run(&stage, all, report);
    host::run(&stage, report);
    memory::run(&stage, report);
    load::run(&stage, all, report);
    outside::run(&stage, report);
    secrets::run(&stage, report);
    report.row("faults: a scenario passes after all that", || passes(&stage));
    labs::cycles(given, report, if all { ALL_CYCLES } else { CYCLES });
}

/// Runs only the rounds on a busy host.
pub(super) fn run_load(given: &Given, all: bool, report: &mut Report) {
    match Stage::new(given) {
        Ok(stage) => load::run(&stage, all, report),
        Err(error) => report.row("faults: a cache to run in", || Err(error)),
    }
}

fn passes(stage: &Stage) -> anyhow::Result<Outcome> {
    stage.start("directory", &[super::runs::EASY], &[])?.end()?.succeeded()?;
    stage.wait_until_clear()?;
    anyhow::ensure!(stage.site.templates()? == 1, "there are {} templates", stage.site.templates()?);
    Ok(Outcome::Passed("nothing is left but the template".into()))
}

/// A scenario of these steps, whose commands may have any quotes but three single ones.
fn scenario(steps: &[(&str, &str)]) -> String {
    let step = |(name, command): &(&str, &str)| {
        format!("[[step]]\nname = \"{name}\"\non = \"directory\"\ndo.run = {{ command = '''{command}''' }}\n")
    };
    let steps: String = steps.iter().map(step).collect();
    format!("summary = \"for a bad day\"\nlab = \"alone\"\n{steps}")
}
