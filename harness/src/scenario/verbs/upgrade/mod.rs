//! Distribution upgrades, and what is predicted of them: `do.upgrade`, `do.predict`, `do.verify-prediction`.

pub(crate) mod keys;
pub(crate) mod prediction;
pub(crate) mod run;
