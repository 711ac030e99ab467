//! A lab: the machines of a topology, in a network of their own.
//!
//! [`topology`] says what a lab consists of. [`Lab::boot`] makes it from images and seeds, which takes as long as machines
//! take to boot. So it is done once: the lab is brought to ready, settled and frozen into a [`Template`],
//! which the [`TemplateStore`] keeps in the cache under the key of all that went in. [`Lab::thaw`] makes a fresh copy of it, which
//! shares no state with any other. A running copy can be frozen too, if it was thawed for that: a checkpoint is a template
//! that only its run knows, or one that is kept in the cache: [`TemplateStore::keep`].
//!
//! [`Lab::tear_down`] ends a lab. One that is dropped, and one whose process is killed, end as well: guests die with the
//! lab's keeper thread, the network goes with its last user, and the working directory has a janitor.
//!
//! This room puts machines and networks together. It does not know mail or scenarios.

mod boot;
mod budget;
mod capture;
mod freeze;
mod handle;
mod key;
mod persist;
mod power;
mod running;
mod setup;
mod shared_budget;
mod snapshot;
mod template;
mod template_store;
mod thaw;
pub mod topology;

pub use budget::{Budget, BudgetError, Permit, Wait, usual_cases};
pub use capture::{
    Capture, DEFAULT_LIMIT as DEFAULT_CAPTURE_LIMIT, HOST, LIMIT_VARIABLE as CAPTURE_LIMIT_VARIABLE, is_capture,
    limit as capture_limit,
};
#[cfg(any(test, fuzzing))]
pub(crate) use freeze::fuzz;
pub use handle::{LabHandle, Running};
pub use persist::{Found, Metadata, Wanted};
pub use power::Rebooted;
pub use running::Lab;
pub use setup::{LabError, Media, Progress, Setup};
pub use template::{Template, TemplateError};
pub use template_store::{Readiness, TemplateRequest, TemplateStore};
pub use thaw::Purpose;
pub use topology::Topology;
