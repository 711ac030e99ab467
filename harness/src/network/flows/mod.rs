//! What machines say to whom: captures of network cards, turned into flows.
//!
//! [`capture`] reads a file of packets, [`clock`] tells its times in the host's, [`packet`] says what a frame is, and
//! [`Flows`] puts packets together to who contacted whom. [`Destination`] is how a person names whom a machine may contact.
//! All of it are pure functions of what is in the files, but [`restamp`](fn@restamp), which writes the host's times into them.
//!
//! This room knows packets. It knows neither QEMU, which writes the files, nor scenarios.

pub mod allow;
pub mod capture;
pub mod clock;
mod contact;
mod destination;
mod exchange;
pub mod filter_counter;
pub mod filter_log;
mod flow;
mod gather;
mod naming;
pub mod packet;
pub mod record;
mod restamp;
pub mod ruleset;
pub mod sockets;
#[cfg(test)]
mod testing;

/// Reads anything as a capture, and puts its packets together.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(clock) = clock::Clock::of(bytes) else { return };
    let view = Viewpoint {
        cards: [[0x52, 0x54, 0, 0, 0, 1]].into(),
        addresses: [std::net::IpAddr::from([10, 20, 0, 10])].into(),
    };
    let mut flows = Flows::seen_by(view, Some(jiff::Timestamp::UNIX_EPOCH));
    let _ = flows.add(&clock, bytes);
    flows.flows(&Names::default()).iter().for_each(|flow| drop(format!("{flow:?}")));
}

pub use capture::{CaptureError, Cut};
pub use contact::{Contact, Verdict, judge};
pub use destination::{Destination, DestinationError, Host};
pub use exchange::Exchange;
pub use flow::{Answer, Beginning, Count, Direction, Flow, Party, Protocol};
pub use gather::{Flows, Names, Viewpoint};
pub use record::{CutCapture, FlowsOfLab, FlowsOfMachine};
pub use restamp::{RestampError, restamp};
