//! What all other verbs of a step are told: those about commands and units, moments, causes, the whole lab, and a machine's cable, power
//! and clock.

use super::span::TimeSpan;
use crate::mail::causes::Cause;
use crate::mail::diagnosis::{RootCause, Service as MailService};
use crate::mistake::{Flaw, Flaws};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use toml::Spanned;

/// A command in the guest.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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
    /// All of its output, but for blanks at both ends: `"2"` is not met by `12`. Use it for numbers, states and names.
    pub output_is: Option<String>,
    /// `[{ begins = "435 ", times = 1 }]`: lines of its output that are there, and how many times.
    #[serde(default)]
    #[schemars(with = "Vec<OutputLine>")]
    pub output_lines: Vec<Spanned<OutputLine>>,
}

impl Run {
    /// Each line says what it is.
    pub(super) fn check(&self, flaws: &mut Flaws) {
        for line in &self.output_lines {
            line.get_ref().check(line.span(), flaws);
        }
    }
}

/// Lines of a command's output, each without blanks at its ends. With several of `is`, `begins` and `contains`, one line has all
/// of them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputLine {
    /// The whole line.
    pub is: Option<String>,
    /// What the line begins with.
    pub begins: Option<String>,
    /// What the line contains.
    pub contains: Option<String>,
    /// How many such lines there are; without it, one or more.
    pub times: Option<usize>,
}

impl OutputLine {
    fn check(&self, span: Range<usize>, flaws: &mut Flaws) {
        let parts = [&self.begins, &self.contains].into_iter().flatten().count();
        let help = "give it `is`, or `begins`, or `contains`, or both of the latter";
        match (&self.is, parts) {
            (None, 0) => flaws.push(Flaw::new("every line is such a line", span).with_help(help)),
            (Some(_), 1..) => flaws.push(Flaw::new("`is` says all of the line", span).with_help(help)),
            _ => {}
        }
    }
}

/// A password that nobody must overhear.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Overhear {
    /// This user's.
    #[schemars(with = "String")]
    pub password_of: Spanned<String>,
}

/// The state of units.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// They are active.
    pub active: Vec<String>,
    /// They were not started again since this mark.
    pub same_since: Option<String>,
}

/// A local account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name.
    #[schemars(with = "String")]
    pub create: Spanned<String>,
}

/// A moment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Its name.
    pub name: String,
    /// Units whose starts are remembered.
    #[serde(default)]
    pub units: Vec<String>,
}

/// Requests to the directory.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// Not one.
    None,
    /// One or more.
    Some,
}

/// Why a login was refused.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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

/// Units to start, stop or restart: first what is to stop.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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

/// A machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Clock {
    /// It jumps forward by this; the time is not stretched.
    Advance(TimeSpan),
    /// It differs from this host's by no more than this; the time is not stretched.
    RightWithin(TimeSpan),
}

/// A machine's network cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// Pulled: the machine's cards have no carrier.
    Cut,
    /// Plugged in.
    Restored,
}

/// A machine's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// It is off at once, as by a pulled plug: what was not on the disk is lost.
    Cut,
    /// It shuts down in order, and stays off.
    Shutdown,
    /// It starts, and nothing is left to start.
    On,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::whole("is = 'a'", "")]
    #[case::both_ends("begins = 'a', contains = 'b', times = 2", "")]
    #[case::any_line("times = 2", "every line is such a line")]
    #[case::whole_and_part("is = 'a', begins = 'a'", "`is` says all of the line")]
    fn a_line_says_what_it_is(#[case] keys: &str, #[case] words: &str) {
        let line: Run = toml::from_str(&format!("command = 'x'\noutput_lines = [{{ {keys} }}]")).unwrap();
        let mut flaws = Flaws::default();
        line.check(&mut flaws);
        assert_eq!(flaws.is_empty(), words.is_empty(), "{flaws:?}");
        assert!(format!("{flaws:?}").contains(words), "{flaws:?}");
    }
}
