//! Where the passwords and keys of a lab come from: a secret of this user's, and a name.
//!
//! A frozen lab is used again, so its passwords must be known again. They are not kept with it: they are derived, by the
//! keyed hash of BLAKE3, from one file that only the owner of the cache can read and from a name that stands in the
//! frozen lab's manifest. Whoever gets a frozen lab without that file has hashes only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// What everything secret in one lab is derived from. Its [`fmt::Debug`] shows nothing.
#[derive(Clone)]
pub struct LabSecret([u8; 32]);

impl LabSecret {
    /// For a lab that nobody will want again.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Key material for one purpose.
    pub(super) fn bytes(&self, purpose: &str) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, purpose.as_bytes()).as_bytes()
    }

    /// Twenty letters and digits for one purpose: about 119 bits.
    pub(super) fn password(&self, purpose: &str) -> String {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut stream = blake3::Hasher::new_keyed(&self.0).update(purpose.as_bytes()).finalize_xof();
        let mut password = String::new();
        let mut byte = [0];
        while password.len() < 20 {
            stream.fill(&mut byte);
            // 248 is the last multiple of 62 that a byte can reach: so all digits are equally likely.
            if byte[0] < 248 {
                password.push(char::from(DIGITS[usize::from(byte[0] % 62)]));
            }
        }
        password
    }
}

impl fmt::Debug for LabSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LabSecret")
    }
}

/// The secret of a user's cache.
#[derive(Clone)]
pub struct CacheSecret([u8; 32]);

impl CacheSecret {
    /// Reads the secret in `file`; makes one, if there is none.
    pub fn open(file: &Path) -> io::Result<Self> {
        match Self::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        let mut fresh = tempfile::Builder::new().tempfile_in(file.parent().unwrap_or(Path::new(".")))?;
        fresh.write_all(&rand::random::<[u8; 32]>())?;
        fresh.as_file().sync_all()?;
        match fresh.persist_noclobber(file) {
            // Another run was quicker: its secret holds.
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => return Err(error.error),
            _ => {}
        }
        Self::read(file)
    }

    fn read(file: &Path) -> io::Result<Self> {
        let mut secret = [0; 32];
        let mut opened = File::options().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(file)?;
        opened.read_exact(&mut secret).map_err(|error| {
            io::Error::new(error.kind(), format!("{} holds no secret; remove it: {error}", file.display()))
        })?;
        Ok(Self(secret))
    }

    /// The secret of the lab of that name.
    #[must_use]
    pub fn lab(&self, name: &LabNonce) -> LabSecret {
        LabSecret(*blake3::keyed_hash(&self.0, name.0.as_bytes()).as_bytes())
    }
}

impl fmt::Debug for CacheSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheSecret")
    }
}

/// A name that no other lab has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LabNonce(String);

impl LabNonce {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(STANDARD_NO_PAD.encode(rand::random::<[u8; 18]>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_cache_has_one_secret_and_a_lab_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        let secret = CacheSecret::open(&file).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let (one, other) = (LabNonce::random(), LabNonce::random());
        let password = |secret: &CacheSecret, name| secret.lab(name).password("alice");
        assert_eq!(password(&secret, &one), password(&CacheSecret::open(&file).unwrap(), &one));
        assert_ne!(password(&secret, &one), password(&secret, &other));
        assert_ne!(secret.lab(&one).password("alice"), secret.lab(&one).password("bob"));
        assert_eq!(password(&secret, &one).len(), 20);
    }

    #[test]
    fn half_a_secret_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        std::fs::write(&file, b"short").unwrap();
        assert!(CacheSecret::open(&file).unwrap_err().to_string().contains("holds no secret"));
    }
}
