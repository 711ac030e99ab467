//! What a machine's configuration was at a moment, in a form that may be shown.

use super::claim::Claim;
use crate::guest_path::GuestPath;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// The configuration of one machine at a moment: everything under the directories that configuration lies in, and
/// configuration that packages have elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// The machine.
    pub machine: String,
    /// When it was collected, by the host's clock.
    pub at: jiff::Timestamp,
    /// Who manages packages there.
    pub manager: Manager,
    /// Installed packages and their versions.
    pub packages: BTreeMap<String, String>,
    /// What lies where.
    pub files: BTreeMap<GuestPath, Entry>,
}

/// Who manages the packages of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Manager {
    /// rpm.
    Rpm,
    /// dpkg.
    Dpkg,
    /// Nobody that is known here.
    None,
}

/// What lies at a path. Symbolic links are not followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is.
    #[serde(rename = "is")]
    pub what: What,
    /// Permissions: the lowest twelve bits of `st_mode`, in octal digits.
    pub mode: String,
    /// The user that it belongs to, by name if there is one.
    pub user: String,
    /// The group that it belongs to, by name if there is one.
    pub group: String,
    /// The packages that have it; of directories nobody asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A file.
    File {
        /// Bytes.
        size: u64,
        /// Of the content.
        sha256: Digest,
        /// The content, if everybody on the machine may read it, and it is short and text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Link {
        /// Where it points.
        target: GuestPath,
    },
    /// A device, socket or pipe.
    Special,
}

/// A SHA-256 digest, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(String);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(super) fn from_hex(digits: &str) -> Self {
        Self(digits.to_ascii_lowercase())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Inventory {
    /// A package with its version, for people.
    #[must_use]
    pub fn label(&self, package: &str) -> String {
        match self.packages.get(package) {
            Some(version) => format!("{package} {version}"),
            None => package.to_owned(),
        }
    }
}

impl Entry {
    /// The digest of a file's content.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        match &self.what {
            What::File { sha256, .. } => Some(sha256),
            _ => None,
        }
    }

    /// The content, if it may be shown.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.what {
            What::File { text, .. } => text.as_deref(),
            _ => None,
        }
    }
}

impl What {
    /// What kind of thing it is, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Directory => "directory",
            Self::Link { .. } => "link",
            Self::Special => "device, socket or pipe",
        }
    }

    /// Whether content, kind and target are the same.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            // The text is shown or not; the digest tells.
            (Self::File { sha256: one, .. }, Self::File { sha256: other, .. }) => one == other,
            _ => self == other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest of `abc` in FIPS 180-2, appendix B.1.
    #[test]
    fn a_digest_is_shown_in_small_hexadecimal_digits() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), abc);
        assert_eq!(Digest::from_hex(&abc.to_uppercase()).to_string(), abc);
    }
}
