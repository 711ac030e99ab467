//! What a mailbox holds at one moment, and whether it still does: the same messages under the same numbers, with the same
//! flags and the same bytes, each once.

use super::conversation::ConversationError;
use super::imap::{MailboxName, Session, Uid};
use super::message::MessageId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a mailbox holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holding {
    /// The epoch of its UIDs.
    pub uid_validity: Option<u32>,
    /// Its messages by UID.
    pub messages: BTreeMap<Uid, Held>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Its `Message-ID`, with angle brackets; none if it has none.
    pub id: Option<String>,
    /// Its flags, in capitals, without `\RECENT`: that one is of a session and not of a message.
    pub flags: BTreeSet<String>,
    /// The BLAKE3 digest of its bytes, in hexadecimal digits.
    pub digest: String,
}

/// One way in which a mailbox is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Its UIDs mean something else now: every client has to load it anew.
    Epoch {
        /// What it was.
        before: Option<u32>,
        /// What it is.
        now: Option<u32>,
    },
    /// A message is gone.
    Lost(Uid, Held),
    /// A message is there under another number.
    Renumbered(Uid, Uid),
    /// A message has other bytes.
    Altered(Uid),
    /// A message has other flags.
    Flags(Uid, BTreeSet<String>, BTreeSet<String>),
    /// A message is there so many times.
    Times(MessageId, usize),
    /// A message is there that was accepted for somebody else.
    Stray(MessageId),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |flags: &BTreeSet<String>| flags.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        match self {
            Self::Epoch { before, now } => write!(f, "UIDVALIDITY was {before:?} and is {now:?}"),
            Self::Lost(uid, held) => write!(f, "message {uid} ({}) is lost", held.id.as_deref().unwrap_or("no id")),
            Self::Renumbered(before, now) => write!(f, "message {before} is {now} now"),
            Self::Altered(uid) => write!(f, "message {uid} has other content"),
            Self::Flags(uid, before, now) => write!(f, "message {uid} had ({}) and has ({})", list(before), list(now)),
            Self::Times(id, 0) => write!(f, "{id} was accepted, and is not there"),
            Self::Times(id, times) => write!(f, "{id} is there {times} times"),
            Self::Stray(id) => write!(f, "{id} is there, and was accepted for somebody else"),
        }
    }
}

impl Holding {
    /// Reads all of a mailbox, without marking anything as seen.
    pub async fn read(session: &mut Session, mailbox: &MailboxName) -> Result<Self, ConversationError> {
        let selected = session.select(mailbox).await?;
        let mut messages = BTreeMap::new();
        for uid in session.uids().await? {
            if let Some(fetched) = session.fetch_with_flags(uid).await? {
                let held = Held {
                    id: message_id(&fetched.body),
                    flags: fetched.flags.into_iter().filter(|flag| flag != r"\RECENT").collect(),
                    digest: blake3::hash(&fetched.body).to_hex().to_string(),
                };
                messages.insert(uid, held);
            }
        }
        Ok(Self { uid_validity: selected.uid_validity, messages })
    }

    /// How `now` fails to hold what this held. What came since is no difference.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        if self.uid_validity != now.uid_validity {
            differences.push(Difference::Epoch { before: self.uid_validity, now: now.uid_validity });
        }
        for (&uid, held) in &self.messages {
            let same = |(_, other): &(&Uid, &Held)| other.id == held.id && other.digest == held.digest;
            match now.messages.get(&uid) {
                Some(other) if other.digest != held.digest => differences.push(Difference::Altered(uid)),
                Some(other) if other.flags != held.flags => {
                    differences.push(Difference::Flags(uid, held.flags.clone(), other.flags.clone()));
                }
                Some(_) => {}
                None => differences.push(match now.messages.iter().find(same) {
                    Some((&elsewhere, _)) => Difference::Renumbered(uid, elsewhere),
                    None => Difference::Lost(uid, held.clone()),
                }),
            }
        }
        differences
    }

    /// Which of the messages that a server accepted are not there exactly once.
    #[must_use]
    pub fn not_once<'a>(&self, accepted: impl IntoIterator<Item = &'a MessageId>) -> Vec<Difference> {
        let times =
            |id: &MessageId| self.messages.values().filter(|held| held.id.as_deref() == Some(id.as_str())).count();
        let counted = accepted.into_iter().map(|id| (id, times(id)));
        counted.filter(|&(_, times)| times != 1).map(|(id, times)| Difference::Times(id.clone(), times)).collect()
    }
}

impl Holding {
    /// Which of the messages that a server accepted for others are there.
    #[must_use]
    pub fn strays<'a>(&self, of_others: impl IntoIterator<Item = &'a &'a MessageId>) -> Vec<Difference> {
        let is_here = |id: &MessageId| self.messages.values().any(|held| held.id.as_deref() == Some(id.as_str()));
        of_others.into_iter().filter(|id| is_here(id)).map(|&id| Difference::Stray(id.clone())).collect()
    }
}

/// The `Message-ID` of a message: of its header, which ends with the first empty line.
pub(crate) fn message_id(message: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    let mut header = text.lines().take_while(|line| !line.is_empty());
    let value = header.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("message-id").then(|| value.trim().to_owned())
    })?;
    // A long one may stand on a line of its own (RFC 5322, 2.2.3).
    let mut folded = || header.next().filter(|line| line.starts_with([' ', '\t'])).map(|line| line.trim().to_owned());
    let value = if value.is_empty() { folded()? } else { value };
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(id: &str, flags: &[&str], text: &str) -> Held {
        Held {
            id: Some(id.into()),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            digest: blake3::hash(text.as_bytes()).to_hex().to_string(),
        }
    }

    fn holding(messages: &[(u32, Held)]) -> Holding {
        let messages = messages.iter().cloned().map(|(uid, held)| (Uid(uid), held)).collect();
        Holding { uid_validity: Some(7), messages }
    }

    #[rstest::rstest]
    #[case::the_same(holding(&[(1, held("<a>", &[r"\SEEN"], "x"))]), "")]
    #[case::one_more(holding(&[(1, held("<a>", &[r"\SEEN"], "x")), (2, held("<b>", &[], "y"))]), "")]
    #[case::gone(holding(&[]), "message 1 (<a>) is lost")]
    #[case::other_bytes_elsewhere(holding(&[(4, held("<a>", &[], "z"))]), "message 1 (<a>) is lost")]
    #[case::another_message_with_its_bytes(holding(&[(4, held("<b>", &[], "x"))]), "message 1 (<a>) is lost")]
    #[case::elsewhere(holding(&[(4, held("<a>", &[], "x"))]), "message 1 is 4 now")]
    #[case::other_bytes(holding(&[(1, held("<a>", &[r"\SEEN"], "z"))]), "message 1 has other content")]
    #[case::flags(holding(&[(1, held("<a>", &[], "x"))]), r"message 1 had (\SEEN) and has ()")]
    #[case::epoch(Holding { uid_validity: Some(8), ..holding(&[(1, held("<a>", &[r"\SEEN"], "x"))]) }, "UIDVALIDITY was Some(7) and is Some(8)")]
    fn a_mailbox_is_compared_with_what_it_was(#[case] now: Holding, #[case] expected: &str) {
        let before = holding(&[(1, held("<a>", &[r"\SEEN"], "x"))]);
        let found: Vec<_> = before.differences(&now).iter().map(ToString::to_string).collect();
        assert_eq!(found.join("; "), expected);
    }

    #[test]
    fn each_accepted_message_is_there_once() {
        let id = |text: &str| serde_json::from_value::<MessageId>(text.into()).unwrap();
        let now = holding(&[(1, held("<a>", &[], "x")), (2, held("<b>", &[], "y")), (3, held("<b>", &[], "y"))]);
        let accepted = [id("<a>"), id("<b>"), id("<c>")];
        let found: Vec<_> = now.not_once(&accepted).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["<b> is there 2 times", "<c> was accepted, and is not there"]);
        let strays: Vec<_> = now.strays(&[&id("<a>"), &id("<z>")]).iter().map(ToString::to_string).collect();
        assert_eq!(strays, ["<a> is there, and was accepted for somebody else"]);
    }

    #[test]
    fn an_identifier_stands_in_the_header_only() {
        assert_eq!(message_id(b"From: a\r\nMessage-Id: <x@y>\r\n\r\ntext"), Some("<x@y>".into()));
        assert_eq!(message_id(b"Message-Id:\r\n <x@y>\r\nFrom: a\r\n\r\n"), Some("<x@y>".into()));
        assert_eq!(message_id(b"Message-Id:\r\nFrom: a\r\n\r\n"), None);
        assert_eq!(message_id(b"From: a\r\n\r\nMessage-ID: <x@y>\r\n"), None);
    }
}
