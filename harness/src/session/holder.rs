//! The process that holds a lab: it carries the case out as far as is wanted, and then does what it is asked.

use super::protocol::{NextStep, Refusal, Reply, State, Status};
use super::record::Place;
use super::server::{ServerState, serve};
use crate::lab::LabHandle;
use crate::results::ScenarioResult;
use crate::scenario::{Case, Engine, InteractiveCase, Onward, RewindError, Scenario};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// How far a case is carried out at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// So many steps.
    pub ends: usize,
    /// Only a step that fails makes it held: if none does, it ends.
    pub only_on_failure: bool,
}

/// Why no lab was held.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// There is no lab.
    #[error("{0}")]
    Lab(String),
    /// Its socket cannot be served.
    #[error("the lab's socket cannot be served")]
    Socket(#[source] io::Error),
}

/// How a held lab ended.
#[derive(Debug)]
pub struct Ended {
    /// What came of the steps.
    pub result: ScenarioResult,
    /// Whether it was held, and not only carried out.
    pub was_held: bool,
}

/// Lines of progress, for whoever listens.
#[derive(Debug, Clone)]
pub struct ProgressSender(broadcast::Sender<String>);

impl ProgressSender {
    /// Nobody listens yet.
    #[must_use]
    pub fn new() -> Self {
        Self(broadcast::channel(1024).0)
    }

    /// Says one.
    pub fn say(&self, line: &str) {
        let _ = self.0.send(line.to_owned());
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<String> {
        self.0.subscribe()
    }
}

impl Default for ProgressSender {
    fn default() -> Self {
        Self::new()
    }
}

/// What the holder itself must do.
pub(super) enum HolderRequest {
    Rewind { to: String },
    Resume { until: Option<String>, skip: bool },
}

/// Carries a case out as planned, and holds its lab until somebody wants it to end. `told` is called each time that the lab
/// waits for a person.
pub async fn hold(
    engine: &Engine<'_>,
    scenario: &Scenario,
    case: &Case,
    plan: Plan,
    mut place: Place,
    lines: &ProgressSender,
    told: &dyn Fn(&Status),
) -> Result<Ended, HoldError> {
    let (onlooker, windows) = watch::channel(None);
    let (status, standing) = watch::channel(first_status(case));
    let (wishes, asked) = mpsc::channel(1);
    let desk =
        ServerState { windows, status: standing, wishes, lines: lines.clone(), interrupt: engine.interrupt.clone() };
    let desk = Arc::new(desk);
    let listener = place.listener().map_err(HoldError::Socket)?;
    let served = tokio::spawn(serve(listener, desk.clone()));
    let held = InteractiveCase::begin(engine, scenario, case, plan.ends, &onlooker).await;
    let ended = match held {
        Ok(held) => {
            let holder = Holder { engine, case, place: &place, held, status, desk, asked, was_held: false };
            holder.work(plan, told).await
        }
        Err(reason) => Err(HoldError::Lab(reason)),
    };
    served.abort();
    ended
}

fn first_status(case: &Case) -> Status {
    Status {
        state: State::Busy,
        done: 0,
        steps: case.steps.len(),
        next: None,
        checkpoints: Vec::new(),
        machines: Vec::new(),
        accounts: case.lab.topology.accounts.clone(),
        authority: None,
    }
}

struct Holder<'a> {
    engine: &'a Engine<'a>,
    case: &'a Case,
    place: &'a Place,
    held: InteractiveCase<'a>,
    status: watch::Sender<Status>,
    desk: Arc<ServerState>,
    asked: mpsc::Receiver<(HolderRequest, oneshot::Sender<Reply>)>,
    was_held: bool,
}

impl Holder<'_> {
    async fn work(mut self, plan: Plan, told: &dyn Fn(&Status)) -> Result<Ended, HoldError> {
        let authority = self.publish_authority();
        self.status.send_modify(|status| status.authority = authority);
        let mut outcome = self.held.go_on(plan.ends, Onward::Next).await;
        let is_over = plan.only_on_failure && outcome.is_ok();
        while !is_over && !self.engine.interrupt.asked() {
            self.was_held = true;
            self.stand(outcome.as_ref().map_or_else(|reason| State::Failed(reason.clone()), |()| State::Held));
            told(&self.desk.status());
            let Some((wish, reply)) = self.wait().await else { break };
            self.stand(State::Busy);
            let answer;
            (answer, outcome) = self.fulfil(wish, outcome).await;
            // Whoever asked may have gone.
            let _ = reply.send(answer);
        }
        let result = self.held.end().await.map_err(HoldError::Lab)?;
        Ok(Ended { result, was_held: self.was_held })
    }

    fn publish_authority(&self) -> Option<PathBuf> {
        let window = self.desk.windows.borrow().clone();
        // Without that file a person can do all but trust the lab.
        window.and_then(|window: LabHandle| self.place.publish_authority(window.identity().authority()).ok())
    }

    /// Says how things stand.
    fn stand(&self, state: State) {
        let done = self.held.done();
        let next = self.case.steps.get(done);
        self.status.send_modify(|status| {
            status.state = state;
            status.done = done;
            status.next = next.map(|step| NextStep { number: done + 1, name: step.name.get_ref().clone() });
            status.checkpoints = self.held.checkpoints();
        });
    }

    /// The next wish; none if somebody wants the end.
    async fn wait(&mut self) -> Option<(HolderRequest, oneshot::Sender<Reply>)> {
        let mut trouble = None;
        loop {
            let befell = tokio::select! {
                wish = self.asked.recv() => return wish,
                () = self.engine.interrupt.wished() => return None,
                befell = self.held.trouble(), if trouble.is_none() => befell,
            };
            (self.engine.say)(&format!("  FAIL  {befell}"));
            self.stand(State::Failed(befell.clone()));
            trouble = Some(befell);
        }
    }

    /// Does what was wished, and says what came of it; how things stand then.
    async fn fulfil(&mut self, wish: HolderRequest, before: Result<(), String>) -> (Reply, Result<(), String>) {
        let unknown = |words: String| Reply::Refused(Refusal::Unknown(words));
        match wish {
            HolderRequest::Rewind { to } => match self.held.rewind(&to).await {
                Ok(()) => {
                    (self.engine.say)(&format!("  lab   it is as it was at `{to}`"));
                    (Reply::Done, Ok(()))
                }
                Err(error @ RewindError::Unknown { .. }) => (unknown(error.to_string()), before),
                Err(RewindError::Lab(reason)) => (Reply::Refused(Refusal::Broken(reason.clone())), Err(reason)),
            },
            HolderRequest::Resume { until, skip } => match self.end_of(until.as_deref(), skip) {
                Ok(ends) => {
                    let onward = if skip { Onward::Skip } else { Onward::Next };
                    let done = self.held.go_on(ends, onward).await;
                    let reply = done.as_ref().map_or_else(|reason| Reply::Failed(reason.clone()), |()| Reply::Done);
                    (reply, done)
                }
                Err(words) => (unknown(words), before),
            },
        }
    }

    /// How many steps shall be done then.
    fn end_of(&self, until: Option<&str>, skip: bool) -> Result<usize, String> {
        let (done, all) = (self.held.done(), self.case.steps.len());
        if done == all {
            return Err("all steps were carried out; `cargo xtask rewind` goes back to a state that was kept".into());
        }
        let Some(until) = until else { return Ok(all) };
        let ends = self.case.steps_until(until).map_err(|error| error.to_string())?;
        if ends < done + 1 + usize::from(skip) {
            return Err(format!("step {ends} does not lie ahead: the next is {}", done + 1 + usize::from(skip)));
        }
        Ok(ends)
    }
}
