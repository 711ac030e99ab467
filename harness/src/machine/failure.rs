//! What can befall a machine while somebody works with it, and how that is told.

use super::console::ConsoleFault;
use crate::host::memory::Limit;
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;

/// What nobody survives, and the kernel sends when memory is short.
const SIGKILL: i32 = nix::sys::signal::Signal::SIGKILL as i32;

/// What can befall a machine at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineFailure {
    /// QEMU ended without being told to.
    Exited {
        /// How it ended, and its last words.
        how: String,
    },
    /// QEMU has closed its control channel, and still runs.
    Uncontrolled,
    /// The console showed that the guest will not recover.
    Console(ConsoleFault),
}

impl MachineFailure {
    /// Whether it can come of a lack of processor time: a kernel's watchdogs can, the end of QEMU cannot.
    pub fn may_be_for_want_of_time(&self) -> bool {
        match self {
            Self::Exited { .. } | Self::Uncontrolled => false,
            Self::Console(_) => true,
        }
    }
}

impl fmt::Display for MachineFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { how } => write!(f, "QEMU ended by itself: {how}"),
            Self::Uncontrolled => f.write_str("QEMU has closed its control channel (QMP), and still runs"),
            Self::Console(badness) => badness.fmt(f),
        }
    }
}

/// How a QEMU ended, with its last words. `short` says who had no memory left meanwhile.
pub(super) fn ending(status: std::io::Result<ExitStatus>, short: Option<Limit>, words: &Path) -> String {
    let killed = status.as_ref().is_ok_and(|status| status.signal() == Some(SIGKILL));
    let mut status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    status += match short.filter(|_| killed) {
        None => "",
        Some(Limit::Group) => {
            ", by the kernel, since the control group of this run has no more memory: allow it more, or run fewer labs at once"
        }
        Some(Limit::Host) => ", probably by the kernel, since this host had no memory left: run fewer labs at once",
    };
    let said = std::fs::read(words).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let tail: Vec<_> = said.lines().rev().take(5).collect();
    let tail: Vec<_> = tail.into_iter().rev().collect();
    if tail.is_empty() { status } else { format!("{status}: {}", tail.join(" / ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::killed(9, None, "signal: 9 (SIGKILL): so it goes / no more")]
    #[case::for_memory(9, Some(Limit::Group), "signal: 9 (SIGKILL), by the kernel, since the control group")]
    #[case::of_the_host(9, Some(Limit::Host), "signal: 9 (SIGKILL), probably by the kernel, since this host")]
    #[case::another_was(256, Some(Limit::Group), "exit status: 1: so it goes / no more")]
    fn an_end_is_told_with_its_cause(#[case] status: i32, #[case] short: Option<Limit>, #[case] expected: &str) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "so it goes\nno more\n").unwrap();
        let told = ending(Ok(ExitStatus::from_raw(status)), short, file.path());
        assert!(told.starts_with(expected), "{told}");
    }
}
