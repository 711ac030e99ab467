//! One step of a scenario, as types: what it does, and what it expects.

use crate::lab::Topology;
use crate::mail::causes::Cause;
use crate::mail::imap;
use crate::mail::smtp;
use crate::mistake::Flaw;
use serde::Deserialize;
use toml::Spanned;

pub(super) use super::changes::{Inbox, Reboot, Upgrade};

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
    /// What is done and expected.
    #[serde(rename = "do")]
    pub action: Action,
}

impl Step {
    /// Every machine and account that it names is in the lab.
    pub(super) fn check(&self, lab: &Topology) -> Result<(), Flaw> {
        let machine = |name: &Spanned<String>| match lab.machine(name.get_ref()) {
            Some(_) => Ok(()),
            None => {
                Err(unknown(lab, "machine", name, lab.machines.iter().map(|machine| machine.name.get_ref().as_str())))
            }
        };
        let account = |name: &Spanned<String>| {
            if lab.accounts.contains(name.get_ref()) {
                return Ok(());
            }
            Err(unknown(lab, "account", name, lab.accounts.iter().map(String::as_str)))
        };
        match (&self.action, &self.on) {
            (Action::Checkpoint(_) | Action::Rewind(_), None) => {}
            (Action::Checkpoint(_) | Action::Rewind(_), Some(on)) => {
                return Err(Flaw::new("this step concerns the whole lab, and has no `on`", on.span()));
            }
            (_, Some(on)) => machine(on)?,
            (_, None) => {
                let flaw = Flaw::new(
                    format!("step \"{}\" needs `on`, the machine that it is about", self.name.get_ref()),
                    self.name.span(),
                );
                return Err(flaw);
            }
        }
        match &self.action {
            Action::Imap(login) => account(&login.user),
            Action::Smtp(login) => account(&login.user),
            Action::Ssh(login) => account(&login.user),
            Action::Cause(cause) => account(&cause.user),
            Action::Deliver(deliver) => deliver.from.iter().chain([&deliver.to]).try_for_each(account),
            Action::Mailboxes(mailboxes) => mailboxes.create.iter().try_for_each(account),
            Action::Run(run) => run.password_of.iter().try_for_each(account),
            Action::Account(created) => account(&created.create),
            Action::Requests(requests) => machine(&requests.from),
            Action::Upgrade(upgrade) => upgrade.deliver_to.iter().try_for_each(account),
            Action::Inbox(inbox) => account(&inbox.of),
            Action::Units(_) | Action::Keep(_) | Action::Remove(_) | Action::Restore(_) | Action::Mark(_) | Action::Reboot(_)
            // Which checkpoints there are is a matter of all steps.
            | Action::Checkpoint(_) | Action::Rewind(_) => Ok(()),
        }
    }

    /// The machine that it is about, or the lab.
    pub(super) fn machine(&self) -> &str {
        self.on.as_ref().map_or("lab", |on| on.get_ref())
    }
}

fn unknown<'a>(lab: &Topology, kind: &str, name: &Spanned<String>, known: impl Iterator<Item = &'a str>) -> Flaw {
    let message = format!("there is no {kind} `{}` in lab `{}`", name.get_ref(), lab.name);
    Flaw::new(message, name.span()).with_help(format!("there are: {}", known.collect::<Vec<_>>().join(", ")))
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

/// Which password is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// The user's own.
    Right,
    /// Another one.
    Wrong,
}

/// How a login is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Yes.
    Accepted,
    /// No, by a server that works.
    Refused,
    /// Neither: the server cannot tell.
    Unavailable,
}

/// How a connection becomes private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Privacy {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS.
    Starttls,
}

/// A login by IMAP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImapLogin {
    /// Who.
    pub user: Spanned<String>,
    /// With which password.
    #[serde(default = "right")]
    pub password: Credential,
    /// By which mechanism.
    #[serde(default = "imap_login")]
    pub mechanism: imap::Mechanism,
    /// Over which connection.
    #[serde(default = "tls")]
    pub security: Privacy,
    /// The answer.
    pub expect: Answer,
    /// What the server's words contain.
    pub reason: Option<String>,
}

/// A login by SMTP AUTH.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpLogin {
    /// Who.
    pub user: Spanned<String>,
    /// With which password.
    #[serde(default = "right")]
    pub password: Credential,
    /// By which mechanism.
    #[serde(default = "smtp_plain")]
    pub mechanism: smtp::Mechanism,
    /// Over which connection.
    #[serde(default = "starttls")]
    pub security: Privacy,
    /// The answer.
    pub expect: Answer,
    /// What the server's words contain.
    pub reason: Option<String>,
}

/// A login by ssh.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshLogin {
    /// Who.
    pub user: Spanned<String>,
    /// The answer.
    pub expect: Answer,
}

/// A delivery.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deliver {
    /// The user who submits it after a login; without one it comes from a neighbour, on port 25.
    pub from: Option<Spanned<String>>,
    /// The user whose mailbox it arrives in.
    pub to: Spanned<String>,
    /// Where it is seen.
    pub seen: Seen,
}

/// Where a message is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// By the recipient, over IMAP.
    Imap,
    /// In the server's spool, by its Message-ID: when nobody can log in.
    Spool,
}

/// Mailboxes to make.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mailboxes {
    /// Whose.
    pub create: Vec<Spanned<String>>,
}

/// A command in the guest.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// For `/bin/sh`.
    pub command: String,
    /// This user's password is given on standard input.
    pub password_of: Option<Spanned<String>>,
    /// Its exit status.
    #[serde(default)]
    pub status: i64,
    /// What its output contains.
    #[serde(default)]
    pub contains: Vec<String>,
    /// What its output must not contain.
    #[serde(default)]
    pub lacks: Vec<String>,
}

/// The state of units.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// They are active.
    pub active: Vec<String>,
    /// They were not started again since this mark.
    pub same_since: Option<String>,
}

/// A local account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name.
    pub create: Spanned<String>,
}

/// Files of a machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// Absolute paths.
    pub paths: Vec<String>,
}

/// A moment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Its name.
    pub name: String,
    /// Units whose starts are remembered.
    #[serde(default)]
    pub units: Vec<String>,
}

/// Requests to the directory.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// The machine that they come from.
    pub from: Spanned<String>,
    /// Since this mark.
    pub since: String,
    /// How many.
    pub expect: Amount,
}

/// How many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// Not one.
    None,
    /// One or more.
    Some,
}

/// Why a login was refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CauseOf {
    /// The user.
    pub user: Spanned<String>,
    /// The PAM service: `imap` or `smtp`.
    pub service: String,
    /// Since this mark of the mail server's.
    pub since: String,
    /// The cause.
    pub expect: Cause,
}

/// A state of the lab to come back to: all machines, their disks and RAM, at one moment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Its name.
    pub name: Spanned<String>,
}

/// A return.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewind {
    /// The checkpoint, which an earlier step made.
    pub to: Spanned<String>,
}

fn right() -> Credential {
    Credential::Right
}

fn imap_login() -> imap::Mechanism {
    imap::Mechanism::Login
}

fn smtp_plain() -> smtp::Mechanism {
    smtp::Mechanism::Plain
}

fn tls() -> Privacy {
    Privacy::Tls
}

fn starttls() -> Privacy {
    Privacy::Starttls
}
