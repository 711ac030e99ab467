//! Amounts of storage, as people write them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::str::FromStr;

/// An amount of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Size(u64);

const UNITS: [(&str, u32); 4] = [("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

impl Size {
    /// So many bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many GiB.
    #[must_use]
    pub const fn gibibytes(count: u64) -> Self {
        Self(count << 30)
    }

    /// So many MiB.
    #[must_use]
    pub const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }

    /// What a file, or a directory with all below it, takes on disk, as far as it can be read.
    #[must_use]
    pub fn on_disk(path: &Path) -> Self {
        let files = walkdir::WalkDir::new(path).into_iter().filter_map(Result::ok);
        files.filter_map(|file| file.metadata().ok()).map(|data| Self(data.blocks() * 512)).sum()
    }

    /// What is free for us on the file system of `path`.
    pub fn free_at(path: &Path) -> std::io::Result<Self> {
        let space = nix::sys::statvfs::statvfs(path)?;
        Ok(Self(space.blocks_available() * space.fragment_size()))
    }

    /// In bytes.
    #[must_use]
    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// What is left of it without `other`; never less than nothing.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Size {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        Self(sizes.map(|size| size.0).sum())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, shift) = UNITS.into_iter().find(|(_, shift)| self.0 >> shift > 0).unwrap_or(("B", 0));
        let tenths = (u128::from(self.0) * 10) >> shift;
        if shift == 0 { write!(f, "{} B", self.0) } else { write!(f, "{}.{} {unit}", tenths / 10, tenths % 10) }
    }
}

/// A text that is no amount of storage.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no size: write a whole number and a unit, such as `20GiB` or `500MiB`")]
pub struct SizeError(String);

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let error = || SizeError(text.to_owned());
        let (unit, shift) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(error)?;
        let count: u64 = text.strip_suffix(unit).unwrap_or(text).trim().parse().map_err(|_| error())?;
        count.checked_mul(1 << shift).map(Self).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("20GiB", Some(20 << 30))]
    #[case("500 MiB", Some(500 << 20))]
    #[case("7B", Some(7))]
    #[case::no_unit("20", None)]
    #[case::another_unit("20GB", None)]
    #[case::too_much("99999999999GiB", None)]
    #[case::negative("-1GiB", None)]
    #[case::nothing("", None)]
    fn sizes_are_read(#[case] text: &str, #[case] bytes: Option<u64>) {
        assert_eq!(text.parse::<Size>().ok().map(Size::as_bytes), bytes);
    }

    #[rstest]
    #[case(0, "0 B")]
    #[case(1023, "1023 B")]
    #[case(1536, "1.5 KiB")]
    #[case(20 << 30, "20.0 GiB")]
    #[case(u64::MAX, "17179869183.9 GiB")]
    fn sizes_are_written(#[case] bytes: u64, #[case] text: &str) {
        assert_eq!(Size::bytes(bytes).to_string(), text);
    }
}
