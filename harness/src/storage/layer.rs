//! The layers that a stack is made of. Defaults are those of the story: names, cipher and sizes of its encrypted volume.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One layer of storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Disks that are files, as loop devices.
    Disks(Disks),
    /// A RAID 10 of all disks.
    Raid10(Raid10),
    /// A volume group on the device below.
    Group(Group),
    /// A logical volume in the group below.
    Volume(Volume),
    /// Encryption of the device below, open.
    Luks(Luks),
    /// A file system on the device below, mounted.
    Ext4(Ext4),
    /// A disk of a guest, as a file in the file system below.
    Qcow2(Qcow2),
}

/// Disks that are files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disks {
    /// The directory that the files are in.
    #[serde(default = "disks")]
    pub directory: String,
    /// The size of each, in MiB.
    pub sizes_mib: Vec<u64>,
}

/// A RAID 10.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Raid10 {
    /// Its name, below `/dev/md`.
    #[serde(default = "raid")]
    pub name: String,
}

/// A volume group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    #[serde(default = "group")]
    pub name: String,
}

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Its name.
    #[serde(default = "volume")]
    pub name: String,
    /// Its size in MiB; LVM makes whole extents of it, of 4 MiB each.
    pub size_mib: u64,
}

/// Encryption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Luks {
    /// The name of the open volume, below `/dev/mapper`.
    #[serde(default = "mapping")]
    pub name: String,
    /// The format of its header.
    #[serde(default)]
    pub version: LuksVersion,
    /// The cipher, as cryptsetup names it.
    #[serde(default = "cipher")]
    pub cipher: String,
    /// The length of the key in bits: half of it is for XTS.
    #[serde(default = "key_size")]
    pub key_size: u16,
    /// The hash of the passphrase's derivation.
    #[serde(default = "hash")]
    pub hash: String,
    /// How the key is derived from a passphrase; `pbkdf2` is the only way in version 1.
    #[serde(default)]
    pub pbkdf: Option<Pbkdf>,
    /// How much memory Argon2 takes for that, in KiB; cryptsetup's own choice if not given.
    #[serde(default)]
    pub memory_kib: Option<u32>,
    /// How long that takes, in milliseconds of whoever formats; cryptsetup's own choice if not given.
    #[serde(default)]
    pub iter_time_ms: Option<u32>,
    /// What the file system above has no use for is told to the device below.
    #[serde(default)]
    pub discards: bool,
}

/// The format of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LuksVersion {
    /// LUKS1, with 2 MiB for a key of 512 bits.
    #[default]
    Luks1,
    /// LUKS2, with 16 MiB.
    Luks2,
}

/// How a key is derived from a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pbkdf {
    /// PBKDF2.
    Pbkdf2,
    /// Argon2i.
    Argon2i,
    /// Argon2id.
    Argon2id,
}

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ext4 {
    /// Where it is mounted.
    pub mount: String,
}

/// A disk of a guest as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Qcow2 {
    /// The file's name in the file system.
    pub name: String,
    /// Its virtual size in MiB.
    pub size_mib: u64,
}

impl LuksVersion {
    /// As `cryptsetup --type` names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Luks1 => "luks1",
            Self::Luks2 => "luks2",
        }
    }
}

impl Pbkdf {
    /// As `cryptsetup --pbkdf` names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pbkdf2 => "pbkdf2",
            Self::Argon2i => "argon2i",
            Self::Argon2id => "argon2id",
        }
    }
}

impl Luks {
    /// The least that the header takes at the beginning of any device, in bytes. On a RAID it takes more: cryptsetup lets the content
    /// begin where the device likes to be written to. In LUKS1 there is room for eight slots of 4000 stripes of the key each, from
    /// 4 KiB on and each at a multiple of 4 KiB, and the content begins at a multiple of 1 MiB (LUKS On-Disk Format Specification
    /// 1.2.3, and cryptsetup's alignment); in LUKS2 it is 16 MiB (cryptsetup-luksFormat(8)).
    #[must_use]
    pub fn least_header_bytes(&self) -> u64 {
        const PAGE: u64 = 4096;
        match self.version {
            LuksVersion::Luks1 => {
                let slot = (u64::from(self.key_size) / 8).saturating_mul(4000).div_ceil(PAGE).saturating_mul(PAGE);
                PAGE.saturating_add(slot.saturating_mul(8)).div_ceil(1 << 20).saturating_mul(1 << 20)
            }
            LuksVersion::Luks2 => 16 << 20,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disks(disks) => write!(f, "{} disks in {}", disks.sizes_mib.len(), disks.directory),
            Self::Raid10(raid) => write!(f, "RAID 10 {}", raid.name),
            Self::Group(group) => write!(f, "volume group {}", group.name),
            Self::Volume(volume) => write!(f, "volume {}", volume.name),
            Self::Luks(luks) => write!(f, "encrypted volume {}", luks.name),
            Self::Ext4(ext4) => write!(f, "file system at {}", ext4.mount),
            Self::Qcow2(qcow2) => write!(f, "guest's disk {}", qcow2.name),
        }
    }
}

fn disks() -> String {
    "/srv/disks".into()
}

fn raid() -> String {
    "md0".into()
}

fn group() -> String {
    "volgrp4".into()
}

fn volume() -> String {
    "lvimap_hd0".into()
}

fn mapping() -> String {
    "cr_imap_encr".into()
}

fn cipher() -> String {
    "aes-xts-plain64".into()
}

const fn key_size() -> u16 {
    512
}

fn hash() -> String {
    "sha512".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::of_the_story("{}", 2 << 20)]
    #[case::half_the_key(r#"{"key_size": 256}"#, 2 << 20)]
    #[case::luks2(r#"{"version": "luks2"}"#, 16 << 20)]
    fn a_header_takes_room(#[case] luks: &str, #[case] bytes: u64) {
        let luks: Luks = serde_json::from_str(luks).unwrap();
        assert_eq!(luks.least_header_bytes(), bytes);
    }
}
