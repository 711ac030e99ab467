//! Gives the packets of a capture the host's times, for whoever reads it beside journals.

use super::capture::{CaptureError, read};
use super::clock::Clock;
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, Seek as _};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// What a file of QEMU's begins with, in the byte order of this host (QEMU `net/dump.c`): its times are in microseconds.
const MAGIC: u32 = 0xa1b2_c3d4;

/// Why packets keep the times that they have.
#[derive(Debug, thiserror::Error)]
pub enum RestampError {
    /// The file cannot be read or written.
    #[error("its packets keep QEMU's times: {0}")]
    File(#[from] io::Error),
    /// It is no capture.
    #[error("its packets keep QEMU's times: {0}")]
    Capture(#[from] CaptureError),
}

/// Puts the host's times in place of QEMU's, in a file that nobody writes to any more. Once more changes nothing. A capture
/// without a pulse keeps its times, and so does what stands behind a cut.
pub fn restamp(path: &Path) -> Result<(), RestampError> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut magic = [0; size_of_val(&MAGIC)];
    match file.read_exact_at(&mut magic, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
        read => read?,
    }
    if u32::from_ne_bytes(magic) != MAGIC {
        return Err(CaptureError::Form.into());
    }
    let clock = Clock::of(&file)?;
    (&file).rewind()?;
    let mut written = Ok(());
    // What is read ahead is behind what is written.
    read(&file, |frame| {
        let other = clock.host_time(&frame).filter(|at| at.as_microsecond() != frame.micros);
        let Some(time) = other.and_then(time) else { return ControlFlow::Continue(()) };
        written = file.write_all_at(&time, frame.offset);
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break("it cannot be written") }
    })?;
    Ok(written?)
}

/// The first eight bytes of a packet's record: seconds and microseconds. Seconds end in 2106.
fn time(at: Timestamp) -> Option<[u8; 8]> {
    let micros = at.as_microsecond();
    let seconds = u32::try_from(micros.div_euclid(1_000_000)).ok()?;
    let rest = u32::try_from(micros.rem_euclid(1_000_000)).ok()?;
    let mut time = [0; 8];
    time[..4].copy_from_slice(&seconds.to_ne_bytes());
    time[4..].copy_from_slice(&rest.to_ne_bytes());
    Some(time)
}

#[cfg(test)]
mod tests {
    use super::super::capture::Frame;
    use super::super::capture::tests::file;
    use super::super::clock::tests::pulse_frame;
    use super::*;

    fn frames(bytes: &[u8]) -> Vec<(i64, Vec<u8>)> {
        let mut frames = Vec::new();
        let each = |Frame { micros, bytes, .. }: Frame<'_>| {
            frames.push((micros, bytes.to_vec()));
            ControlFlow::Continue(())
        };
        read(bytes, each).unwrap();
        frames
    }

    fn restamped(bytes: &[u8]) -> Vec<u8> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        restamp(file.path()).unwrap();
        std::fs::read(file.path()).unwrap()
    }

    /// The file's clock is 450 seconds ahead, and stood still for one between the pulses.
    #[test]
    fn packets_get_the_hosts_times_and_nothing_else_changes() {
        let base = 1_790_000_000_000_000;
        let second = 1_000_000;
        let at = |ahead: i64, seconds: i64| base + (ahead + seconds) * second + 7;
        let (first, last) = (pulse_frame(at(0, 2)), pulse_frame(at(0, 10)));
        let of = |ahead: [i64; 5]| {
            file(&[
                (at(ahead[0], 1), vec![1; 60]),
                (at(ahead[1], 2), first.clone()),
                (at(ahead[2], 3), vec![3; 1400]),
                (at(ahead[3], 10), last.clone()),
                (at(ahead[4], 11), vec![5; 60]),
            ])
        };
        let (qemus, hosts) = (of([450, 450, 450, 449, 449]), of([0; 5]));
        assert_eq!(restamped(&qemus), hosts);
        assert_eq!(restamped(&hosts), hosts);
    }

    #[test]
    fn more_packets_than_are_read_at_once_get_their_times() {
        let many: Vec<_> = (0..3000).map(|number| (900 + number, vec![7; 1000])).collect();
        let all = [vec![(800, pulse_frame(300))], many].concat();
        let expected = [vec![(300, pulse_frame(300))], (0..3000).map(|number| (400 + number, vec![7; 1000])).collect()];
        assert!(frames(&restamped(&file(&all))) == expected.concat());
    }

    #[rstest::rstest]
    #[case::nothing(vec![])]
    #[case::no_pulse(file(&[(600, vec![0; 60])]))]
    #[case::cut_before_the_pulse([&file(&[(600, vec![0; 60])])[..], &file(&[(700, pulse_frame(100))])[24..60]].concat())]
    fn without_a_pulse_times_stay(#[case] bytes: Vec<u8>) {
        assert_eq!(restamped(&bytes), bytes);
    }

    #[test]
    fn what_qemu_did_not_write_is_left_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "no capture").unwrap();
        assert!(matches!(restamp(file.path()), Err(RestampError::Capture(CaptureError::Form))));
        assert_eq!(std::fs::read(file.path()).unwrap(), b"no capture");
    }
}
