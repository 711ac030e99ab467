//! The command line of Rehearsal.
fn main() {}
