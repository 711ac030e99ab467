//! Attacks from outside, played against the real commands: archives, disks, places of results, paths, caches, ordinary users.

mod archive;
mod cache;
mod disk;
mod output;
mod path;
mod taken;
mod user;

pub(super) use archive::run as archive;
pub(super) use cache::run as cache;
pub(super) use disk::run as disk;
pub(super) use output::run as output;
pub(super) use path::run as path;
pub(super) use taken::run as taken;
pub(super) use user::run as user;

use super::own_program;
use anyhow::Context as _;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// The file of this host that disks of attackers name.
const VICTIM: &str = "/etc/shadow";

/// A command that has ended.
struct Ended {
    code: Option<i32>,
    said: String,
}

impl Ended {
    /// What it said, if it ended with this code and said all of these words.
    fn with(&self, code: i32, words: &[&str]) -> anyhow::Result<String> {
        anyhow::ensure!(self.code == Some(code), "it ended with {:?} instead of {code}:\n{}", self.code, self.said);
        let missing: Vec<_> = words.iter().filter(|word| !self.said.contains(**word)).collect();
        anyhow::ensure!(missing.is_empty(), "it does not say {missing:?}:\n{}", self.said);
        Ok(self.said.lines().find(|line| words.iter().any(|word| line.contains(word))).unwrap_or_default().to_owned())
    }
}

/// Runs `cargo xtask` with these arguments, and the cache below `home`.
fn xtask<S: AsRef<OsStr>>(home: &Path, arguments: impl IntoIterator<Item = S>) -> anyhow::Result<Ended> {
    let mut command = Command::new(own_program());
    command.args(arguments);
    end_of(command.env("XDG_CACHE_HOME", home))
}

/// Runs a command to its end.
fn end_of(command: &mut Command) -> anyhow::Result<Ended> {
    command.env("RUST_BACKTRACE", "0").env_remove("REHEARSAL_MIRROR").stdin(Stdio::null());
    let output = command.output().with_context(|| format!("failed to run {}", command.get_program().display()))?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ok(Ended { code: output.status.code(), said })
}
