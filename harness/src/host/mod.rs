//! The machine that guests run on.
pub mod spawn;
