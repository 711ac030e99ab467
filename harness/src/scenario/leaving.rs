//! What is kept of a lab before it is gone: what steps have shown, flows, journals.

use super::engine::{Engine, Play};
use super::judgement::chain;
use super::steps::{Exhibit, Notes, flows_of};
use crate::harmless::{self, shortened};
use crate::lab::Lab;
use crate::seed::Identity;
use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

/// How much of a machine's journal is kept, in bytes.
const JOURNAL: usize = 4 << 20;

impl Play<'_> {
    /// Puts what steps have shown into the result directory.
    pub(super) fn exhibit(&self, exhibits: &[Exhibit]) -> Result<(), String> {
        for Exhibit { file, text } in exhibits {
            // JSON has its own way to say what steers.
            let text: Cow<'_, str> = if Path::new(file).extension().is_some_and(|ending| ending == "json") {
                text.into()
            } else {
                Cow::Owned(harmless::lines(text))
            };
            fs_err::write(self.logs.join(file), text.as_bytes()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// What machines printed is written down as it comes, and they may have printed a password.
fn redact_logs(identity: &Identity, logs: &Path) -> std::io::Result<()> {
    for entry in fs_err::read_dir(logs)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            // Of a machine that was switched on again.
            redact_logs(identity, &path)?;
        } else if ["console-", "qemu-"].iter().any(|kind| name.starts_with(kind)) {
            let text = String::from_utf8_lossy(&fs_err::read(&path)?).into_owned();
            let redacted = identity.redact(&text);
            if redacted != text {
                fs_err::write(&path, redacted)?;
            }
        }
    }
    Ok(())
}

impl Engine<'_> {
    /// Writes down what was captured. Its absence is told, and is no failure of the scenario.
    pub(super) async fn note_flows(&self, play: &Play<'_>, lab: Option<&Lab>, notes: &mut Notes) {
        let Some(lab) = lab else { return };
        let flows = tokio::select! {
            flows = flows_of(lab, notes) => flows,
            () = self.interrupt.at_once() => return,
        };
        let shown = flows.and_then(|flows| play.exhibit(flows.as_slice()));
        if let Err(reason) = shown {
            (self.say)(&format!("  note  the flows are not in the results: {reason}"));
        }
    }

    /// Keeps the journals of a lab, and takes it down.
    pub(super) async fn end(&self, play: &Play<'_>, lab: Option<Lab>) -> Result<(), String> {
        play.show(None);
        let Some(lab) = lab else { return Ok(()) };
        self.collect(&lab, &play.logs).await;
        let identity = lab.identity().clone();
        let ended = lab.tear_down().await.map_err(|error| chain(&error));
        if let Err(error) = redact_logs(&identity, &play.logs) {
            (self.say)(&format!("  note  a console log may hold a password of the lab: {error}"));
        }
        ended
    }

    /// Journals, for whoever reads the result. A guest that cannot give them any more has a console log.
    async fn collect(&self, lab: &Lab, logs: &Path) {
        for machine in lab.machines() {
            let deadline = lab.pace().deadline(Duration::from_secs(5)).at_most(Duration::from_secs(20));
            let command = format!("journalctl --boot --no-pager --output short-precise | tail -c {JOURNAL}");
            let journal = tokio::select! {
                journal = machine.execute(&command, deadline) => journal,
                () = self.interrupt.at_once() => return,
            };
            if let Ok(journal) = journal {
                // A hostile guest may send more than it was asked for.
                let text = shortened(lab.identity().redact(&journal.stdout), JOURNAL);
                let text = harmless::lines(&text);
                let _ = fs_err::write(logs.join(format!("journal-{}.log", machine.name())), text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::LabSecret;
    use secrecy::ExposeSecret as _;

    /// Also of a machine that was switched on again; other files are not touched.
    #[test]
    fn what_a_machine_printed_holds_no_password_afterwards() {
        let identity = Identity::recall(&LabSecret::random(), String::new(), ["alice"]).unwrap();
        let password = identity.password("alice").unwrap().plain().expose_secret().to_owned();
        let logs = tempfile::tempdir().unwrap();
        std::fs::create_dir(logs.path().join("boot-1")).unwrap();
        let files = ["console-mail.log", "boot-1/qemu-mail.log", "capture-mail-1.pcap"];
        for file in files {
            std::fs::write(logs.path().join(file), format!("login: {password}\n")).unwrap();
        }
        redact_logs(&identity, logs.path()).unwrap();
        let read = files.map(|file| std::fs::read_to_string(logs.path().join(file)).unwrap());
        assert_eq!(read, ["login: ******\n".to_owned(), "login: ******\n".into(), format!("login: {password}\n")]);
    }
}
