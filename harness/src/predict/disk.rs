//! What really lies at a path of the system.

use super::entry::{Content, Digest};
use serde::{Deserialize, Serialize};

/// What is at a path, symbolic links not followed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnDisk {
    /// Nothing.
    #[default]
    Missing,
    /// A regular file, with digests of its content by all algorithms that the dump has.
    Regular(Vec<Digest>),
    /// A symbolic link to this target.
    Link(String),
    /// A directory.
    Directory,
    /// A device, socket or pipe.
    Special,
}

impl OnDisk {
    /// Whether this is what a package put there.
    ///
    /// A digest by an algorithm that the dump does not have counts as different: what cannot be known to be the package's
    /// is taken for the administrator's.
    pub fn equals(&self, content: &Content) -> bool {
        match (self, content) {
            (Self::Regular(digests), Content::Regular(Some(digest))) => digests.contains(digest),
            (Self::Link(target), Content::Link(expected)) => target == expected,
            (Self::Directory, Content::Directory) | (Self::Special, Content::Special) => true,
            _ => false,
        }
    }

    /// Whether something is there.
    pub fn exists(&self) -> bool {
        *self != Self::Missing
    }
}
