//! What a person does on a machine: run commands, wait for units, move files.
//!
//! The verbs and their names follow the NixOS test driver, which many know.

use super::agent::{AgentError, Output, summary};
use super::process::Machine;
use super::spec::MachineName;
use crate::machine::failure::MachineFailure;
use crate::shell::quoted;
use crate::time::{Deadline, Expired};

/// Why a verb did not do what it says.
#[derive(Debug, thiserror::Error)]
pub enum VerbError {
    /// The machine ended or broke meanwhile.
    #[error("machine {machine}: {trouble}")]
    MachineFailure {
        /// The machine.
        machine: MachineName,
        /// What happened.
        trouble: MachineFailure,
    },
    /// The guest agent failed.
    #[error("machine {machine}: {source}")]
    Agent {
        /// The machine.
        machine: MachineName,
        /// What failed.
        source: AgentError,
    },
    /// A command ended otherwise than it should.
    #[error("machine {machine}: `{command}` ended with status {}{}", output.status, said(output))]
    Status {
        /// The machine.
        machine: MachineName,
        /// The first line of the command.
        command: String,
        /// What it left.
        output: Output,
    },
    /// A unit failed while it was waited for.
    #[error("machine {machine}: unit {unit} is {state}; its journal ends:\n{journal}")]
    Unit {
        /// The machine.
        machine: MachineName,
        /// The unit.
        unit: String,
        /// Its state.
        state: String,
        /// The last lines of its journal.
        journal: String,
    },
    /// A copy of a frozen guest did not take the time and randomness.
    #[error("machine {machine} was thawed and does not wake: {reason}")]
    Asleep {
        /// The machine.
        machine: MachineName,
        /// What the guest says.
        reason: String,
    },
    /// The condition did not come true in time.
    #[error("machine {machine}: {source}")]
    Expired {
        /// The machine.
        machine: MachineName,
        /// What was waited for.
        source: Expired,
    },
}

fn said(output: &Output) -> String {
    let words = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
    let words = words.trim();
    if words.is_empty() { ", silently".into() } else { format!(": {words}") }
}

impl Machine {
    /// Runs a shell command; its status is the caller's to judge.
    pub async fn execute(&self, command: &str, deadline: Deadline) -> Result<Output, VerbError> {
        self.execute_with_input(command, None, deadline).await
    }

    /// Runs a shell command with `input` on standard input: the way for secrets, which must not be arguments.
    pub async fn execute_with_input(
        &self,
        command: &str,
        input: Option<&[u8]>,
        deadline: Deadline,
    ) -> Result<Output, VerbError> {
        self.by_agent(self.agent.commands.shell(command, input, deadline)).await
    }

    /// Runs a shell command that must succeed, and hands back its standard output.
    pub async fn succeed(&self, command: &str, deadline: Deadline) -> Result<String, VerbError> {
        let output = self.execute(command, deadline).await?;
        if output.status == 0 { Ok(output.stdout) } else { Err(self.status(command, output)) }
    }

    /// Runs one program, without a shell, that must succeed, with `input` on standard input.
    pub async fn run(
        &self,
        program: &str,
        arguments: &[&str],
        input: &[u8],
        deadline: Deadline,
    ) -> Result<String, VerbError> {
        let output = self.by_agent(self.agent.commands.run(program, arguments, Some(input), deadline)).await?;
        if output.status == 0 { Ok(output.stdout) } else { Err(self.status(program, output)) }
    }

    /// Runs one program, without a shell, with `input` on standard input; its status is the caller's to judge.
    pub async fn execute_program(
        &self,
        program: &str,
        arguments: &[&str],
        input: &[u8],
        deadline: Deadline,
    ) -> Result<Output, VerbError> {
        self.by_agent(self.agent.commands.run(program, arguments, Some(input), deadline)).await
    }

    /// Runs one program, without a shell, that must succeed, and hands back its standard output as it is.
    pub async fn read_from(&self, program: &str, arguments: &[&str], deadline: Deadline) -> Result<Vec<u8>, VerbError> {
        let bytes = self.by_agent(self.agent.commands.run_for_bytes(program, arguments, None, deadline)).await?;
        if bytes.status == 0 && !bytes.is_cut {
            return Ok(bytes.stdout);
        }
        let said = String::from_utf8_lossy(&bytes.stderr);
        let why = if bytes.is_cut { "its output is too long for the guest agent" } else { said.trim() };
        let output = Output { status: bytes.status, stdout: String::new(), stderr: why.to_owned() };
        Err(self.status(program, output))
    }

    /// Runs a shell command that must fail.
    pub async fn fail(&self, command: &str, deadline: Deadline) -> Result<Output, VerbError> {
        let output = self.execute(command, deadline).await?;
        if output.status == 0 { Err(self.status(command, output)) } else { Ok(output) }
    }

    /// Repeats a shell command until it succeeds.
    pub async fn wait_until_succeeds(&self, command: &str, deadline: Deadline) -> Result<String, VerbError> {
        let attempt = || async {
            match self.execute(command, deadline).await {
                Ok(output) if output.status == 0 => Ok(Ok(output.stdout)),
                Ok(output) => Err(format!("status {}{}", output.status, said(&output))),
                Err(error) => Ok(Err(error)),
            }
        };
        let what = format!("`{}` to succeed", summary(command));
        deadline
            .poll(what, attempt)
            .await
            .map_err(|source| VerbError::Expired { machine: self.name().clone(), source })?
    }

    /// Waits until a unit is active; fails at once when it has failed.
    pub async fn wait_for_unit(&self, unit: &str, deadline: Deadline) -> Result<(), VerbError> {
        let attempt = || async {
            let state = match self.unit_state(unit, deadline).await {
                Ok(state) => state,
                Err(error) => return Ok(Err(error)),
            };
            match state.as_str() {
                "active" => Ok(Ok(())),
                "failed" => Ok(Err(self.unit_error(unit, state, deadline).await)),
                _ => Err(state),
            }
        };
        let what = format!("unit {unit} to be active");
        deadline
            .poll(what, attempt)
            .await
            .map_err(|source| VerbError::Expired { machine: self.name().clone(), source })?
    }

    /// The `ActiveState` of a unit: `active`, `inactive`, `failed`, `activating`, … (systemctl(1), `is-active`).
    pub async fn unit_state(&self, unit: &str, deadline: Deadline) -> Result<String, VerbError> {
        let output = self.execute(&format!("systemctl is-active -- {}", quoted(unit)), deadline).await?;
        Ok(output.stdout.trim().to_owned())
    }

    async fn unit_error(&self, unit: &str, state: String, deadline: Deadline) -> VerbError {
        let command = format!("journalctl --no-pager -n 10 -o cat -u {}", quoted(unit));
        let journal = self.execute(&command, deadline).await.map(|output| output.stdout).unwrap_or_default();
        VerbError::Unit {
            machine: self.name().clone(),
            unit: unit.to_owned(),
            state,
            journal: journal.trim().to_owned(),
        }
    }

    async fn by_agent<T>(&self, work: impl Future<Output = Result<T, AgentError>>) -> Result<T, VerbError> {
        let machine = || self.name().clone();
        match self.unless_trouble(work).await {
            Ok(done) => done.map_err(|source| VerbError::Agent { machine: machine(), source }),
            Err(trouble) => Err(VerbError::MachineFailure { machine: machine(), trouble }),
        }
    }

    fn status(&self, command: &str, output: Output) -> VerbError {
        VerbError::Status { machine: self.name().clone(), command: summary(command), output }
    }
}
