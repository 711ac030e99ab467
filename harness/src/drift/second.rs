//! Second files, that package managers leave beside a file: the old content, or the new one that was not put in force.

use super::inventory::{Digest, Inventory};
use crate::guest_path::GuestPath;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What rpm, dpkg and ucf append to names, and whether what comes beside is the package's new content.
///
/// Source: rpm's lib/fsm.c; dpkg's lib/dpkg/dpkg.h; ucf(1).
const SUFFIXES: [(&str, bool); 11] = [
    (".rpmsave", false),
    (".rpmorig", false),
    (".rpmnew", true),
    (".dpkg-old", false),
    (".dpkg-bak", false),
    (".dpkg-remove", false),
    (".dpkg-dist", true),
    (".dpkg-new", true),
    (".ucf-old", false),
    (".ucf-dist", true),
    (".ucf-new", true),
];

/// A second file of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Second {
    /// Where it is.
    pub path: GuestPath,
    /// What is in it.
    pub holds: Holds,
}

/// What a second file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holds {
    /// Just what was in force before.
    Old,
    /// What is in force now, or a package's content that would be.
    New,
    /// Something else.
    Other,
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Old => "the old content",
            Self::New => "the new content",
            Self::Other => "neither the old nor the new content",
        })
    }
}

/// The path that `path` is a second file of, by its name.
pub(super) fn first_of(path: &GuestPath) -> Option<GuestPath> {
    SUFFIXES.iter().find_map(|(suffix, _)| path.as_bytes().strip_suffix(suffix.as_bytes())).map(GuestPath::new)
}

/// The second files of `path` that came or changed between two inventories.
pub(super) fn seconds_of(path: &GuestPath, before: &Inventory, after: &Inventory) -> Vec<Second> {
    let digest = |inventory: &Inventory, path: &GuestPath| -> Option<Digest> {
        inventory.files.get(path).and_then(|entry| entry.digest().cloned())
    };
    let (old, new) = (digest(before, path), digest(after, path));
    SUFFIXES
        .iter()
        .filter_map(|&(suffix, brings_new)| {
            let second = path.with_suffix(suffix);
            let found = digest(after, &second)?;
            if digest(before, &second).as_ref() == Some(&found) {
                return None;
            }
            let holds = match () {
                () if old.as_ref() == Some(&found) => Holds::Old,
                () if brings_new || new.as_ref() == Some(&found) => Holds::New,
                () => Holds::Other,
            };
            Some(Second { path: second, holds })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::inventory::{Entry, Manager, What};
    use super::*;
    use std::collections::BTreeMap;

    fn inventory(files: &[(&str, &str)]) -> Inventory {
        let entry = |content: &str| Entry {
            what: What::File { size: 1, sha256: Digest::of(content.as_bytes()), text: None },
            mode: "0644".into(),
            user: "root".into(),
            group: "root".into(),
            claims: Vec::new(),
        };
        Inventory {
            machine: "mail".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
            manager: Manager::None,
            packages: BTreeMap::new(),
            files: files.iter().map(|&(path, content)| (GuestPath::from(path), entry(content))).collect(),
        }
    }

    /// The file had "old" in it, and has "new".
    #[rstest::rstest]
    #[case::a_backup(".rpmsave", "old", Some(Holds::Old))]
    #[case::a_copy_of_what_is_there(".rpmsave", "new", Some(Holds::New))]
    #[case::something_else(".rpmsave", "else", Some(Holds::Other))]
    #[case::what_the_package_brings(".rpmnew", "else", Some(Holds::New))]
    #[case::the_old_content_as_the_packages(".dpkg-dist", "old", Some(Holds::Old))]
    #[case::a_suffix_of_nobody(".bak", "old", None)]
    fn a_second_file_is_known_by_its_content(
        #[case] suffix: &str,
        #[case] content: &str,
        #[case] holds: Option<Holds>,
    ) {
        let second = format!("/etc/a{suffix}");
        let (before, after) = (inventory(&[("/etc/a", "old")]), inventory(&[("/etc/a", "new"), (&second, content)]));
        let found = seconds_of(&GuestPath::from("/etc/a"), &before, &after);
        let expected = holds.map(|holds| Second { path: GuestPath::from(second.as_str()), holds });
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_second_file_that_was_there_before_is_no_news() {
        let before = inventory(&[("/etc/a", "old"), ("/etc/a.rpmsave", "older")]);
        let path = GuestPath::from("/etc/a");
        assert_eq!(seconds_of(&path, &before, &before), []);
        let after = inventory(&[("/etc/a", "new"), ("/etc/a.rpmsave", "old")]);
        assert_eq!(seconds_of(&path, &before, &after).len(), 1);
    }
}
