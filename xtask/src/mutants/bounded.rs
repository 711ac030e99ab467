//! Programs that end in time.

use harness::host::raw::tie_to_thread;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a program that was asked to end has time for that.
const GRACE: Duration = Duration::from_secs(10);

/// When all must have ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(Option<Instant>);

impl Limit {
    /// So many minutes from now; never, without a number.
    pub(super) fn minutes(minutes: Option<u64>) -> Self {
        Self(minutes.map(|minutes| Instant::now() + Duration::from_mins(minutes)))
    }

    /// After this time, or before it where this limit is earlier.
    pub(super) fn within(self, time: Duration) -> Self {
        let end = Instant::now() + time;
        Self(Some(self.0.map_or(end, |own| own.min(end))))
    }

    /// Whether there is one.
    pub(super) fn is_some(self) -> bool {
        self.0.is_some()
    }

    /// Whether the time is over.
    pub(super) fn passed(self) -> bool {
        self.0.is_some_and(|end| end <= Instant::now())
    }

    fn left(self) -> Option<Duration> {
        self.0.map(|end| end.saturating_duration_since(Instant::now()))
    }
}

/// Runs a program to its end, or to the limit: then it is asked to end, with all of its process group, and killed if it does not.
/// What it leaves behind in its group is killed, too.
pub(super) fn run(command: &mut Command, limit: Limit) -> io::Result<Option<ExitStatus>> {
    let mut child = tie_to_thread(command).spawn()?;
    let group = Pid::from_raw(child.id().cast_signed());
    let (sender, end) = channel();
    let waiting = std::thread::spawn(move || sender.send(child.wait()));
    let first = match limit.left() {
        None => end.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(left) => end.recv_timeout(left),
    };
    let ended = if let Ok(status) = first {
        Some(status?)
    } else {
        // It may have ended meanwhile, which is as good.
        let _ = killpg(group, Signal::SIGINT);
        let ended = end.recv_timeout(GRACE).is_ok();
        let _ = killpg(group, Signal::SIGKILL);
        if !ended {
            let _ = end.recv();
        }
        None
    };
    let _ = killpg(group, Signal::SIGKILL);
    let _ = waiting.join();
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Option<ExitStatus> {
        run(Command::new("sh").args(["-c", script]), Limit(None).within(limit)).unwrap()
    }

    #[test]
    fn what_ends_by_itself_tells_how() {
        assert_eq!(shell("exit 3", Duration::from_mins(1)).and_then(|status| status.code()), Some(3));
    }

    /// The descendants hold a pipe open, so its end shows that all are gone.
    #[rstest::rstest]
    #[case::asked("sleep 60 & wait", Duration::from_millis(300), false)]
    #[case::deaf_and_killed("trap '' INT; sleep 60 & wait", Duration::from_millis(300), false)]
    #[case::left_behind("sleep 60 & exit 0", Duration::from_mins(1), true)]
    fn nothing_of_the_group_is_left(#[case] script: &str, #[case] limit: Duration, #[case] by_itself: bool) {
        use std::io::Read as _;
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(writer);
        let began = Instant::now();
        let ended = run(&mut command, Limit(None).within(limit)).unwrap();
        drop(command);
        reader.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(ended.is_some(), by_itself);
        assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
    }
}
