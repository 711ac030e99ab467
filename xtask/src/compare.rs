//! `cargo xtask compare`: how a lab behaves with one configuration, and how with another.

use crate::lab_context::{LabContext, case, scenario};
use crate::setup;
use crate::ui;
use crate::workbench::results;
use harness::etc::{Difference, FileDifference, OwnEtc, Seen, differences, file_differences};
use harness::network::become_root_of_own_user_namespace;
use harness::results::{Run, ScenarioResult, StepOutcome, StepResult};
use harness::scenario::{Engine, RunOptions};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLE: &str = "\
Both directories are like /etc: docs/own-etc.md says what is in them. The scenario is run with each, to its end, whatever fails.

Example, of a configuration and of one that is subtly broken:

    cargo xtask compare scenarios/samples/etc/good scenarios/samples/etc/subtly-broken

Exit code: 0 if both behave alike, 1 if not, 2 if a directory cannot be used.";

/// What to compare.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The first configuration
    #[arg(value_name = "DIRECTORY")]
    first: PathBuf,
    /// The second one
    #[arg(value_name = "DIRECTORY")]
    second: PathBuf,
    /// The scenario, or one of its cases as `SCENARIO::CASE`
    #[arg(long, default_value = "logins")]
    scenario: String,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Serialize)]
struct Comparison {
    first: PathBuf,
    second: PathBuf,
    scenario: String,
    /// How many steps were compared.
    steps: usize,
    files: Vec<FileDifference>,
    behaviour: Vec<Difference>,
}

/// Prints how the lab behaves otherwise.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let load = |directory: &Path| OwnEtc::load(directory).map_err(crate::report);
    let (first, second) = (load(&args.first)?, load(&args.second)?);
    let scenario = scenario(&args.scenario, None)?;
    let case = case(&args.scenario, &scenario)?;
    setup::ensure_tools(false)?;
    become_root_of_own_user_namespace()?;
    let stage = LabContext::open(&case.lab.topology, |_| ())?;
    let run_with = |etc: &OwnEtc| -> anyhow::Result<ScenarioResult> {
        let run = Run::create(&results().join("compare"))?;
        let course = RunOptions { etc: Some(etc), to_the_end: true, ..RunOptions::default() };
        let engine = Engine { course, ..stage.engine(&run, &|text| ui::note(text)) };
        let result = stage.wait(engine.case(&scenario, case));
        stage.interrupted()?;
        // A step of the scenario was carried out: what failed is an answer. Else the lab was never ready.
        anyhow::ensure!(result.steps.len() > 1, "{}", result.reason.unwrap_or_default());
        Ok(result)
    };
    let (one, other) = (run_with(&first)?, run_with(&second)?);
    let comparison = Comparison {
        files: file_differences(&first, &second),
        behaviour: differences(&own_steps(one.steps), &own_steps(other.steps)),
        first: args.first.clone(),
        second: args.second.clone(),
        scenario: format!("{}::{case}", scenario.name),
        steps: case.steps.len(),
    };
    if args.json {
        ui::json(&comparison)?;
    } else {
        ui::out(text(&comparison));
    }
    Ok(if comparison.behaviour.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The steps of the scenario: the first of all lays the configuration.
fn own_steps(mut steps: Vec<StepResult>) -> Vec<StepResult> {
    steps.remove(0);
    steps
}

fn text(comparison: &Comparison) -> String {
    let Comparison { first, second, scenario, steps, files, behaviour } = comparison;
    let (first, second) = (first.display(), second.display());
    let mut text = format!("{scenario} with {first} and with {second}\n\n");
    for file in files {
        let _ = writeln!(text, "{} differs:", file.path);
        text.extend(file.diff.lines().map(|line| format!("    {line}\n")));
    }
    if files.is_empty() {
        text.push_str("No file differs.\n");
    }
    if behaviour.is_empty() {
        let _ = writeln!(text, "\nAll {steps} steps went alike.");
        return text;
    }
    let _ = writeln!(text, "\n{} of {steps} steps went otherwise:", behaviour.len());
    for difference in behaviour {
        let _ = writeln!(text, "\n  {}", difference.step);
        let _ = writeln!(text, "    {first}: {}", words(&difference.first));
        let _ = writeln!(text, "    {second}: {}", words(&difference.second));
    }
    text
}

fn words(seen: &Seen) -> String {
    let outcome = match seen.outcome {
        Some(StepOutcome::Failed) => "not so",
        Some(_) => "so",
        None => "not reached",
    };
    let answered = seen.answered.lines().next().map(|line| format!(" ({line})")).unwrap_or_default();
    let why = seen.diagnosis.as_ref().map(|cause| format!("\n      because {cause}")).unwrap_or_default();
    format!("{outcome}{answered}{why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(outcome: StepOutcome, answered: &str, diagnosis: Option<&str>) -> Seen {
        Seen { outcome: Some(outcome), answered: answered.into(), diagnosis: diagnosis.map(str::to_owned) }
    }

    #[test]
    fn a_comparison_as_people_read_it() {
        let comparison = Comparison {
            first: "old".into(),
            second: "new".into(),
            scenario: "logins::main".into(),
            steps: 16,
            files: vec![FileDifference {
                path: "pam.d/smtp".into(),
                diff: "@@ -4 +4 @@\n-account required pam_sss.so\n+account required pam_unix.so\n".into(),
            }],
            behaviour: vec![Difference {
                step: "alice logs in by SMTP".into(),
                first: seen(StepOutcome::Passed, "accepted", None),
                second: seen(StepOutcome::Failed, "refused: 535", Some("the service's PAM file does not call pam_sss")),
            }],
        };
        insta::assert_snapshot!(text(&comparison), @r"
        logins::main with old and with new

        pam.d/smtp differs:
            @@ -4 +4 @@
            -account required pam_sss.so
            +account required pam_unix.so

        1 of 16 steps went otherwise:

          alice logs in by SMTP
            old: so (accepted)
            new: not so (refused: 535)
              because the service's PAM file does not call pam_sss
        ");
    }
}
