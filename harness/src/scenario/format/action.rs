//! What a step does: its verb.

use super::nature::{Manner, Reach};
use super::step::{Concern, check_account, check_machine};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lab::Topology;
use crate::scenario::verbs::configuration::keys::{DriftSince, InventoryAs};
use crate::scenario::verbs::diagnosis::keys::{Diagnose, LdapRequests, Mark, ServiceState};
use crate::scenario::verbs::guest::file_keys::{FileState, Paths, Write};
use crate::scenario::verbs::guest::keys::{Account, Run, Service, Units};
use crate::scenario::verbs::lab::{Checkpoint, Rewind};
use crate::scenario::verbs::load::keys::Load;
use crate::scenario::verbs::machine::impairment::Impairment;
use crate::scenario::verbs::machine::keys::{Clock, Link, Power, Reboot};
use crate::scenario::verbs::mail::keys::{Deliver, ImapLogin, Mailboxes, SmtpLogin, SshLogin};
use crate::scenario::verbs::mailbox::keys::{Inbox, MessageState, Spool};
use crate::scenario::verbs::secrecy::keys::NoSecretInProcesses;
use crate::scenario::verbs::storage::fio_keys::Fio;
use crate::scenario::verbs::storage::keys::Storage;
use crate::scenario::verbs::traffic::keys::{Capture, Egress, FlowsSince};
use crate::scenario::verbs::upgrade::keys::{PredictUpgrade, Upgrade, VerifyPrediction};
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
    Backup(Paths),
    /// Remove files.
    Delete(Paths),
    /// Put files back that were kept.
    Restore(Paths),
    /// Remember this moment under a name: the log of the directory and the starts of units.
    Mark(Mark),
    /// Count the requests that the directory got since a mark.
    LdapRequests(LdapRequests),
    /// Say why a user cannot log in to the mail server, by its state, its logs, and what the directory answers.
    Diagnose(Diagnose),
    /// Look at the state of a machine's services: units, PAM's files, postfix' settings, packages. It is for `record`.
    ServiceState(ServiceState),
    /// Remember a machine's configuration under a name.
    Inventory(InventoryAs),
    /// See what changed in a machine's configuration since an inventory.
    Drift(DriftSince),
    /// Say what an upgrade will do to each file in `/etc`, before it.
    Predict(PredictUpgrade),
    /// See whether all that a prediction said came true.
    VerifyPrediction(VerifyPrediction),
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
    NoSecretInProcesses(NoSecretInProcesses),
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
    pub(crate) fn concern(&self) -> Concern {
        self.nature().concern
    }

    /// Whether it is carried out by the agent in the machine, or on the machine itself: with neither a machine can be served that
    /// runs inside another one.
    pub(crate) fn needs_control(&self) -> bool {
        self.nature().reach == Reach::Agent
    }

    /// Whether it is about all machines where it names none.
    pub(crate) fn can_concern_all(&self) -> bool {
        self.nature().of_all
    }

    /// Whether it only looks, so that looking again changes nothing. Of a command its author must know.
    pub(crate) fn can_be_repeated(&self) -> bool {
        self.nature().manner == Manner::Looks
    }

    /// Whether it may find something else than it expects.
    pub(crate) fn expects(&self) -> bool {
        self.nature().manner != Manner::Does
    }

    /// Every machine and account that it names is in the lab.
    pub(crate) fn check(&self, lab: Option<&Topology>, diagnostics: &mut Diagnostics) {
        let mut account = |name: &Spanned<String>| check_account(name, lab, diagnostics);
        match self {
            Self::Imap(login) => {
                account(&login.user);
                login.expected().check(diagnostics);
            }
            Self::Smtp(login) => {
                account(&login.user);
                login.expected().check(diagnostics);
            }
            Self::Ssh(login) => {
                account(&login.user);
                login.check(diagnostics);
            }
            // Who logs in may add a domain to the name.
            Self::Diagnose(diagnose) => {
                let name = diagnose.user.get_ref().split('@').next().unwrap_or_default();
                account(&Spanned::new(diagnose.user.span(), name.to_owned()));
            }
            Self::Deliver(deliver) => {
                deliver.from.iter().chain([&deliver.to]).for_each(account);
                deliver.check(diagnostics);
            }
            Self::Load(load) => {
                load.accounts().for_each(account);
                load.check(diagnostics);
            }
            Self::Mailboxes(mailboxes) => mailboxes.create.iter().for_each(account),
            Self::Run(run) => {
                run.password_of.iter().for_each(account);
                run.check(diagnostics);
            }
            Self::Account(created) => account(&created.create),
            Self::LdapRequests(requests) => check_machine(&requests.from, lab, diagnostics),
            Self::Upgrade(upgrade) => {
                upgrade.deliver_to.iter().for_each(account);
                upgrade.check(diagnostics);
            }
            Self::Inbox(inbox) => account(&inbox.of),
            Self::Message(message) => {
                account(&message.of);
                message.check(diagnostics);
            }
            Self::Storage(storage) => {
                storage.passphrase_of.iter().for_each(account);
                storage.check(diagnostics);
            }
            Self::NoSecretInProcesses(overhear) => account(&overhear.password_of),
            Self::Fio(fio) => fio.check(diagnostics),
            Self::Impair(impairment) => impairment.check(diagnostics),
            Self::Egress(egress) => egress.check(lab, diagnostics),
            Self::Capture(capture) => capture.check(diagnostics),
            Self::Spool(spool) => {
                account(&spool.of);
                spool.check(diagnostics);
            }
            Self::Predict(forecast) => {
                for path in forecast.loses.iter().flatten() {
                    check_path(path, diagnostics);
                }
            }
            Self::VerifyPrediction(came_true) => {
                for path in &came_true.except {
                    check_path(path, diagnostics);
                }
            }
            Self::File(file) => {
                check_path(&file.path, diagnostics);
                file.check(diagnostics);
            }
            Self::Write(write) => {
                check_path(&write.path, diagnostics);
                write.check(diagnostics);
            }
            Self::Backup(files) | Self::Delete(files) | Self::Restore(files) => {
                for path in &files.paths {
                    check_path(path, diagnostics);
                }
            }
            Self::Drift(drift) => {
                for path in drift.paths() {
                    check_path(path, diagnostics);
                }
            }
            Self::Inventory(_) | Self::ServiceState(_) | Self::Units(_) | Self::Service(_) | Self::Mark(_) | Self::Clock(_) | Self::Link(_) | Self::Power(_) | Self::Reboot(_) | Self::Flows(_)
            // Which checkpoints there are is a matter of all steps.
            | Self::Checkpoint(_) | Self::Rewind(_) => {}
        }
    }
}

fn check_path(path: &Spanned<String>, diagnostics: &mut Diagnostics) {
    if !path.get_ref().starts_with('/') {
        let diagnostic = Diagnostic::new(format!("`{}` is no absolute path", path.get_ref()), path.span());
        diagnostics.push(diagnostic.with_help("a command of a step has no directory that a path could start from"));
    }
}
