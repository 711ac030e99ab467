//! Images: recipe → plan → content key → build → cache.
//!
//! A [`Recipe`] is a TOML file. Its plan is the list of packages with versions that it would install today. Recipe,
//! plan, files and tools make the [`ContentKey`](crate::cache::ContentKey); an image whose key is in the [`Cache`](crate::cache::Cache) is never built again, and one that
//! is built appears there in one step, complete, or not at all.
//!
//! Trees are made by mmdebstrap, file systems by `mke2fs -d`, disks by `qemu-img convert`: nothing is mounted by us. All of
//! it runs in a PID namespace that dies with the thread that builds.
//!
//! This room knows package archives and disks. It does not know labs.

mod answer;
mod build;
mod error;
mod foreign;
mod ingredients;
mod of_release;
mod plan;
mod progress;
mod recipe;
mod standing;
mod tool;

pub use answer::forget_plans;
pub(crate) use answer::{Answer, Freshness};
pub(crate) use build::LEFT_OUT;
pub use build::{Image, ensure, ensure_base};
pub use error::ImageError;
pub use of_release::{ReleaseTree, Releases};
pub(crate) use plan::mirror;
pub use progress::Progress;
#[cfg(any(test, fuzzing))]
pub(crate) use recipe::fuzz;
pub use recipe::{Catalogue, Recipe, RecipeError, Source};
pub use standing::{Asked, Standing};
pub(crate) use tool::{run as run_tool, version as tool_version};
