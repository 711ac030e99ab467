//! What makes a stock image into a machine of a lab at its first boot: cloud-init data on a `NoCloud` seed disk.
//!
//! [`identity`] holds the keys and passwords of one lab, derived from a [`secret`], [`render`] turns the templates of a role into user-data, and
//! [`disk`] writes the result as a small disk. This room knows roles only as directories of templates.

pub mod disk;
pub mod host;
pub mod identity;
pub mod render;
mod role;
pub mod secret;

pub use disk::SeedFiles;
pub use host::{Card, Host, Wiring};
pub use identity::{Identity, IdentityError, Password};
pub use render::{SeedError, Templates};
pub use secret::{CacheSecret, LabNonce, LabSecret};
