//! Reports: one model of a whole run, and every format made from it.
//!
//! [`collect`] reads what the cases of a run have left in its directory, and makes the [`Report`]. Formats are functions of it
//! alone: [`junit`], [`html`], what GitHub's Actions show ([`github`]), and the closing lines for a terminal ([`summary`]).
//! [`write()`] puts the files beside the logs; so does `cargo xtask report`, at any later time, from `report.json`.
//!
//! This room reads evidence and drift. It does not know how cases are run. What guests said is hostile text here: it passes
//! [`text`] before it is shown.

mod collect;
pub mod github;
pub mod html;
pub mod junit;
mod model;
pub mod summary;
pub mod text;
pub mod typical;

#[cfg(any(test, fuzzing))]
pub(crate) use collect::fuzz;
pub use collect::{Head, ReportError, collect, finish, load, write};
#[cfg(test)]
pub(crate) use model::samples;
pub use model::{CaseReport, Counts, Host, LogFile, Report};
