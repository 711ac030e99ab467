//! Passwords that no process may show: `do.no-secret-in-processes`.

pub(crate) mod keys;
pub(crate) mod run;
