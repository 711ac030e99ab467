//! Packets of machines: `do.capture`, `do.egress`, `do.flows`.

pub(crate) mod captured;
pub(crate) mod expect;
pub(crate) mod keys;
pub(crate) mod packet_filter;
pub(crate) mod run;
