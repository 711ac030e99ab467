//! Stored mail: `do.inbox`, `do.message`, `do.spool`.

pub(crate) mod expect_inbox;
pub(crate) mod expect_stored;
pub(crate) mod keys;
pub(crate) mod run;
pub(crate) mod spool;
pub(crate) mod stored;
