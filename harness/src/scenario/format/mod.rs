//! The file format: from TOML to cases, with every diagnostic on the way.

pub(crate) mod action;
pub mod case_filter;
pub(crate) mod lab_file;
pub(crate) mod matrix;
pub(crate) mod nature;
pub(crate) mod reader;
mod renamed;
pub mod requirements;
pub(crate) mod scenario;
pub mod schema;
pub(crate) mod shape;
pub(crate) mod span;
pub(crate) mod step;
pub(crate) mod variables;
