//! Rehearsal: a private mail server and its neighbours in disposable virtual machines.
pub mod cache;
pub mod drift;
pub mod etc;
pub mod evidence;
pub mod figures;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod guest_path;
pub mod harmless;
pub mod hold;
pub mod host;
pub mod image;
pub mod lab;
pub mod machine;
pub mod mail;
pub mod mistake;
pub mod network;
pub mod packages;
pub mod record;
pub mod release;
pub mod report;
pub mod scenario;
pub mod secrets;
pub mod seed;
pub mod size;
pub mod storage;
pub mod time;
