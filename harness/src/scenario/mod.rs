//! Scenarios: the file format, the cells that a file expands to, and the engine that runs a cell in a lab.
//!
//! A scenario is a list of steps. Steps marked `fault` break something; steps marked `symptom` expect what is only true
//! of a broken system. A file with faults has two cells: in `fault` every step runs and every expectation must hold; in
//! `control` the faults are left out, and every symptom must *not* hold. So each file carries the proof that it can fail.

mod changes;
mod engine;
mod format;
mod interrupt;
mod lab_file;
mod ready;
mod step;
mod steps;

pub use engine::Engine;
pub use format::{Cell, Scenario, ScenarioError};
pub use interrupt::Interrupt;
pub use lab_file::LabFile;
pub use ready::{ReadySteps, holds};
pub use step::{Action, Step};
