//! Signals whose meaning depends on how this process was started.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Who waits for the end of the terminal.
#[derive(Debug)]
pub struct Hangup(Option<Signal>);

/// Listens for SIGHUP, on the runtime that this is called in. Under `nohup` it stays ignored: listening would undo that.
pub fn hangup() -> io::Result<Hangup> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    let is_ignored = ignores(&status, nix::libc::SIGHUP);
    Ok(Hangup(if is_ignored { None } else { Some(signal(SignalKind::hangup())?) }))
}

impl Hangup {
    /// Completes at each such signal; never, where it is ignored.
    pub async fn recv(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
}

/// Whether a process with this status (proc(5)) ignores a signal.
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[rstest::rstest]
    #[case::usual("cat /proc/self/status", false)]
    #[case::under_nohup("trap '' HUP; cat /proc/self/status", true)]
    fn the_kernel_tells_what_is_ignored(#[case] script: &str, #[case] expected: bool) {
        // A shell that inherits the signal as ignored cannot undo that, so the first case holds where tests are not under nohup.
        let output = Command::new("sh").args(["-c", script]).output().unwrap();
        let own = ignores(&std::fs::read_to_string("/proc/self/status").unwrap(), nix::libc::SIGHUP);
        assert_eq!(ignores(&String::from_utf8(output.stdout).unwrap(), nix::libc::SIGHUP), expected || own);
    }
}
