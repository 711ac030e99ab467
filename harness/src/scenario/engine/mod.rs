//! The engine: carries a case out, from the lab's template to its verdict.

pub(crate) mod case_run;
pub(crate) mod checkpoints;
pub(crate) mod etc_overlay;
pub(crate) mod interactive;
pub(crate) mod interrupt;
pub(crate) mod login_failure;
pub(crate) mod mutation;
pub(crate) mod outcome;
pub(crate) mod preparation;
pub(crate) mod ready;
pub(crate) mod recording;
pub(crate) mod replacing;
pub(crate) mod resume;
pub(crate) mod starvation;
pub(crate) mod teardown;
