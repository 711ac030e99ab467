//! Runs one case of a scenario: lab, steps, evidence, verdict.

use super::interrupt::Interrupt;
use super::login_failure::refused_login;
use super::mutation::Mutation;
use super::outcome::{
    asked_of_lab, befell, beginning, chain, failure, is_left_out, judge, part_of, result_of, unjudged, verdict,
};
use super::preparation::Preparation;
use super::resume::Start;
use super::starvation::{befallen, lost};
use crate::etc::OwnEtc;
use crate::host::core_meter;
use crate::lab::{
    Budget, BudgetError, Lab, LabError, LabHandle, Permit, Progress, Setup, Template, TemplateStore, Wait,
};
use crate::record::Snapshots;
use crate::results::{CaseRecord, Part, Run, RunEvent, ScenarioResult, StepOutcome, StepResult, Verdict};
use crate::sanitize::shortened;
use crate::scenario::format::scenario::{Case, Scenario};
use crate::scenario::format::step::{Action, Concern, Power, Step};
use crate::scenario::verbs::{Artifact, StepContext, TestState};
use crate::time::noting;
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What is kept of what a step shows, in bytes: reports hold it several times, and a guest is not trusted.
const LONGEST_TRANSCRIPT: usize = 1 << 20;
/// What is kept of an answer that is told in a sentence.
const LONGEST_ANSWER: usize = 16 << 10;

/// Runs cases of scenarios.
pub struct Engine<'a> {
    /// What labs are made with.
    pub setup: &'a Setup,
    /// Where templates of labs come from.
    pub stock: &'a TemplateStore,
    /// What this host has for labs.
    pub budget: &'a Budget,
    /// Where evidence goes.
    pub run: &'a Run,
    /// The wish to end.
    pub interrupt: &'a Interrupt,
    /// Run all steps, also those behind which an earlier run has kept a checkpoint.
    pub fresh: bool,
    /// What is otherwise than usual in this run.
    pub course: RunOptions<'a>,
    /// Takes lines of live progress.
    pub say: &'a (dyn Fn(&str) + Send + Sync),
}

/// What is otherwise than usual in a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions<'a> {
    /// Somebody's own configuration, which is laid over the mail machine of every lab.
    pub etc: Option<&'a OwnEtc>,
    /// After a step that failed the others are carried out all the same, and invariants are not looked at.
    pub to_the_end: bool,
    /// What steps with `record` show is compared with these.
    pub snapshots: Option<&'a Snapshots>,
    /// What is done before the first step.
    pub preparation: Option<Preparation<'a>>,
    /// No step waits longer until something is so, whatever it says: nominal. For trials of which many are to fail.
    pub longest_wait: Option<Duration>,
    /// A case that fails while a guest is starved of processor time runs once more.
    pub runs_starved_again: bool,
    /// The lab is broken before one of the steps, and the run ends with the step that is to notice.
    pub mutation: Option<Mutation<'a>>,
}

impl std::fmt::Debug for Engine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// One case as it is carried out.
pub(crate) struct CaseRun<'s> {
    pub(crate) scenario: &'s Scenario,
    pub(crate) case: &'s Case,
    /// Where its logs and transcripts go.
    pub(crate) logs: PathBuf,
    /// How many of its steps are carried out.
    pub(crate) ends: usize,
    /// Who wants to see each lab that takes the place of another.
    pub(crate) onlooker: Option<&'s watch::Sender<Option<LabHandle>>>,
}

impl CaseRun<'_> {
    /// Shows the onlooker the lab, or that there is none.
    pub(crate) fn show(&self, lab: Option<&Lab>) {
        if let Some(onlooker) = self.onlooker {
            onlooker.send_replace(lab.map(Lab::window));
        }
    }
}

/// A state of the lab that a step kept.
#[derive(Clone)]
pub(crate) struct LabCheckpoint {
    pub(crate) template: Arc<Template>,
    pub(crate) notes: TestState,
}

/// Why a stretch of steps ended.
enum Stop<'s> {
    /// There is no more, or the next one cannot be tried here, and so neither can the case.
    End,
    /// A step keeps the state of the lab, or goes back to one that was kept.
    Lab(usize, &'s Step),
}

impl Engine<'_> {
    /// Runs one case to its verdict, which is also in the evidence.
    pub async fn case(&self, scenario: &Scenario, case: &Case) -> ScenarioResult {
        self.run.tell(&scenario.name, &case.to_string(), &RunEvent::Begins);
        let result = self.judged(scenario, case).await;
        if let Err(error) = self.run.add(result.clone()) {
            (self.say)(&format!("  note  the result could not be written: {error}"));
        }
        self.run.tell(&scenario.name, &result.case, &RunEvent::Verdict(result.outcome));
        result
    }

    /// Runs one case once.
    pub(crate) async fn attempt(&self, scenario: &Scenario, case: &Case) -> ScenarioResult {
        let started = Instant::now();
        let mut record = unjudged(scenario, case);
        let judged = match self.run.case(&scenario.name, &record.case) {
            Ok(logs) => {
                let play = CaseRun { scenario, case, logs, ends: self.course.ends(case.steps.len()), onlooker: None };
                let carrying_out = noting(Box::pin(self.carry_out(&play, &mut record)));
                let metered = core_meter::metered(async { (carrying_out.await, core_meter::lap()) });
                let ((judged, close_calls), rest) = metered.await;
                record.close_calls = close_calls;
                record.cores.extend(rest);
                judged
            }
            Err(error) => Err(error.to_string()),
        };
        let (verdict, reason) = judged.unwrap_or_else(|reason| (Verdict::Failed, Some(reason)));
        if let (Verdict::Failed, Some(reason)) = (verdict, &reason) {
            (self.say)(&format!("  FAIL  {reason}"));
        }
        record.seconds = started.elapsed().as_secs_f64();
        record.judged(verdict, reason)
    }

    /// Carries a case out, and judges it. An error is what broke it.
    pub(crate) async fn carry_out(
        &self,
        play: &CaseRun<'_>,
        record: &mut CaseRecord,
    ) -> Result<(Verdict, Option<String>), String> {
        self.introduce(play);
        let _turn = self.turn(play).await?;
        let _share = self.share(play).await?;
        let (lab, mut start) = self.begin(play, record).await?;
        let mut lab = Some(lab);
        let ended = self.stretches(play, &mut lab, &mut start, record).await;
        self.note_flows(play, lab.as_ref(), &mut start.notes).await;
        self.end(play, lab).await?;
        ended?;
        let (verdict, reason) = verdict(&record.steps, play.ends);
        if verdict != Verdict::Skipped {
            start.notes.captured.ended_early(None)?;
        }
        Ok((verdict, reason))
    }

    pub(crate) fn introduce(&self, play: &CaseRun<'_>) {
        (self.say)(&format!("{}::{}: {}", play.scenario.name, play.case, play.scenario.summary));
    }

    /// The case's turn, once there are no more before it than this host runs at once. A lab that somebody holds takes nobody's.
    async fn turn(&self, play: &CaseRun<'_>) -> Result<Permit, String> {
        let waiting = |wait: &_| self.waits(play, wait);
        self.unless_interrupted::<_, BudgetError>(self.budget.case(&waiting)).await
    }

    /// The memory that the case's lab needs, once there is so much.
    pub(crate) async fn share(&self, play: &CaseRun<'_>) -> Result<Permit, String> {
        let waiting = |wait: &_| self.waits(play, wait);
        let memory = self.budget.memory(play.case.lab.topology.memory_mib(), &waiting);
        self.unless_interrupted::<_, BudgetError>(memory).await
    }

    /// Cores for a guest that boots or is upgraded in this step: no more do so at once than there are cores. The wait takes
    /// nothing from the time of the step.
    async fn cores(&self, play: &CaseRun<'_>, step: &Step) -> Result<Option<Permit>, String> {
        let is_heavy = matches!(step.action, Action::Upgrade(_) | Action::Reboot(_) | Action::Power(Power::On));
        let machine = play.case.lab.topology.machine(step.machine()).filter(|_| is_heavy);
        let Some(machine) = machine else { return Ok(None) };
        let waiting = |wait: &_| self.waits(play, wait);
        let cores = self.budget.boot(u32::from(machine.processors), &waiting);
        self.unless_interrupted::<_, BudgetError>(cores).await.map(Some)
    }

    fn waits(&self, play: &CaseRun<'_>, wait: &Wait) {
        (self.say)(&format!("  wait  the lab {wait}"));
        self.lab(play, format!("the lab {wait}"));
    }

    /// The lab that the case begins in, running.
    pub(crate) async fn begin(&self, play: &CaseRun<'_>, record: &mut CaseRecord) -> Result<(Lab, Start), String> {
        let begun = Instant::now();
        let begins = async {
            let thawed = self.thawed(play, &begun, record).await;
            thawed.inspect_err(|error| record.lost = error.trouble().and_then(lost))
        };
        let (mut lab, mut start) = self.unless_interrupted(begins).await?;
        play.show(Some(&lab));
        record.lab_seconds = begun.elapsed().as_secs_f64();
        record.cores.extend(core_meter::lap());
        (self.say)(&format!("  lab   {} runs after {:.1} s", play.case.lab.topology.name, record.lab_seconds));
        self.lab(play, format!("{} runs", play.case.lab.topology.name));
        // A kept checkpoint has it already.
        if start.next == 0
            && let Err(reason) = self.lay_own_etc(play, &mut lab, &mut start.notes, &mut record.steps).await
        {
            self.end(play, Some(lab)).await?;
            return Err(reason);
        }
        if let Err(reason) = self.prepare(play, &lab, &mut start.notes, &mut record.steps).await {
            self.end(play, Some(lab)).await?;
            return Err(reason);
        }
        Ok((lab, start))
    }

    /// The lab that the case begins in, thawed. A template that QEMU does not load here is thrown away, and made again once.
    async fn thawed(
        &self,
        play: &CaseRun<'_>,
        begun: &Instant,
        record: &mut CaseRecord,
    ) -> Result<(Lab, Start), LabError> {
        let start = self.start(play, begun, record).await?;
        let thawed = self.thaw(play, &start.template, start.next, &start.notes).await;
        match thawed {
            Err(refused) if refused.is_refused_state() => {
                self.progress(play, begun, &Progress::Distrusted(chain(&refused)));
                let template = start.template.clone();
                drop(start);
                self.stock.throw_away(template).await?;
            }
            thawed => return Ok((thawed?, start)),
        }
        (record.steps, record.kept) = (Vec::new(), None);
        let start = self.start(play, begun, record).await?;
        let lab = self.thaw(play, &start.template, start.next, &start.notes).await?;
        Ok((lab, start))
    }

    /// Until somebody wants the run to end.
    pub(crate) async fn unless_interrupted<T, E: std::error::Error>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, String> {
        tokio::select! {
            done = work => done.map_err(|error| chain(&error)),
            () = self.interrupt.wished() => Err("interrupted".into()),
        }
    }

    pub(crate) fn progress(&self, play: &CaseRun<'_>, begun: &Instant, progress: &Progress) {
        (self.say)(&format!("  lab   {progress} ({:.1} s)", begun.elapsed().as_secs_f64()));
        self.lab(play, progress.to_string());
    }

    fn lab(&self, play: &CaseRun<'_>, words: String) {
        self.run.tell(&play.scenario.name, &play.case.name, &RunEvent::Lab(words));
    }

    /// Runs stretches of steps in a lab, and replaces the lab between them where a step says so. Whatever happens, `start`
    /// says which step comes next; there is no lab any more if it could not be replaced.
    pub(crate) async fn stretches(
        &self,
        play: &CaseRun<'_>,
        place: &mut Option<Lab>,
        start: &mut Start,
        record: &mut CaseRecord,
    ) -> Result<(), String> {
        loop {
            let Some(lab) = place.as_ref() else { return Err("there is no lab any more".into()) };
            let outcome = tokio::select! {
                outcome = self.steps(play, lab, start, record) => outcome,
                trouble = lab.trouble() => Err(befell(play.case, start.next, &trouble)),
                () = self.interrupt.wished() => Err("interrupted".into()),
            };
            if outcome.is_err() {
                record.lost = befallen(lab).await.and_then(|(machine, trouble)| lost((&machine, &trouble)));
            }
            let (index, step) = match outcome? {
                Stop::End => return Ok(()),
                Stop::Lab(index, step) => (index, step),
            };
            let _cores = self.cores(play, step).await?;
            let Some(lab) = place.take() else { return Ok(()) };
            play.show(None);
            self.announce(play, index, step);
            let (began, started) = (Timestamp::now(), Instant::now());
            let replacing = async {
                let replaced = self.replace(play, index, lab, start, &record.steps).await;
                replaced.inspect_err(|error| record.lost = error.trouble().and_then(lost))
            };
            let (replaced, answered) = self.unless_interrupted(replacing).await?;
            play.show(Some(&replaced));
            *place = Some(replaced);
            let step_result = StepResult {
                started: Some(began),
                seconds: started.elapsed().as_secs_f64(),
                asked: asked_of_lab(&step.action),
                answered,
                cores: core_meter::lap().map(Box::new),
                ..result_of(play.scenario, index, step, StepOutcome::Passed)
            };
            self.report(play, &step_result);
            record.steps.push(step_result);
            start.next = index + 1;
        }
    }

    /// Runs steps in one lab, up to one that concerns the whole lab.
    async fn steps<'s>(
        &self,
        play: &CaseRun<'s>,
        lab: &Lab,
        start: &mut Start,
        record: &mut CaseRecord,
    ) -> Result<Stop<'s>, String> {
        let case = play.case;
        let Start { notes, next, .. } = start;
        let mut stage = StepContext::new(lab, &case.lab.topology.domain, notes, self.say)?;
        let before = next.checked_sub(1).map(|index| (index, &case.steps[index]));
        self.check_invariants(play, &mut stage, before, record).await?;
        for (index, step) in case.steps.iter().enumerate().take(play.ends).skip(*next) {
            *next = index;
            self.mutate(play, lab, index, &mut record.steps).await?;
            stage.wait_at_most(self.course.longest_wait_at(index));
            if let Some(phase) = &step.phase {
                (self.say)(&format!("  --    {phase}"));
            }
            if is_left_out(case.kind, part_of(step)) {
                record.steps.push(result_of(play.scenario, index, step, StepOutcome::Omitted));
                (self.say)(&format!("  omit  {}: {}", step.machine(), step.name.get_ref()));
                *next = index + 1;
                continue;
            }
            if step.action.concern() != Concern::Guest {
                return Ok(Stop::Lab(index, step));
            }
            let _cores = self.cores(play, step).await?;
            self.announce(play, index, step);
            stage.note_step(index, step);
            let (began, started) = (Timestamp::now(), Instant::now());
            let performed = stage.look(step).await;
            let refused = refused_login(step, &performed);
            let (outcome, done) = self.recorded(play, index, lab, judge(case.kind, step, performed));
            let seconds = started.elapsed().as_secs_f64();
            let mut artifacts = stage.artifacts();
            let transcript = done.transcript.map(|it| shortened(lab.identity().redact(&it), LONGEST_TRANSCRIPT));
            if let Some(transcript) = &transcript {
                let file = format!("step-{:02}.txt", index + 1);
                let text = format!("{}\n\n{transcript}\n", step.name.get_ref());
                artifacts.push(Artifact { file, text });
            }
            play.artifact(&artifacts)?;
            let mut step_result = StepResult {
                started: Some(began),
                seconds,
                asked: lab.identity().redact(&done.asked),
                answered: shortened(lab.identity().redact(&done.answered), LONGEST_ANSWER),
                transcript,
                files: artifacts.into_iter().map(|artifact| artifact.file).collect(),
                cores: core_meter::lap().map(Box::new),
                ..result_of(play.scenario, index, step, outcome)
            };
            self.report(play, &step_result);
            let failure = (outcome == StepOutcome::Failed).then(|| failure(index, &step_result));
            if failure.is_some()
                && let Some(login) = refused
            {
                step_result.diagnosis = self.explain_refusal(play, lab, (index, step), login, started.elapsed()).await;
            }
            let why = step_result.diagnosis.as_ref().map(|cause| format!("; diagnosis: {cause}"));
            record.steps.push(step_result);
            match failure {
                Some(reason) if !self.course.to_the_end => return Err(reason + &why.unwrap_or_default()),
                _ => {}
            }
            if outcome == StepOutcome::Skipped {
                return Ok(Stop::End);
            }
            *next = index + 1;
            self.check_invariants(play, &mut stage, Some((index, step)), record).await?;
        }
        Ok(Stop::End)
    }

    /// After a step, or before the first one. The one that does not hold is told with the step that it broke at.
    async fn check_invariants(
        &self,
        play: &CaseRun<'_>,
        stage: &mut StepContext<'_>,
        after: Option<(usize, &Step)>,
        record: &mut CaseRecord,
    ) -> Result<(), String> {
        if let Some((_, step)) = after {
            stage.note_disturbances(step);
        }
        if self.course.to_the_end {
            return Ok(());
        }
        let (began, started) = (Timestamp::now(), Instant::now());
        let Some((invariant, done)) = stage.first_broken(&play.case.invariants).await else { return Ok(()) };
        let place = after.map_or("before the first step".into(), |(index, step)| {
            format!("after step {} on {}, \"{}\"", index + 1, step.machine(), step.name.get_ref())
        });
        let step_result = StepResult {
            number: None,
            part: Part::Invariant,
            started: Some(began),
            seconds: started.elapsed().as_secs_f64(),
            asked: stage.redact(&format!("invariant {place}: {}", done.asked)),
            answered: shortened(stage.redact(&done.answered), LONGEST_ANSWER),
            transcript: done.transcript.map(|it| shortened(stage.redact(&it), LONGEST_TRANSCRIPT)),
            cores: core_meter::lap().map(Box::new),
            ..result_of(play.scenario, 0, invariant, StepOutcome::Failed)
        };
        self.report(play, &step_result);
        let reason = format!(
            "invariant \"{}\" does not hold {place}: {} → {}",
            step_result.name,
            stage.redact(&done.asked),
            step_result.answered
        );
        record.steps.push(step_result);
        Err(reason)
    }

    /// Says that a step begins.
    fn announce(&self, play: &CaseRun<'_>, index: usize, step: &Step) {
        let beginning = beginning(index, play.case.steps.len(), step);
        self.run.tell(&play.scenario.name, &play.case.name, &RunEvent::StepBegins(beginning));
    }

    pub(crate) fn report(&self, play: &CaseRun<'_>, step: &StepResult) {
        let mark = match step.outcome {
            StepOutcome::Passed => "ok  ",
            StepOutcome::Skipped => "skip",
            _ => "FAIL",
        };
        (self.say)(&format!(
            "  {mark}  {}: {} ({:.1} s)\n          {} → {}",
            step.machine, step.name, step.seconds, step.asked, step.answered
        ));
        self.run.tell(&play.scenario.name, &play.case.name, &RunEvent::Step(step.clone()));
    }
}
