//! The program of tests that has all mutants in it.

use crate::mutants::bounded::{self, Limit};
use anyhow::{Context as _, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The address space that tests get: a mutant may well ask for memory without end.
const MEMORY: &str = "--as=8589934592";

/// No dump is left: a kernel writes none that is to be of one byte, and pipes none to a program (core(5)). A test of the harness sets
/// the same limit, which it could not raise.
const NO_DUMP: &str = "--core=1";

/// It, and where it runs.
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// The copy of the project.
    pub(super) root: PathBuf,
    /// The package of it, where cargo runs tests.
    pub(super) package: PathBuf,
    /// Where each run has a place of its own.
    pub(super) scratch: PathBuf,
}

/// A test, and what it comes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) name: String,
    pub(super) took: Duration,
    /// The numbers of the mutants whose switches it reads.
    pub(super) reaches: Vec<usize>,
}

impl Program {
    /// The names of all tests.
    pub(super) fn tests(&self) -> anyhow::Result<Vec<String>> {
        let room = self.room()?;
        let output = self.command(room.path()).args(["--list", "--format", "terse"]).stdout(Stdio::piped()).output()?;
        ensure!(output.status.success(), "the tests cannot be listed: {}", output.status);
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    }

    /// Runs one test without any mutant, and notes what it comes by. `None` if the time was not enough.
    pub(super) fn look(&self, test: &str, limit: Limit) -> anyhow::Result<Option<Test>> {
        let note = tempfile::NamedTempFile::new_in(&self.scratch)?;
        let began = Instant::now();
        let room = self.room()?;
        let mut command = self.command(room.path());
        command.args(["--exact", test]).env("REHEARSAL_MUTANTS_REACHED", note.path());
        let Some(status) = bounded::run(&mut command, limit)? else { return Ok(None) };
        ensure!(status.success(), "the test {test} fails without any mutant, so none was tried: run `cargo test`");
        Ok(Some(Test { name: test.to_owned(), took: began.elapsed(), reaches: read_note(note.path())? }))
    }

    /// Runs tests with a mutant. `None` if they do not end in time.
    pub(super) fn with(&self, mutant: usize, tests: &[&Test], limit: Limit) -> anyhow::Result<Option<ExitStatus>> {
        let room = self.room()?;
        let mut command = self.command(room.path());
        command.args(["--exact", "--test-threads", "1"]).args(tests.iter().map(|test| &test.name));
        command.env("REHEARSAL_MUTANT", mutant.to_string());
        Ok(bounded::run(&mut command, limit)?)
    }

    /// A home and a place for temporary files of one run: others run beside it, and who knows what a mutant removes.
    fn room(&self) -> std::io::Result<TempDir> {
        tempfile::tempdir_in(&self.scratch)
    }

    fn command(&self, room: &Path) -> Command {
        let mut command = Command::new("nice");
        command.args(["prlimit", MEMORY, NO_DUMP]).arg(&self.path).current_dir(&self.package);
        command.env("CARGO_MANIFEST_DIR", &self.package).env("HOME", room).env("TMPDIR", room);
        command.env_remove("XDG_CACHE_HOME").env("RUST_BACKTRACE", "0");
        // Insta would ask cargo, which finds its compilers below the home.
        command.env("INSTA_UPDATE", "no").env("INSTA_WORKSPACE_ROOT", &self.root);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

fn read_note(path: &Path) -> anyhow::Result<Vec<usize>> {
    let text = fs_err::read_to_string(path)?;
    text.lines().map(|line| line.parse().with_context(|| format!("`{line}` is no number of a mutant"))).collect()
}
