//! Layers of storage in a guest.

use crate::machine::{Machine, quoted};
use crate::scenario::format::step::{Credential, Making, Storage};
use crate::scenario::verbs::expectation::{Built, compared};
use crate::scenario::verbs::{Done, StepContext, StepError, decided};
use crate::storage::{Executor, Layer, Ran, Stack, StorageError, build, compare, remove};
use crate::time::Deadline;
use futures_util::future::LocalBoxFuture;
use secrecy::ExposeSecret as _;
use std::time::Duration;

/// How long all layers together may take: nominal.
const PATIENCE: Duration = Duration::from_mins(1);

/// Commands of storage go through the guest agent.
struct InGuest<'a> {
    machine: &'a Machine,
    deadline: Deadline,
}

impl Executor for InGuest<'_> {
    fn run<'a>(&'a self, argv: &'a [String], input: &'a [u8]) -> LocalBoxFuture<'a, Result<Ran, String>> {
        Box::pin(async move {
            let Some((program, arguments)) = argv.split_first() else { return Err("there is no program".into()) };
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let ran = self.machine.execute_program(program, &arguments, input, self.deadline).await;
            let output = ran.map_err(|error| error.to_string())?;
            Ok(Ran { status: output.status, stdout: output.stdout, stderr: output.stderr })
        })
    }
}

impl StepContext<'_> {
    pub(crate) async fn storage(&self, on: &str, storage: &Storage) -> Result<Done, StepError> {
        let broken = |error: &dyn std::fmt::Display| StepError::Broken(error.to_string());
        let (machine, deadline) = (self.machine(on)?, self.lab.pace().deadline(PATIENCE));
        let stack = Stack::new(storage.layers.get_ref().clone()).map_err(|diagnostic| broken(&diagnostic))?;
        let names: Vec<_> = stack.layers().iter().map(Layer::to_string).collect();
        let passphrase =
            storage.passphrase_of.as_ref().map(|user| self.password(user.get_ref(), Credential::Right)).transpose()?;
        let passphrase = passphrase.as_ref().map_or(&[][..], |passphrase| passphrase.expose_secret().as_bytes());
        let guest = InGuest { machine, deadline };
        let needed = self.needed(machine, storage).await?;
        let done = match storage.make {
            Making::Built => said(build(&stack, &guest, passphrase, needed).await, "built")?,
            Making::Removed => said(remove(&stack, &guest).await, "removed")?,
            Making::Compared => compared(&compare(&stack, &guest).await.map_err(|error| broken(&error))?),
        };
        let asked = format!("{} {}", verb(storage.make), names.join(" → "));
        decided(&storage.judge(&done), asked, None)
    }

    /// How many bytes the device has that is to be copied.
    async fn needed(&self, machine: &Machine, storage: &Storage) -> Result<Option<u64>, StepError> {
        let Some(device) = &storage.room_for else { return Ok(None) };
        let command = format!("blockdev --getsize64 {}", quoted(device.get_ref()));
        let size = machine.succeed(&command, self.deadline()).await?;
        size.trim().parse().map(Some).map_err(|_| StepError::Broken(format!("`{command}` says {size}")))
    }
}

const fn verb(making: Making) -> &'static str {
    match making {
        Making::Built => "build",
        Making::Removed => "take down",
        Making::Compared => "compare",
    }
}

/// What a person can judge is an answer; what cannot even be run breaks the step.
fn said(done: Result<(), StorageError>, good: &str) -> Result<Built, StepError> {
    match done {
        Ok(()) => Ok(Built::Done(good.to_owned())),
        Err(error @ (StorageError::NoRoomForHeader(_) | StorageError::TooSmall { .. })) => {
            Ok(Built::NoRoom(error.to_string()))
        }
        Err(error @ (StorageError::InTheWay { .. } | StorageError::Unseen { .. } | StorageError::Failed { .. })) => {
            Ok(Built::Failed(error.to_string()))
        }
        Err(error) => Err(StepError::Broken(error.to_string())),
    }
}
