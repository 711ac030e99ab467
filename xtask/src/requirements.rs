//! `cargo xtask requirements`: which rows of the specification the scenarios drive.

use crate::check::files_in;
use crate::ui;
use crate::workbench::project;
use harness::scenario::Scenario;
use harness::scenario::format::requirements;
use serde::Serialize;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// How to say it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Rows, and who drives them.
#[derive(Debug, Serialize)]
struct Coverage {
    /// Scenarios by row.
    rows: BTreeMap<String, Vec<String>>,
    /// Rows that no scenario drives.
    uncovered: Vec<String>,
}

/// Prints the coverage.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let files = files_in(&project("scenarios"))?;
    let scenarios: Result<Vec<_>, _> = files.iter().map(|file| Scenario::load(file)).collect();
    let coverage = Coverage::of(&scenarios.map_err(crate::report)?);
    if args.json {
        ui::json(&coverage)?;
    } else {
        ui::out(coverage.table());
    }
    Ok(ExitCode::SUCCESS)
}

impl Coverage {
    fn of(scenarios: &[Scenario]) -> Self {
        let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for scenario in scenarios {
            for row in scenario.covers() {
                rows.entry(row).or_default().push(scenario.name.clone());
            }
        }
        let all = requirements::chapters().iter().flat_map(requirements::Chapter::rows).map(|(id, _)| id.to_owned());
        let uncovered = all.filter(|id| !rows.contains_key(id)).collect();
        Self { rows, uncovered }
    }

    fn table(&self) -> String {
        let mut lines = Vec::new();
        for chapter in requirements::chapters() {
            lines.push(format!("{}\n", chapter.title));
            for (id, sentence) in chapter.rows() {
                let scenarios = self.rows.get(id).map_or_else(|| "-".to_owned(), |names| names.join(", "));
                lines.push(format!("  {id:<4} {scenarios}\n       {sentence}"));
            }
            lines.push(String::new());
        }
        let (covered, all) = (self.rows.len(), self.rows.len() + self.uncovered.len());
        let not_yet = match self.uncovered.as_slice() {
            [] => String::new(),
            rows => format!("; not yet: {}", rows.join(", ")),
        };
        lines.push(format!("{covered} of {all} rows are covered{not_yet}\n"));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_first_scenario_are_covered_and_others_are_not() {
        let scenario = Scenario::load(&project("scenarios/pam-loss.toml")).unwrap();
        let coverage = Coverage::of(&[scenario]);
        assert_eq!(coverage.rows["U3"], ["pam-loss"]);
        assert!(coverage.uncovered.contains(&"C14".to_owned()));
        assert_eq!(coverage.rows.len() + coverage.uncovered.len(), 46);
        assert!(coverage.table().contains("\n  C14  -\n"));
        assert!(coverage.table().ends_with(", C14\n"));
        let all = Coverage { uncovered: Vec::new(), ..coverage };
        assert!(all.table().ends_with("rows are covered\n"));
    }
}
