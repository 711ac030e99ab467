//! Questions to the broken state of a case: which symptoms show, and which change of configuration is to blame.

pub(crate) mod bisect;
pub(crate) mod examination;
pub(crate) mod symptom;
pub(crate) mod trial;
