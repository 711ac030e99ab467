//! The waker: a small program that stays in a guest while it is frozen, and tells each copy the time.
//!
//! A copy's clock stood still, and without randomness of its own it would draw the same numbers as the next copy. Starting a
//! program for that takes a guest a quarter of a second under emulation, since nothing of it is translated yet. So the
//! program is started before the freezing and waits at a port of its own; in a copy it only has to go on.
//!
//! The order is 16 bytes of time and 64 of randomness, the answer is one line: `awake`, or what went wrong. A time is old when it
//! arrives, by seconds where six machines wake up on two busy cores; so the answer is timed, and the order repeated.

use super::process::Machine;
use super::verbs::VerbError;
use crate::shell::quoted;
use crate::time::Deadline;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Mutex;

/// The name of the port in the guest.
pub(super) const PORT: &str = "rehearsal.waker.0";

/// What the program answers when all went well.
const AWAKE: &str = "awake";

/// The longest answer that is read: guests are not trusted.
const LONGEST_ANSWER: u64 = 200;

/// A guest's clock may be so late. When the answer takes longer, the time is told once more, to a program that is warm then.
const STALE: Duration = Duration::from_millis(300);

/// So often at most: on a host that does far too much no answer comes soon.
const TELLINGS: u32 = 3;

/// The program. The numbers are those of `clock_settime` (227 on x86-64) and of `RNDADDENTROPY` and `RNDRESEEDCRNG`
/// (random(4)); the last is new in Linux 4.17, and an older kernel mixes the bytes in without it. A port without a host
/// reads as the end of a file: that is so for a moment only, and nobody waits.
const PROGRAM: &str = r#"
    sub wake {
        my ($seconds, $nanoseconds, $seed) = unpack("q2 a64", $_[0]);
        syscall(227, 0, pack("q2", $seconds, $nanoseconds)) == 0 or return "the clock cannot be set: $!";
        ioctl($random, 0x40085203, pack("i2 a*", 512, 64, $seed)) or return "RNDADDENTROPY: $!";
        ioctl($random, 0x5207, 0);
        return "awake";
    }
    open($random, "+<", "/dev/urandom") or die "/dev/urandom: $!\n";
    open($port, "+<", $ARGV[0]) or die "$ARGV[0]: $!\n";
    my $order = "";
    while (defined(my $read = sysread($port, $order, 80 - length $order, length $order))) {
        select(undef, undef, undef, 0.1) if $read == 0;
        next if length $order < 80;
        syswrite($port, wake($order) . "\n");
        $order = "";
    }
"#;

/// The host's end of the port.
#[derive(Debug)]
pub(super) struct ClockSync(Mutex<BufReader<UnixStream>>);

impl ClockSync {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self(Mutex::new(BufReader::new(stream)))
    }

    /// Tells the time until an answer comes before it is stale, and hands back the last answer.
    async fn wake(&self, stale: Duration) -> std::io::Result<String> {
        let mut tellings = 1;
        loop {
            let told = Instant::now();
            let answer = self.tell().await?;
            if answer != AWAKE || told.elapsed() <= stale || tellings == TELLINGS {
                return Ok(answer);
            }
            tellings += 1;
        }
    }

    async fn tell(&self) -> std::io::Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seed: [u8; 64] = rand::random();
        let mut order = Vec::with_capacity(80);
        order.extend(now.as_secs().to_ne_bytes());
        order.extend(u64::from(now.subsec_nanos()).to_ne_bytes());
        order.extend(seed);
        let mut port = self.0.lock().await;
        port.write_all(&order).await?;
        let mut answer = String::new();
        (&mut *port).take(LONGEST_ANSWER).read_line(&mut answer).await?;
        Ok(answer.trim_end().to_owned())
    }
}

/// How long it may take until it is known that a QEMU has ended whose port was closed.
const PATIENCE: Duration = Duration::from_secs(2);

impl Machine {
    /// Starts the waker, unless it waits already.
    pub async fn post_waker(&self, deadline: Deadline) -> Result<(), VerbError> {
        let command = format!(
            "systemctl is-active --quiet rehearsal-waker.service || \
             systemd-run --quiet --unit rehearsal-waker perl -e {} /dev/virtio-ports/{PORT}",
            quoted(PROGRAM)
        );
        self.succeed(&command, deadline).await.map(drop)
    }

    /// Tells the guest the time of now, and gives it randomness. The waker must have been started in it, or in the guest
    /// that it is a copy of.
    pub async fn wake(&self, deadline: Deadline) -> Result<(), VerbError> {
        let machine = || self.name().clone();
        let failed = |reason: String| VerbError::Asleep { machine: machine(), reason };
        let answer = tokio::select! {
            answer = deadline.bound("the waker to answer", self.waker.wake(STALE)) => answer,
            trouble = self.trouble() => return Err(VerbError::MachineFailure { machine: machine(), trouble }),
        };
        match answer {
            Ok(Ok(answer)) if answer == AWAKE => Ok(()),
            Ok(Ok(answer)) if !answer.is_empty() => Err(failed(answer)),
            // A port that closes is a sign that QEMU has ended: then that is the better answer.
            Ok(closed) => match tokio::time::timeout(PATIENCE, self.trouble()).await {
                Ok(trouble) => Err(VerbError::MachineFailure { machine: machine(), trouble }),
                Err(_) => Err(failed(closed.err().map_or("its port was closed".into(), |error| error.to_string()))),
            },
            Err(source) => Err(VerbError::Expired { machine: machine(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guest that answers so, and hands back the times that it was told.
    async fn guest(mut port: UnixStream, answer: &str) -> Vec<Duration> {
        let mut told = Vec::new();
        let mut order = [0; 80];
        while port.read_exact(&mut order).await.is_ok() {
            let number = |at: usize| u64::from_ne_bytes(order[at..at + 8].try_into().unwrap());
            told.push(Duration::from_secs(number(0)) + Duration::from_nanos(number(8)));
            port.write_all(answer.as_bytes()).await.unwrap();
        }
        told
    }

    #[rstest::rstest]
    #[case::in_time(Duration::from_hours(1), "awake\n", 1)]
    #[case::always_late(Duration::ZERO, "awake\n", TELLINGS as usize)]
    #[case::late_and_unable(Duration::ZERO, "the clock cannot be set\n", 1)]
    #[tokio::test]
    async fn a_time_that_arrives_late_is_told_again(
        #[case] stale: Duration,
        #[case] answer: &str,
        #[case] tellings: usize,
    ) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let waker = ClockSync::new(ours);
        let waking = async move { waker.wake(stale).await.unwrap() };
        let (last, told) = tokio::join!(waking, guest(theirs, answer));
        assert_eq!((last.as_str(), told.len()), (answer.trim_end(), tellings));
        assert!(told.is_sorted_by(|earlier, later| earlier < later), "each time is that of its telling: {told:?}");
    }
}
