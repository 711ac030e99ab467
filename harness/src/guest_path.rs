//! Paths of a guest: bytes, since nobody promises that they are UTF-8.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// An absolute path on a machine. As text, and in JSON, bytes that are not UTF-8, control characters and backslashes stand
/// as `\xNN`: so every path can be written down and read back.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestPath(Vec<u8>);

/// Text is no path: an escape in it makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path: after a backslash, `x` and two hexadecimal digits must follow")]
pub struct NoPath(String);

impl GuestPath {
    /// The path with these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The directory that it is in; none for `/`.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let slash = self.0.iter().rposition(|&byte| byte == b'/')?;
        match slash {
            0 if self.0.len() == 1 => None,
            0 => Some(Self(vec![b'/'])),
            _ => Some(Self(self.0[..slash].to_vec())),
        }
    }

    /// All directories that it is in, the nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// The same path with something appended to its name.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        Self([self.0.as_slice(), suffix.as_bytes()].concat())
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Result<Self, NoPath> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            if first == b'\\' {
                let digits = after.strip_prefix(b"x").and_then(|digits| digits.get(..2));
                let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
                let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                bytes.push(byte.ok_or_else(|| NoPath(text.to_owned()))?);
                rest = &after[3..];
            } else {
                bytes.push(first);
                rest = after;
            }
        }
        Ok(Self(bytes))
    }
}

impl From<&str> for GuestPath {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for letter in chunk.valid().chars() {
                if letter == '\\' || letter.is_ascii_control() {
                    write!(f, "\\x{:02x}", u32::from(letter))?;
                } else {
                    write!(f, "{letter}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for GuestPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GuestPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_path_is_read_back(bytes: Vec<u8>) {
            let path = GuestPath::new(bytes);
            prop_assert_eq!(GuestPath::parse(&path.to_string()).unwrap(), path.clone());
            let json = serde_json::to_string(&path).unwrap();
            prop_assert_eq!(serde_json::from_str::<GuestPath>(&json).unwrap(), path);
        }
    }

    #[rstest::rstest]
    #[case::plain(b"/etc/pam.d/imap", "/etc/pam.d/imap")]
    #[case::umlaut("/etc/ä".as_bytes(), "/etc/ä")]
    #[case::latin1(b"/etc/\xe4", r"/etc/\xe4")]
    #[case::newline(b"/etc/a\nb", r"/etc/a\x0ab")]
    #[case::backslash(br"/etc/a\b", r"/etc/a\x5cb")]
    fn people_can_read_it(#[case] bytes: &[u8], #[case] text: &str) {
        assert_eq!(GuestPath::new(bytes).to_string(), text);
    }

    #[rstest::rstest]
    #[case(r"/etc/\q")]
    #[case(r"/etc/\x1")]
    #[case(r"/etc/\xä1")]
    fn a_bad_escape_is_no_path(#[case] text: &str) {
        assert!(GuestPath::parse(text).is_err());
    }

    #[test]
    fn ancestors_end_at_the_root() {
        let path = GuestPath::from("/etc/pam.d/imap");
        let ancestors: Vec<_> = path.ancestors().map(|path| path.to_string()).collect();
        assert_eq!(ancestors, ["/etc/pam.d", "/etc", "/"]);
    }
}
