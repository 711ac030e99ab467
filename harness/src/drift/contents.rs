//! The contents of files, by digest: what is needed to put files back. Never shown.

use super::inventory::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Contents of files of one machine, private ones too. Its [`fmt::Debug`] shows none of them; whoever writes it to a file
/// makes that file one that only its owner can read.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contents(BTreeMap<Digest, Vec<u8>>);

impl Contents {
    /// Adds a content, and says what its digest is.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.0.entry(digest.clone()).or_insert_with(|| bytes.to_vec());
        digest
    }

    /// The content with this digest, if it was collected.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<&[u8]> {
        self.0.get(digest).map(Vec::as_slice)
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contents({})", self.0.len())
    }
}

impl Serialize for Contents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.values().map(|bytes| BASE64.encode(bytes)))
    }
}

impl<'de> Deserialize<'de> for Contents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut contents = Self::default();
        for text in Vec::<String>::deserialize(deserializer)? {
            contents.add(&BASE64.decode(text).map_err(serde::de::Error::custom)?);
        }
        Ok(contents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_read_back_and_not_shown() {
        let mut contents = Contents::default();
        let digest = contents.add(b"secret\xff");
        let json = serde_json::to_string(&contents).unwrap();
        let again: Contents = serde_json::from_str(&json).unwrap();
        assert_eq!(again.get(&digest), Some(b"secret\xff".as_slice()));
        assert_eq!(format!("{contents:?}"), "Contents(1)");
    }
}
