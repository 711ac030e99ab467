//! What the verbs of a step are told.

use super::span::TimeSpan;
use crate::mail::causes::Cause;
use crate::mail::diagnosis::{RootCause, Service as MailService};
use crate::mail::imap;
use crate::mail::smtp;
use crate::mistake::{Flaw, Flaws};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// Which password is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Credential {
    /// The user's own.
    Right,
    /// Another one.
    Wrong,
}

/// How a login is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Privacy {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS.
    Starttls,
}

/// A login by IMAP.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImapLogin {
    /// Who.
    #[schemars(with = "String")]
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
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmtpLogin {
    /// Who.
    #[schemars(with = "String")]
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
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshLogin {
    /// Who.
    #[schemars(with = "String")]
    pub user: Spanned<String>,
    /// The answer.
    pub expect: Answer,
}

/// A delivery.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deliver {
    /// The user who submits it after a login; without one it comes from a neighbour, on port 25.
    #[schemars(with = "Option<String>")]
    pub from: Option<Spanned<String>>,
    /// The user whose mailbox it arrives in.
    #[schemars(with = "String")]
    pub to: Spanned<String>,
    /// Where it is seen.
    pub seen: Seen,
}

/// Where a message is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// By the recipient, over IMAP.
    Imap,
    /// In the server's spool, by its Message-ID: when nobody can log in.
    Spool,
    /// Not yet: the step ends when the server has accepted it. Whether it came is for a later look into the inbox.
    Later,
}

/// Mailboxes to make.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mailboxes {
    /// Whose.
    #[schemars(with = "Vec<String>")]
    pub create: Vec<Spanned<String>>,
}

/// A command in the guest.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// For `/bin/sh`.
    pub command: String,
    /// This user's password is given on standard input.
    #[schemars(with = "Option<String>")]
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

/// A password that nobody must overhear.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Overhear {
    /// This user's.
    #[schemars(with = "String")]
    pub password_of: Spanned<String>,
}

/// The state of units.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// They are active.
    pub active: Vec<String>,
    /// They were not started again since this mark.
    pub same_since: Option<String>,
}

/// A local account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name.
    #[schemars(with = "String")]
    pub create: Spanned<String>,
}

/// Files of a machine.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// Absolute paths.
    #[schemars(with = "Vec<String>")]
    pub paths: Vec<Spanned<String>>,
}

impl Paths {
    /// The paths as text.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(|path| path.get_ref().as_str())
    }
}

/// A moment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Its name.
    pub name: String,
    /// Units whose starts are remembered.
    #[serde(default)]
    pub units: Vec<String>,
}

/// Requests to the directory.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// The machine that they come from.
    #[schemars(with = "String")]
    pub from: Spanned<String>,
    /// Since this mark.
    pub since: String,
    /// How many.
    pub expect: Amount,
}

/// How many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// Not one.
    None,
    /// One or more.
    Some,
}

/// Why a login was refused.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CauseOf {
    /// The user.
    #[schemars(with = "String")]
    pub user: Spanned<String>,
    /// The PAM service: `imap` or `smtp`.
    pub service: String,
    /// Since this mark of the mail server's.
    pub since: String,
    /// The cause.
    pub expect: Cause,
}

/// Why a user cannot log in, by all evidence there is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Diagnose {
    /// The user.
    #[schemars(with = "String")]
    pub user: Spanned<String>,
    /// Where the user logs in.
    pub service: MailService,
    /// Since this mark of the mail server's.
    pub since: String,
    /// The cause that comes first.
    pub expect: RootCause,
    /// Other causes that are found, too.
    #[serde(default)]
    pub also: Vec<RootCause>,
}

/// The state of a machine's services.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Units whose states are shown.
    #[serde(default)]
    pub units: Vec<String>,
    /// Services whose PAM files are shown, with those that they include.
    #[serde(default)]
    pub pam: Vec<String>,
    /// Whether the settings of postfix are shown that are not its own (`postconf -n`).
    #[serde(default)]
    pub postconf: bool,
    /// Packages whose versions are shown, as far as updates within a release leave them alone: `3.7` of `3.7.11-0+deb12u1`.
    #[serde(default)]
    pub packages: Vec<String>,
}

/// A state of the lab to come back to: all machines, their disks and RAM, at one moment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Its name.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// It stays in the cache, and later runs with the same steps before it start behind it.
    #[serde(default)]
    pub keep: bool,
}

/// A return.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rewind {
    /// The checkpoint, which an earlier step made.
    #[schemars(with = "String")]
    pub to: Spanned<String>,
    /// A copy of the machines takes their place, and who does that has forgotten nothing: copies of files, what inboxes held,
    /// what was accepted, and what was taken from spools stays known. Without it, all is as it was then.
    #[serde(default)]
    pub remembering: bool,
}

/// A file as it must be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileState {
    /// Its absolute path.
    #[schemars(with = "String")]
    pub path: Spanned<String>,
    /// Whether it is there.
    #[serde(default = "present")]
    pub expect: Presence,
    /// What it contains.
    #[serde(default)]
    pub contains: Vec<String>,
    /// What it must not contain.
    #[serde(default)]
    pub lacks: Vec<String>,
}

impl FileState {
    /// Of a file that is not there nothing else is expected.
    pub(super) fn check(&self, flaws: &mut Flaws) {
        if self.expect == Presence::Absent && !(self.contains.is_empty() && self.lacks.is_empty()) {
            flaws.push(Flaw::new("a file that is absent contains nothing", self.path.span()));
        }
    }
}

/// Whether a file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It is.
    Present,
    /// It is not.
    Absent,
}

/// A file to write; what was there before is gone.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Its absolute path.
    #[schemars(with = "String")]
    pub path: Spanned<String>,
    /// All of its content.
    pub content: String,
    /// Its permissions, in octal.
    #[serde(default = "for_all_to_read")]
    #[schemars(with = "String")]
    pub mode: Spanned<String>,
}

impl Write {
    /// The permissions as a number.
    pub(super) fn mode(&self) -> Option<u32> {
        u32::from_str_radix(self.mode.get_ref(), 8).ok().filter(|mode| *mode <= 0o7777)
    }

    /// The permissions are some.
    pub(super) fn check(&self, flaws: &mut Flaws) {
        if self.mode().is_none() {
            let flaw = Flaw::new(format!("`{}` are no permissions", self.mode.get_ref()), self.mode.span());
            flaws.push(flaw.with_help("write them in octal, as in \"0644\""));
        }
    }
}

/// Units to start, stop or restart: first what is to stop.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// To be stopped.
    #[serde(default)]
    pub stop: Vec<String>,
    /// To be started.
    #[serde(default)]
    pub start: Vec<String>,
    /// To be stopped and started.
    #[serde(default)]
    pub restart: Vec<String>,
    /// To read their configuration again.
    #[serde(default)]
    pub reload: Vec<String>,
}

/// A jump of a machine's clock.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// By how much; it is not stretched.
    pub advance: TimeSpan,
}

/// A machine's network cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// Pulled: the machine's cards have no carrier.
    Cut,
    /// Plugged in.
    Restored,
}

/// A machine's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// It is off at once, as by a pulled plug: what was not on the disk is lost.
    Cut,
    /// It shuts down in order, and stays off.
    Shutdown,
    /// It starts, and nothing is left to start.
    On,
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

fn present() -> Presence {
    Presence::Present
}

fn for_all_to_read() -> Spanned<String> {
    Spanned::new(0..0, "0644".to_owned())
}
