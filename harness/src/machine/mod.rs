//! One guest: what it is made of, its process, and the channels into it.
//!
//! A guest lives through these stages:
//! * a [`Spec`] says what it is made of; [`argv`] turns it into QEMU's arguments, without touching anything;
//! * [`Machine::start`] spawns QEMU on the lab's keeper thread, with every channel as an inherited socket: there is no
//!   socket file that anybody could open or that could stay behind;
//! * while it runs, commands go through the guest agent ([`agent`]), over virtio-serial: a channel that no firewall in a
//!   scenario can cut. The console is only read. `ssh` is for what tests ssh itself, and for files;
//! * a guest that is to be frozen gets a `waker`, which tells each copy of it the time;
//! * [`Machine::stop`] ends it; a machine that is dropped is killed. [`Machine::freeze`] ends it too, and leaves files from
//!   which a guest can go on, any number of times: a [`Spec`] names them as its [`Origin`].
//!
//! This room knows QEMU and Linux guests. It does not know mail, scenarios or labs.

pub mod agent;
pub mod argv;
mod bounded;
mod capture;
mod clock_sync;
mod console;
mod failure;
mod freeze;
mod host_keys;
mod link;
mod log;
mod memory;
mod power;
mod process;
mod qmp;
mod reach;
pub mod spec;
pub mod ssh;
mod terminal;
mod verbs;

pub use crate::shell::quoted;
#[cfg(any(test, fuzzing))]
pub(crate) use agent::fuzz;
pub use agent::{AgentError, Commands, Output};
pub use capture::{Full, Fullness};
pub use console::{ConsoleFault, FATAL_PATTERNS};
pub use failure::MachineFailure;
pub use host_keys::{HostKeys, PRINT_HOST_KEYS};
pub use link::Link;
pub use log::Logs;
pub use process::{Machine, MachineError};
pub use spec::{Boot, Frozen, Guest, MachineName, NetworkCard, Origin, Spec};
pub use terminal::{Terminal, Watcher};
pub use verbs::VerbError;
