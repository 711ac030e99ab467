//! Rehearsal: a private mail server and its neighbours in disposable virtual machines.
pub mod cache;
pub mod drift;
pub mod evidence;
pub mod guest_path;
pub mod host;
pub mod image;
pub mod lab;
pub mod machine;
pub mod mail;
pub mod mistake;
pub mod network;
pub mod packages;
pub mod release;
pub mod scenario;
pub mod seed;
pub mod size;
pub mod time;
