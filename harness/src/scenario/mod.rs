//! Scenarios: the file format, the cells that a file expands to, and the engine that runs a cell in a lab.
//!
//! A scenario is a list of steps. Steps marked `fault` break something; steps marked `symptom` expect what is only true
//! of a broken system. A file with faults has two cells: in `fault` every step runs and every expectation must hold; in
//! `control` the faults are left out, and every symptom must *not* hold. So each file carries the proof that it can fail.
//! A checkpoint with `keep` outlives its run: later runs with the same steps before it start behind it, and say so. From such
//! a state, [`Engine::explain`] finds the changes of configuration that are to blame for the symptoms.
//! A `[matrix]` multiplies cells by lists of values, which steps use as `${name}`; its values can name the control, too.

mod action;
mod changes;
pub mod choice;
mod configuration;
mod engine;
mod examine;
mod expectation;
mod explain;
mod files;
mod format;
mod held;
mod impairment;
mod interrupt;
mod judgement;
mod kept;
mod lab_file;
mod layers;
mod laying;
mod leaving;
mod load;
mod logins;
mod matrix;
mod measures;
mod mutation;
mod preparation;
mod reading;
mod ready;
mod recording;
mod refusal;
mod replacing;
mod resume;
pub mod rows;
pub mod schema;
mod shape;
mod span;
mod starvation;
mod step;
mod steps;
mod symptom;
mod traffic;
mod trial;
mod variables;
mod verb;

#[cfg(any(test, fuzzing))]
pub(crate) use {lab_file::fuzz as fuzz_lab, reading::fuzz};

pub use action::Action;
pub use engine::{Course, Engine};
pub use examine::{Examination, Tried};
pub use explain::{Asked, Blame, Culprit, ExplainError, Explanation};
pub use format::{Cell, Kind, Scenario, ScenarioError, Tier};
pub use held::{BEGINNING, Held, NoSuchStep, Onward, RewindError};
pub use interrupt::Interrupt;
pub use judgement::unjudged;
pub use lab_file::LabFile;
pub use matrix::Selection;
pub use mutation::Mutation;
pub use preparation::{Errand, Preparation};
pub use ready::{ReadySteps, holds};
pub use span::{SpanError, TimeSpan};
pub use step::{Invariant, Step};
