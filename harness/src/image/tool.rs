//! Programs that build, run so that nothing of them survives us.

use super::error::ImageError;
use crate::host::raw::tie_to_thread;
use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a program for `recipe` to its end in a PID and mount namespace of its own, with its temporary files in the
/// workspace, and passes every line that it writes to `watch`. When the thread that called dies, `unshare` is killed, with
/// it the first process of the namespace, and so everything in it (`pid_namespaces(7)`): no mount and no process of a
/// package script stays.
pub(crate) fn run<S: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = S>,
    recipe: &str,
    workspace: &Path,
    watch: &mut dyn FnMut(&str),
) -> Result<(), ImageError> {
    let failed = |source| ImageError::Tool { program: program.to_owned(), source };
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new("unshare");
    command.args(["--fork", "--pid", "--kill-child", "--mount", "--mount-proc", "--", program]).args(arguments);
    command.env("TMPDIR", workspace).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = tie_to_thread(&mut command).spawn().map_err(failed)?;
    // Our own copies of the writing end go, so that the reading end has an end.
    drop(command);
    let mut output = Vec::new();
    // Kept in memory: a log file would be the first victim of a full disk.
    for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        watch(&line);
        output.push(line);
    }
    let status = child.wait().map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    let place = workspace.parent().unwrap_or(workspace);
    Err(ImageError::of_program(program, &status.to_string(), &output, recipe, place))
}

/// The first line that a program says about its version; empty if it cannot be run.
pub(crate) fn version(program: &str, flag: &str) -> String {
    let output = Command::new(program).arg(flag).stdin(Stdio::null()).output();
    let Ok(output) = output else { return String::new() };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}
