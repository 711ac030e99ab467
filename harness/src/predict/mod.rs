//! What an upgrade with rpm will do to each configuration file, said before the upgrade.
//!
//! Three things are read, and nothing is changed anywhere: a [`System`] (what rpm has installed, and what really lies on
//! disk) from a dump that a plain shell script prints on the user's server; a [`Repository`] (the packages that will come)
//! from the headers of a directory of rpms; and from the two the [`Plan`]: which package becomes which. [`predict()`] then
//! asks [`fate`] for every path. That module is rpm's decision as a pure function, and knows neither files nor packages.
//! `shell` follows scriptlets, `simulation` puts both in order, and `settle` says what came of each file in the end.
//!
//! Only headers of packages hold the digests of their files; a repository's metadata has names alone. So headers are what
//! is read, and the metadata only says whether a package that the repository promises is not there.

pub mod disk;
mod dump;
pub mod entry;
pub mod fate;
mod header;
pub mod model;
mod offline;
mod plan;
pub mod proof;
mod repodata;
mod repository;
mod scriptlet;
mod settle;
mod shell;
mod simulation;
pub mod transaction;

pub use dump::{COLLECTOR, DumpError, Installed, System};
pub use model::{Prediction, UpgradePrediction, predict};
pub use offline::{OfflineError, unpacked};
pub use plan::{Departure, Extent, Outcome, Plan};
pub use repository::{Coming, Repository, RepositoryError};
pub use scriptlet::Hint;
pub use transaction::{Transaction, TransactionStep};

#[cfg(any(test, fuzzing))]
pub(crate) use {header::fuzz as fuzz_header, repodata::fuzz as fuzz_repodata, shell::fuzz as fuzz_scriptlet};
