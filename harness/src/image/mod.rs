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

mod apt_cache;
mod build;
mod error;
mod external;
mod freshness;
mod key_inputs;
mod plan;
mod progress;
mod recipe;
mod rpm_image;
mod tool;

pub use apt_cache::forget_plans;
pub(crate) use apt_cache::{Answer, CachePolicy};
pub(crate) use build::LEFT_OUT;
pub use build::{Image, ensure, ensure_base};
pub use error::ImageError;
pub use freshness::{Asked, Freshness};
pub(crate) use plan::mirror;
pub use progress::Progress;
#[cfg(any(test, fuzzing))]
pub(crate) use recipe::fuzz;
pub use recipe::{Catalogue, Recipe, RecipeError, Source};
pub use rpm_image::{ReleaseTree, Releases};
pub(crate) use tool::{run as run_tool, version as tool_version};
