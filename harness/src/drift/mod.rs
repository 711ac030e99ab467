//! What changed in the configuration of a machine between two moments, whose it is, and which change is to blame.
//!
//! An [`Inventory`] is what a machine's configuration was at a moment: [`collect()`] asks for it with one command through the
//! guest agent. It can be shown: what is private stands in it as a digest only. The contents come beside it, as
//! [`Contents`], for [`putback`] only. [`Drift::between`] compares two inventories: files, modes, owners, packages,
//! which second file now has the old content, and which step of a package transaction did it. [`minimal`] finds, by
//! delta debugging, the smallest set of changes that is to blame, and asks the likely ones first ([`suspicion`]).
//!
//! This room knows files and packages of one machine. It does not know mail, labs or scenarios.

mod claim;
mod collect;
mod contents;
mod difference;
mod inventory;
pub mod minimal;
pub mod putback;
mod second;
pub mod suspicion;
mod text;

pub use claim::{Claim, Flag};
pub use collect::{CollectError, collect};
#[cfg(any(test, fuzzing))]
pub(crate) use collect::{fuzz, fuzz_two};
pub use contents::Contents;
pub use difference::{Change, DoneBy, Drift, How, PackageChange};
pub use inventory::{Digest, Entry, Inventory, Manager, What};

pub use second::{Holds, Second};
