//! Names of entries: what they are, and what they were made from.

use serde::Serialize;
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
        let is_key = key.len() == DIGITS && key.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
        let entry = Self::new(name, &ContentKey(key.to_owned()));
        (is_key && entry.name == name).then_some(entry)
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
    #[case::no_key("pictures")]
    #[case::short_key("mail-0123")]
    #[case::a_lock("mail-0123456789abcdef.lock")]
    #[case::capitals("mail-0123456789ABCDEF")]
    fn other_directories_are_no_entries(#[case] text: &str) {
        assert_eq!(EntryName::parse(text), None);
    }
}
