//! Commands, units, accounts and files of a guest.

use crate::machine::{quoted, ssh};
use crate::scenario::format::step::{Account, Credential, Paths, Run, Units};
use crate::scenario::verbs::diagnosis::marks::Moment;
use crate::scenario::verbs::expectation::{Printed, UnitsSeen};
use crate::scenario::verbs::{Done, StepContext, StepError, decided};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A file that was kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Copy {
    #[serde(with = "crate::scenario::verbs::test_state::as_base64")]
    bytes: Vec<u8>,
    mode: u32,
}

impl std::fmt::Debug for Copy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Copy({} bytes)", self.bytes.len())
    }
}

impl StepContext<'_> {
    pub(crate) async fn run(&self, on: &str, run: &Run) -> Result<Done, StepError> {
        let input =
            run.password_of.as_ref().map(|user| self.password(user.get_ref(), Credential::Right)).transpose()?;
        let input = input.as_ref().map(|password| password.expose_secret().as_bytes());
        let output = self.machine(on)?.execute_with_input(&run.command, input, self.deadline()).await?;
        let printed = Printed { status: output.status, stdout: &output.stdout, stderr: &output.stderr };
        decided(&run.judge(printed), run.command.clone(), Some(printed.text()))
    }

    pub(crate) async fn units(&self, on: &str, units: &Units) -> Result<Done, StepError> {
        let machine = self.machine(on)?;
        let mut seen = UnitsSeen::default();
        for unit in &units.active {
            seen.states.insert(unit.clone(), machine.unit_state(unit, self.deadline()).await?);
        }
        if let Some(mark) = &units.same_since {
            let before = self.moment(mark)?.starts.clone();
            let now = Moment::units(machine, &units.active, self.deadline()).await?;
            seen.runs = Some((before, now));
        }
        decided(&units.judge(&seen), format!("the state of {}", units.active.join(", ")), None)
    }

    pub(crate) async fn account(&self, on: &str, account: &Account) -> Result<Done, StepError> {
        let user = account.create.get_ref();
        let identity = self.lab.identity().password(user);
        let password = identity.ok_or_else(|| StepError::Broken(format!("the lab has no password of {user}")))?;
        let hash = password.shadow_hash().map_err(|error| StepError::Broken(error.to_string()))?;
        let command = format!("useradd --no-create-home {} && chpasswd --encrypted", quoted(user));
        let input = format!("{user}:{hash}\n");
        let output = self.machine(on)?.execute_with_input(&command, Some(input.as_bytes()), self.deadline()).await?;
        if output.status != 0 {
            let said = output.stderr.trim();
            return Err(StepError::Broken(format!("`{command}` ended with status {}: {said}", output.status)));
        }
        Ok(Done { asked: command, answered: "created".into(), transcript: None })
    }

    pub(crate) async fn backup(&mut self, on: &str, paths: &Paths) -> Result<Done, StepError> {
        for path in paths.all() {
            let connection = self.root_connection(on).await?;
            let deadline = self.deadline();
            let kept = ssh::download(connection, self.root(), PathBuf::from(path), deadline).await;
            let (bytes, mode) = kept.map_err(|error| StepError::Broken(error.to_string()))?;
            self.notes.kept.insert(format!("{on}:{path}"), Copy { bytes, mode });
        }
        Ok(Done {
            asked: format!("scp {}", paths.all().collect::<Vec<_>>().join(" ")),
            answered: "kept".into(),
            transcript: None,
        })
    }

    pub(crate) async fn delete(&self, on: &str, paths: &Paths) -> Result<Done, StepError> {
        let words: Vec<_> = paths.all().map(quoted).collect();
        let command = format!("rm -- {}", words.join(" "));
        self.machine(on)?.succeed(&command, self.deadline()).await?;
        Ok(Done { asked: command, answered: "removed".into(), transcript: None })
    }

    pub(crate) async fn restore(&self, on: &str, paths: &Paths) -> Result<Done, StepError> {
        for path in paths.all() {
            let copy = self.notes.kept.get(&format!("{on}:{path}"));
            let copy = copy.ok_or_else(|| StepError::Broken(format!("no step has kept {path} of {on}")))?;
            let connection = self.root_connection(on).await?;
            let sent = ssh::upload(
                connection,
                self.root(),
                PathBuf::from(path),
                copy.mode,
                copy.bytes.clone(),
                self.deadline(),
            );
            sent.await.map_err(|error| StepError::Broken(error.to_string()))?;
        }
        Ok(Done {
            asked: format!("scp {} back", paths.all().collect::<Vec<_>>().join(" ")),
            answered: "restored".into(),
            transcript: None,
        })
    }

    pub(crate) fn root(&self) -> ssh::User {
        ssh::User { name: "root".into(), proof: ssh::Proof::Key(self.lab.identity().ssh_key().clone()) }
    }

    pub(crate) async fn root_connection(&self, on: &str) -> Result<std::net::TcpStream, StepError> {
        let connection = self.lab.ssh_connection(self.host(on)?, self.deadline()).await;
        connection.map_err(|error| StepError::Broken(error.to_string()))
    }
}
