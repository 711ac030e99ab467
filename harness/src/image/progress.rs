//! What happens while an image is built.

use crate::cache::{EntryName, Size};
use std::fmt;

/// What happens during [`ensure`](super::ensure).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// apt resolves the packages.
    Planning,
    /// apt could not; the last resolution is used.
    OldPlan,
    /// The archive got other versions after it was asked: it is asked again.
    Overtaken {
        /// The packages, each with the version that was installed and the one that was planned.
        packages: Vec<String>,
    },
    /// Somebody else builds the same.
    Waiting,
    /// The release of an image is made: its own words.
    Release(String),
    /// A tree is made.
    Installing {
        /// The recipe.
        recipe: String,
        /// How many packages are in the plan.
        packages: usize,
    },
    /// Another tenth of the packages is set up.
    Installed {
        /// The recipe.
        recipe: String,
        /// How many packages are set up.
        done: usize,
        /// How many there are in this step.
        all: usize,
    },
    /// The disk is made.
    Disk,
    /// A foreign file is fetched and checked.
    Fetching(String),
    /// Something was removed from the cache, which had grown too large.
    Evicted {
        /// What.
        name: EntryName,
        /// What it took.
        size: Size,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planning => f.write_str("asking the archive for package versions"),
            Self::OldPlan => f.write_str("the archive does not answer: taking the versions of last time"),
            Self::Overtaken { packages } => {
                write!(f, "the archive has other versions than a moment ago: {}", packages.join(", "))
            }
            Self::Waiting => f.write_str("waiting for another process that builds the same"),
            Self::Release(words) => write!(f, "its release: {words}"),
            Self::Installing { recipe, packages } => write!(f, "installing `{recipe}` ({packages} packages in all)"),
            Self::Installed { recipe, done, all } => {
                write!(f, "installing `{recipe}`: {done} of {all} packages set up")
            }
            Self::Disk => f.write_str("making the disk"),
            Self::Fetching(what) => write!(f, "fetching {what}"),
            Self::Evicted { name, size } => write!(f, "removed {name} ({size}): the cache had grown too large"),
        }
    }
}
