//! Messages as files of a server's spool: taken from one server, put into another.

use crate::machine::quoted;
use crate::scenario::format::step::Spool;
use crate::scenario::verbs::test_state::as_base64;
use crate::scenario::verbs::{Done, StepContext, StepError};
use serde::{Deserialize, Serialize};

/// The directory of a user's inbox in cyrus' spool: mbpath(8) tells it, for cyrus alone.
const DIRECTORY: &str = "su cyrus -s /bin/sh -c";

/// Messages that were taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Taken {
    /// A tar file: each message under the name that its UID gives it.
    #[serde(with = "as_base64")]
    archive: Vec<u8>,
}

impl StepContext<'_> {
    pub(crate) async fn spool(&mut self, on: &str, spool: &Spool) -> Result<Done, StepError> {
        let user = spool.of.get_ref();
        let machine = self.machine(on)?;
        let mbpath = format!("/usr/lib/cyrus/bin/mbpath {}", quoted(&format!("user/{user}")));
        let enter = format!("set -e; cd \"$({DIRECTORY} {})\"", quoted(&mbpath));
        if let Some(name) = &spool.take {
            // Messages end with a dot, and nothing else in the directory of a mailbox does.
            let take = format!("{enter}; tar --create --file - -- [0-9]*.");
            let archive = machine.read_from("/bin/sh", &["-c", &take], self.deadline()).await?;
            let answered = format!("{} messages", count(&archive));
            self.notes.spools.insert(name.clone(), Taken { archive });
            return Ok(Done {
                asked: format!("take the inbox of {user} from the spool, as `{name}`"),
                answered,
                transcript: None,
            });
        }
        let name = spool.put.as_deref().unwrap_or_default();
        let taken = self.notes.spools.get(name);
        let taken = taken.ok_or_else(|| StepError::Broken(format!("no step has taken messages as `{name}`")))?;
        let put = format!(
            "{enter}; ls -- [0-9]*. 2> /dev/null | wc -l; tar --extract --skip-old-files --file -; ls -- [0-9]*. | wc -l"
        );
        let counts = machine.run("/bin/sh", &["-c", &put], &taken.archive, self.deadline()).await?;
        let counts: Vec<_> = counts.split_whitespace().collect();
        let answered = format!(
            "{} messages were there, {} are now",
            counts.first().unwrap_or(&"?"),
            counts.last().unwrap_or(&"?")
        );
        Ok(Done { asked: format!("put the messages `{name}` into the spool of {user}"), answered, transcript: None })
    }
}

/// How many files a tar file has.
fn count(archive: &[u8]) -> usize {
    tar::Archive::new(archive).entries().map(Iterator::count).unwrap_or_default()
}
