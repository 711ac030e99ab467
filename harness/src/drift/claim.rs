//! What a package says about a path.

use crate::guest_path::GuestPath;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A package has a path as its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The package's name.
    pub package: String,
    /// What it says about the path.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub flags: BTreeSet<Flag>,
}

/// What a package can say about a path of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flag {
    /// rpm's `%config`, or a conffile of dpkg's.
    Config,
    /// `%config(noreplace)`.
    Noreplace,
    /// `%config(missingok)`.
    Missingok,
    /// `%ghost`: owned, and not brought.
    Ghost,
    /// A conffile that the installed version does not bring any more (deb-conffiles(5), dpkg-query(1)).
    Obsolete,
}

impl Claim {
    /// Whether the package calls it configuration.
    #[must_use]
    pub fn is_config(&self) -> bool {
        self.flags.contains(&Flag::Config)
    }

    /// Reads the flags as the collector tells them: bits of `FILEFLAGS` (`rpmfileAttrs` in rpm's rpmfiles.h), or words of
    /// dpkg's about a conffile.
    pub(super) fn from_words(package: String, words: &str) -> Self {
        let flags = match words.parse::<u32>() {
            Ok(bits) => {
                let known =
                    [(1, Flag::Config), (1 << 3, Flag::Missingok), (1 << 4, Flag::Noreplace), (1 << 6, Flag::Ghost)];
                known.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, flag)| flag).collect()
            }
            Err(_) => words
                .split_whitespace()
                .filter_map(|word| match word {
                    "conffile" => Some(Flag::Config),
                    "obsolete" => Some(Flag::Obsolete),
                    _ => None,
                })
                .collect(),
        };
        Self { package, flags }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.package)?;
        let words: Vec<_> = [
            (Flag::Noreplace, "noreplace"),
            (Flag::Missingok, "missingok"),
            (Flag::Ghost, "ghost"),
            (Flag::Obsolete, "obsolete"),
        ]
        .into_iter()
        .filter(|(flag, _)| self.flags.contains(flag))
        .map(|(_, word)| word)
        .collect();
        match (self.is_config(), words.is_empty()) {
            (true, true) => f.write_str(" (config)"),
            (true, false) => write!(f, " (config, {})", words.join(", ")),
            (false, true) => Ok(()),
            (false, false) => write!(f, " ({})", words.join(", ")),
        }
    }
}

/// Which paths packages claim, as the collector tells it: one claim a line of its answer.
pub(super) type Claims = std::collections::BTreeMap<GuestPath, Vec<Claim>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::plain("0", "postfix")]
    #[case::config("1", "postfix (config)")]
    #[case::noreplace("17", "postfix (config, noreplace)")]
    #[case::everything("89", "postfix (config, noreplace, missingok, ghost)")]
    #[case::ghost("64", "postfix (ghost)")]
    #[case::conffile("conffile", "postfix (config)")]
    #[case::obsolete("conffile obsolete", "postfix (config, obsolete)")]
    #[case::nothing("", "postfix")]
    fn words_become_flags(#[case] words: &str, #[case] shown: &str) {
        assert_eq!(Claim::from_words("postfix".into(), words).to_string(), shown);
    }
}
