//! `cargo xtask bench flows`: how long it takes to turn a capture into flows.
#![expect(clippy::print_stdout, reason = "the command's result")]

use super::figures::Seconds;
use anyhow::Context as _;
use harness::network::flows::clock::Clock;
use harness::network::flows::{Flows, Names, Viewpoint};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Instant;

/// The machine whose card was captured, and somebody else.
const OWN: Side = Side { card: [0x52, 0x54, 0, 0x4c, 0, 0], address: Ipv4Addr::new(10, 20, 0, 10) };
const PEER: Side = Side { card: [0x52, 0x54, 0, 0x4c, 0, 1], address: Ipv4Addr::new(10, 20, 0, 20) };

/// Packets of one connection, and their payloads: questions and answers of a directory, and of a mail server.
const PACKETS: [u16; 12] = [0, 0, 0, 120, 1400, 0, 80, 1200, 60, 700, 0, 0];

/// Bytes of an Ethernet header, and of all headers before a payload: those of IPv4 and TCP, without options, too.
const ETHERNET: u16 = 14;
const HEADERS: u16 = ETHERNET + 20 + 20;

/// What to measure, and how often.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// How large the capture is, in MB
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=4000))]
    megabytes: u32,
    /// How often it is read; the median is told
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy)]
struct Side {
    card: [u8; 6],
    address: Ipv4Addr,
}

/// Measures, and prints.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let place = tempfile::tempdir().context("failed to make a directory")?;
    let path = place.path().join("capture.pcap");
    let packets = write(&File::create_new(&path)?, u64::from(args.megabytes) * 1_000_000)?;
    let (mut seconds, mut found) = (Seconds::default(), 0);
    for _ in 0..args.repeat {
        let begun = Instant::now();
        let view = Viewpoint { cards: [OWN.card].into(), addresses: [OWN.address.into()].into() };
        let mut flows = Flows::seen_by(view, None);
        let clock = Clock::of(File::open(&path)?)?;
        flows.add(&clock, File::open(&path)?)?;
        found = flows.flows(&Names::default()).len();
        seconds.add(begun.elapsed());
        anyhow::ensure!(flows.frames() == packets, "{} of {packets} packets were read", flows.frames());
    }
    if args.json {
        let figures = serde_json::json!({
            "megabytes": args.megabytes, "packets": packets, "flows": found, "repeat": args.repeat, "seconds": seconds.median(),
        });
        println!("{figures:#}");
    } else {
        println!("{} MB, {packets} packets, {found} flows: {}", args.megabytes, seconds.text());
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a capture of so many bytes; says how many packets it has.
fn write(file: &File, bytes: u64) -> std::io::Result<u64> {
    let mut file = BufWriter::new(file);
    file.write_all(&0xa1b2_c3d4_u32.to_le_bytes())?;
    file.write_all(&[2_u16, 4].map(u16::to_le_bytes).concat())?;
    file.write_all(&[0_u32, 0, 65536, 1].map(u32::to_le_bytes).concat())?;
    let (mut written, mut packets) = (24_u64, 0_u32);
    // Connection after connection, each from the next port.
    let steps = (32_768..60_768).cycle().flat_map(|port| PACKETS.iter().enumerate().map(move |step| (port, step)));
    for (port, (step, &payload)) in steps {
        if written >= bytes {
            break;
        }
        let frame = frame(step % 2 == 0, port, step, payload);
        let (second, micros) = (1_700_000_000 + packets / 10_000, packets % 10_000 * 100);
        let length = u32::from(HEADERS + payload);
        file.write_all(&[second, micros, length, length].map(u32::to_le_bytes).concat())?;
        file.write_all(&frame)?;
        written += 16 + u64::from(length);
        packets += 1;
    }
    file.flush()?;
    Ok(packets.into())
}

/// One frame of TCP, from the machine or to it (RFC 791, RFC 9293).
fn frame(own: bool, port: u16, step: usize, payload: u16) -> Vec<u8> {
    let (from, to) = if own { (OWN, PEER) } else { (PEER, OWN) };
    let (from_port, to_port) = if own { (port, 636) } else { (636, port) };
    let flags: u8 = match step {
        0 => 0x02,
        1 => 0x12,
        _ => 0x10,
    };
    let length = HEADERS - ETHERNET + payload;
    let mut frame = Vec::with_capacity(usize::from(ETHERNET + length));
    frame.extend(to.card.iter().chain(&from.card).chain(&[0x08, 0x00]));
    frame.extend([0x45, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    frame.extend(from.address.octets().iter().chain(&to.address.octets()));
    frame.extend([from_port, to_port].map(u16::to_be_bytes).concat());
    frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    frame.resize(usize::from(ETHERNET + length), 7);
    frame
}
