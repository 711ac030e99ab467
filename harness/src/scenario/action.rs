//! What a step does: its verb.

use super::changes::{CameTrue, ForecastOf, Inbox, MessageState, Reboot, Spool, Upgrade};
use super::configuration::{DriftSince, InventoryAs};
use super::files::{FileState, Paths, Write};
use super::impairment::Impairment;
use super::layers::{Making, Storage};
use super::load::Load;
use super::logins::{Deliver, ImapLogin, Mailboxes, Seen, SmtpLogin, SshLogin, is_of_guest};
use super::measures::Fio;
use super::step::{Concern, check_account, check_machine};
use super::traffic::{Capture, Egress, FlowsSince};
use super::verb::{
    Account, CauseOf, Checkpoint, Clock, Diagnose, Link, Mark, Overhear, Power, Requests, Rewind, Run, Service, State,
    Units,
};
use crate::lab::Topology;
use crate::mistake::{Flaw, Flaws};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// What a step does.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Log in by IMAP.
    Imap(ImapLogin),
    /// Log in by SMTP AUTH.
    Smtp(SmtpLogin),
    /// Log in by ssh with a password.
    Ssh(SshLogin),
    /// Hand a message over and see it arrive.
    Deliver(Deliver),
    /// Send mail in bulk, and see that all that was accepted arrives, once and as it was sent.
    Load(Load),
    /// Make mailboxes, as the administrator by IMAP.
    Mailboxes(Mailboxes),
    /// Run a shell command in the guest.
    Run(Run),
    /// Look at the state of units.
    Units(Units),
    /// Start, stop or restart units; what is to stop stops first.
    Service(Service),
    /// Make a local account with a password.
    Account(Account),
    /// Look at a file.
    File(FileState),
    /// Write a file; what was there before is gone.
    Write(Write),
    /// Keep copies of files.
    Keep(Paths),
    /// Remove files.
    Remove(Paths),
    /// Put files back that were kept.
    Restore(Paths),
    /// Remember this moment under a name: the log of the directory and the starts of units.
    Mark(Mark),
    /// Count the requests that the directory got since a mark.
    Requests(Requests),
    /// Name the likely cause of the refusals since a mark, from the logs of the mail server.
    Cause(CauseOf),
    /// Say why a user cannot log in to the mail server, by its state, its logs, and what the directory answers.
    Diagnose(Diagnose),
    /// Look at the state of a machine's services: units, PAM's files, postfix' settings, packages. It is for `record`.
    State(State),
    /// Remember a machine's configuration under a name.
    Inventory(InventoryAs),
    /// See what changed in a machine's configuration since an inventory.
    Drift(DriftSince),
    /// Say what an upgrade will do to each file in `/etc`, before it.
    Forecast(ForecastOf),
    /// See whether all that a forecast said came true.
    CameTrue(CameTrue),
    /// Upgrade the distribution while the machine runs.
    Upgrade(Upgrade),
    /// Reboot the machine into the newest kernel that is installed in it.
    Reboot(Reboot),
    /// Look into a user's inbox over IMAP: remember what it holds, or compare.
    Inbox(Inbox),
    /// Look for one message in the server's spool: it is in its addressee's inbox, exactly once, and in no other mailbox.
    Message(MessageState),
    /// Take the messages of an inbox from the spool, or put them there.
    Spool(Spool),
    /// Build layers of storage, take them down, or compare them with what is there.
    Storage(Storage),
    /// Look for a password in the arguments and environments of this host's processes: it must stand in none.
    Overhear(Overhear),
    /// Measure a guest's disk by fio, through QEMU's own block layer.
    Fio(Fio),
    /// Move the machine's clock forward, or see whether it is right.
    Clock(Clock),
    /// Pull the machine's network cable, or plug it in again.
    Link(Link),
    /// Make the machine's network bad: what it sends is late, lost or doubled; `{}` heals it.
    Impair(Impairment),
    /// Capture all packets of the machine, or of all machines, from this moment on.
    Capture(Capture),
    /// See whom the machine contacted since a capture, by its packets.
    Egress(Egress),
    /// Look at who asked whom since a capture, by the packets of the machine, or of all machines. It is for `record`.
    Flows(FlowsSince),
    /// Switch the machine off or on.
    Power(Power),
    /// Keep the state of the whole lab under a name.
    Checkpoint(Checkpoint),
    /// Go back to a state that was kept.
    Rewind(Rewind),
}

impl Action {
    /// Whom it concerns.
    pub(super) fn concern(&self) -> Concern {
        match self {
            Self::Checkpoint(_) | Self::Rewind(_) => Concern::Lab,
            Self::Power(_) | Self::Reboot(_) => Concern::Machine,
            _ => Concern::Guest,
        }
    }

    /// Whether it is carried out by the agent in the machine, or on the machine itself: with neither a machine can be served that
    /// runs inside another one.
    pub(super) fn needs_control(&self) -> bool {
        match self {
            Self::Mailboxes(_) | Self::Load(_) | Self::Inbox(_) | Self::Write(_) | Self::Keep(_) | Self::Restore(_) => {
                false
            }
            Self::Imap(login) => is_of_guest(login.clock.as_ref()),
            Self::Smtp(login) => is_of_guest(login.clock.as_ref()),
            Self::Deliver(deliver) => deliver.seen == Some(Seen::Spool) || is_of_guest(deliver.clock.as_ref()),
            _ => true,
        }
    }

    /// Whether it is about all machines where it names none.
    pub(super) fn can_concern_all(&self) -> bool {
        matches!(self, Self::Capture(_) | Self::Flows(_))
    }

    /// Whether it only looks, so that looking again changes nothing. Of a command its author must know.
    pub(super) fn can_be_repeated(&self) -> bool {
        match self {
            Self::Imap(_)
            | Self::Smtp(_)
            | Self::Ssh(_)
            | Self::Run(_)
            | Self::Units(_)
            | Self::File(_)
            | Self::Requests(_)
            | Self::Cause(_)
            | Self::Diagnose(_)
            | Self::State(_)
            | Self::CameTrue(_)
            | Self::Egress(_)
            | Self::Message(_)
            | Self::Overhear(_)
            | Self::Drift(_) => true,
            Self::Inbox(inbox) => inbox.remember.is_none() && inbox.flag.is_none(),
            Self::Storage(storage) => storage.make == Making::Compared,
            _ => false,
        }
    }

    /// Whether it may find something else than it expects.
    pub(super) fn expects(&self) -> bool {
        self.can_be_repeated()
            || matches!(
                self,
                Self::Deliver(_)
                    | Self::Load(_)
                    | Self::Inbox(_)
                    | Self::Upgrade(_)
                    | Self::Forecast(_)
                    | Self::Storage(_)
            )
    }

    /// Every machine and account that it names is in the lab.
    pub(super) fn check(&self, lab: Option<&Topology>, flaws: &mut Flaws) {
        let mut account = |name: &Spanned<String>| check_account(name, lab, flaws);
        match self {
            Self::Imap(login) => {
                account(&login.user);
                login.expected().check(flaws);
            }
            Self::Smtp(login) => {
                account(&login.user);
                login.expected().check(flaws);
            }
            Self::Ssh(login) => {
                account(&login.user);
                login.check(flaws);
            }
            Self::Cause(cause) => account(&cause.user),
            // Who logs in may add a domain to the name.
            Self::Diagnose(diagnose) => {
                let name = diagnose.user.get_ref().split('@').next().unwrap_or_default();
                account(&Spanned::new(diagnose.user.span(), name.to_owned()));
            }
            Self::Deliver(deliver) => {
                deliver.from.iter().chain([&deliver.to]).for_each(account);
                deliver.check(flaws);
            }
            Self::Load(load) => {
                load.accounts().for_each(account);
                load.check(flaws);
            }
            Self::Mailboxes(mailboxes) => mailboxes.create.iter().for_each(account),
            Self::Run(run) => {
                run.password_of.iter().for_each(account);
                run.check(flaws);
            }
            Self::Account(created) => account(&created.create),
            Self::Requests(requests) => check_machine(&requests.from, lab, flaws),
            Self::Upgrade(upgrade) => {
                upgrade.deliver_to.iter().for_each(account);
                upgrade.check(flaws);
            }
            Self::Inbox(inbox) => account(&inbox.of),
            Self::Message(message) => {
                account(&message.of);
                message.check(flaws);
            }
            Self::Storage(storage) => {
                storage.passphrase_of.iter().for_each(account);
                storage.check(flaws);
            }
            Self::Overhear(overhear) => account(&overhear.password_of),
            Self::Fio(fio) => fio.check(flaws),
            Self::Impair(impairment) => impairment.check(flaws),
            Self::Egress(egress) => egress.check(lab, flaws),
            Self::Capture(capture) => capture.check(flaws),
            Self::Spool(spool) => {
                account(&spool.of);
                spool.check(flaws);
            }
            Self::Forecast(forecast) => {
                for path in forecast.loses.iter().flatten() {
                    check_path(path, flaws);
                }
            }
            Self::CameTrue(came_true) => {
                for path in &came_true.except {
                    check_path(path, flaws);
                }
            }
            Self::File(file) => {
                check_path(&file.path, flaws);
                file.check(flaws);
            }
            Self::Write(write) => {
                check_path(&write.path, flaws);
                write.check(flaws);
            }
            Self::Keep(files) | Self::Remove(files) | Self::Restore(files) => {
                for path in &files.paths {
                    check_path(path, flaws);
                }
            }
            Self::Drift(drift) => {
                for path in drift.paths() {
                    check_path(path, flaws);
                }
            }
            Self::Inventory(_) | Self::State(_) | Self::Units(_) | Self::Service(_) | Self::Mark(_) | Self::Clock(_) | Self::Link(_) | Self::Power(_) | Self::Reboot(_) | Self::Flows(_)
            // Which checkpoints there are is a matter of all steps.
            | Self::Checkpoint(_) | Self::Rewind(_) => {}
        }
    }
}

fn check_path(path: &Spanned<String>, flaws: &mut Flaws) {
    if !path.get_ref().starts_with('/') {
        let flaw = Flaw::new(format!("`{}` is no absolute path", path.get_ref()), path.span());
        flaws.push(flaw.with_help("a command of a step has no directory that a path could start from"));
    }
}
