//! Runs the scenario files in guests.
fn main() {}
