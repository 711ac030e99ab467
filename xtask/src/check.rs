//! `cargo xtask check`: whether the files of scenarios and labs are what they must be. Needs no guest, and no image.

use crate::exit::End;
use crate::ui;
use crate::workbench::project;
use anyhow::Context as _;
use harness::scenario::{LabFile, Scenario, ScenarioError};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to check.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Files of scenarios, and files of labs in directories called `labs`; all of the project, if none is named
    files: Vec<PathBuf>,
}

/// Checks the files; fails if one has a mistake.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let files = if args.files.is_empty() { all()? } else { args.files.clone() };
    let mut told = BTreeSet::new();
    let mut bad = 0;
    for file in &files {
        match look(file) {
            Ok(words) => ui::line(format_args!("ok    {}: {words}", file.display())),
            Err(error) => {
                bad += 1;
                ui::line(format_args!("BAD   {}", file.display()));
                let text = format!("{:?}", miette::Report::new(error));
                // A lab's mistakes are those of every scenario in it.
                if !told.contains(&text) {
                    ui::own(&text);
                    told.insert(text);
                }
            }
        }
    }
    ui::line(format_args!(
        "{}, {bad} with mistakes",
        if files.len() == 1 { "1 file".into() } else { format!("{} files", files.len()) }
    ));
    Ok(if bad == 0 { ExitCode::SUCCESS } else { End::Invalid.into() })
}

/// All files of the project, labs first.
fn all() -> anyhow::Result<Vec<PathBuf>> {
    let mut files = files_in(&project("scenarios/labs"))?;
    files.extend(files_in(&project("scenarios"))?);
    Ok(files.into_iter().map(seen_from_here).collect())
}

/// A path as a person would type it, where that is shorter.
fn seen_from_here(path: PathBuf) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    match (here, path.canonicalize()) {
        (Ok(here), Ok(whole)) => whole.strip_prefix(here).map(Path::to_owned).unwrap_or(path),
        _ => path,
    }
}

/// The scenario or lab files of a directory.
pub(crate) fn files_in(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    Scenario::files_in(directory).with_context(|| format!("failed to look into {}", directory.display()))
}

/// What there is to say of a good file.
fn look(file: &Path) -> Result<String, ScenarioError> {
    if file.parent().is_some_and(|directory| directory.ends_with("labs")) {
        let lab = LabFile::load(file)?;
        return Ok(format!("a lab of {}", count(lab.topology.machines.len(), "machine")));
    }
    let scenario = Scenario::load(file)?;
    let steps = scenario.cases.iter().map(|case| case.steps.len()).max().unwrap_or_default();
    Ok(format!("{}, {}", count(scenario.cases.len(), "case"), count(steps, "step")))
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("one {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use miette::{GraphicalReportHandler, GraphicalTheme};

    /// Relative, so that no place of this machine is in a snapshot.
    fn samples(kind: &str) -> Vec<PathBuf> {
        let files = files_in(&Path::new("../scenarios/samples").join(kind)).unwrap();
        assert!(!files.is_empty());
        files
    }

    #[test]
    fn good_samples_are_good() {
        let words: Vec<_> = samples("valid")
            .iter()
            .map(|file| format!("{}: {}", file.file_name().unwrap().display(), look(file).unwrap()))
            .collect();
        insta::assert_snapshot!(words.join("\n"));
    }

    #[test]
    fn bad_samples_are_told_with_their_places() {
        for file in samples("invalid") {
            let error = look(&file).expect_err(&format!("{} has no mistake", file.display()));
            let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(120);
            let mut text = String::new();
            handler.render_report(&mut text, &error).unwrap();
            let lines: Vec<_> = text.lines().map(str::trim_end).collect();
            insta::assert_snapshot!(file.file_stem().unwrap().to_string_lossy().into_owned(), lines.join("\n"));
        }
    }
}
