//! What is there, from the machine-readable output of the tools, and how it differs from a layer.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use super::layer::{Layer, Luks};
use super::plan::Work;
use super::stack::whole_extents;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// cryptsetup counts offsets of version 1 in these.
const SECTOR: u64 = 512;

/// What is there of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Missing,
    /// Its traces are there, but not to be seen by its tools: it may not be made anew. How to see it.
    Unseen(String),
    /// It was made, and rests: detached, closed or not mounted.
    Resting,
    /// It is there as planned.
    AsPlanned,
    /// Something is in its place that differs, in these ways.
    Otherwise(Vec<String>),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Unseen(words) => f.write_str(words),
            Self::Resting => f.write_str("there, and not in use"),
            Self::AsPlanned => f.write_str("as planned"),
            Self::Otherwise(ways) => f.write_str(&ways.join("; ")),
        }
    }
}

/// An output that is not what its tool is known to print.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the output of {tool} makes no sense: {reason}")]
pub struct Unreadable {
    /// The tool.
    pub tool: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// All that the tools say, read.
#[derive(Debug, Clone, Default)]
pub(super) struct Readings {
    /// Loop devices by the file behind them.
    pub(super) loops: BTreeMap<String, String>,
    /// Block devices by path.
    devices: BTreeMap<String, BlockDevice>,
    /// Devices by volume group.
    groups: BTreeMap<String, Vec<String>>,
    /// Devices that LVM looks at, in a group or not.
    looked_at: Vec<String>,
    /// Sizes in bytes, by group and volume.
    volumes: BTreeMap<String, u64>,
    /// Files that are there, with their sizes in bytes.
    pub(super) files: BTreeMap<String, u64>,
    /// What `mdadm --detail --export` says, by the array's place.
    pub(super) arrays: BTreeMap<String, BTreeMap<String, String>>,
    /// Headers by device.
    pub(super) headers: BTreeMap<String, Header>,
    /// Open volumes by place, and whether they pass discards on.
    pub(super) opened: BTreeMap<String, Discards>,
}

/// What an open volume does with what the file system on it has no use for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Discards {
    /// It tells the device below.
    PassedOn,
    /// It tells nobody.
    Kept,
}

#[derive(Debug, Clone)]
struct BlockDevice {
    kind: String,
    /// Where it is mounted.
    mounts: Vec<String>,
    /// The kind of file system on it.
    holds: Option<String>,
}

/// What a LUKS header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Where the encrypted content begins, in bytes: what the header takes.
    pub(super) offset: u64,
    version: String,
    cipher: String,
    key_bits: u64,
    hash: String,
    pbkdf: String,
}

impl Readings {
    /// `losetup --list --json --output NAME,BACK-FILE`, which is empty where there is none.
    pub(super) fn read_loops(&mut self, output: &str) -> Result<(), Unreadable> {
        #[derive(Deserialize)]
        struct Listed {
            loopdevices: Vec<Loop>,
        }
        #[derive(Deserialize)]
        struct Loop {
            name: String,
            #[serde(rename = "back-file")]
            back_file: Option<String>,
        }
        if output.trim().is_empty() {
            return Ok(());
        }
        let listed: Listed = json("losetup", output)?;
        let pairs = listed.loopdevices.into_iter().filter_map(|device| Some((device.back_file?, device.name)));
        self.loops.extend(pairs);
        Ok(())
    }

    /// `lsblk --json --bytes --output PATH,TYPE,FSTYPE,MOUNTPOINTS`: a tree, in which a device of several parents stands several times.
    pub(super) fn read_devices(&mut self, output: &str) -> Result<(), Unreadable> {
        let value: Value = json("lsblk", output)?;
        self.walk(&value["blockdevices"]);
        Ok(())
    }

    fn walk(&mut self, list: &Value) {
        for device in list.as_array().into_iter().flatten() {
            let text = |key: &str| device[key].as_str().map(str::to_owned);
            let mounts = device["mountpoints"].as_array().into_iter().flatten();
            let mounts = mounts.filter_map(Value::as_str).map(str::to_owned).collect();
            if let Some(path) = text("path") {
                let found = BlockDevice { kind: text("type").unwrap_or_default(), mounts, holds: text("fstype") };
                self.devices.insert(path, found);
            }
            self.walk(&device["children"]);
        }
    }

    /// `pvs --reportformat json --options pv_name,vg_name`.
    pub(super) fn read_groups(&mut self, output: &str) -> Result<(), Unreadable> {
        for row in rows("pvs", "pv", output)? {
            self.looked_at.push(field(&row, "pv_name"));
            self.groups.entry(field(&row, "vg_name")).or_default().push(field(&row, "pv_name"));
        }
        self.groups.remove("");
        Ok(())
    }

    /// `lvs --reportformat json --units b --nosuffix --options vg_name,lv_name,lv_size`.
    pub(super) fn read_volumes(&mut self, output: &str) -> Result<(), Unreadable> {
        for row in rows("lvs", "lv", output)? {
            let size = field(&row, "lv_size");
            let size = size.parse().map_err(|_| Unreadable { tool: "lvs", reason: format!("`{size}` is no size") })?;
            self.volumes.insert(format!("{}/{}", field(&row, "vg_name"), field(&row, "lv_name")), size);
        }
        Ok(())
    }

    /// What is there of a layer.
    pub(super) fn of(&self, work: &Work, below: &str) -> Found {
        match &work.layer {
            Layer::Disks(disks) => {
                let files: Vec<_> = disks.files().collect();
                let there = files.iter().filter(|(file, _)| self.files.contains_key(file)).count();
                let attached = files.iter().filter(|(file, _)| self.loops.contains_key(file)).count();
                let wrong = files.iter().filter_map(|(file, size)| {
                    let found = self.files.get(file).filter(|found| *found != size)?;
                    Some(format!("{file} has {found} bytes, and not {size}"))
                });
                match (there, attached) {
                    (0, _) => Found::Missing,
                    (_, 0) => judged(wrong.collect(), Found::Resting),
                    (there, attached) if there == files.len() && attached == files.len() => {
                        judged(wrong.collect(), Found::AsPlanned)
                    }
                    _ => Found::Otherwise(vec![format!(
                        "{there} of {} files are there, {attached} attached",
                        files.len()
                    )]),
                }
            }
            Layer::Raid10(_) => match self.arrays.get(&work.place) {
                Some(array) => of_array(array),
                None if self.holds(below, "linux_raid_member") => Found::Unseen(format!(
                    "{below} belongs to an array that is not running here; see mdadm --examine {below}, and mdadm --assemble --scan"
                )),
                None => Found::Missing,
            },
            Layer::Group(group) => match self.groups.get(&group.name) {
                None if self.holds(below, "LVM2_member") && !self.is_looked_at(below) => Found::Unseen(format!(
                    "LVM's data is on {below}, and LVM does not look at it; see its list of devices (lvmdevices), and the filters \
                     of lvm.conf"
                )),
                None => Found::Missing,
                Some(devices) if self.same(devices, below) => Found::AsPlanned,
                Some(devices) => {
                    Found::Otherwise(vec![format!("a group of this name is on {} already", devices.join(", "))])
                }
            },
            Layer::Volume(volume) => match self.volumes.get(work.place.trim_start_matches("/dev/")) {
                None => Found::Missing,
                Some(&size) => {
                    let wanted = whole_extents(volume.size_mib << 20);
                    let wrong = (size != wanted).then(|| format!("it has {size} bytes, and not {wanted}"));
                    judged(wrong.into_iter().collect(), Found::AsPlanned)
                }
            },
            Layer::Luks(luks) => {
                let Some(header) = self.headers.get(below) else { return Found::Missing };
                let ways = differences(header, luks);
                match self.opened.get(&work.place) {
                    None => judged(ways, Found::Resting),
                    Some(discards) => {
                        judged(ways.into_iter().chain(discards.difference(luks)).collect(), Found::AsPlanned)
                    }
                }
            }
            Layer::Ext4(ext4) => match self.devices.get(&self.resolved(below)) {
                Some(device) if device.mounts.contains(&ext4.mount) => Found::AsPlanned,
                Some(device) if device.holds.as_deref() == Some("ext4") => Found::Resting,
                _ => Found::Missing,
            },
            Layer::Qcow2(_) if self.files.contains_key(&work.place) => Found::AsPlanned,
            Layer::Qcow2(_) => Found::Missing,
        }
    }

    /// Whether a volume is open at this place.
    pub(super) fn is_open(&self, place: &str) -> bool {
        self.devices.get(place).is_some_and(|device| device.kind == "crypt")
    }

    /// Whether blkid knows what is on a device by this name.
    fn holds(&self, device: &str, kind: &str) -> bool {
        self.devices.get(&self.resolved(device)).is_some_and(|device| device.holds.as_deref() == Some(kind))
    }

    fn is_looked_at(&self, device: &str) -> bool {
        let device = self.resolved(device);
        self.looked_at.iter().any(|known| self.resolved(known) == device)
    }

    /// LVM names a device by one of its names, and lsblk by another.
    fn same(&self, devices: &[String], below: &str) -> bool {
        let below = self.resolved(below);
        matches!(devices, [device] if self.resolved(device) == below)
    }

    /// A device's path as lsblk has it: `/dev/group/volume` is `/dev/mapper/group-volume`, and an array is `/dev/md127`.
    fn resolved(&self, path: &str) -> String {
        if self.devices.contains_key(path) {
            return path.to_owned();
        }
        if let Some(array) = self.arrays.get(path).and_then(|array| array.get("DEVNAME")) {
            return array.clone();
        }
        match path.strip_prefix("/dev/").and_then(|name| name.split_once('/')) {
            Some((group, volume)) if group != "mapper" => {
                format!("/dev/mapper/{}-{}", group.replace('-', "--"), volume.replace('-', "--"))
            }
            _ => path.to_owned(),
        }
    }
}

fn judged(ways: Vec<String>, good: Found) -> Found {
    if ways.is_empty() { good } else { Found::Otherwise(ways) }
}

fn of_array(array: &BTreeMap<String, String>) -> Found {
    match array.get("MD_LEVEL").map(String::as_str) {
        Some("raid10") => Found::AsPlanned,
        other => Found::Otherwise(vec![format!("it is {}, and not raid10", other.unwrap_or("no array"))]),
    }
}

fn differences(header: &Header, luks: &Luks) -> Vec<String> {
    let mut ways = Vec::new();
    let mut compare = |what: &str, found: &str, wanted: &str| {
        if found != wanted {
            ways.push(format!("its {what} is {found}, and not {wanted}"));
        }
    };
    compare("version", &header.version, luks.version.name());
    compare("cipher", &header.cipher, &luks.cipher);
    compare("key", &format!("{} bits", header.key_bits), &format!("{} bits", luks.key_size));
    compare("hash", &header.hash, &luks.hash);
    if let Some(pbkdf) = luks.pbkdf {
        compare("derivation", &header.pbkdf, pbkdf.name());
    }
    ways
}

impl Discards {
    /// `cryptsetup status` of an open volume: it has a line with flags only if there are some.
    pub(super) fn read(output: &str) -> Self {
        let flags = output.lines().filter_map(|line| line.trim().strip_prefix("flags:"));
        let passed_on = flags.flat_map(str::split_whitespace).any(|flag| flag == "discards");
        if passed_on { Self::PassedOn } else { Self::Kept }
    }

    /// How that differs from what was planned.
    fn difference(self, luks: &Luks) -> Option<String> {
        match (self, luks.discards) {
            (Self::PassedOn, true) | (Self::Kept, false) => None,
            (Self::PassedOn, false) => Some("its discards are passed on, and not kept".into()),
            (Self::Kept, true) => Some("its discards are kept, and not passed on".into()),
        }
    }
}

/// `KEY=value` lines of `mdadm --detail --export`. `MD_DEVNAME` is a name; the device itself is asked for with it.
pub(super) fn exported(output: &str) -> BTreeMap<String, String> {
    output
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

impl Header {
    /// `cryptsetup luksDump` of a header in version 1, which has no other form.
    pub(super) fn version_1(output: &str) -> Result<Self, Unreadable> {
        let values: BTreeMap<_, _> =
            output.lines().filter_map(|line| line.split_once(':')).map(|(key, value)| (key, value.trim())).collect();
        let value = |key: &str| {
            let missing = || Unreadable { tool: "cryptsetup luksDump", reason: format!("there is no `{key}`") };
            values.get(key).copied().ok_or_else(missing)
        };
        let bits = value("MK bits")?;
        let unreadable =
            |_| Unreadable { tool: "cryptsetup luksDump", reason: format!("`{bits}` is no number of bits") };
        let sectors = value("Payload offset")?;
        let offset: Option<u64> = sectors.parse().ok().and_then(|sectors: u64| sectors.checked_mul(SECTOR));
        let no_offset = || Unreadable { tool: "cryptsetup luksDump", reason: format!("`{sectors}` is no offset") };
        Ok(Self {
            offset: offset.ok_or_else(no_offset)?,
            version: format!("luks{}", value("Version")?),
            cipher: format!("{}-{}", value("Cipher name")?, value("Cipher mode")?),
            key_bits: bits.parse().map_err(unreadable)?,
            hash: value("Hash spec")?.to_owned(),
            pbkdf: "pbkdf2".into(),
        })
    }

    /// `cryptsetup luksDump --dump-json-metadata`, which there is for version 2. Its hash is that of the digest.
    pub(super) fn version_2(output: &str) -> Result<Self, Unreadable> {
        let value: Value = json("cryptsetup luksDump", output)?;
        let first =
            |list: &str| value[list].as_object().and_then(|list| list.values().next()).cloned().unwrap_or_default();
        let (slot, segment, digest) = (first("keyslots"), first("segments"), first("digests"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let bytes = slot["key_size"].as_u64();
        let missing = || Unreadable { tool: "cryptsetup luksDump", reason: "there is no key".into() };
        let offset = segment["offset"].as_str().and_then(|offset| offset.parse().ok());
        let no_offset = || Unreadable { tool: "cryptsetup luksDump", reason: "there is no offset".into() };
        Ok(Self {
            offset: offset.ok_or_else(no_offset)?,
            version: "luks2".into(),
            cipher: text(&segment["encryption"]),
            key_bits: bytes.ok_or_else(missing)?.saturating_mul(8),
            hash: text(&digest["hash"]),
            pbkdf: text(&slot["kdf"]["type"]),
        })
    }
}

/// Reads anything as what each tool says, and asks what is there of each layer of `stack`.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(output: &str, stack: &super::Stack) {
    let mut readings = Readings::default();
    let _ = (readings.read_loops(output), readings.read_devices(output));
    let _ = (readings.read_groups(output), readings.read_volumes(output));
    let headers = [Header::version_1(output), Header::version_2(output)];
    let works = super::plan(stack);
    for work in &works {
        readings.arrays.insert(work.place.clone(), exported(output));
        readings.opened.insert(work.place.clone(), Discards::read(output));
        for header in headers.iter().flatten() {
            readings.headers.insert(work.place.clone(), header.clone());
            for below in &works {
                let _ = readings.of(work, &below.place);
            }
        }
        let _ = (readings.of(work, ""), readings.of(work, &work.place));
    }
}

fn json<T: for<'d> Deserialize<'d>>(tool: &'static str, output: &str) -> Result<T, Unreadable> {
    serde_json::from_str(output).map_err(|error| Unreadable { tool, reason: error.to_string() })
}

/// The rows of a report of LVM's.
fn rows(tool: &'static str, kind: &str, output: &str) -> Result<Vec<Value>, Unreadable> {
    let value: Value = json(tool, output)?;
    let rows = value["report"][0][kind].as_array().cloned();
    rows.ok_or_else(|| Unreadable { tool, reason: format!("it has no `{kind}`") })
}

fn field(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "found_tests.rs"]
mod tests;
