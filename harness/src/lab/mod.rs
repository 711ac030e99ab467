//! A lab: the machines of a topology, booted from images and seeds in a network of their own.
//!
//! [`topology`] reads what a lab consists of; [`Lab::boot`] makes it real; [`Lab::tear_down`] ends it. A lab that is
//! dropped, and a lab whose process is killed, end as well: guests die with the lab's keeper thread, the network goes
//! with its last user, and the working directory has a janitor.
//!
//! This room puts machines and networks together. It does not know mail or scenarios.

mod boot;
pub mod topology;

pub use boot::{Lab, LabError, Media, Progress, Setup};
pub use topology::{Topology, TopologyError};
