//! What every verb of the file format does in a lab.

pub(crate) mod configuration;
pub(crate) mod diagnosis;
pub(crate) mod expectation;
pub(crate) mod guest;
pub(crate) mod lab;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod mail;
pub(crate) mod mailbox;
pub(crate) mod poll;
pub(crate) mod secrecy;
pub(crate) mod storage;
pub(crate) mod test_state;
pub(crate) mod traffic;
pub(crate) mod upgrade;

use self::expectation::{Instead, Judged};
use super::format::step::{Action, Step};
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

pub(crate) use configuration::run::{drift, take_inventory};
pub(crate) use diagnosis::run::{Since, diagnosis_of};
pub(crate) use poll::shown;
pub(crate) use test_state::{Artifact, NamedInventory, TestState};
pub(crate) use traffic::run::flows_of;

/// A step that was carried out and found what it expects.
#[derive(Debug)]
pub(crate) struct Done {
    /// What was asked, in a few words.
    pub(crate) asked: String,
    /// What was answered.
    pub(crate) answered: String,
    /// The dialogue, if there was one.
    pub(crate) transcript: Option<String>,
}

/// A step that did not.
#[derive(Debug)]
pub(crate) enum StepError {
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
pub(crate) struct StepContext<'a> {
    lab: &'a Lab,
    domain: &'a str,
    client: Client,
    notes: &'a mut TestState,
    say: &'a (dyn Fn(&str) + Send + Sync),
    /// What the steps so far have for the result directory.
    artifacts: Vec<Artifact>,
    /// No step waits longer until something is so, whatever it says: nominal.
    longest_wait: Option<Duration>,
}

struct LabDialer(Arc<Namespace>);

impl Dialer for LabDialer {
    fn dial(&self, address: SocketAddr, deadline: Deadline) -> crate::mail::client::Dialing<'_> {
        Box::pin(self.0.dial(address, deadline))
    }
}

impl<'a> StepContext<'a> {
    pub(crate) fn new(
        lab: &'a Lab,
        domain: &'a str,
        notes: &'a mut TestState,
        say: &'a (dyn Fn(&str) + Send + Sync),
    ) -> Result<Self, String> {
        let trust = Trust::from_ca_pem(lab.identity().authority().as_bytes()).map_err(|error| error.to_string())?;
        let client = Client::new(Arc::new(LabDialer(lab.network().clone())), trust);
        Ok(Self { lab, domain, client, notes, say, artifacts: Vec::new(), longest_wait: None })
    }

    /// Carries out one step.
    pub(crate) async fn perform(&mut self, step: &Step) -> Result<Done, StepError> {
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
            Action::Backup(paths) => self.backup(on, paths).await,
            Action::Delete(paths) => self.delete(on, paths).await,
            Action::Restore(paths) => self.restore(on, paths).await,
            Action::Mark(mark) => self.mark(on, mark).await,
            Action::LdapRequests(requests) => self.ldap_requests(on, requests).await,
            Action::ServiceState(state) => self.service_state(on, state).await,
            Action::Diagnose(diagnose) => self.diagnose(on, diagnose).await,
            Action::Upgrade(upgrade) => self.upgrade(on, upgrade).await,
            Action::Inbox(inbox) => self.inbox(on, inbox).await,
            Action::Message(message) => self.message(on, message).await,
            Action::Spool(spool) => self.spool(on, spool).await,
            Action::Predict(prediction) => self.predict(on, prediction).await,
            Action::Storage(storage) => self.storage(on, storage).await,
            Action::NoSecretInProcesses(overhear) => self.no_secret_in_processes(overhear),
            Action::Fio(fio) => self.fio(on, fio).await,
            Action::VerifyPrediction(verification) => self.verify_prediction(on, verification).await,
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
    pub(crate) fn artifacts(&mut self) -> Vec<Artifact> {
        std::mem::take(&mut self.artifacts)
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
pub(crate) fn with(done: Done, words: &str) -> Done {
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
