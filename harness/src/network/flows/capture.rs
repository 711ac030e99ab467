//! Reads a capture: a file of packets in the classic pcap format (draft-ietf-opsawg-pcap), as QEMU's `filter-dump` writes it.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use pcap_parser::traits::PcapReaderIterator as _;
use pcap_parser::{LegacyPcapReader, Linktype, PcapBlockOwned, PcapError};
use std::io::Read;
use std::ops::ControlFlow;

/// How much of a file is read at a time. A packet is no longer than 64 KiB, or what the capture keeps of it.
const CHUNK: usize = 1 << 18;

/// A file that is no capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// It could not be read.
    #[error("a capture could not be read to its end")]
    Read,
    /// It does not begin as a capture does.
    #[error("this is no capture in the pcap format: its first bytes are others")]
    Form,
    /// It holds no Ethernet frames.
    #[error("this capture holds no Ethernet frames, but link type {0}")]
    Link(i32),
}

/// Where a capture ends in the middle of something. What stands before is whole.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cut {
    /// The first byte of the file that is not read.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "it is cut at byte {}: {}", self.offset, self.reason)
    }
}

/// One frame of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its number in the file, from 0.
    pub number: u64,
    /// The byte of the file that its record begins at.
    pub offset: u64,
    /// Its time as the file tells it, in microseconds since 1970.
    pub micros: i64,
    /// How long it was on the wire, in bytes.
    pub length: u32,
    /// What the capture keeps of it.
    pub bytes: &'a [u8],
}

/// Hands over one frame after the other, until somebody has had enough and says why. A file that ends in the middle of a frame is no
/// error: the answer says where.
pub fn read(
    source: impl Read,
    mut each: impl FnMut(Frame<'_>) -> ControlFlow<&'static str>,
) -> Result<Option<Cut>, CaptureError> {
    let mut reader = match LegacyPcapReader::new(CHUNK, source) {
        Ok(reader) => reader,
        Err(PcapError::Eof | PcapError::Incomplete(_) | PcapError::UnexpectedEof) => return Ok(Some(cut(0))),
        Err(PcapError::ReadError) => return Err(CaptureError::Read),
        Err(_) => return Err(CaptureError::Form),
    };
    let (mut offset, mut number, mut fraction) = (0_u64, 0, 1);
    loop {
        match reader.next() {
            Ok((length, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) if header.network != Linktype::ETHERNET => {
                        return Err(CaptureError::Link(header.network.0));
                    }
                    PcapBlockOwned::LegacyHeader(header) => {
                        fraction = if header.is_nanosecond_precision() { 1000 } else { 1 };
                    }
                    PcapBlockOwned::Legacy(block) => {
                        let micros = i64::from(block.ts_sec).saturating_mul(1_000_000);
                        let micros =
                            micros.saturating_add(i64::from(block.ts_usec.checked_div(fraction).unwrap_or_default()));
                        let frame = Frame { number, offset, micros, length: block.origlen, bytes: block.data };
                        if let ControlFlow::Break(reason) = each(frame) {
                            return Ok(Some(Cut { offset, reason: reason.into() }));
                        }
                        number = number.saturating_add(1);
                    }
                    PcapBlockOwned::NG(_) => {}
                }
                offset = offset.saturating_add(length as u64);
                reader.consume(length);
            }
            Err(PcapError::Eof) => return Ok(None),
            Err(PcapError::Incomplete(_)) => {
                if reader.refill().is_err() {
                    return Err(CaptureError::Read);
                }
            }
            Err(PcapError::UnexpectedEof) => return Ok(Some(cut(offset))),
            Err(PcapError::BufferTooSmall) => {
                return Ok(Some(Cut {
                    offset,
                    reason: "what begins there claims to be longer than any packet".into(),
                }));
            }
            Err(PcapError::ReadError) => return Err(CaptureError::Read),
            Err(_) => return Ok(Some(Cut { offset, reason: "no packet begins there".into() })),
        }
    }
}

fn cut(offset: u64) -> Cut {
    Cut { offset, reason: "the file ends in the middle of it".into() }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A capture of these frames, each with its time in microseconds.
    pub(in super::super) fn file(frames: &[(i64, Vec<u8>)]) -> Vec<u8> {
        let mut file = Vec::new();
        file.extend(0xa1b2_c3d4_u32.to_le_bytes());
        file.extend([2_u16, 4].map(u16::to_le_bytes).concat());
        file.extend([0_u32, 0, 65536, 1].map(u32::to_le_bytes).concat());
        for (micros, frame) in frames {
            let (seconds, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
            let length = i64::try_from(frame.len()).unwrap();
            for number in [seconds, rest, length, length] {
                file.extend(u32::try_from(number).unwrap().to_le_bytes());
            }
            file.extend(frame);
        }
        file
    }

    fn lengths(bytes: &[u8]) -> (Vec<usize>, Option<Cut>) {
        let mut lengths = Vec::new();
        let each = |frame: Frame<'_>| {
            lengths.push(frame.bytes.len());
            ControlFlow::Continue(())
        };
        let cut = read(bytes, each).unwrap();
        (lengths, cut)
    }

    #[test]
    fn frames_come_in_order_with_their_times() {
        let file = file(&[(1_700_000_000_000_001, vec![1; 60]), (1_700_000_000_999_999, vec![2; 61])]);
        let mut seen = Vec::new();
        let each = |frame: Frame<'_>| {
            seen.push((frame.number, frame.micros, frame.length, frame.bytes[0]));
            ControlFlow::Continue(())
        };
        let cut = read(&file[..], each).unwrap();
        assert_eq!(seen, [(0, 1_700_000_000_000_001, 60, 1), (1, 1_700_000_000_999_999, 61, 2)]);
        assert_eq!(cut, None);
    }

    #[test]
    fn nanoseconds_become_microseconds() {
        let mut file = file(&[(1_700_000_000_999_999, vec![1; 60])]);
        file[..4].copy_from_slice(&0xa1b2_3c4d_u32.to_le_bytes());
        let mut seen = Vec::new();
        let each = |frame: Frame<'_>| {
            seen.push(frame.micros);
            ControlFlow::Continue(())
        };
        read(&file[..], each).unwrap();
        assert_eq!(seen, [1_700_000_000_000_999]);
    }

    #[test]
    fn whoever_has_had_enough_gets_no_more() {
        let file = file(&[(0, vec![0; 60]), (1, vec![0; 60]), (2, vec![0; 60])]);
        let mut seen = 0;
        let each = |frame: Frame<'_>| {
            seen += 1;
            if frame.number == 1 { ControlFlow::Break("enough") } else { ControlFlow::Continue(()) }
        };
        let cut = read(&file[..], each).unwrap();
        assert_eq!((seen, cut), (2, Some(Cut { offset: 24 + 76, reason: "enough".into() })));
    }

    /// 24 bytes of header, then 16 + 60 for each frame.
    #[rstest::rstest]
    #[case::nothing(0, &[], Some(0))]
    #[case::half_a_header(10, &[], Some(0))]
    #[case::no_frame(24, &[], None)]
    #[case::half_a_frames_header(30, &[], Some(24))]
    #[case::half_a_frame(24 + 16 + 59, &[], Some(24))]
    #[case::one(24 + 76, &[60], None)]
    #[case::one_and_a_half(24 + 76 + 20, &[60], Some(100))]
    fn where_a_file_is_cut_is_told(#[case] length: usize, #[case] frames: &[usize], #[case] offset: Option<u64>) {
        let file = file(&[(0, vec![0; 60]), (1, vec![0; 60])]);
        let (seen, cut) = lengths(&file[..length]);
        assert_eq!((seen.as_slice(), cut.map(|cut| cut.offset)), (frames, offset));
    }

    #[test]
    fn a_length_that_is_none_ends_the_reading_there() {
        let mut file = file(&[(0, vec![0; 60]), (1, vec![0; 60])]);
        file[100 + 8..100 + 12].fill(0xff);
        let (seen, cut) = lengths(&file);
        assert_eq!((seen, cut.map(|cut| cut.offset)), (vec![60], Some(100)));
    }

    #[test]
    fn many_frames_are_read_through_a_small_window() {
        let frames: Vec<_> =
            (0..3000).zip(0..).map(|(number, length)| (number, vec![0_u8; 60 + length % 1400])).collect();
        let (seen, cut) = lengths(&file(&frames));
        assert_eq!((seen.len(), cut), (3000, None));
    }

    #[test]
    fn what_is_no_capture_is_refused() {
        assert!(matches!(read(&[b'x'; 100][..], |_| ControlFlow::Continue(())), Err(CaptureError::Form)));
        let mut other = file(&[]);
        other[20] = 113;
        assert!(matches!(read(&other[..], |_| ControlFlow::Continue(())), Err(CaptureError::Link(113))));
    }
}
