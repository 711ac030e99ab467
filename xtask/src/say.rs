//! What commands print where words of a guest are among it: it is made harmless here, and nowhere else.
#![expect(clippy::print_stdout, reason = "this is where results are printed")]
#![expect(clippy::print_stderr, reason = "this is where progress is printed")]

use harness::harmless;
use serde::Serialize;
use std::fmt::Display;

/// Prints a result, as it stands.
pub(crate) fn out(text: impl Display) {
    print!("{}", harmless::lines(&text.to_string()));
}

/// Prints a line that is no result.
pub(crate) fn note(text: impl Display) {
    eprintln!("{}", harmless::lines(&text.to_string()));
}

/// Prints a line in which nothing is a guest's; it may have colours.
pub(crate) fn own(text: impl Display) {
    eprintln!("{text}");
}

/// Prints a result for programs.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", harmless::json(&serde_json::to_string(value)?));
    Ok(())
}
