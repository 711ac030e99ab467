//! Scenarios: the file format, the cases that a file expands to, and the engine that runs a case in a lab.
//!
//! A scenario is a list of steps. Steps marked `fault` break something; steps marked `symptom` expect what is only true
//! of a broken system. A file with faults has two cases: in `fault` every step runs and every expectation must hold; in
//! `control` the faults are left out, and every symptom must *not* hold. So each file carries the proof that it can fail.
//! A checkpoint with `keep` outlives its run: later runs with the same steps before it start behind it, and say so. From such
//! a state, [`Engine::explain`] finds the changes of configuration that are to blame for the symptoms.
//! A `[matrix]` multiplies cases by lists of values, which steps use as `${name}`; its values can name the control, too.
//!
//! * [`format`](mod@format) reads files: TOML → [`Scenario`] with [`Case`]s and [`Step`]s.
//! * `verbs` has one folder for each kind of verb: its keys, what it does in a lab, and what it expects.
//! * `engine` carries a case out, from a lab's template to a verdict.
//! * `analysis` asks the broken state of a case which change is to blame.

mod analysis;
mod engine;
pub mod format;
mod verbs;

#[cfg(any(test, fuzzing))]
pub(crate) use format::{lab_file::fuzz as fuzz_lab, reader::fuzz};

pub use analysis::bisect::{Asked, Blame, Culprit, ExplainError, Explanation};
pub use analysis::examination::{Examination, Tried};
pub use engine::case_run::{Engine, RunOptions};
pub use engine::interactive::{BEGINNING, InteractiveCase, NoSuchStep, Onward, RewindError};
pub use engine::interrupt::Interrupt;
pub use engine::mutation::Mutation;
pub use engine::outcome::unjudged;
pub use engine::preparation::{Preparation, SetupCommand};
pub use engine::ready::{ReadySteps, holds};
pub use format::action::Action;
pub use format::lab_file::LabFile;
pub use format::matrix::Selection;
pub use format::scenario::{Case, Kind, Scenario, ScenarioError, Tier};
pub use format::span::{SpanError, TimeSpan};
pub use format::step::{Invariant, Step};
