//! `cargo xtask image build` as a process that can be watched and killed.

use super::{RECIPE, own_program};
use anyhow::{Context as _, bail};
use harness::host::raw::tie_to_thread;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// The longest that anything here takes on the slowest host.
const PATIENCE: Duration = Duration::from_mins(20);

/// A running builder.
pub(super) struct Builder {
    child: Child,
    said: Receiver<String>,
    heard: Vec<String>,
}

/// What a builder that ended leaves to read.
pub(super) struct Ended {
    /// Whether it said that it succeeded.
    pub(super) success: bool,
    /// Its status; none if it was killed.
    pub(super) code: Option<i32>,
    /// Its results.
    pub(super) output: String,
    /// Its progress, and its error.
    pub(super) said: String,
}

impl Builder {
    /// Starts one whose cache is below `home`.
    pub(super) fn start(home: &Path, variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut command = Command::new(own_program());
        command.args(["image", "build", RECIPE]).env("XDG_CACHE_HOME", home).envs(variables.iter().copied());
        Self::spawn(command)
    }

    /// Starts a command that runs one.
    pub(super) fn spawn(mut command: Command) -> anyhow::Result<Self> {
        // Backtraces are for panics here: an error is read as a person reads it.
        command.env("RUST_BACKTRACE", "0").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tie_to_thread(&mut command).spawn().context("failed to start a builder")?;
        let errors = child.stderr.take().context("the builder has no standard error")?;
        let (sender, said) = channel();
        thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                // Nobody listens any more when the builder was killed.
                let _ = sender.send(line);
            }
        });
        Ok(Self { child, said, heard: Vec::new() })
    }

    /// Waits until it says these words.
    pub(super) fn wait_for(&mut self, words: &str) -> anyhow::Result<()> {
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let found = line.contains(words);
                    self.heard.push(line);
                    if found {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("it did not say `{words}` in {PATIENCE:?}; {}", self.story()),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait()?;
                    bail!("it ended ({status}) without `{words}`; {}", self.story())
                }
            }
        }
    }

    /// What it has said so far.
    pub(super) fn heard(&self) -> &[String] {
        &self.heard
    }

    /// Writes a line to its standard input.
    pub(super) fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        use std::io::Write as _;
        let input = self.child.stdin.as_mut().context("it has no standard input")?;
        Ok(writeln!(input, "{line}")?)
    }

    /// Kills it, and only it, by SIGKILL.
    pub(super) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        let status = self.child.wait()?;
        anyhow::ensure!(status.code().is_none(), "it had ended before it was killed: {status}; {}", self.story());
        Ok(())
    }

    /// The id of its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it, and only it, a signal.
    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    /// Waits for its end.
    pub(super) fn end(mut self) -> anyhow::Result<Ended> {
        // What waits for words from us need not wait longer.
        drop(self.child.stdin.take());
        let mut output = String::new();
        let read = |stdout: &mut ChildStdout| stdout.read_to_string(&mut output);
        self.child.stdout.as_mut().map(read).transpose()?;
        let status = self.child.wait()?;
        self.heard.extend(self.said.iter());
        Ok(Ended { success: status.success(), code: status.code(), output, said: self.heard.join("\n") })
    }

    fn story(&self) -> String {
        format!("it said:\n{}", self.heard.join("\n"))
    }
}

impl Ended {
    /// Its results, if it succeeded.
    pub(super) fn succeeded(&self) -> anyhow::Result<&str> {
        anyhow::ensure!(self.success, "the builder failed, its status is {:?}:\n{}", self.code, self.said);
        Ok(&self.output)
    }

    /// What it said, if it failed and said all of these words.
    pub(super) fn failed_with(&self, words: &[&str]) -> anyhow::Result<String> {
        anyhow::ensure!(!self.success, "the builder succeeded:\n{}", self.output);
        let missing: Vec<_> = words.iter().filter(|word| !self.said.contains(**word)).collect();
        anyhow::ensure!(missing.is_empty(), "it does not say {missing:?}:\n{}", self.said);
        let error = self.said.split_once("Error: ").map_or(self.said.as_str(), |(_, error)| error);
        Ok(error.to_owned())
    }
}
