//! Paths that stand in files of others: names below a directory of ours, and no way out of it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// The longest name of a file that Linux takes (`NAME_MAX`).
const LONGEST_NAME: usize = 255;
/// No directory of ours is nested deeper.
const DEEPEST: usize = 32;

/// A relative path of plain names, separated by single slashes: `a/b`, never `../a`, `/a`, `a//b` or `./a`.
///
/// Whoever reads such a path from a file that somebody else wrote reads it as this type, and joins it by [`PlainPath::below`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlainPath(String);

/// Text is no [`PlainPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no path of plain names: it leads out of its directory, or is written in another way", .0.escape_debug())]
pub struct NotPlain(String);

impl PlainPath {
    /// The place that it names below a directory.
    #[must_use]
    pub fn below(&self, directory: &Path) -> PathBuf {
        directory.join(&self.0)
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its last name.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl TryFrom<String> for PlainPath {
    type Error = NotPlain;

    fn try_from(text: String) -> Result<Self, NotPlain> {
        let is_name =
            |name: &str| !matches!(name, "" | "." | "..") && name.len() <= LONGEST_NAME && !name.contains('\0');
        let is_plain = text.split('/').all(is_name) && text.split('/').count() <= DEEPEST;
        if is_plain { Ok(Self(text)) } else { Err(NotPlain(text)) }
    }
}

impl From<PlainPath> for String {
    fn from(path: PlainPath) -> Self {
        path.0
    }
}

impl fmt::Display for PlainPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Component;

    #[rstest::rstest]
    #[case::one("disk.qcow2", true)]
    #[case::two("rpms/a-1.rpm", true)]
    #[case::dots_in_a_name("a..b/..c", true)]
    #[case::nothing("", false)]
    #[case::up("../a", false)]
    #[case::up_later("a/../../b", false)]
    #[case::absolute("/etc/passwd", false)]
    #[case::itself("./a", false)]
    #[case::twice("a//b", false)]
    #[case::at_the_end("a/", false)]
    #[case::zero("a\0b", false)]
    fn only_plain_names_are_taken(#[case] text: &str, #[case] taken: bool) {
        assert_eq!(PlainPath::try_from(text.to_owned()).is_ok(), taken);
        let json = serde_json::to_string(text).unwrap();
        assert_eq!(serde_json::from_str::<PlainPath>(&json).is_ok(), taken);
    }

    proptest! {
        #[test]
        fn what_is_taken_stays_below(text in "[./a\\PC\0]{0,12}") {
            if let Ok(path) = PlainPath::try_from(text) {
                let place = path.below(Path::new("/cache"));
                prop_assert!(place.starts_with("/cache") && place != Path::new("/cache"));
                prop_assert!(place.components().skip(1).all(|part| matches!(part, Component::Normal(_))));
            }
        }
    }
}
