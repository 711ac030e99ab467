//! The file format, as types. Unknown keys and unknown machines are errors with their place in the file.

use crate::lab::{Topology, TopologyError};
use crate::mail::causes::Cause;
use crate::mail::imap;
use crate::mail::smtp;
use miette::{Diagnostic, NamedSource, SourceSpan};
use serde::Deserialize;
use std::fmt;
use std::path::Path;
use toml::Spanned;

/// A scenario and the lab that it runs in.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name: the file's.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// The lab.
    pub topology: Topology,
    /// What is done and expected, in order.
    pub steps: Vec<Step>,
}

/// One way to run a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// All steps: the only cell of a file without faults.
    Main,
    /// All steps of a file with faults.
    Fault,
    /// Without the faults: no symptom may hold.
    Control,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "main",
            Self::Fault => "fault",
            Self::Control => "control",
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    summary: String,
    lab: Spanned<String>,
    #[serde(rename = "step")]
    steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A sentence: what is true when it passes.
    pub name: String,
    /// The machine that it is about.
    pub on: Spanned<String>,
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

/// What is wrong with a scenario file, and where.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ScenarioError {
    /// It cannot be read.
    #[error("failed to read the scenario: {0}")]
    Read(#[from] std::io::Error),
    /// It is not what a scenario must be.
    #[error("{message}")]
    Content {
        /// What is wrong.
        message: String,
        /// The file.
        #[source_code]
        source_code: NamedSource<String>,
        /// The place.
        #[label("here")]
        span: Option<SourceSpan>,
        /// What would be right.
        #[help]
        help: Option<String>,
    },
    /// Its lab is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Topology(#[from] TopologyError),
}

impl Scenario {
    /// Reads and checks a scenario file; its lab is `labs/<name>.toml` beside it.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = fs_err::read_to_string(path)?;
        let content =
            |message: String, span: Option<std::ops::Range<usize>>, help: Option<String>| ScenarioError::Content {
                message,
                source_code: NamedSource::new(path.display().to_string(), text.clone()).with_language("TOML"),
                span: span.map(Into::into),
                help,
            };
        let file: File =
            toml::from_str(&text).map_err(|error| content(error.message().to_owned(), error.span(), None))?;
        let lab = path.with_file_name("labs").join(format!("{}.toml", file.lab.get_ref()));
        if !lab.is_file() {
            return Err(content(
                format!("there is no lab `{}`", file.lab.get_ref()),
                Some(file.lab.span()),
                Some(format!("it would be {}", lab.display())),
            ));
        }
        let topology = Topology::load(&lab)?;
        for step in &file.steps {
            check(step, &topology).map_err(|(name, kind, known)| {
                content(
                    format!("there is no {kind} `{}` in lab `{}`", name.get_ref(), file.lab.get_ref()),
                    Some(name.span()),
                    Some(format!("there are: {}", known.join(", "))),
                )
            })?;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, summary: file.summary, topology, steps: file.steps })
    }

    /// The ways to run it.
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        if self.steps.iter().any(|step| step.fault) { vec![Cell::Fault, Cell::Control] } else { vec![Cell::Main] }
    }

    /// Rows of the specification that its steps drive, in order, once each.
    #[must_use]
    pub fn covers(&self) -> Vec<String> {
        let mut rows: Vec<_> = self.steps.iter().flat_map(|step| step.covers.clone()).collect();
        rows.sort();
        rows.dedup();
        rows
    }
}

type Unknown<'a> = (&'a Spanned<String>, &'static str, Vec<String>);

/// Every machine and account that a step names is in its lab.
fn check<'a>(step: &'a Step, topology: &Topology) -> Result<(), Unknown<'a>> {
    let machine = |name: &'a Spanned<String>| match topology.machine(name.get_ref()) {
        Some(_) => Ok(()),
        None => {
            Err((name, "machine", topology.machines.iter().map(|machine| machine.name.get_ref().to_string()).collect()))
        }
    };
    let account = |name: &'a Spanned<String>| {
        if topology.accounts.contains(name.get_ref()) {
            Ok(())
        } else {
            Err((name, "account", topology.accounts.clone()))
        }
    };
    machine(&step.on)?;
    match &step.action {
        Action::Imap(login) => account(&login.user),
        Action::Smtp(login) => account(&login.user),
        Action::Ssh(login) => account(&login.user),
        Action::Cause(cause) => account(&cause.user),
        Action::Deliver(deliver) => deliver.from.iter().chain([&deliver.to]).try_for_each(account),
        Action::Mailboxes(mailboxes) => mailboxes.create.iter().try_for_each(account),
        Action::Run(run) => run.password_of.iter().try_for_each(account),
        Action::Account(created) => account(&created.create),
        Action::Requests(requests) => machine(&requests.from),
        Action::Units(_) | Action::Keep(_) | Action::Remove(_) | Action::Restore(_) | Action::Mark(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(step: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let labs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/labs/mail-lan.toml");
        std::fs::create_dir(directory.path().join("labs")).unwrap();
        std::fs::copy(labs, directory.path().join("labs/mail-lan.toml")).unwrap();
        let path = directory.path().join("x.toml");
        std::fs::write(&path, format!("summary = \"x\"\nlab = \"mail-lan\"\n[[step]]\n{step}\n")).unwrap();
        let error = Scenario::load(&path).unwrap_err();
        let mut message = String::new();
        miette::NarratableReportHandler::new().render_report(&mut message, &error).unwrap();
        message
    }

    #[rstest::rstest]
    #[case::machine("name = \"a\"\non = \"mial\"\ndo.units = { active = [] }", "no machine `mial`", "line 5")]
    #[case::account(
        "name = \"a\"\non = \"mail\"\ndo.imap = { user = \"eve\", expect = \"accepted\" }",
        "no account `eve`",
        "line 6"
    )]
    #[case::key(
        "name = \"a\"\non = \"mail\"\ndo.imap = { user = \"alice\", expects = \"accepted\" }",
        "unknown field `expects`",
        "line 6"
    )]
    #[case::verb("name = \"a\"\non = \"mail\"\ndo.imaap = { user = \"alice\" }", "unknown variant `imaap`", "line 6")]
    #[case::answer(
        "name = \"a\"\non = \"mail\"\ndo.imap = { user = \"alice\", expect = \"yes\" }",
        "unknown variant `yes`",
        "line 6"
    )]
    fn mistakes_have_a_place(#[case] step: &str, #[case] words: &str, #[case] place: &str) {
        let message = message(step);
        assert!(message.contains(words) && message.contains(place), "{message}");
    }

    #[test]
    fn the_projects_own_scenarios_are_good() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let scenario = Scenario::load(&directory.join("pam-loss.toml")).unwrap();
        assert_eq!(scenario.cells(), [Cell::Fault, Cell::Control]);
        assert!(scenario.covers().iter().any(|row| row == "U3"));
    }
}
