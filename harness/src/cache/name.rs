//! Names of entries: what they are, and what they were made from.

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// A short digest of all that something is made from: equal keys, equal things.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ContentKey(String);

/// Hexadecimal digits of a key: 64 bits, so that two of a few thousand entries never meet by chance.
const DIGITS: usize = 16;

impl ContentKey {
    /// The key of a sequence of ingredients; order and borders count.
    #[must_use]
    pub fn of<'a>(ingredients: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for ingredient in ingredients {
            hash.update((ingredient.len() as u64).to_be_bytes());
            hash.update(ingredient);
        }
        let digits: String = hash.finalize().iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
        Self(digits)
    }

    /// Reads the digits of a key.
    fn parse(text: &str) -> Option<Self> {
        let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        (text.len() == DIGITS && text.chars().all(is_digit)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an entry is called: `<name>-<key>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName {
    name: String,
    key: ContentKey,
}

impl EntryName {
    /// The name of the entry for `name` with the content `key`. Characters that do not belong in a file name become `_`.
    #[must_use]
    pub fn new(name: &str, key: &ContentKey) -> Self {
        let fit = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
        Self { name: name.chars().map(fit).collect(), key: key.clone() }
    }

    /// Reads a directory's name; none, if no entry is called like that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, key) = text.rsplit_once('-')?;
        let entry = Self::new(name, &ContentKey::parse(key)?);
        (entry.name == name).then_some(entry)
    }

    /// The part before the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the entry was made from.
    #[must_use]
    pub fn key(&self) -> &ContentKey {
        &self.key
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name, self.key)
    }
}

impl Serialize for EntryName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom(format_args!("`{}` is no name of an entry", text.escape_debug()));
        Self::parse(&text).ok_or_else(wrong)
    }
}

/// What a file with package versions is called: `plan-<key>.<kind>.json`. The kind tells what was asked about the packages.
///
/// Whoever writes such a file, and whoever looks for one, goes by this type: so they cannot disagree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlanName {
    key: ContentKey,
    kind: String,
}

impl PlanName {
    /// The name of the file for a question with this key.
    #[must_use]
    pub fn new(key: &ContentKey, kind: &str) -> Self {
        Self { key: key.clone(), kind: kind.to_owned() }
    }

    /// Reads a file's name; none, if no such file is called like that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (key, kind) = text.strip_prefix("plan-")?.strip_suffix(".json")?.split_once('.')?;
        let is_kind = !kind.is_empty() && kind.chars().all(|c| c.is_ascii_lowercase());
        Some(Self { key: ContentKey::parse(key)?, kind: is_kind.then(|| kind.to_owned())? })
    }
}

impl fmt::Display for PlanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plan-{}.{}.json", self.key, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(&["a", "b"], &["a", "b"], true)]
    #[case(&["a", "b"], &["b", "a"], false)]
    #[case(&["ab", ""], &["a", "b"], false)]
    #[case(&["a", "b"], &["a", "c"], false)]
    fn a_key_names_its_ingredients(#[case] one: &[&str], #[case] other: &[&str], #[case] same: bool) {
        let key = |parts: &[&str]| ContentKey::of(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(key(one) == key(other), same);
    }

    #[rstest::rstest]
    #[case::plain("mail", "mail")]
    #[case::with_a_hyphen("mail-lan", "mail-lan")]
    #[case::way_out("../../etc", ".._.._etc")]
    fn a_name_is_one_directory_and_is_read_back(#[case] name: &str, #[case] written: &str) {
        let entry = EntryName::new(name, &ContentKey::of([b"x".as_slice()]));
        assert_eq!(entry.name(), written);
        assert!(!entry.to_string().contains('/'));
        assert_eq!(EntryName::parse(&entry.to_string()), Some(entry));
    }

    #[rstest::rstest]
    #[case::of_an_image("plan-0123456789abcdef.image.json", true)]
    #[case::without_a_kind("plan-0123456789abcdef.json", false)]
    #[case::being_written("plan-0123456789abcdef.image.json-00112233", false)]
    #[case::no_key("plan-x.image.json", false)]
    #[case::way_out("plan-0123456789abcdef.../x.json", false)]
    fn a_plan_is_read_back(#[case] text: &str, #[case] is_one: bool) {
        assert_eq!(PlanName::parse(text).map(|name| name.to_string()), is_one.then(|| text.to_owned()));
    }

    #[rstest::rstest]
    #[case::no_key("pictures")]
    #[case::short_key("mail-0123")]
    #[case::a_lock("mail-0123456789abcdef.lock")]
    #[case::capitals("mail-0123456789ABCDEF")]
    fn other_directories_are_no_entries(#[case] text: &str) {
        assert_eq!(EntryName::parse(text), None);
    }
}
