//! An ordinary user, made for this and removed behind it.

use super::super::{Given, Outcome, Report, own_program};
use super::{Ended, end_of};
use anyhow::Context as _;
use std::path::Path;
use std::process::Command;

/// How often the same is asked: half of the runs failed where threads were still there.
const RUNS: usize = 20;

pub(in crate::selftest) fn run(_given: &Given, report: &mut Report) {
    report.row("ordinary user: a namespace is entered each time", namespaces);
}

/// A user of this host, until it is dropped.
struct User {
    name: String,
    home: tempfile::TempDir,
    program: std::path::PathBuf,
}

impl User {
    fn new() -> anyhow::Result<Self> {
        let name = format!("rehearsal-{}", std::process::id());
        let home = tempfile::Builder::new().prefix("rehearsal-user-").tempdir_in("/var/tmp")?;
        let made =
            Command::new("useradd").args(["--no-create-home", "--home-dir"]).arg(home.path()).arg(&name).output();
        let made = made.context("failed to run useradd")?;
        anyhow::ensure!(made.status.success(), "useradd failed: {}", String::from_utf8_lossy(&made.stderr));
        let program = home.path().join("xtask");
        let user = Self { name, home, program };
        // The program may lie where only its owner comes.
        fs_err::copy(own_program(), &user.program)?;
        let owned = Command::new("chown").args(["--recursive", &user.name]).arg(user.home.path()).status()?;
        anyhow::ensure!(owned.success(), "chown failed");
        Ok(user)
    }

    fn runs(&self, arguments: &[&str], cache: &Path) -> anyhow::Result<Ended> {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &self.name, "--regid", &self.name, "--init-groups", "--reset-env", "--"]);
        command.arg("env").arg(format!("XDG_CACHE_HOME={}", cache.display())).arg(&self.program).args(arguments);
        end_of(command.current_dir(self.home.path()))
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = Command::new("userdel").arg(&self.name).output();
    }
}

/// A case is held up to the point where the cache is opened, which comes behind the namespace; the cache is root's, whom a user namespace
/// of that user does not know.
fn namespaces() -> anyhow::Result<Outcome> {
    let user = User::new()?;
    let look = user.runs(&["check"], user.home.path())?;
    if look.code != Some(0) {
        return Ok(Outcome::Skipped(format!("that user cannot read the project: {}", look.said.trim())));
    }
    let cache = tempfile::Builder::new().prefix("rehearsal-of-root-").tempdir_in("/var/tmp")?;
    fs_err::set_permissions(cache.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    fs_err::create_dir(cache.path().join("rehearsal"))?;
    for run in 1..=RUNS {
        let ended = user.runs(&["repro", "pam-loss"], cache.path())?;
        // Nobody but root of a namespace is number 0 and meets a cache that is not its own.
        ended.with(3, &["and you are 0"]).with_context(|| format!("run {run} of {RUNS}"))?;
    }
    Ok(Outcome::Passed(format!("{RUNS} runs of {RUNS} are root in a namespace of their own")))
}
