//! Storage in layers, as data: from files that are disks to RAID 10, LVM, LUKS and what is on it.
//!
//! A [`Stack`] is a list of typed [`Layer`]s. What cannot be built is refused before anything is done, with the layer's name; what
//! can be built becomes [`Command`]s, which are data, too. They are carried out by anything that runs commands
//! ([`Executor`]); what is there is read back from the tools' own machine-readable output and compared, and taken down in reverse, whatever
//! state it is in. Passphrases go by standard input, and never by an argument.
//!
//! This room knows no machine and no lab. device-mapper is the kernel's that runs the commands: a host that lacks it does all of
//! this in a guest.

mod apply;
pub mod fio;
mod found;
mod layer;
mod plan;
mod room;
mod stack;

pub use apply::{Executor, Ran, StorageError, build, compare, remove};
pub use fio::DiskFormat;
pub use found::{Found, Unreadable};
pub use layer::{Disks, Ext4, Group, Layer, Luks, LuksVersion, Pbkdf, Qcow2, Raid10, Volume};
pub use plan::{Command, Input, Word, plan};
pub use room::{Room, TooSmall};
pub use stack::{NoRoomForHeader, Stack, StackFlaw};

/// Reads anything as what the tools say of a stack with all layers.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(output: &str) {
    const LAYERS: &str = r#"[{"disks": {"sizes_mib": [64, 64, 64, 64]}}, {"raid10": {}}, {"group": {}},
        {"volume": {"size_mib": 64}}, {"luks": {}}, {"ext4": {"mount": "/mnt/mail"}}, {"qcow2": {"name": "mail", "size_mib": 32}}]"#;
    let layers = serde_json::from_str(LAYERS).expect("these are layers");
    found::fuzz(output, &Stack::new(layers).expect("these stand on each other"));
    let _ = fio::figures("fuzzed", output);
}
