//! A case that is carried out as far as a person wants it, and then is theirs: its lab goes on, and they may go on with the
//! steps, or go back to a state that was kept.

use super::case_run::{CaseRun, Engine, LabCheckpoint};
use super::outcome::{chain, unjudged};
use super::resume::Start;
use crate::diagnostic::nearest;
use crate::lab::{Lab, LabHandle, Permit};
use crate::results::{CaseRecord, RunEvent, ScenarioResult, StepOutcome, Verdict};
use crate::scenario::format::scenario::{Case, Scenario};
use crate::scenario::format::step::{Action, Step};
use tokio::sync::watch;

/// The name of the state that a case begins with: one can always go back there.
pub const BEGINNING: &str = "start";

/// A case under way.
#[derive(Debug)]
pub struct InteractiveCase<'a> {
    engine: &'a Engine<'a>,
    play: CaseRun<'a>,
    _share: Permit,
    lab: Option<Lab>,
    start: Start,
    beginning: (usize, LabCheckpoint),
    record: CaseRecord,
    /// What was judged so far: nothing before a step was carried out.
    judged: Option<(Verdict, Option<String>)>,
}

/// Which step comes first when a case goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onward {
    /// The next one; one that has failed is done again.
    Next,
    /// The one after that.
    Skip,
}

/// A step that was named and is not there, or is not the only one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoSuchStep(String);

/// Why nobody can go back there.
#[derive(Debug, thiserror::Error)]
pub enum RewindError {
    /// No step has kept such a state.
    #[error("no step so far has kept a state `{name}`; {hint}")]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        hint: String,
    },
    /// The lab could not be replaced.
    #[error("{0}")]
    Lab(String),
}

impl Case {
    /// How many steps are carried out up to and with the step that is meant: by its number, or by a part of its name that no
    /// other has. `0` is before the first one.
    pub fn steps_until(&self, meant: &str) -> Result<usize, NoSuchStep> {
        let count = self.steps.len();
        if let Ok(number) = meant.parse::<usize>() {
            let error = || NoSuchStep(format!("there is no step {number}: the case has {count}"));
            return if number <= count { Ok(number) } else { Err(error()) };
        }
        let wanted = meant.to_lowercase();
        let named = |step: &Step| step.name.get_ref().to_lowercase();
        let numbered = || self.steps.iter().enumerate().map(|(index, step)| (index + 1, named(step)));
        if let Some((number, _)) = numbered().find(|(_, name)| *name == wanted) {
            return Ok(number);
        }
        let found: Vec<_> = numbered().filter(|(_, name)| name.contains(&wanted)).collect();
        match found.as_slice() {
            [(number, _)] => Ok(*number),
            [] => Err(NoSuchStep(format!(
                "no step's name has `{meant}` in it; `cargo xtask repro` takes a number from 0 to {count}, too"
            ))),
            several => {
                let list: Vec<_> = several.iter().map(|(number, name)| format!("{number} \"{name}\"")).collect();
                Err(NoSuchStep(format!("several steps have `{meant}` in their names: {}", list.join(", "))))
            }
        }
    }
}

impl<'a> InteractiveCase<'a> {
    /// Makes the lab that the case begins in; `ends` is how many steps will be carried out at first. Each lab that takes the
    /// place of another is shown to `onlooker`.
    pub async fn begin(
        engine: &'a Engine<'a>,
        scenario: &'a Scenario,
        case: &'a Case,
        ends: usize,
        onlooker: &'a watch::Sender<Option<LabHandle>>,
    ) -> Result<Self, String> {
        let mut record = unjudged(scenario, case);
        let logs = engine.run.case(&scenario.name, &record.case).map_err(|error| error.to_string())?;
        let play = CaseRun { scenario, case, logs, ends, onlooker: Some(onlooker) };
        engine.introduce(&play);
        let share = engine.share(&play).await?;
        let (lab, start) = engine.begin(&play, &mut record).await?;
        let state = LabCheckpoint { template: start.template.clone(), notes: start.notes.clone() };
        let beginning = (start.next, state);
        Ok(Self { engine, play, _share: share, lab: Some(lab), start, beginning, record, judged: None })
    }

    /// Carries steps out until so many are done, or one fails.
    pub async fn go_on(&mut self, ends: usize, onward: Onward) -> Result<(), String> {
        self.play.ends = ends;
        if onward == Onward::Skip {
            self.start.next = (self.start.next + 1).min(self.play.case.steps.len());
        }
        let (engine, play) = (self.engine, &self.play);
        let mut done = engine.stretches(play, &mut self.lab, &mut self.start, &mut self.record).await;
        let last = self.record.steps.last().filter(|step| step.outcome == StepOutcome::Skipped);
        if let Some(skipped) = last {
            done = done.and(Err(skipped.answered.clone()));
        }
        // Other runs need not wait for a person.
        self.start.claims.clear();
        self.judged = match &done {
            Ok(()) if ends == 0 => None,
            Ok(()) => Some((Verdict::Passed, None)),
            Err(reason) => Some((Verdict::Failed, Some(reason.clone()))),
        };
        done
    }

    /// Goes back to a state that a step has kept, or to the beginning.
    pub async fn rewind(&mut self, to: &str) -> Result<(), RewindError> {
        let (next, LabCheckpoint { template, notes }) = self.kept(to).ok_or_else(|| self.unknown(to))?;
        let lab_error = |error: crate::lab::LabError| RewindError::Lab(chain(&error));
        self.play.show(None);
        if let Some(lab) = self.lab.take() {
            lab.tear_down().await.map_err(lab_error)?;
        }
        let lab = self.engine.thaw(&self.play, &template, next, &notes).await.map_err(lab_error)?;
        self.play.show(Some(&lab));
        self.lab = Some(lab);
        (self.start.next, self.start.notes) = (next, notes);
        let (name, case) = (&self.play.scenario.name, self.play.case.to_string());
        self.engine.run.tell(name, &case, &RunEvent::Rewound(to.to_owned()));
        Ok(())
    }

    fn kept(&self, name: &str) -> Option<(usize, LabCheckpoint)> {
        let made = |step: &Step| matches!(&step.action, Action::Checkpoint(made) if made.name.get_ref() == name);
        match (self.play.case.steps.iter().position(made), self.start.kept.get(name)) {
            (Some(index), Some(kept)) => Some((index + 1, kept.clone())),
            _ if name == BEGINNING => Some(self.beginning.clone()),
            _ => None,
        }
    }

    fn unknown(&self, name: &str) -> RewindError {
        let known = self.checkpoints();
        let names: Vec<_> = known.iter().map(String::as_str).collect();
        let meant = nearest(name, &names).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        RewindError::Unknown { name: name.to_owned(), hint: format!("{meant}there are: {}", names.join(", ")) }
    }

    /// The states that one can go back to.
    #[must_use]
    pub fn checkpoints(&self) -> Vec<String> {
        let own = self.start.kept.keys().filter(|name| *name != BEGINNING);
        [BEGINNING.to_owned()].into_iter().chain(own.cloned()).collect()
    }

    /// How many steps come before the one that is carried out next.
    #[must_use]
    pub fn done(&self) -> usize {
        self.start.next
    }

    /// Completes when something befalls a machine; never, if nothing does or there is no lab.
    pub async fn trouble(&self) -> String {
        match &self.lab {
            Some(lab) => {
                let (machine, trouble) = lab.trouble().await;
                format!("machine {machine}: {trouble}")
            }
            None => std::future::pending().await,
        }
    }

    /// Keeps the journals, and takes the lab down.
    pub async fn end(mut self) -> Result<ScenarioResult, String> {
        self.engine.note_flows(&self.play, self.lab.as_ref(), &mut self.start.notes).await;
        let ended = self.engine.end(&self.play, self.lab.take()).await;
        let (verdict, reason) = self.judged.unwrap_or((Verdict::Skipped, Some("no step was carried out".into())));
        let result = self.record.judged(verdict, reason);
        let written = self.engine.run.add(result.clone());
        ended?;
        written.map_err(|error| format!("failed to write the result: {error}"))?;
        Ok(result)
    }
}

impl std::fmt::Debug for CaseRun<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CaseRun({}::{})", self.scenario.name, self.case)
    }
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Start({})", self.next)
    }
}

impl std::fmt::Debug for LabCheckpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LabCheckpoint")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[rstest::rstest]
    #[case::none("0", Ok(0))]
    #[case::number("12", Ok(12))]
    #[case::part("BOTH FILES", Ok(15))]
    #[case::exact("alice is refused by IMAP", Ok(18))]
    #[case::too_far("99", Err("there is no step 99: the case has"))]
    #[case::several("alice is refused", Err("several steps have `alice is refused` in their names: 18 "))]
    #[case::nobody("moon", Err("no step's name has `moon` in it"))]
    fn a_step_is_meant_by_number_or_name(#[case] meant: &str, #[case] expected: Result<usize, &str>) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/pam-loss.toml");
        let scenario = Scenario::load(&path).unwrap();
        match (scenario.cases[0].steps_until(meant), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (found, _) => panic!("{found:?}"),
        }
    }
}
