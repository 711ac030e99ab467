//! Mail in bulk: `do.load`.

pub(crate) mod keys;
pub(crate) mod run;
