//! Which time of the host a packet was captured at.
//!
//! QEMU stamps packets with the seconds of the moment at which the capture began plus the guest's virtual clock (QEMU
//! `net/dump.c`), which stands still while the guest is paused and did not begin with the capture. So the times in the
//! file are no times of the host. A *pulse* is: a datagram that the lab broadcasts into its networks, with the host's time
//! in it. It stands in each capture among the packets that came before and after it. When a lab is gone, its captures get
//! the host's times ([`super::restamp`]).

use super::capture::{CaptureError, Frame, read};
use jiff::Timestamp;
use std::io::Read;
use std::ops::ControlFlow;

/// Where pulses go to: the discard service (RFC 863). To a broadcast nobody answers that a port is closed (RFC 1122, 3.2.2).
pub const PORT: u16 = 9;

/// What a pulse begins with.
const MAGIC: &[u8] = b"rehearsal pulse ";

/// Where the payload of a datagram begins in an Ethernet frame, if its IPv4 header has no options.
const PAYLOAD: usize = 14 + 20 + 8;

/// A pulse's content.
#[must_use]
pub fn pulse(at: Timestamp) -> String {
    format!("rehearsal pulse {}\n", at.as_microsecond())
}

/// The host's time in microseconds, if the frame is a pulse.
#[must_use]
pub fn pulse_in(frame: &[u8]) -> Option<i64> {
    let text = frame.get(PAYLOAD..)?.strip_prefix(MAGIC)?;
    let end = text.iter().position(|byte| *byte == b'\n')?;
    std::str::from_utf8(&text[..end]).ok()?.parse().ok()
}

/// The pulses of one capture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clock {
    pulses: Vec<Pulse>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pulse {
    /// The number of its frame.
    frame: u64,
    /// The time that the file gives it.
    file: i64,
    /// The time of the host that it tells.
    host: i64,
}

impl Clock {
    /// Finds the pulses in a capture.
    pub fn of(capture: impl Read) -> Result<Self, CaptureError> {
        let mut pulses = Vec::new();
        read(capture, |Frame { number, micros, bytes, .. }| {
            pulses.extend(pulse_in(bytes).map(|host| Pulse { frame: number, file: micros, host }));
            ControlFlow::Continue(())
        })?;
        Ok(Self { pulses })
    }

    /// When a frame was captured, by the clock of the host; unknown in a capture without a pulse. The order of frames and
    /// pulses counts for more than the times: a frame before a pulse was there before that was sent.
    #[must_use]
    pub fn host_time(&self, frame: &Frame<'_>) -> Option<Timestamp> {
        let next = self.pulses.partition_point(|pulse| pulse.frame <= frame.number);
        // Whoever is in the network can send a pulse that tells any time.
        let by = |pulse: &Pulse| pulse.host.saturating_add(frame.micros.saturating_sub(pulse.file));
        let micros = match (next.checked_sub(1).map(|last| &self.pulses[last]), self.pulses.get(next)) {
            (Some(last), Some(next)) => by(last).clamp(last.host, next.host.saturating_sub(1).max(last.host)),
            (Some(last), None) => by(last).max(last.host),
            (None, Some(next)) => by(next).min(next.host.saturating_sub(1)),
            (None, None) => return None,
        };
        Timestamp::from_microsecond(micros).ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::capture::tests::file;
    use super::*;

    pub(in super::super) fn pulse_frame(host: i64) -> Vec<u8> {
        let mut frame = vec![0; PAYLOAD];
        frame.extend(pulse(Timestamp::from_microsecond(host).unwrap()).bytes());
        frame
    }

    fn host_times(frames: &[(i64, Vec<u8>)]) -> Vec<Option<i64>> {
        let file = file(frames);
        let clock = Clock::of(&file[..]).unwrap();
        let mut times = Vec::new();
        let each = |frame: Frame<'_>| {
            times.push(clock.host_time(&frame).map(Timestamp::as_microsecond));
            ControlFlow::Continue(())
        };
        read(&file[..], each).unwrap();
        times
    }

    /// The file's clock is 500 ahead.
    #[test]
    fn pulses_tell_the_hosts_time() {
        let frames = [(600, vec![0; 60]), (700, pulse_frame(200)), (750, vec![0; 60]), (800, pulse_frame(300))];
        assert_eq!(host_times(&frames), [Some(100), Some(200), Some(250), Some(300)]);
    }

    /// The guest stood still between the frames, and a pulse was late by 40 at the other.
    #[test]
    fn the_order_counts_for_more_than_the_times() {
        let frames = [(100, pulse_frame(100)), (150, vec![0; 60]), (160, pulse_frame(120)), (161, vec![0; 60])];
        assert_eq!(host_times(&frames), [Some(100), Some(119), Some(120), Some(121)]);
    }

    #[test]
    fn without_a_pulse_no_time_is_known() {
        assert_eq!(host_times(&[(100, vec![0; 60])]), [None]);
    }

    #[rstest::rstest]
    #[case::short(vec![0; 10])]
    #[case::other([vec![0; PAYLOAD], b"rehearsal push 12\n".to_vec()].concat())]
    #[case::no_number([vec![0; PAYLOAD], b"rehearsal pulse x\n".to_vec()].concat())]
    #[case::cut([vec![0; PAYLOAD], b"rehearsal pulse 12".to_vec()].concat())]
    fn what_is_no_pulse_is_none(#[case] frame: Vec<u8>) {
        assert_eq!(pulse_in(&frame), None);
    }
}
