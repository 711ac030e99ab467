//! Kept checkpoints of a cell: which there are, what they stand for, and what is kept with them.

use super::step::{Action, Step};
use super::steps::Notes;
use super::traffic::looks_back_over;
use crate::evidence::StepResult;
use crate::lab::Paper;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// The file of a checkpoint that its [`Papers`] are in.
const FILE: &str = "papers.json";

/// Changes when what steps leave has another form.
const FORMAT: u32 = 2;

/// What a run knew when it kept a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Papers {
    format: u32,
    /// What the steps before have left.
    pub(super) notes: Notes,
    /// What became of the steps before, and of the step that kept it.
    pub(super) steps: Vec<StepResult>,
}

impl Papers {
    pub(super) fn new(notes: Notes, steps: Vec<StepResult>) -> Self {
        Self { format: FORMAT, notes, steps }
    }

    /// As a file of the checkpoint.
    pub(super) fn paper(&self) -> Result<Paper, serde_json::Error> {
        Ok(Paper { name: FILE, content: serde_json::to_vec(self)? })
    }

    /// Reads those of the checkpoint in `directory`; `steps` is how many there must be results of.
    pub(super) fn read(directory: &Path, steps: usize) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let path = directory.join(FILE);
        let content = std::fs::read(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let damaged = |error: serde_json::Error| format!("{} is damaged: {error}", path.display());
        let Format { format } = serde_json::from_slice(&content).map_err(damaged)?;
        if format != FORMAT {
            return Err(format!("{} was made by another version of Rehearsal (format {format})", path.display()));
        }
        let papers: Self = serde_json::from_slice(&content).map_err(damaged)?;
        if papers.steps.len() != steps {
            return Err(format!("{} has results of {} steps, not {steps}", path.display(), papers.steps.len()));
        }
        Ok(papers)
    }
}

/// A step that keeps a checkpoint, behind which a run can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StartingPoint {
    /// The step.
    pub(super) step: usize,
    /// Earlier steps whose checkpoints later steps go back to: they are kept, too, and must be there as well.
    pub(super) needs: Vec<usize>,
}

/// Where a run can start, the last one first. A run that starts behind a checkpoint has made none of the earlier ones, so
/// later steps may go back only to such as are kept.
pub(super) fn starts(steps: &[Step]) -> Vec<StartingPoint> {
    let made = |name: &str| {
        steps.iter().position(|step| matches!(&step.action, Action::Checkpoint(made) if made.name.get_ref() == name))
    };
    let gone_back_to = |later: &Step| match &later.action {
        Action::Rewind(rewind) => made(rewind.to.get_ref()),
        _ => None,
    };
    let start = |(index, step): (usize, &Step)| {
        let needs: BTreeSet<_> = steps[index..].iter().filter_map(gone_back_to).filter(|made| *made < index).collect();
        let all_kept = keeps(step) && !looks_back_over(steps, index) && needs.iter().all(|made| keeps(&steps[*made]));
        all_kept.then(|| StartingPoint { step: index, needs: needs.into_iter().collect() })
    };
    let mut starts: Vec<_> = steps.iter().enumerate().filter_map(start).collect();
    starts.reverse();
    starts
}

/// Whether the step keeps a checkpoint beyond its run.
pub(super) fn keeps(step: &Step) -> bool {
    matches!(&step.action, Action::Checkpoint(checkpoint) if checkpoint.keep)
}

/// What is done up to and including the step `index`, as data: equal ways lead to equal states. A control leaves out
/// faults, and turns symptoms round. Invariants are asked after each step.
pub(super) fn way(steps: &[Step], invariants: &[Step], index: usize, control: bool) -> Vec<String> {
    let carried_out = steps[..=index].iter().filter(|step| !(control && step.fault));
    invariants
        .iter()
        .chain(carried_out)
        .map(|step| {
            let turned = if control && step.symptom { "not " } else { "" };
            // Nor does it matter whether what a step shows is recorded.
            let words = format!("{step:?}").replace("record: false, ", "").replace("record: true, ", "");
            format!("{turned}{}", without_places(&words))
        })
        .collect()
}

/// Where a step stands in its file does not matter: it moves with every comment.
fn without_places(words: &str) -> String {
    const PLACE: &str = "span: ";
    let mut rest = words;
    let mut text = String::with_capacity(words.len());
    while let Some(place) = rest.find(PLACE) {
        text.push_str(&rest[..place]);
        let after = rest[place + PLACE.len()..].trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        rest = after.strip_prefix(", ").unwrap_or(after);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        step: Vec<Step>,
    }

    fn steps(text: &str) -> Vec<Step> {
        toml::from_str::<File>(text).unwrap().step
    }

    const SCENARIO: &str = r#"
[[step]]
name = "break"
on = "mail"
fault = true
do.remove = { paths = ["/etc/pam.d/imap"] }
[[step]]
name = "refused"
on = "mail"
symptom = true
do.imap = { user = "alice", expect = "refused" }
[[step]]
name = "kept"
do.checkpoint = { name = "broken", keep = true }
[[step]]
name = "after"
on = "mail"
do.units = { active = ["postfix"] }
"#;

    #[rstest::rstest]
    #[case::comment("[[step]]\nname = \"kept\"", "# words\n[[step]]\nname = \"kept\"", true)]
    #[case::later("active = [\"postfix\"]", "active = [\"sssd\"]", true)]
    #[case::recorded("symptom = true\n", "symptom = true\nrecord = true\n", true)]
    #[case::earlier("/etc/pam.d/imap", "/etc/pam.d/smtp", false)]
    #[case::machine("on = \"mail\"\nfault", "on = \"directory\"\nfault", false)]
    #[case::expectation("expect = \"refused\"", "expect = \"accepted\"", false)]
    fn a_way_is_what_is_done_before(#[case] text: &str, #[case] other: &str, #[case] same: bool) {
        let way_of = |text: &str| way(&steps(text), &[], 2, false);
        assert_eq!(way_of(SCENARIO) == way_of(&SCENARIO.replacen(text, other, 1)), same);
    }

    #[test]
    fn a_control_goes_another_way() {
        let (fault, control) = (way(&steps(SCENARIO), &[], 2, false), way(&steps(SCENARIO), &[], 2, true));
        assert_eq!((fault.len(), control.len()), (3, 2));
        assert!(control[0].starts_with("not "));
        assert_eq!(fault[2], control[1]);
    }

    #[rstest::rstest]
    #[case::one("", &[(2, vec![])])]
    #[case::back_to_itself("[[step]]\nname = \"b\"\ndo.rewind = { to = \"broken\" }\n", &[(2, vec![])])]
    #[case::two("[[step]]\nname = \"c\"\ndo.checkpoint = { name = \"late\", keep = true }\n", &[(4, vec![]), (2, vec![])])]
    #[case::back_to_another_that_is_not_kept(
        "[[step]]\nname = \"l\"\ndo.checkpoint = { name = \"loose\" }\n[[step]]\nname = \"c\"\ndo.checkpoint = { name = \"late\", keep = true }\n[[step]]\nname = \"b\"\ndo.rewind = { to = \"loose\" }\n",
        &[(2, vec![])]
    )]
    #[case::back_to_another_that_is_kept(
        "[[step]]\nname = \"c\"\ndo.checkpoint = { name = \"late\", keep = true }\n[[step]]\nname = \"b\"\ndo.rewind = { to = \"broken\" }\n",
        &[(4, vec![2]), (2, vec![])]
    )]
    fn a_run_starts_behind_what_it_need_not_go_back_over(#[case] more: &str, #[case] expected: &[(usize, Vec<usize>)]) {
        let starts = starts(&steps(&format!("{SCENARIO}{more}")));
        let found: Vec<_> = starts.iter().map(|start| (start.step, start.needs.clone())).collect();
        assert_eq!(found, expected);
    }

    #[rstest::rstest]
    #[case::none("", "cannot be read")]
    #[case::half("{\"format\": 2, \"notes\"", "is damaged")]
    #[case::another_format("{\"format\": 99}", "by another version of Rehearsal (format 99)")]
    #[case::of_other_steps(
        "{\"format\":2,\"notes\":{\"kept\":{},\"marks\":{},\"inboxes\":{},\"handed\":{},\"forecasts\":{},\"spools\":{},\"disturbed\":[],\"inventories\":[],\"transactions\":{}},\"steps\":[]}",
        "has results of 0 steps, not 3"
    )]
    fn bad_papers_are_named(#[case] text: &str, #[case] words: &str) {
        let directory = tempfile::tempdir().unwrap();
        if !text.is_empty() {
            std::fs::write(directory.path().join(FILE), text).unwrap();
        }
        let flaw = Papers::read(directory.path(), 3).unwrap_err();
        assert!(flaw.contains(words), "{flaw}");
    }
}
