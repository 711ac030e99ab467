//! What a verb is told that measures. Figures are recorded, and never expected: they are of a host and an hour.

use super::span::TimeSpan;
use crate::mistake::{Flaw, Flaws};
use crate::storage::DiskFormat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// How fast a guest's disk is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fio {
    /// The disk: a device or a file of the machine. The first 128 MiB of it are written over.
    #[schemars(with = "String")]
    pub disk: Spanned<String>,
    /// What it is for QEMU, which serves it.
    #[serde(default)]
    pub format: Format,
    /// How long each of reading in order, reading anywhere and writing anywhere is measured; it is not stretched.
    pub each: TimeSpan,
    /// What the figures are called.
    pub called: String,
}

/// What a disk is, for QEMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// It holds the disk as it is.
    #[default]
    Raw,
    /// A file that grows.
    Qcow2,
}

impl Fio {
    /// The disk has an absolute path.
    pub(super) fn check(&self, flaws: &mut Flaws) {
        if !self.disk.get_ref().starts_with('/') {
            flaws.push(Flaw::new(format!("`{}` is no absolute path", self.disk.get_ref()), self.disk.span()));
        }
    }

    /// What it is for QEMU.
    pub(super) fn format(&self) -> DiskFormat {
        match self.format {
            Format::Raw => DiskFormat::Raw,
            Format::Qcow2 => DiskFormat::Qcow2,
        }
    }
}
