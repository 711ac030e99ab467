//! Commands, units, services, accounts and files of a guest.

pub(crate) mod expect_command;
pub(crate) mod expect_file;
pub(crate) mod expect_units;
pub(crate) mod file_keys;
pub(crate) mod keys;
pub(crate) mod run;
