//! Why a user cannot log in: the causes told apart by evidence.
//!
//! A shell script, [`COLLECTOR`], tells what is on a machine; it runs through the guest agent in a lab, and by hand on anybody's
//! server. [`Evidence`] is that text, read. [`diagnose`] is pure: from the evidence of the mail server and, if there is one, of the
//! directory, it makes a [`Diagnosis`]: causes in the order of their certainty, each with the lines that led to it, and a cure.
//!
//! `attempt` picks the lines of the last refusal out of the log. Each file of `rules` looks at one part of the way that a login
//! takes: at its state, and at what those lines say of it. Both together make a cause certain; one alone is less.

mod attempt;
mod authority;
mod cause;
#[cfg(test)]
mod corpus;
mod cure;
mod evidence;
mod log;
mod pam;
mod rules;
mod text;

pub use cause::{Certainty, Diagnosis, Finding, RootCause};
pub use evidence::{Evidence, EvidenceError, Wait};
pub use rules::{Login, Service, diagnose};

/// The shell script that collects evidence on a machine: `sh -s -- USER [SINCE [PATIENCE]]`.
pub const COLLECTOR: &str = include_str!("collector.sh");
