//! Scenarios: the file format, the cells that a file expands to, and the engine that runs a cell in a lab.
//!
//! A scenario is a list of steps. Steps marked `fault` break something; steps marked `symptom` expect what is only true
//! of a broken system. A file with faults has two cells: in `fault` every step runs and every expectation must hold; in
//! `control` the faults are left out, and every symptom must *not* hold. So each file carries the proof that it can fail.
//! A `[matrix]` multiplies cells by lists of values, which steps use as `${name}`; its values can name the control, too.

mod action;
mod changes;
mod engine;
mod format;
mod interrupt;
mod lab_file;
mod matrix;
mod reading;
mod ready;
pub mod rows;
pub mod schema;
mod shape;
mod span;
mod step;
mod steps;
mod variables;
mod verb;

pub use action::Action;
pub use engine::Engine;
pub use format::{Cell, Kind, Scenario, ScenarioError, Tier};
pub use interrupt::Interrupt;
pub use lab_file::LabFile;
pub use matrix::Selection;
pub use ready::{ReadySteps, holds};
pub use span::{SpanError, TimeSpan};
pub use step::{Invariant, Step};
