//! Where a mail server's spool has a message: in its addressee's inbox, exactly once, and in no other mailbox.

use crate::mail::mailbox::message_id;
use crate::scenario::format::step::{MessageState, Presence};
use crate::scenario::verbs::expectation::Instead::{self, Sound, Unclear};
use crate::scenario::verbs::expectation::Judged;

/// The copies of a message on a mail server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Copies {
    /// Files of the addressee's inbox.
    pub(crate) inbox: Vec<String>,
    /// Files of other mailboxes.
    pub(crate) elsewhere: Vec<String>,
    /// Files of postfix' queues: the server has not finished with it.
    pub(crate) queued: Vec<String>,
}

/// What the guest prints before the headers of each file, with the kind of the place and the path.
pub(crate) const MARK: &str = "rehearsal-copy";

impl Copies {
    /// Reads what the guest found: files in which the identifier stands somewhere, each with its headers. Where it is not
    /// the message's own, as in a reply or a bounce, it is another message.
    pub(crate) fn read(printed: &str, id: &str) -> Self {
        let mut copies = Self::default();
        for part in printed.split(&format!("{MARK} ")).skip(1) {
            let (place, headers) = part.split_once('\n').unwrap_or((part, ""));
            let Some((kind, file)) = place.split_once(' ') else { continue };
            let is_it = || message_id(headers.as_bytes()).is_some_and(|found| bare(&found) == bare(id));
            match kind {
                "inbox" if is_it() => copies.inbox.push(file.to_owned()),
                "elsewhere" if is_it() => copies.elsewhere.push(file.to_owned()),
                // A queue file is no plain message.
                "queued" => copies.queued.push(file.to_owned()),
                _ => {}
            }
        }
        copies
    }

    /// Whether the server has stored it, and has nothing left to do with it.
    pub(crate) fn are_final(&self) -> bool {
        self.queued.is_empty() && !(self.inbox.is_empty() && self.elsewhere.is_empty())
    }

    /// Holds them against the rule: one in the inbox, and none elsewhere.
    pub(crate) fn judge(&self, key: &'static str, user: &str) -> Judged {
        let mut judged = Judged::new(self.told(user));
        let is_there = self.inbox.len() == 1 && self.elsewhere.is_empty() && self.queued.is_empty();
        judged.expect(key, is_there, self.unless_nowhere(), String::new);
        judged
    }

    /// A sound system that has no such message has it nowhere.
    fn unless_nowhere(&self) -> Instead {
        if self.inbox.is_empty() && self.elsewhere.is_empty() { Sound } else { Unclear }
    }

    fn told(&self, user: &str) -> String {
        let mut words = vec![match self.inbox.as_slice() {
            [] => format!("not in the inbox of {user}"),
            [file] => file.clone(),
            files => format!("{} times in the inbox of {user}: {}", files.len(), files.join(", ")),
        }];
        if !self.elsewhere.is_empty() {
            words.push(format!("in another mailbox: {}", self.elsewhere.join(", ")));
        }
        if !self.queued.is_empty() {
            words.push(format!("still in the queue: {}", self.queued.join(", ")));
        }
        words.join("; ")
    }
}

impl MessageState {
    /// Holds the copies of a message, and its text in the inbox, against the expectation.
    pub(crate) fn judge(&self, copies: &Copies, text: Option<&str>) -> Judged {
        let user = self.of.get_ref();
        let text = text.unwrap_or_default();
        match self.expect {
            Presence::Present => {
                let mut judged = copies.judge("expect", user);
                for words in &self.contains {
                    judged.expect("contains", text.contains(words), Sound, || format!("lacks `{words}`"));
                }
                for words in &self.lacks {
                    judged.expect("lacks", !text.contains(words), Sound, || format!("has `{words}`"));
                }
                judged
            }
            Presence::Absent => {
                let none = copies.inbox.is_empty() && copies.elsewhere.is_empty();
                let observed = if none { "in no mailbox".into() } else { copies.told(user) };
                let is_in_place = copies.inbox.len() == 1 && copies.elsewhere.is_empty();
                let mut judged = Judged::new(observed);
                judged.expect("expect", none, if is_in_place { Sound } else { Unclear }, String::new);
                judged
            }
        }
    }
}

/// An identifier without its angle brackets.
fn bare(id: &str) -> &str {
    id.trim().trim_start_matches('<').trim_end_matches('>')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "weather@friend.example";

    fn found(places: &[(&str, &str)]) -> Copies {
        let printed = places.iter().map(|(place, id)| {
            format!("{MARK} {place}\nReceived: by x\r\nMessage-Id: <{id}>\r\nReferences: <{ID}>\r\n\r\n")
        });
        Copies::read(&format!("noise\n{}", printed.collect::<String>()), ID)
    }

    #[rstest::rstest]
    #[case::once(&[("inbox /a/1.", ID)], "/a/1.", true)]
    #[case::nowhere(&[], "not in the inbox of alice", false)]
    #[case::twice(&[("inbox /a/1.", ID), ("inbox /a/2.", ID)], "2 times in the inbox of alice: /a/1., /a/2.", false)]
    #[case::elsewhere(&[("elsewhere /b/1.", ID)], "not in the inbox of alice; in another mailbox: /b/1.", false)]
    #[case::both(&[("inbox /a/1.", ID), ("elsewhere /b/1.", ID)], "/a/1.; in another mailbox: /b/1.", false)]
    #[case::queued(&[("inbox /a/1.", ID), ("queued /q/A1", ID)], "/a/1.; still in the queue: /q/A1", false)]
    #[case::a_reply_is_another(&[("inbox /a/1.", ID), ("inbox /a/2.", "reply@x"), ("elsewhere /b/1.", "bounce@x")], "/a/1.", true)]
    fn a_message_is_where_it_belongs(#[case] places: &[(&str, &str)], #[case] words: &str, #[case] met: bool) {
        let judged = found(places).judge("seen", "alice");
        assert_eq!((judged.answered().as_str(), judged.is_met()), (words, met));
    }

    #[rstest::rstest]
    #[case::nothing_yet(&[], false)]
    #[case::still_coming(&[("inbox /a/1.", ID), ("queued /q/A1", ID)], false)]
    #[case::stored(&[("inbox /a/1.", ID)], true)]
    #[case::stored_for_somebody_else(&[("elsewhere /b/1.", ID)], true)]
    fn a_look_is_final_when_the_server_has_finished(#[case] places: &[(&str, &str)], #[case] expected: bool) {
        assert_eq!(found(places).are_final(), expected);
    }

    #[rstest::rstest]
    #[case::words("contains = ['Yes']", &[("inbox /a/1.", ID)], "/a/1.", true)]
    #[case::other_words("contains = ['No']", &[("inbox /a/1.", ID)], "/a/1.; lacks `No`", false)]
    #[case::unwanted("lacks = ['Yes']", &[("inbox /a/1.", ID)], "/a/1.; has `Yes`", false)]
    #[case::absent("expect = 'absent'", &[], "in no mailbox", true)]
    #[case::only_queued("expect = 'absent'", &[("queued /q/A1", ID)], "in no mailbox", true)]
    #[case::not_absent("expect = 'absent'", &[("elsewhere /b/1.", ID)], "not in the inbox of alice; in another mailbox: /b/1.", false)]
    fn a_message_is_as_it_should_be(
        #[case] keys: &str,
        #[case] places: &[(&str, &str)],
        #[case] words: &str,
        #[case] met: bool,
    ) {
        let state: MessageState = toml::from_str(&format!("id = '{ID}'\nof = 'alice'\n{keys}")).unwrap();
        let judged = state.judge(&found(places), Some("X-Spam-Flag: Yes"));
        assert_eq!((judged.answered().as_str(), judged.is_met()), (words, met));
    }

    #[rstest::rstest]
    #[case::nowhere("", &[], Some(Sound))]
    #[case::elsewhere("", &[("elsewhere /b/1.", ID)], Some(Unclear))]
    #[case::twice("", &[("inbox /a/1.", ID), ("inbox /a/2.", ID)], Some(Unclear))]
    #[case::absent("expect = 'absent'", &[], None)]
    #[case::there("expect = 'absent'", &[("inbox /a/1.", ID)], Some(Sound))]
    #[case::there_twice("expect = 'absent'", &[("inbox /a/1.", ID), ("inbox /a/2.", ID)], Some(Unclear))]
    #[case::there_and_elsewhere("expect = 'absent'", &[("inbox /a/1.", ID), ("elsewhere /b/1.", ID)], Some(Unclear))]
    fn a_sound_system_has_it_in_its_place_or_nowhere(
        #[case] keys: &str,
        #[case] places: &[(&str, &str)],
        #[case] instead: Option<Instead>,
    ) {
        let state: MessageState = toml::from_str(&format!("id = '{ID}'\nof = 'alice'\n{keys}")).unwrap();
        assert_eq!(state.judge(&found(places), None).instead(), instead);
    }
}
