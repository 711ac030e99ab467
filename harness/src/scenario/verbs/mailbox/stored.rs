//! Looking for a message in the files of a mail server's spool.

use crate::machine::quoted;
use crate::scenario::format::step::{MessageState, Presence};
use crate::scenario::verbs::expectation::{Copies, MARK};
use crate::scenario::verbs::{Done, StepContext, StepError, decided};
use crate::time::Deadline;
use std::sync::Mutex;

/// Where cyrus stores messages, and where postfix keeps those that it still has to deal with.
const STORES: [&str; 2] = ["/var/spool/cyrus/mail", "/var/spool/postfix"];

/// Prints each file of a mailbox in which an identifier stands, with its headers, and each file of postfix' queues. Queues come
/// first, in the order in which messages go through them: none slips by while it is stored. `$1` is the identifier, `$2` the
/// directory of the addressee's inbox, `$3` that of all mailboxes, `$4` that of the queues.
const SEARCH: &str = r#"
set -eu
test -d "$2"
test -d "$3"
cd "$4"
test -d active
grep --recursive --files-with-matches --no-messages --text --fixed-strings -- "$1" maildrop incoming active deferred hold |
    while read -r file; do echo "$MARK queued $4/$file"; done
grep --recursive --files-with-matches --no-messages --text --exclude-dir=stage. --include='*.' --fixed-strings -- "$1" "$3" |
    while read -r file; do
        if [ "${file%/*}" = "$2" ]; then echo "$MARK inbox $file"; else echo "$MARK elsewhere $file"; fi
        sed '/^\r\{0,1\}$/q' -- "$file" || :
    done
"#;

/// The script that prints them.
fn search() -> String {
    SEARCH.replace("$MARK", MARK)
}

impl StepContext<'_> {
    pub(crate) async fn message(&self, on: &str, state: &MessageState) -> Result<Done, StepError> {
        let user = state.of.get_ref();
        let copies = self.copies(on, &self.inbox_of(on, user).await?, &state.id).await?;
        let wants_text = !(state.contains.is_empty() && state.lacks.is_empty());
        let text = match copies.inbox.first() {
            Some(file) if wants_text => {
                Some(self.machine(on)?.succeed(&format!("cat -- {}", quoted(file)), self.deadline()).await?)
            }
            _ => None,
        };
        let asked = match state.expect {
            Presence::Present => format!("the message {} in the inbox of {user} and nowhere else", state.id),
            Presence::Absent => format!("the message {} in any mailbox", state.id),
        };
        decided(&state.judge(&copies, text.as_deref()), asked, text)
    }

    /// Where a message is, once the server has finished with it, or when there is no more time.
    pub(crate) async fn await_stored(
        &self,
        on: &str,
        user: &str,
        id: &str,
        deadline: Deadline,
    ) -> Result<Copies, StepError> {
        let inbox = self.inbox_of(on, user).await?;
        let last = Mutex::new(Copies::default());
        let waited = deadline
            .poll(format!("message {id} to be stored"), || async {
                let copies = match self.copies(on, &inbox, id).await {
                    Ok(copies) => copies,
                    Err(error) => return Ok(Err(error)),
                };
                let is_final = copies.are_final();
                *last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = copies;
                if is_final { Ok(Ok(())) } else { Err("not yet".to_owned()) }
            })
            .await;
        if let Ok(Err(error)) = waited {
            return Err(error);
        }
        Ok(last.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// The directory of a user's inbox in the spool.
    async fn inbox_of(&self, on: &str, user: &str) -> Result<String, StepError> {
        let mailbox = format!("user/{user}");
        let mbpath = ["-u", "cyrus", "--", "/usr/lib/cyrus/bin/mbpath", &mailbox];
        let path = self.machine(on)?.run("/usr/sbin/runuser", &mbpath, b"", self.deadline()).await?;
        Ok(path.trim().trim_end_matches('/').to_owned())
    }

    async fn copies(&self, on: &str, inbox: &str, id: &str) -> Result<Copies, StepError> {
        let id = id.trim_start_matches('<').trim_end_matches('>');
        let [mailboxes, queues] = STORES;
        let arguments = ["-c", &search(), "sh", id, inbox, mailboxes, queues];
        let printed = self.machine(on)?.run("/bin/sh", &arguments, b"", self.deadline()).await?;
        Ok(Copies::read(&printed, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    const ID: &str = "weather@friend.example";

    fn found(root: &Path) -> Copies {
        let place = |name: &str| root.join(name).display().to_string();
        let arguments = [ID.to_owned(), place("mail/a"), place("mail"), place("queue")];
        let output = Command::new("sh").args(["-c", &search(), "sh"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        Copies::read(&printed.replace(&place(""), "/"), ID)
    }

    #[test]
    fn copies_are_found_in_mailboxes_and_queues() {
        let root = tempfile::tempdir().unwrap();
        for directory in ["mail/a/Junk", "mail/b", "mail/stage.", "queue/active", "queue/deferred/A"] {
            std::fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        let write = |file: &str, text: &str| std::fs::write(root.path().join(file), text).unwrap();
        assert_eq!(found(root.path()), Copies::default());
        let message = format!("From: x\r\nMessage-ID: <{ID}>\r\n\r\nwords\r\n");
        write("mail/a/1.", &message);
        write("mail/a/2.", &format!("Message-ID: <reply@x>\r\nIn-Reply-To: <{ID}>\r\n\r\n"));
        write("mail/a/cyrus.cache", &message);
        write("mail/stage./3.", &message);
        write("mail/a/Junk/4.", &message);
        write("mail/b/5.", &format!("Message-ID: <bounce@x>\r\n\r\n{message}"));
        write("queue/deferred/A/AB12", &format!("\0C{message}"));
        let expected = Copies {
            inbox: vec!["/mail/a/1.".into()],
            elsewhere: vec!["/mail/a/Junk/4.".into()],
            queued: vec!["/queue/deferred/A/AB12".into()],
        };
        assert_eq!(found(root.path()), expected);
    }

    #[test]
    fn a_spool_that_is_not_there_is_no_empty_one() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().display().to_string();
        let output = Command::new("sh").args(["-c", &search(), "sh", ID, &place, &place, &place]).output().unwrap();
        assert!(!output.status.success());
    }
}
