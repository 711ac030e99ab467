//! Whether layers can stand on each other, and whether they have room.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use super::layer::{Layer, Luks, Qcow2, Volume};
use serde::Serialize;

/// An extent of LVM, if nobody says otherwise.
const EXTENT: u64 = 4 << 20;
/// What md keeps for itself at the beginning of a disk of some GiB, at most: superblock, bitmap and data offset (version 1.2).
const RAID_OFFSET: u64 = 8 << 20;

/// More than anybody has, in MiB: 1 PiB. Below that, sums of sizes in bytes stay far from what 64 bits hold.
const LARGEST_MIB: u64 = 1 << 30;
/// As many files nobody wants to have as disks.
const MOST_DISKS: usize = 256;

/// Layers that stand on each other. A volume that follows a volume, or what is on one, is one more of the same group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Stack(Vec<Layer>);

/// Why layers are no stack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("layer {number} ({layer}) cannot be built: {reason}")]
pub struct StackFlaw {
    /// Which layer, from 1.
    pub number: usize,
    /// What it is.
    pub layer: String,
    /// Why not.
    pub reason: String,
}

/// A device is smaller than the header that is to be on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{layer}: its {version} header takes at least {} MiB, and the device below has {} MiB; nothing was done: make it larger{}",
    header >> 20, device >> 20, if *version == "luks2" { ", or take luks1" } else { "" }
)]
pub struct NoRoomForHeader {
    /// The layer.
    pub layer: String,
    /// The format of its header.
    pub version: &'static str,
    /// The least that this takes, in bytes.
    pub header: u64,
    /// The size of the device, in bytes.
    pub device: u64,
}

/// What there is for the next layer to stand on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ground {
    Nothing,
    Disks,
    Device,
    Group,
    Directory,
    File,
}

impl Stack {
    /// The layers as a stack, if they are one.
    pub fn new(layers: Vec<Layer>) -> Result<Self, StackFlaw> {
        let mut ground = Ground::Nothing;
        let mut in_group = false;
        let mut room = 0;
        for (index, layer) in layers.iter().enumerate() {
            let diagnostic =
                |reason: String| StackFlaw { number: index.saturating_add(1), layer: layer.to_string(), reason };
            check(layer).map_err(diagnostic)?;
            if layers[..index].iter().any(|below| below.to_string() == layer.to_string()) {
                return Err(diagnostic("a layer below it has this name".into()));
            }
            let standing = if in_group && matches!(layer, Layer::Volume(_)) { Ground::Group } else { ground };
            ground = stands(layer, standing).map_err(diagnostic)?;
            in_group |= matches!(layer, Layer::Group(_));
            room = take(layer, room, &layers).map_err(diagnostic)?;
        }
        if layers.is_empty() {
            return Err(StackFlaw { number: 1, layer: "none".into(), reason: "there is no layer".into() });
        }
        Ok(Self(layers))
    }

    /// Its layers, the lowest first.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.0
    }

    /// Whether every encrypted volume can hold its own header.
    pub fn check_headers(&self) -> Result<(), NoRoomForHeader> {
        let mut device = 0;
        for layer in &self.0 {
            match layer {
                Layer::Luks(luks) => {
                    let header = luks.least_header_bytes();
                    if device <= header {
                        let (layer, version) = (layer.to_string(), luks.version.name());
                        return Err(NoRoomForHeader { layer, version, header, device });
                    }
                    device = device.saturating_sub(header);
                }
                Layer::Volume(volume) => device = whole_extents(volume.size_mib << 20),
                // The stack was checked: there is room for it.
                layer => device = take(layer, device, &self.0).unwrap_or(device),
            }
        }
        Ok(())
    }
}

/// What LVM makes of a size.
pub(super) fn whole_extents(bytes: u64) -> u64 {
    bytes.div_ceil(EXTENT).saturating_mul(EXTENT)
}

/// What is wrong with a layer wherever it stands.
fn check(layer: &Layer) -> Result<(), String> {
    let name = |name: &str| match name {
        "" | "." | ".." => Err(format!("`{name}` is no name")),
        _ if name.starts_with('-') => Err(format!("`{name}` looks like an option")),
        _ if name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.+".contains(c)) => Ok(()),
        _ => Err(format!("`{name}` has characters that no volume's name can have")),
    };
    let absolute =
        |path: &str| if path.starts_with('/') { Ok(()) } else { Err(format!("`{path}` is no absolute path")) };
    let sizes = match layer {
        Layer::Disks(disks) => disks.sizes_mib.as_slice(),
        Layer::Volume(Volume { size_mib, .. }) | Layer::Qcow2(Qcow2 { size_mib, .. }) => std::slice::from_ref(size_mib),
        _ => &[],
    };
    if let Some(size) = sizes.iter().find(|&&size| size > LARGEST_MIB) {
        return Err(format!("{size} MiB are more than 1 PiB"));
    }
    match layer {
        Layer::Disks(disks) if disks.sizes_mib.is_empty() => Err("there is no disk".into()),
        Layer::Disks(disks) if disks.sizes_mib.len() > MOST_DISKS => Err(format!("more than {MOST_DISKS} disks")),
        Layer::Disks(disks) => absolute(&disks.directory),
        Layer::Raid10(raid) => name(&raid.name),
        Layer::Group(group) => name(&group.name),
        Layer::Volume(volume) if volume.size_mib == 0 => Err("a volume of no size".into()),
        Layer::Volume(volume) => name(&volume.name),
        Layer::Luks(luks) => name(&luks.name).and_then(|()| check_cipher(luks)),
        Layer::Ext4(ext4) => absolute(&ext4.mount),
        Layer::Qcow2(qcow2) => name(&qcow2.name),
    }
}

fn check_cipher(luks: &Luks) -> Result<(), String> {
    use super::layer::{LuksVersion, Pbkdf};
    if luks.version == LuksVersion::Luks1 && !matches!(luks.pbkdf, None | Some(Pbkdf::Pbkdf2)) {
        return Err("LUKS1 derives keys by pbkdf2 only; Argon2 needs version luks2".into());
    }
    if luks.memory_kib.is_some() && !matches!(luks.pbkdf, Some(Pbkdf::Argon2i | Pbkdf::Argon2id)) {
        return Err("only Argon2 is told how much memory it takes".into());
    }
    if luks.cipher.contains("-xts-") && !matches!(luks.key_size, 256 | 512) {
        return Err(format!("XTS takes keys of 256 or 512 bits, and not of {}", luks.key_size));
    }
    Ok(())
}

/// What a layer offers to the next, if it can stand there.
fn stands(layer: &Layer, ground: Ground) -> Result<Ground, String> {
    use Ground::{Device, Directory, Disks, File, Group, Nothing};
    match (layer, ground) {
        (Layer::Disks(disks), Nothing) => Ok(if disks.sizes_mib.len() == 1 { Device } else { Disks }),
        (Layer::Raid10(_), Disks) | (Layer::Luks(_), Device) | (Layer::Volume(_), Group) => Ok(Device),
        (Layer::Group(_), Device) => Ok(Group),
        (Layer::Ext4(_), Device) => Ok(Directory),
        (Layer::Qcow2(_), Directory) => Ok(File),
        (Layer::Disks(_), _) => Err("disks are the lowest layer".into()),
        (Layer::Raid10(_), _) => Err("a RAID 10 stands on several disks".into()),
        (Layer::Volume(_), _) => Err("a volume stands in a volume group".into()),
        (Layer::Qcow2(_), _) => Err("a guest's disk that is a file stands in a file system".into()),
        (_, Nothing) => Err("there is nothing below it".into()),
        (_, Disks) => Err("it needs one device, and there are several disks below it".into()),
        (_, Group) => Err("it needs a volume of the group below it".into()),
        (_, Directory | File) => Err("it needs a device below it".into()),
    }
}

/// The room that is left for the next layer, in bytes, if this one has enough.
fn take(layer: &Layer, room: u64, layers: &[Layer]) -> Result<u64, String> {
    match layer {
        Layer::Disks(disks) => Ok(disks.sizes_mib.iter().sum::<u64>() << 20),
        Layer::Raid10(_) => {
            let Some(Layer::Disks(disks)) = layers.first() else { return Ok(room) };
            let (count, first) = (disks.sizes_mib.len(), disks.sizes_mib.first().copied().unwrap_or_default());
            if disks.sizes_mib.iter().any(|&size| size != first) {
                let sizes: Vec<_> = disks.sizes_mib.iter().map(|size| format!("{size} MiB")).collect();
                return Err(format!("its disks have different sizes: {}", sizes.join(", ")));
            }
            if count < 4 || count % 2 != 0 {
                return Err(format!("it mirrors pairs of disks, four or more, and there are {count}"));
            }
            let each = (first << 20).checked_sub(RAID_OFFSET).filter(|room| *room > 0);
            each.map(|each| each.saturating_mul(count as u64) / 2)
                .ok_or_else(|| format!("disks of {first} MiB have no room for it"))
        }
        Layer::Group(_) => Ok((room.saturating_sub(1 << 20) / EXTENT).saturating_mul(EXTENT)),
        Layer::Volume(volume) => {
            let wanted = whole_extents(volume.size_mib << 20);
            room.checked_sub(wanted)
                .ok_or_else(|| format!("it needs {} MiB, and the group has {} MiB left", wanted >> 20, room >> 20))
        }
        Layer::Luks(_) | Layer::Ext4(_) | Layer::Qcow2(_) => Ok(room),
    }
}

#[cfg(test)]
#[path = "stack_tests.rs"]
mod tests;
