//! What verbs are told that change a whole machine, and those that tell whether its mail survived.

use super::files::{Presence, present};
use crate::mistake::{Flaw, Flaws};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// A distribution upgrade in the running guest.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// The repository on the machine's disk of packages.
    #[schemars(with = "String")]
    pub repository: Spanned<String>,
    /// What carries it out.
    #[serde(default)]
    pub driver: Driver,
    /// While it runs, a neighbour hands over mail for this user, on port 25, and keeps what is not accepted.
    #[schemars(with = "Option<String>")]
    pub deliver_to: Option<Spanned<String>>,
    /// How it ends.
    #[serde(default)]
    pub expect: Ending,
    /// What is said of an upgrade that fails: which step, which package, and what to do.
    #[serde(default)]
    pub says: Vec<String>,
    /// So many messages, or more, are accepted while it runs: without a number, mail that does not come is no failure.
    pub accepted_at_least: Option<usize>,
    /// The step of the scenario ends when so many packages have been dealt with. The upgrade goes on: for a power cut.
    pub until_package: Option<u32>,
}

/// What carries out an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// `zypper dist-upgrade`.
    #[default]
    Zypper,
    /// `apt-get dist-upgrade`, which keeps configuration files that were changed.
    Apt,
}

impl Upgrade {
    /// What it expects goes together.
    pub(super) fn check(&self, flaws: &mut Flaws) {
        if self.expect == Ending::Done && !self.says.is_empty() {
            let flaw = Flaw::new("an upgrade that is done says nothing of a failure", self.repository.span());
            flaws.push(flaw.with_help("`says` goes with `expect = \"failed\"`"));
        }
        if self.accepted_at_least.is_some() && self.deliver_to.is_none() {
            let flaw = Flaw::new("nobody sends mail during this upgrade", self.repository.span());
            flaws.push(flaw.with_help("`accepted_at_least` goes with `deliver_to`"));
        }
        if self.until_package == Some(0) {
            flaws.push(Flaw::new("the first package has number 1", self.repository.span()));
        }
    }
}

/// How an upgrade ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// All is done, and nothing complains.
    #[default]
    Done,
    /// It is not carried out, or not to its end.
    Failed,
}

/// A forecast of what an upgrade will do to each file in `/etc`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForecastOf {
    /// The repository on the machine's disk of packages.
    #[schemars(with = "String")]
    pub repository: Spanned<String>,
    /// What the forecast is called.
    pub name: String,
    /// The files whose content will be lost: these, and no others.
    #[schemars(with = "Option<Vec<String>>")]
    pub loses: Option<Vec<Spanned<String>>>,
}

/// Whether a forecast came true.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameTrue {
    /// The forecast.
    pub forecast: String,
    /// Files that programs rewrite after the packages came; nothing is expected of them.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub except: Vec<Spanned<String>>,
}

/// The files of a user's inbox, as they lie in the server's spool.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spool {
    /// Whose.
    #[schemars(with = "String")]
    pub of: Spanned<String>,
    /// They are read, and known under this name.
    pub take: Option<String>,
    /// Those of this name are put into the spool, where a message has no file yet. The mailbox does not know them before it
    /// is reconstructed.
    pub put: Option<String>,
}

/// A reboot by the guest's own systemd, into the newest kernel that is installed in it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reboot {
    /// Whether it comes up again.
    #[serde(default)]
    pub expect: Return,
    /// What is said of a machine that does not.
    #[serde(default)]
    pub says: Vec<String>,
}

/// Whether a machine comes up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Return {
    /// It does.
    #[default]
    Back,
    /// It does not, and is off afterwards.
    Away,
}

/// What a user's inbox holds, over IMAP.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inbox {
    /// Whose.
    #[schemars(with = "String")]
    pub of: Spanned<String>,
    /// Its content is remembered under this name.
    pub remember: Option<String>,
    /// It holds what it did when that was remembered: the same messages with the same UIDs, flags and bytes, and each
    /// message that the server has accepted from earlier steps.
    pub holds: Option<String>,
    /// How often each of those is there.
    #[serde(default)]
    pub each: Copies,
    /// Before that its first message gets these flags, such as `\Flagged`.
    pub flag: Option<String>,
}

/// Where a mail server has stored a message, by the files of its spool: for mail that nobody need be able to log in for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageState {
    /// Its `Message-ID`; angle brackets may be left out.
    pub id: String,
    /// The addressee: the message is in this user's inbox exactly once, in no other mailbox, and in no queue any more.
    #[schemars(with = "String")]
    pub of: Spanned<String>,
    /// Whether it is there; `"absent"` says that it is in no mailbox at all.
    #[serde(default = "present")]
    pub expect: Presence,
    /// What the stored message contains, headers and body.
    #[serde(default)]
    pub contains: Vec<String>,
    /// What it must not contain.
    #[serde(default)]
    pub lacks: Vec<String>,
}

impl MessageState {
    /// The identifier is one, and nothing is expected of a message that is not there.
    pub(super) fn check(&self, flaws: &mut Flaws) {
        if !self.id.contains('@') || self.id.contains(char::is_whitespace) {
            let flaw = Flaw::new(format!("`{}` is no Message-ID", self.id), self.of.span());
            flaws.push(flaw.with_help("write it as it stands in the header, as in `id = \"weather@friend.example\"`"));
        }
        if self.expect == Presence::Absent && !(self.contains.is_empty() && self.lacks.is_empty()) {
            flaws.push(Flaw::new("a message that is absent contains nothing", self.of.span()));
        }
    }
}

/// How often an inbox has a message that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Copies {
    /// Exactly once.
    #[default]
    Once,
    /// Once or more. Who is cut off between taking a message and saying so gets it again (RFC 1047): after a power cut a
    /// message may be there twice, but none may be missing.
    AtLeastOnce,
}

impl Spool {
    /// It does one thing.
    pub(super) fn check(&self, flaws: &mut Flaws) {
        if self.take.is_some() == self.put.is_some() {
            let flaw = Flaw::new("the spool is either read or written to", self.of.span());
            flaws.push(flaw.with_help("give it `take = NAME`, and a later step `put = NAME`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::bare("weather@friend.example", "", "")]
    #[case::in_brackets("<weather@friend.example>", "contains = ['Yes']", "")]
    #[case::no_identifier("weather", "", "`weather` is no Message-ID")]
    #[case::words_of_nothing("a@b", "expect = 'absent'\nlacks = ['x']", "contains nothing")]
    fn a_message_is_named_and_its_words_are_there(#[case] id: &str, #[case] keys: &str, #[case] words: &str) {
        let state: MessageState = toml::from_str(&format!("id = '{id}'\nof = 'alice'\n{keys}")).unwrap();
        flawed(|flaws| state.check(flaws), words);
    }

    #[rstest::rstest]
    #[case::bare("", "")]
    #[case::done_with_words_of_a_failure("says = ['x']", "says nothing of a failure")]
    #[case::failed_with_words("expect = 'failed'\nsays = ['x']", "")]
    #[case::failed("expect = 'failed'", "")]
    #[case::nobody_sends("accepted_at_least = 1", "nobody sends mail")]
    #[case::somebody_sends("accepted_at_least = 1\ndeliver_to = 'alice'", "")]
    #[case::sent_without_a_number("deliver_to = 'alice'", "")]
    #[case::no_package("until_package = 0", "has number 1")]
    #[case::first_package("until_package = 1", "")]
    fn what_an_upgrade_expects_goes_together(#[case] keys: &str, #[case] words: &str) {
        let upgrade: Upgrade = toml::from_str(&format!("repository = 'leap'\n{keys}")).unwrap();
        flawed(|flaws| upgrade.check(flaws), words);
    }

    #[rstest::rstest]
    #[case::read("take = 'x'", "")]
    #[case::written("put = 'x'", "")]
    #[case::both("take = 'x'\nput = 'x'", "either read or written")]
    #[case::neither("", "either read or written")]
    fn a_spool_is_read_or_written(#[case] keys: &str, #[case] words: &str) {
        let spool: Spool = toml::from_str(&format!("of = 'alice'\n{keys}")).unwrap();
        flawed(|flaws| spool.check(flaws), words);
    }

    /// Nothing is wrong where there are no words.
    fn flawed(check: impl FnOnce(&mut Flaws), words: &str) {
        let mut flaws = Flaws::default();
        check(&mut flaws);
        assert_eq!(flaws.is_empty(), words.is_empty(), "{flaws:?}");
        assert!(format!("{flaws:?}").contains(words), "{flaws:?}");
    }
}
