//! What verbs are told that measure. Figures are recorded, and never expected: they are of a host and an hour.

use super::span::TimeSpan;
use crate::mistake::{Flaw, Flaws};
use crate::storage::DiskFormat;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// How fast a guest's disk is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// It holds the disk as it is.
    #[default]
    Raw,
    /// A file that grows.
    Qcow2,
}

/// Messages that are submitted after a login, each until the recipient sees it over IMAP.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// The user who submits them.
    #[schemars(with = "String")]
    pub from: Spanned<String>,
    /// The user who reads them.
    #[schemars(with = "String")]
    pub to: Spanned<String>,
    /// How many.
    #[schemars(with = "u32")]
    pub messages: Spanned<u32>,
    /// So many are begun in each minute; without it, as many as the server takes.
    pub per_minute: Option<u32>,
    /// What the figures are called.
    pub called: String,
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

impl Load {
    /// There are messages.
    pub(super) fn check(&self, flaws: &mut Flaws) {
        if !(1..=1000).contains(self.messages.get_ref()) {
            flaws.push(Flaw::new("a load has 1 to 1000 messages", self.messages.span()));
        }
        if self.per_minute == Some(0) {
            let flaw = Flaw::new("no message in a minute is no load", self.messages.span());
            flaws.push(flaw.with_help("leave out `per_minute` to send as many as the server takes"));
        }
    }

    /// From one message to the next.
    pub(super) fn interval(&self) -> Option<Duration> {
        self.per_minute.map(|count| Duration::from_mins(1) / count.max(1))
    }
}
