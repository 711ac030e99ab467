//! One short-lived program, run to its end or to a deadline, with the moment at which each piece of its output came.
//!
//! For questions to this host (versions, probes, trials), not for guests: those live long and have their own module.

use super::raw::tie_to_thread;
use crate::time::Deadline;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{self, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How often somebody is asked whether a program is still waited for.
const LOOK: Duration = Duration::from_millis(50);

/// What a program did.
#[derive(Debug)]
pub(crate) struct Finished {
    /// How it ended; `None` when it was killed since nobody waited for it any more.
    pub(crate) status: Option<ExitStatus>,
    /// Its standard output in pieces, as they came.
    pub(crate) output: Vec<(Instant, Vec<u8>)>,
    /// Its standard error.
    pub(crate) errors: String,
}

impl Finished {
    /// Whether it ended by itself and well.
    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Its standard output as text.
    pub(crate) fn text(&self) -> String {
        let bytes: Vec<u8> = self.output.iter().flat_map(|(_, piece)| piece).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last line with something on it that it wrote to standard error.
    pub(crate) fn last_error_line(&self) -> Option<&str> {
        self.errors.lines().map(str::trim).rfind(|line| !line.is_empty())
    }
}

enum Arrival {
    Output(Instant, Vec<u8>),
    Errors(Vec<u8>),
}

/// Runs a program; at the deadline it is killed with all that it started. It must keep its output open while it lives.
pub(crate) fn run(command: &mut Command, deadline: Deadline) -> io::Result<Finished> {
    run_while(command, |_, _| !deadline.passed())
}

/// Runs a program for as long as `goes_on` says, which gets its process number and what it has written so far; then it is
/// killed with all that it started. It must keep its output open while it lives.
pub(crate) fn run_while(
    command: &mut Command,
    mut goes_on: impl FnMut(u32, &[(Instant, Vec<u8>)]) -> bool,
) -> io::Result<Finished> {
    let mut child = tie_to_thread(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (sender, arrivals) = mpsc::channel();
    let errors_sender = sender.clone();
    if let Some(stdout) = child.stdout.take() {
        read_in_background(stdout, move |piece| sender.send(Arrival::Output(Instant::now(), piece)).is_ok());
    }
    if let Some(stderr) = child.stderr.take() {
        read_in_background(stderr, move |piece| errors_sender.send(Arrival::Errors(piece)).is_ok());
    }

    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let in_time = loop {
        match arrivals.recv_timeout(LOOK) {
            Ok(Arrival::Output(when, piece)) => output.push((when, piece)),
            Ok(Arrival::Errors(piece)) => errors.extend(piece),
            Err(mpsc::RecvTimeoutError::Disconnected) => break true,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if !goes_on(child.id(), &output) {
            break false;
        }
    };
    if !in_time {
        // The child leads a process group of its own, so nothing that it started is left either.
        let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    }
    let status = child.wait()?;
    Ok(Finished { status: in_time.then_some(status), output, errors: String::from_utf8_lossy(&errors).into_owned() })
}

fn read_in_background(
    mut stream: impl Read + Send + 'static,
    mut deliver: impl FnMut(Vec<u8>) -> bool + Send + 'static,
) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if !deliver(buffer[..length].to_vec()) {
                break;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Finished {
        run(Command::new("sh").arg("-c").arg(script).stdin(Stdio::null()), Deadline::after(limit)).unwrap()
    }

    #[test]
    fn output_errors_and_status_are_kept() {
        let finished = shell("echo out; echo first >&2; echo last >&2; echo >&2; exit 3", Duration::from_secs(20));
        assert_eq!(finished.text(), "out\n");
        assert_eq!(finished.last_error_line(), Some("last"));
        assert_eq!(finished.status.and_then(|status| status.code()), Some(3));
        assert!(!finished.succeeded());
    }

    #[tokio::test]
    async fn at_the_deadline_the_program_and_its_children_are_killed() {
        let finished = shell("sleep 60 & echo $!; wait", Duration::from_millis(300));
        assert!(finished.status.is_none());
        let grandchild: i32 = finished.text().trim().parse().unwrap();
        // Killed, but its new parent may be slow to reap it.
        let gone = || async {
            let stat = std::fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
            if stat.is_empty() || stat.contains(") Z ") { Ok(()) } else { Err(stat) }
        };
        Deadline::after(Duration::from_secs(10)).poll("the grandchild to be gone", gone).await.unwrap();
    }
}
