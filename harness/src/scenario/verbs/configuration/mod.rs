//! What a machine's configuration is, and what changed in it: `do.inventory`, `do.drift`.

pub(crate) mod expect;
pub(crate) mod keys;
pub(crate) mod run;
