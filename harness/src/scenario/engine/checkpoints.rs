//! Persistent checkpoints of a case: which there are, what they stand for, and what is kept with them.

use super::preparation::SetupCommand;
use crate::lab::Metadata;
use crate::results::StepResult;
use crate::scenario::format::scenario::Kind;
use crate::scenario::format::step::{Action, Step, StepKey};
use crate::scenario::verbs::TestState;
use crate::scenario::verbs::traffic::keys::looks_back_over;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// The file of a checkpoint that its [`CheckpointMetadata`] are in.
const FILE: &str = "checkpoint.json";

/// What a run knew when it kept a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointMetadata {
    /// What the steps before have left.
    pub(crate) notes: TestState,
    /// What became of the steps before, and of the step that kept it.
    pub(crate) steps: Vec<StepResult>,
}

impl CheckpointMetadata {
    pub(crate) fn new(notes: TestState, steps: Vec<StepResult>) -> Self {
        Self { notes, steps }
    }

    /// As a file of the checkpoint.
    pub(crate) fn paper(&self) -> Result<Metadata, serde_json::Error> {
        Ok(Metadata { name: FILE, content: serde_json::to_vec(self)? })
    }

    /// Reads those of the checkpoint in `directory`; `steps` is how many there must be results of.
    pub(crate) fn read(directory: &Path, steps: usize) -> Result<Self, String> {
        let path = directory.join(FILE);
        let content = std::fs::read(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let metadata: Self =
            serde_json::from_slice(&content).map_err(|error| format!("{} is damaged: {error}", path.display()))?;
        if metadata.steps.len() != steps {
            return Err(format!("{} has results of {} steps, not {steps}", path.display(), metadata.steps.len()));
        }
        Ok(metadata)
    }
}

/// A step that keeps a checkpoint, behind which a run can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartingPoint {
    /// The step.
    pub(crate) step: usize,
    /// Earlier steps whose checkpoints later steps go back to: they are kept, too, and must be there as well.
    pub(crate) needs: Vec<usize>,
}

/// Where a run can start, the last one first. A run that starts behind a checkpoint has made none of the earlier ones, so
/// later steps may go back only to such as are kept.
pub(crate) fn starts(steps: &[Step]) -> Vec<StartingPoint> {
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
pub(crate) fn keeps(step: &Step) -> bool {
    matches!(&step.action, Action::Checkpoint(checkpoint) if checkpoint.keep)
}

/// All that is done in a lab up to a checkpoint, as data: equal histories lead to equal states.
#[derive(Debug, Serialize)]
pub(crate) struct History<'a> {
    before: Before<'a>,
    /// They are asked after each step.
    invariants: Vec<StepKey<'a>>,
    steps: Vec<Performed<'a>>,
}

/// What is done before the first step.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Before<'a> {
    /// The digest of the configuration that is laid over the lab's own.
    pub(crate) etc: Option<&'a str>,
    /// A command.
    pub(crate) command: Option<SetupCommand<'a>>,
}

/// A step that is carried out.
#[derive(Debug, Serialize)]
struct Performed<'a> {
    /// A control turns symptoms round.
    inverted: bool,
    step: StepKey<'a>,
}

impl<'a> History<'a> {
    /// What is done in `steps`. A control leaves out faults.
    pub(crate) fn of(before: Before<'a>, invariants: &'a [Step], steps: &'a [Step], kind: Kind) -> Self {
        let control = kind == Kind::Control;
        let performed = steps.iter().filter(|step| !(control && step.fault));
        Self {
            before,
            invariants: invariants.iter().map(Step::cache_key).collect(),
            steps: performed
                .map(|step| Performed { inverted: control && step.symptom, step: step.cache_key() })
                .collect(),
        }
    }
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
do.delete = { paths = ["/etc/pam.d/imap"] }
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
    #[case::what_looks_like_a_place("/etc/pam.d/imap", "span: 1", false)]
    fn a_history_is_what_is_done_before(#[case] text: &str, #[case] other: &str, #[case] same: bool) {
        let changed = SCENARIO.replacen(text, other, 1);
        assert_ne!(changed, SCENARIO);
        let [one, other] = [SCENARIO, &changed].map(|text| history(text, Before::default(), Kind::Fault));
        assert_eq!(one == other, same);
    }

    #[test]
    fn commands_that_differ_in_a_number_have_different_histories() {
        let command = |words: &str| {
            let text = format!("[[step]]\nname = \"n\"\non = \"mail\"\ndo.run = {{ command = \"{words}\" }}\n");
            history(
                &format!("{text}[[step]]\nname = \"c\"\ndo.checkpoint = {{ name = \"c\", keep = true }}\n{text}"),
                Before::default(),
                Kind::Main,
            )
        };
        assert_ne!(command("echo 'span: 1'"), command("echo 'span: 2'"));
    }

    #[test]
    fn what_is_done_before_the_first_step_counts() {
        let of = |before| history(SCENARIO, before, Kind::Fault);
        let etc = |digest| Before { etc: Some(digest), command: None };
        let errand = SetupCommand { name: "the rules are loaded", on: "edge", command: "nft -f /rules" };
        let known = [
            of(Before::default()),
            of(etc("a")),
            of(etc("b")),
            of(Before { etc: None, command: Some(errand) }),
            of(Before { etc: None, command: Some(SetupCommand { command: "true", ..errand }) }),
        ];
        assert_eq!(known.iter().collect::<BTreeSet<_>>().len(), known.len());
    }

    #[test]
    fn a_control_has_another_history() {
        let of = |kind| serde_json::from_str::<serde_json::Value>(&history(SCENARIO, Before::default(), kind)).unwrap();
        let (fault, control) = (of(Kind::Fault), of(Kind::Control));
        let counts = [&fault, &control].map(|history| history["steps"].as_array().unwrap().len());
        assert_eq!(counts, [3, 2]);
        assert_eq!(control["steps"][0]["inverted"], true);
        assert_eq!(fault["steps"][2], control["steps"][1]);
    }

    /// Up to and including the third step.
    fn history(text: &str, before: Before<'_>, kind: Kind) -> String {
        serde_json::to_string(&History::of(before, &[], &steps(text)[..3], kind)).unwrap()
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
    #[case::half("{\"notes\"", "is damaged")]
    #[case::other_fields("{\"notes\": {}}", "is damaged")]
    #[case::of_other_steps(
        "{\"notes\":{\"kept\":{},\"marks\":{},\"inboxes\":{},\"handed\":{},\"predictions\":{},\"spools\":{},\"disturbed\":[],\"inventories\":[],\"transactions\":{}},\"steps\":[]}",
        "has results of 0 steps, not 3"
    )]
    fn bad_metadata_are_named(#[case] text: &str, #[case] words: &str) {
        let directory = tempfile::tempdir().unwrap();
        if !text.is_empty() {
            std::fs::write(directory.path().join(FILE), text).unwrap();
        }
        let diagnostic = CheckpointMetadata::read(directory.path(), 3).unwrap_err();
        assert!(diagnostic.contains(words), "{diagnostic}");
    }
}
