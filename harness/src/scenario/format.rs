//! The file format, as types. Unknown keys and unknown machines are errors with their place in the file.

use super::lab_file::LabFile;
use super::step::{Action, Step};
use crate::lab::Topology;
use crate::mistake::{Flaw, Mistake};
use miette::Diagnostic;
use serde::Deserialize;
use std::fmt;
use std::path::Path;
use toml::Spanned;

/// A scenario and the lab that it runs in.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name: the file's.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// The lab.
    pub topology: Topology,
    /// What must hold in the lab before it starts.
    pub ready: Vec<Step>,
    /// What is done and expected, in order.
    pub steps: Vec<Step>,
}

/// One way to run a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// All steps: the only cell of a file without faults.
    Main,
    /// All steps of a file with faults.
    Fault,
    /// Without the faults: no symptom may hold.
    Control,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "main",
            Self::Fault => "fault",
            Self::Control => "control",
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    summary: String,
    lab: Spanned<String>,
    #[serde(rename = "step")]
    steps: Vec<Step>,
}

/// Why there is no scenario.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ScenarioError {
    /// It cannot be read.
    #[error("failed to read the scenario: {0}")]
    Read(#[from] std::io::Error),
    /// It, or its lab, is not what it must be.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Content(#[from] Mistake),
}

impl Scenario {
    /// Reads and checks a scenario file; its lab is `labs/<name>.toml` beside it.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = fs_err::read_to_string(path)?;
        let here = |flaw: Flaw| flaw.in_file(path, &text);
        let file: File = toml::from_str(&text).map_err(Flaw::from).map_err(here)?;
        let lab = path.with_file_name("labs").join(format!("{}.toml", file.lab.get_ref()));
        if !lab.is_file() {
            let flaw = Flaw::new(format!("there is no lab `{}`", file.lab.get_ref()), file.lab.span());
            return Err(here(flaw.with_help(format!("it would be {}", lab.display()))).into());
        }
        let LabFile { topology, ready } = LabFile::load(&lab)?;
        for step in &file.steps {
            step.check(&topology).map_err(here)?;
        }
        check_checkpoints(&file.steps).map_err(here)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, summary: file.summary, topology, ready, steps: file.steps })
    }

    /// The ways to run it.
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        if self.steps.iter().any(|step| step.fault) { vec![Cell::Fault, Cell::Control] } else { vec![Cell::Main] }
    }

    /// Whether its labs must be such that they can be frozen on the way.
    pub(super) fn has_checkpoints(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Checkpoint(_)))
    }

    /// Rows of the specification that its steps drive, in order, once each.
    #[must_use]
    pub fn covers(&self) -> Vec<String> {
        let mut rows: Vec<_> = self.steps.iter().flat_map(|step| step.covers.clone()).collect();
        rows.sort();
        rows.dedup();
        rows
    }
}

/// Names of checkpoints are new, and a rewind goes to one that an earlier step made.
fn check_checkpoints(steps: &[Step]) -> Result<(), Flaw> {
    let mut made = Vec::new();
    for step in steps {
        match &step.action {
            Action::Checkpoint(checkpoint) if made.contains(checkpoint.name.get_ref()) => {
                return Err(Flaw::new("an earlier checkpoint has this name", checkpoint.name.span()));
            }
            Action::Checkpoint(checkpoint) => made.push(checkpoint.name.get_ref().clone()),
            Action::Rewind(rewind) if !made.contains(rewind.to.get_ref()) => {
                let flaw = Flaw::new(
                    format!("no earlier step makes a checkpoint `{}`", rewind.to.get_ref()),
                    rewind.to.span(),
                );
                return Err(flaw.with_help(format!("there are: {}", made.join(", "))));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mistake::plain_text;

    fn message(step: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let labs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/labs/mail-lan.toml");
        std::fs::create_dir(directory.path().join("labs")).unwrap();
        std::fs::copy(labs, directory.path().join("labs/mail-lan.toml")).unwrap();
        let path = directory.path().join("x.toml");
        std::fs::write(&path, format!("summary = \"x\"\nlab = \"mail-lan\"\n[[step]]\n{step}\n")).unwrap();
        plain_text(&Scenario::load(&path).unwrap_err())
    }

    #[rstest::rstest]
    #[case::machine("name = \"a\"\non = \"mial\"\ndo.units = { active = [] }", "no machine `mial`", "line 5")]
    #[case::account(
        "name = \"a\"\non = \"mail\"\ndo.imap = { user = \"eve\", expect = \"accepted\" }",
        "no account `eve`",
        "line 6"
    )]
    #[case::key(
        "name = \"a\"\non = \"mail\"\ndo.imap = { user = \"alice\", expects = \"accepted\" }",
        "unknown field `expects`",
        "line 6"
    )]
    #[case::no_machine("name = \"a\"\ndo.units = { active = [] }", "needs `on`", "line 4")]
    #[case::machine_for_the_lab(
        "name = \"a\"\non = \"mail\"\ndo.checkpoint = { name = \"x\" }",
        "concerns the whole lab",
        "line 5"
    )]
    #[case::no_checkpoint(
        "name = \"a\"\ndo.rewind = { to = \"x\" }",
        "no earlier step makes a checkpoint `x`",
        "line 5"
    )]
    #[case::verb("name = \"a\"\non = \"mail\"\ndo.imaap = { user = \"alice\" }", "unknown variant `imaap`", "line 6")]
    #[case::answer(
        "name = \"a\"\non = \"mail\"\ndo.imap = { user = \"alice\", expect = \"yes\" }",
        "unknown variant `yes`",
        "line 6"
    )]
    fn mistakes_have_a_place(#[case] step: &str, #[case] words: &str, #[case] place: &str) {
        let message = message(step);
        assert!(message.contains(words) && message.contains(place), "{message}");
    }

    #[test]
    fn the_projects_own_scenarios_are_good() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let scenario = Scenario::load(&directory.join("pam-loss.toml")).unwrap();
        assert_eq!(scenario.cells(), [Cell::Fault, Cell::Control]);
        assert!(scenario.covers().iter().any(|row| row == "U3"));
    }
}
