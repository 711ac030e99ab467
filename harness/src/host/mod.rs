//! The machine that guests run on: what it can do, what it has, and what it must be rid of when we end.
//!
//! This room knows kernels, packages and processes. It does not know guests, labs or mail.
pub mod accelerator;
pub mod busy;
mod child;
pub mod confinement;
pub mod core_meter;
pub mod core_time;
pub mod counter;
pub mod doctor;
pub mod install;
pub mod memory;
pub mod output;
pub mod pipe;
mod probe;
mod probe_memory;
pub mod raw;
pub mod signals;
pub mod tools;
pub mod workspace;

pub use probe::Shortfall;
