//! Programs that build, run so that nothing of them survives us.

use super::build::ImageError;
use crate::host::spawn::tie_to_thread;
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a program to its end in a PID and mount namespace of its own, its output appended to `log`. When the thread that
/// called dies, `unshare` is killed, with it the first process of the namespace, and so everything in it
/// (`pid_namespaces(7)`): no mount and no process of a package script stays.
pub(super) fn run<S: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = S>,
    temporary: &Path,
    log: &Path,
) -> Result<(), ImageError> {
    let file = |path: &Path| File::options().create(true).append(true).open(path);
    let output = file(log).map_err(ImageError::File)?;
    let errors = output.try_clone().map_err(ImageError::File)?;
    let mut command = Command::new("unshare");
    command.args(["--fork", "--pid", "--kill-child", "--mount", "--mount-proc", "--", program]).args(arguments);
    command.env("TMPDIR", temporary).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    let status = tie_to_thread(&mut command)
        .status()
        .map_err(|source| ImageError::Tool { program: program.to_owned(), source })?;
    if status.success() {
        return Ok(());
    }
    let said = fs_err::read_to_string(log).unwrap_or_default();
    let tail: Vec<_> = said.lines().rev().take(15).collect();
    let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
    Err(ImageError::Failed { program: program.to_owned(), status: status.to_string(), tail })
}

/// The first line that a program says about its version; empty if it cannot be run.
pub(super) fn version(program: &str, flag: &str) -> String {
    let output = Command::new(program).arg(flag).stdin(Stdio::null()).output();
    let Ok(output) = output else { return String::new() };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}
