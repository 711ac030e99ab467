//! Rehearsal: a private mail server and its neighbours in disposable virtual machines.
pub mod host;
pub mod image;
pub mod lab;
pub mod machine;
pub mod network;
pub mod seed;
pub mod time;
