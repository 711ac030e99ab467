//! A machine as hardware: its clock, cable, network, power and boot.

pub(crate) mod clock;
pub(crate) mod expect;
pub(crate) mod expect_clock;
pub(crate) mod impairment;
pub(crate) mod keys;
pub(crate) mod run;
