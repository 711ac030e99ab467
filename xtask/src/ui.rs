//! What commands print. Words of guests, names of files, and reports of others may be among it: all of it is made harmless here.
#![expect(clippy::print_stdout, reason = "this is where results are printed")]
#![expect(clippy::print_stderr, reason = "this is where progress is printed")]

use harness::sanitize;
use serde::Serialize;
use std::fmt::Display;

/// Prints a result, as it stands.
pub(crate) fn out(text: impl Display) {
    print!("{}", sanitize::lines(&text.to_string()));
}

/// Prints a line of a result.
pub(crate) fn line(text: impl Display) {
    println!("{}", sanitize::lines(&text.to_string()));
}

/// Prints a line that is no result.
pub(crate) fn note(text: impl Display) {
    eprintln!("{}", sanitize::lines(&text.to_string()));
}

/// Prints a line that is no result and may have colours, and nothing else that steers a terminal.
pub(crate) fn own(text: impl Display) {
    eprintln!("{}", sanitize::coloured(&text.to_string()));
}

/// Prints a result for programs.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", sanitize::json(&serde_json::to_string(value)?));
    Ok(())
}
