//! Somebody's own configuration, to be tried in a lab: a directory like `/etc` with the files of a mail server, and what must be
//! something else in a lab than at home.
//!
//! [`OwnEtc`] is the directory, read; [`Mapping`] is its file `rehearsal.toml`; [`substitute`] makes a lab's text of a file's;
//! [`crate::secrets::find`] finds what no report may show. [`services`] says who must start again when a file has changed. This room is pure but
//! for reading the directory: it knows neither machines nor scenarios.

mod behaviour;
mod mapping;
mod places;
pub mod services;
mod substitute;
mod tree;

/// Runs in the guest after files were laid; its words are in the file's head.
pub const APPLY: &str = include_str!("apply.sh");

pub use behaviour::{Difference, FileDifference, Seen, differences, file_differences};
pub use mapping::{Fact, Mapping};
pub use substitute::{Facts, substitute};
#[cfg(any(test, fuzzing))]
pub(crate) use tree::fuzz;
pub use tree::{EtcError, LaidFile, OwnEtc, OwnFile, Shown};
