//! Layers of storage, and measures of disks: `do.storage`, `do.fio`.

pub(crate) mod expect;
pub(crate) mod fio;
pub(crate) mod fio_keys;
pub(crate) mod keys;
pub(crate) mod run;
