//! A file of a guest.

use crate::scenario::format::step::{FileState, Presence};
use crate::scenario::verbs::expectation::Instead::Sound;
use crate::scenario::verbs::expectation::Judged;

/// What was seen of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileSeen {
    /// It is not there.
    Absent,
    /// It is there, with this text.
    Present(String),
}

impl FileState {
    /// Holds what was seen against the expectation.
    pub(crate) fn judge(&self, seen: &FileSeen) -> Judged {
        let mut judged = Judged::new(match seen {
            FileSeen::Absent => "absent",
            FileSeen::Present(_) => "present",
        });
        match (self.expect, seen) {
            (Presence::Absent, FileSeen::Absent) => {}
            (Presence::Present, FileSeen::Present(text)) => {
                for words in &self.contains {
                    judged.expect("contains", text.contains(words), Sound, || format!("lacks `{words}`"));
                }
                for words in &self.lacks {
                    judged.expect("lacks", !text.contains(words), Sound, || format!("has `{words}`"));
                }
            }
            (Presence::Absent, FileSeen::Present(_)) | (Presence::Present, FileSeen::Absent) => {
                judged.expect("expect", false, Sound, String::new);
            }
        }
        judged
    }
}
