//! What a verb is told that measures. Figures are recorded, and never expected: they are of a host and an hour.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::scenario::format::span::TimeSpan;
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
    pub label: String,
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
    pub(crate) fn check(&self, diagnostics: &mut Diagnostics) {
        if !self.disk.get_ref().starts_with('/') {
            diagnostics
                .push(Diagnostic::new(format!("`{}` is no absolute path", self.disk.get_ref()), self.disk.span()));
        }
    }

    /// What it is for QEMU.
    pub(crate) fn format(&self) -> DiskFormat {
        match self.format {
            Format::Raw => DiskFormat::Raw,
            Format::Qcow2 => DiskFormat::Qcow2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::device("/dev/vdb", false)]
    #[case::relative("dev/vdb", true)]
    fn a_disk_has_an_absolute_path(#[case] disk: &str, #[case] wrong: bool) {
        let fio: Fio = toml::from_str(&format!("disk = '{disk}'\neach = '1 s'\nlabel = 'x'")).unwrap();
        let mut diagnostics = Diagnostics::default();
        fio.check(&mut diagnostics);
        assert_eq!(!diagnostics.is_empty(), wrong, "{diagnostics:?}");
    }

    #[rstest::rstest]
    #[case::raw("raw", DiskFormat::Raw)]
    #[case::qcow2("qcow2", DiskFormat::Qcow2)]
    fn qemu_serves_it_as_what_it_is(#[case] format: &str, #[case] expected: DiskFormat) {
        let keys = format!("disk = '/dev/vdb'\neach = '1 s'\nlabel = 'x'\nformat = '{format}'");
        assert_eq!(toml::from_str::<Fio>(&keys).unwrap().format(), expected);
    }
}
