//! What every verb of the file format does in a lab.

mod captured;
mod clock;
mod configuration;
mod delivery;
mod diagnosis;
mod filter;
mod forecast;
mod guest;
mod load;
mod logins;
mod looking;
mod machine;
mod mailbox;
mod measures;
mod moments;
mod notes;
mod overhear;
mod spool;
mod state;
mod storage;
mod stored;
mod traffic;
mod upgrade;

use super::expectation::{Instead, Judged};
use super::step::{Action, Step};
use crate::lab::Lab;
use crate::machine::{Machine, VerbError};
use crate::mail::tls::Trust;
use crate::mail::{Client, Dialer, Endpoint};
use crate::network::Namespace;
use crate::seed::Host;
use crate::time::Deadline;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) use configuration::{drift, take_inventory};
pub(super) use diagnosis::{Since, diagnosis_of};
pub(super) use looking::shown;
pub(super) use notes::{Exhibit, Kept, Notes};
pub(super) use traffic::flows_of;

/// A step that was carried out and found what it expects.
#[derive(Debug)]
pub(super) struct Done {
    /// What was asked, in a few words.
    pub(super) asked: String,
    /// What was answered.
    pub(super) answered: String,
    /// The dialogue, if there was one.
    pub(super) transcript: Option<String>,
}

/// A step that did not.
#[derive(Debug)]
pub(super) enum StepError {
    /// The system answered otherwise than the step expects, and so, as a control sees it.
    Unmet(Done, Instead),
    /// The step could not be carried out.
    Broken(String),
    /// It cannot be carried out here: something is missing that not every machine has.
    Lacking(String),
}

impl From<VerbError> for StepError {
    fn from(error: VerbError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// How long a step may take: nominal.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where steps are carried out.
pub(super) struct Stage<'a> {
    lab: &'a Lab,
    domain: &'a str,
    client: Client,
    notes: &'a mut Notes,
    say: &'a (dyn Fn(&str) + Send + Sync),
    /// What the steps so far have for the result directory.
    exhibits: Vec<Exhibit>,
    /// No step waits longer until something is so, whatever it says: nominal.
    longest_wait: Option<Duration>,
}

struct LabDialer(Arc<Namespace>);

impl Dialer for LabDialer {
    fn dial(&self, address: SocketAddr, deadline: Deadline) -> crate::mail::client::Dialing<'_> {
        Box::pin(self.0.dial(address, deadline))
    }
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        lab: &'a Lab,
        domain: &'a str,
        notes: &'a mut Notes,
        say: &'a (dyn Fn(&str) + Send + Sync),
    ) -> Result<Self, String> {
        let trust = Trust::from_ca_pem(lab.identity().authority().as_bytes()).map_err(|error| error.to_string())?;
        let client = Client::new(Arc::new(LabDialer(lab.network().clone())), trust);
        Ok(Self { lab, domain, client, notes, say, exhibits: Vec::new(), longest_wait: None })
    }

    /// Carries out one step.
    pub(super) async fn perform(&mut self, step: &Step) -> Result<Done, StepError> {
        let on = step.machine();
        match &step.action {
            Action::Imap(login) => self.imap(on, login).await,
            Action::Smtp(login) => self.smtp(on, login).await,
            Action::Ssh(login) => self.ssh(on, login).await,
            Action::Deliver(deliver) => self.deliver(on, deliver).await,
            Action::Load(load) => self.load(on, load).await,
            Action::Mailboxes(mailboxes) => self.mailboxes(on, mailboxes).await,
            Action::Run(run) => self.run(on, run).await,
            Action::Units(units) => self.units(on, units).await,
            Action::Account(account) => self.account(on, account).await,
            Action::Keep(paths) => self.keep(on, paths).await,
            Action::Remove(paths) => self.remove(on, paths).await,
            Action::Restore(paths) => self.restore(on, paths).await,
            Action::Mark(mark) => self.mark(on, mark).await,
            Action::Requests(requests) => self.requests(on, requests).await,
            Action::Cause(cause) => self.cause(on, cause).await,
            Action::State(state) => self.state(on, state).await,
            Action::Diagnose(diagnose) => self.diagnose(on, diagnose).await,
            Action::Upgrade(upgrade) => self.upgrade(on, upgrade).await,
            Action::Inbox(inbox) => self.inbox(on, inbox).await,
            Action::Message(message) => self.message(on, message).await,
            Action::Spool(spool) => self.spool(on, spool).await,
            Action::Forecast(forecast) => self.forecast(on, forecast).await,
            Action::Storage(storage) => self.storage(on, storage).await,
            Action::Overhear(overhear) => self.overhear(overhear),
            Action::Fio(fio) => self.fio(on, fio).await,
            Action::CameTrue(came_true) => self.came_true(on, came_true).await,
            Action::File(file) => self.file(on, file).await,
            Action::Write(write) => self.write(on, write).await,
            Action::Service(service) => self.service(on, service).await,
            Action::Clock(clock) => self.clock(on, *clock).await,
            Action::Link(link) => self.link(on, *link).await,
            Action::Impair(impairment) => self.impair(on, impairment).await,
            Action::Capture(capture) => self.capture(step.on.as_ref().map(|on| on.get_ref().as_str()), capture).await,
            Action::Egress(egress) => self.egress(on, egress).await,
            Action::Flows(flows) => self.flows(step.on.as_ref().map(|on| on.get_ref().as_str()), flows).await,
            Action::Inventory(inventory) => self.inventory(on, inventory).await,
            Action::Drift(drift) => self.drift(on, drift).await,
            // They are about the lab that this is a part of: the engine does them.
            Action::Checkpoint(_) | Action::Rewind(_) | Action::Reboot(_) | Action::Power(_) => {
                Err(StepError::Broken("it concerns the whole lab".into()))
            }
        }
    }

    /// Hands over what the last steps have for the result directory.
    pub(super) fn exhibits(&mut self) -> Vec<Exhibit> {
        std::mem::take(&mut self.exhibits)
    }

    fn deadline(&self) -> Deadline {
        self.lab.pace().deadline(PATIENCE)
    }

    // The format has checked that every machine and account of a step is in the lab.
    fn machine(&self, name: &str) -> Result<&'a Machine, StepError> {
        self.lab.machine(name).ok_or_else(|| StepError::Broken(format!("machine {name} is not in the lab")))
    }

    fn host(&self, name: &str) -> Result<&'a Host, StepError> {
        self.lab.host(name).ok_or_else(|| StepError::Broken(format!("machine {name} is not in the lab")))
    }

    fn endpoint(&self, machine: &str, port: u16) -> Result<Endpoint, StepError> {
        let host = self.host(machine)?;
        Endpoint::new((host.address, port).into(), &host.fqdn).map_err(|error| StepError::Broken(error.to_string()))
    }
}

/// `done`, with words before what was answered.
pub(super) fn with(done: Done, words: &str) -> Done {
    Done { answered: format!("{words}{}", done.answered), ..done }
}

/// A step whose observation was held against its expectation.
fn decided(judged: &Judged, asked: String, transcript: Option<String>) -> Result<Done, StepError> {
    let done = Done { asked, answered: judged.answered(), transcript };
    match judged.instead() {
        None => Ok(done),
        Some(instead) => Err(StepError::Unmet(done, instead)),
    }
}
