//! One step of a scenario, as types: what it does, and what it expects.

use super::matrix::Selection;
use crate::lab::Topology;
use crate::mistake::{Flaw, Flaws};
use serde::Deserialize;
use toml::Spanned;

pub(super) use super::changes::{Inbox, Reboot, Upgrade};
pub(super) use super::verb::*;

/// One step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A sentence: what is true when it passes.
    pub name: Spanned<String>,
    /// The machine that it is about; none for what concerns the whole lab.
    pub on: Option<Spanned<String>>,
    /// Rows of the specification that it drives.
    #[serde(default)]
    pub covers: Vec<String>,
    /// It breaks something: left out of the control.
    #[serde(default)]
    pub fault: bool,
    /// It expects what is true only after a fault: must not hold in the control.
    #[serde(default)]
    pub symptom: bool,
    /// It is there only in cells with these values of the matrix.
    pub when: Option<Selection>,
    /// What is done and expected.
    #[serde(rename = "do")]
    pub action: Action,
}

impl Step {
    /// Every machine and account that it names is in the lab.
    pub(super) fn check(&self, lab: &Topology, flaws: &mut Flaws) {
        match (&self.action, &self.on) {
            (Action::Checkpoint(_) | Action::Rewind(_), None) => {}
            (Action::Checkpoint(_) | Action::Rewind(_), Some(on)) => {
                flaws.push(Flaw::new("this step concerns the whole lab, and has no `on`", on.span()));
            }
            (_, Some(on)) => check_machine(on, lab, flaws),
            (_, None) => flaws.push(Flaw::new(
                format!("step \"{}\" needs `on`, the machine that it is about", self.name.get_ref()),
                self.name.span(),
            )),
        }
        let mut account = |name: &Spanned<String>| check_account(name, lab, flaws);
        match &self.action {
            Action::Imap(login) => account(&login.user),
            Action::Smtp(login) => account(&login.user),
            Action::Ssh(login) => account(&login.user),
            Action::Cause(cause) => account(&cause.user),
            Action::Deliver(deliver) => deliver.from.iter().chain([&deliver.to]).for_each(account),
            Action::Mailboxes(mailboxes) => mailboxes.create.iter().for_each(account),
            Action::Run(run) => run.password_of.iter().for_each(account),
            Action::Account(created) => account(&created.create),
            Action::Requests(requests) => check_machine(&requests.from, lab, flaws),
            Action::Upgrade(upgrade) => upgrade.deliver_to.iter().for_each(account),
            Action::Inbox(inbox) => account(&inbox.of),
            Action::Units(_) | Action::Keep(_) | Action::Remove(_) | Action::Restore(_) | Action::Mark(_) | Action::Reboot(_)
            // Which checkpoints there are is a matter of all steps.
            | Action::Checkpoint(_) | Action::Rewind(_) => {}
        }
    }

    /// The machine that it is about, or the lab.
    pub(super) fn machine(&self) -> &str {
        self.on.as_ref().map_or("lab", |on| on.get_ref())
    }
}

fn check_machine(name: &Spanned<String>, lab: &Topology, flaws: &mut Flaws) {
    if lab.machine(name.get_ref()).is_none() {
        let message = format!("there is no machine `{}` in lab `{}`", name.get_ref(), lab.name);
        let known = lab.machines.iter().map(|machine| machine.name.get_ref().as_str());
        flaws.push(Flaw::unknown(message, name.span(), name.get_ref(), known));
    }
}

fn check_account(name: &Spanned<String>, lab: &Topology, flaws: &mut Flaws) {
    if !lab.accounts.contains(name.get_ref()) {
        let message = format!("there is no account `{}` in lab `{}`", name.get_ref(), lab.name);
        flaws.push(Flaw::unknown(message, name.span(), name.get_ref(), lab.accounts.iter().map(String::as_str)));
    }
}

/// What a step does.
#[derive(Debug, Clone, Deserialize)]
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
    /// Make mailboxes, as the administrator by IMAP.
    Mailboxes(Mailboxes),
    /// Run a shell command in the guest.
    Run(Run),
    /// Look at the state of units.
    Units(Units),
    /// Make a local account with a password.
    Account(Account),
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
    /// Upgrade the distribution while the machine runs.
    Upgrade(Upgrade),
    /// Reboot the machine into the newest kernel that is installed in it.
    Reboot(Reboot),
    /// Look into a user's inbox over IMAP: remember what it holds, or compare.
    Inbox(Inbox),
    /// Keep the state of the whole lab under a name.
    Checkpoint(Checkpoint),
    /// Go back to a state that was kept.
    Rewind(Rewind),
}
