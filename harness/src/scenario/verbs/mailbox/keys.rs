//! What verbs about stored mail are told.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::scenario::verbs::guest::file_keys::{Presence, present};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

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

impl Spool {
    /// It does one thing.
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        if self.take.is_some() == self.put.is_some() {
            let diagnostic = Diagnostic::new("the spool is either read or written to", self.of.span());
            diagnostics.push(diagnostic.with_help("give it `take = NAME`, and a later step `put = NAME`"));
        }
    }
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
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        if !self.id.contains('@') || self.id.contains(char::is_whitespace) {
            let diagnostic = Diagnostic::new(format!("`{}` is no Message-ID", self.id), self.of.span());
            diagnostics.push(
                diagnostic.with_help("write it as it stands in the header, as in `id = \"weather@friend.example\"`"),
            );
        }
        if self.expect == Presence::Absent && !(self.contains.is_empty() && self.lacks.is_empty()) {
            diagnostics.push(Diagnostic::new("a message that is absent contains nothing", self.of.span()));
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
        flawed(|diagnostics| state.check(diagnostics), words);
    }

    #[rstest::rstest]
    #[case::read("take = 'x'", "")]
    #[case::written("put = 'x'", "")]
    #[case::both("take = 'x'\nput = 'x'", "either read or written")]
    #[case::neither("", "either read or written")]
    fn a_spool_is_read_or_written(#[case] keys: &str, #[case] words: &str) {
        let spool: Spool = toml::from_str(&format!("of = 'alice'\n{keys}")).unwrap();
        flawed(|diagnostics| spool.check(diagnostics), words);
    }

    /// Nothing is wrong where there are no words.
    fn flawed(check: impl FnOnce(&mut Diagnostics), words: &str) {
        let mut diagnostics = Diagnostics::default();
        check(&mut diagnostics);
        assert_eq!(diagnostics.is_empty(), words.is_empty(), "{diagnostics:?}");
        assert!(format!("{diagnostics:?}").contains(words), "{diagnostics:?}");
    }
}
