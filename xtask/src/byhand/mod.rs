//! Working in a lab by hand: `repro` holds one; the other commands reach it from any terminal.

mod console;
mod control;
mod forward;
mod remote;
mod repro;
mod screen;
mod shell;
mod terminal;
mod words;

pub(crate) use console::{ConsoleArgs, console};
pub(crate) use control::{PasswordsArgs, ResumeArgs, RewindArgs, StatusArgs, down, passwords, resume, rewind, status};
pub(crate) use forward::{ForwardArgs, forward};
pub(crate) use repro::{ReproArgs, repro};
pub(crate) use shell::{ExecArgs, ShellArgs, exec, shell};

use crate::exit::Invalid;
use anyhow::Context as _;
use harness::cache::Cache;
use harness::session::{Conversation, FindError, Refusal, Reply, Request, SessionRecord, TalkError, find};
use std::path::PathBuf;

/// Which lab is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct Choice {
    /// The lab, by its name in `cargo xtask status`, where several are held
    #[arg(long = "lab", value_name = "NAME")]
    name: Option<String>,
}

/// A lab that is held by another process.
struct Reached {
    directory: PathBuf,
    card: SessionRecord,
}

impl Choice {
    fn find(&self) -> anyhow::Result<Reached> {
        let cache = Cache::open_default().context("failed to open the cache")?;
        let found = find(&cache.labs(), self.name.as_deref());
        let (directory, card) = found.map_err(|error| match error {
            FindError::None | FindError::Unknown { .. } | FindError::Several { .. } => {
                Invalid(error.to_string()).into()
            }
            FindError::Foreign { .. } | FindError::Unreadable { .. } => anyhow::Error::from(error),
        })?;
        Ok(Reached { directory, card })
    }
}

impl Reached {
    async fn ask(&self, request: &Request) -> anyhow::Result<Reply> {
        Conversation::ask(&self.directory, request).await.map_err(talk_error)
    }

    async fn pipe(&self, request: &Request) -> anyhow::Result<harness::session::Pipe> {
        Conversation::pipe(&self.directory, request).await.map_err(talk_error)
    }
}

/// What a person asked for and is not there is a mistake of the command line.
fn talk_error(error: TalkError) -> anyhow::Error {
    match error {
        TalkError::Refused(Refusal::Unknown(words)) => Invalid(words).into(),
        other => other.into(),
    }
}

/// The end of a conversation that makes no sense.
fn unexpected<T>() -> anyhow::Result<T> {
    Err(TalkError::Unexpected.into())
}

/// Everything here waits for one thing at a time: no other thread must be there when a terminal's signals are taken over.
fn wait_for<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
