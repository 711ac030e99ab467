//! Why there is no release.

use crate::cache::{Size, SizeError};
use crate::diagnostic::FileDiagnostic;
use crate::image::ImageError;
use miette::Diagnostic;
use std::io;
use std::path::PathBuf;

/// Why there is no release.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ReleaseError {
    /// A repository is to be damaged at a package that the release does not have.
    #[error("the damaged repository `{repository}` is about `{package}`, and the release has no such package")]
    NoSuchPackage {
        /// The repository.
        repository: String,
        /// The package.
        package: String,
    },
    /// A definition or an overlay is not what it must be.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Content(#[from] FileDiagnostic),
    /// There is no such release.
    #[error("there is no release `{name}`; there are: {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A release that nothing is upgraded to.
    #[error("release `{name}` names no release that is upgraded to it: `upgrades` in images/releases/{name}.toml")]
    NoneBefore {
        /// The release.
        name: String,
    },
    /// A file could not be read or written.
    #[error("failed to build the release")]
    File(#[from] io::Error),
    /// The upper bound of the cache is not set as it must be.
    #[error("failed to read REHEARSAL_CACHE_LIMIT")]
    Limit(#[from] SizeError),
    /// apt, mmdebstrap or another program failed.
    #[error(transparent)]
    Program(#[from] ImageError),
    /// The file system of the cache would become full.
    #[error(
        "no space left in {}: {free} free, {needed} needed for this release; `cargo xtask clean --all` empties the cache, \
         XDG_CACHE_HOME moves it", place.display()
    )]
    Full {
        /// Where.
        place: PathBuf,
        /// What is free there now.
        free: Size,
        /// What the release takes while it is built.
        needed: Size,
    },
    /// apt named a package in a way that is not understood.
    #[error("apt's list of packages cannot be read: `{line}`; look whether apt on this host has changed its words")]
    Answer {
        /// Its words.
        line: String,
    },
    /// apt fetched something else than it had named.
    #[error(
        "the archive has no {file} any more, which it named just before: it has changed meanwhile; build again with `--refresh`"
    )]
    NotFetched {
        /// The file.
        file: String,
    },
    /// A package that was fetched is not the one that apt named.
    #[error(
        "{file} has SHA-256 {found}, and the archive's index says {wanted}; build again, or name another mirror by REHEARSAL_MIRROR"
    )]
    Digest {
        /// The file.
        file: String,
        /// What it has.
        found: String,
        /// What it should have.
        wanted: String,
    },
    /// An overlay names what the release does not have.
    #[error(
        "overlay `{overlay}` changes {what}, which the release does not have: correct images/overlays/{overlay}.toml"
    )]
    Overlay {
        /// The overlay.
        overlay: String,
        /// A package or a path.
        what: String,
    },
    /// A package cannot be written.
    #[error("failed to write the rpm of {name}: {reason}")]
    Package {
        /// The package.
        name: String,
        /// Why not.
        reason: String,
    },
}
