//! A scenario of our own, the commands that a person would type, and eyes for what is left.

use super::super::builder::{Builder, Ended};
use super::super::own_program;
use crate::workbench::project;
use anyhow::Context as _;
use harness::cache::Cache;
use harness::host::workspace::Workspace;
use harness::session::{Conversation, Reply, Request, SessionRecord, Status, held};
use harness::time::Deadline;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The steps: one keeps a state, one leaves a trace, one breaks something, one fails until somebody helps.
const STEPS: &str = r#"
summary = "for a person"
lab = "mail-lan"
[[step]]
name = "alice has a mailbox"
on = "mail"
do.mailboxes = { create = ["alice"] }
[[step]]
name = "the state is kept"
do.checkpoint = { name = "healthy" }
[[step]]
name = "a trace is left"
on = "mail"
do.run = { command = "echo one > /root/trace" }
[[step]]
name = "somebody has helped"
on = "mail"
do.run = { command = "cat /root/help" }
[[step]]
name = "alice logs in"
on = "mail"
do.imap = { user = "alice", expect = "accepted" }
"#;

/// How long all may take to be gone.
const CLEARING: Duration = Duration::from_mins(1);

/// A scenario to hold, and where its results go: all processes of its labs have that in their environment.
pub(super) struct Fixture {
    scratch: Workspace,
    cache: Cache,
    runtime: tokio::runtime::Runtime,
    /// The scenario, called like no other.
    pub(super) name: String,
}

impl Fixture {
    pub(super) fn new() -> anyhow::Result<Self> {
        let cache = Cache::open_default().context("failed to open the cache")?;
        let scratch = Workspace::create(&cache.labs(), "selftest").context("failed to make a directory")?;
        let name = format!("by-hand-{}", std::process::id());
        let labs = scratch.path().join("scenarios/labs");
        fs_err::create_dir_all(&labs)?;
        fs_err::copy(project("scenarios/labs/mail-lan.toml"), labs.join("mail-lan.toml"))?;
        fs_err::write(scratch.path().join(format!("scenarios/{name}.toml")), STEPS)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { scratch, cache, runtime, name })
    }

    /// What a person would type, behind `cargo xtask`.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(own_program());
        command.args(words).env("REHEARSAL_RESULTS", self.results()).env("RUST_BACKTRACE", "0");
        command
    }

    /// The same, of the command that holds a lab of ours.
    pub(super) fn repro(&self, words: &[&str]) -> Command {
        let mut command = self.command(&["repro", &self.name]);
        command.arg("--scenarios").arg(self.scratch.path().join("scenarios")).args(words);
        command
    }

    /// Runs it to its end, with this on its standard input.
    pub(super) fn end(mut command: Command, input: &str) -> anyhow::Result<Ended> {
        // Without a pipe that a holder in the background would keep open.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("it has no standard input")?;
        // It may end without having read.
        let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ended {
            success: output.status.success(),
            code: output.status.code(),
            output: text(output.stdout),
            said: text(output.stderr),
        })
    }

    /// What a person would type, run to its end.
    pub(super) fn typed(&self, words: &[&str]) -> anyhow::Result<Ended> {
        Self::end(self.command(words), "")
    }

    /// Starts it, to be watched.
    pub(super) fn start(command: Command) -> anyhow::Result<Builder> {
        Builder::spawn(command)
    }

    pub(super) fn results(&self) -> PathBuf {
        self.scratch.path().join("results")
    }

    /// The lab of ours that has this name.
    pub(super) fn held(&self, name: &str) -> anyhow::Result<(PathBuf, SessionRecord)> {
        let found = held(&self.cache.labs())?.into_iter().find(|(_, card)| card.name == name);
        found.with_context(|| format!("{name} is not held"))
    }

    /// How things stand with it.
    pub(super) fn status(&self, name: &str) -> anyhow::Result<Status> {
        let (directory, _) = self.held(name)?;
        match self.runtime.block_on(Conversation::ask(&directory, &Request::Status))? {
            Reply::Status(status) => Ok(status),
            other => anyhow::bail!("it answers {other:?}"),
        }
    }

    /// The password of an account of the lab.
    pub(super) fn password(&self, account: &str) -> anyhow::Result<String> {
        let run = self.typed(&["passwords", "--lab", &self.name, account])?;
        Ok(run.succeeded()?.trim().to_owned())
    }

    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Waits until nothing is left of our labs: no process, no directory.
    pub(super) fn wait_until_clear(&self) -> anyhow::Result<()> {
        let look = || async {
            let processes = self.processes();
            let labs = held(&self.cache.labs()).map_err(|error| error.to_string())?;
            let ours: Vec<_> = labs.into_iter().filter(|(_, card)| card.scenario == self.name).collect();
            if !(processes.is_empty() && ours.is_empty()) {
                return Err(format!("processes {processes:?}, labs {ours:?}"));
            }
            Ok(())
        };
        self.runtime.block_on(Deadline::after(CLEARING).poll("the lab to be gone", look))?;
        Ok(())
    }

    /// The processes that have our results in their environment, as children inherit it: id and name.
    pub(super) fn processes(&self) -> Vec<(u32, String)> {
        let path = self.results();
        let path = path.as_os_str().as_bytes();
        let is_ours = |process: &Path| {
            let environment = std::fs::read(process.join("environ")).unwrap_or_default();
            environment.windows(path.len()).any(|window| window == path)
        };
        let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
        let ours = entries.filter(|entry| is_ours(&entry.path())).filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            Some((id, std::fs::read_to_string(entry.path().join("comm")).ok()?.trim().to_owned()))
        });
        ours.collect()
    }
}
