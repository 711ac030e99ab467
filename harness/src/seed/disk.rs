//! The seed disk: a small FAT file system labelled `CIDATA`, where cloud-init's `NoCloud` data source looks.

use super::render::SeedError;
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions, format_volume};
use std::fmt;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Large enough for every role, and the least that FAT likes.
const SIZE: u64 = 2 << 20;

/// The files that cloud-init reads. They hold secrets: [`fmt::Debug`] shows none.
#[derive(Clone)]
pub struct SeedFiles {
    /// The cloud-config.
    pub user_data: String,
    /// Instance id and host name.
    pub meta_data: String,
    /// Network configuration, version 2.
    pub network_config: String,
}

impl fmt::Debug for SeedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeedFiles")
    }
}

impl SeedFiles {
    /// Writes the disk; only its owner can read it.
    pub fn write(&self, path: &Path) -> Result<(), SeedError> {
        let mut file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        file.set_len(SIZE)?;
        format_volume(&mut file, FormatVolumeOptions::new().volume_label(*b"CIDATA     "))?;
        file.rewind()?;
        let system = FileSystem::new(file, FsOptions::new())?;
        let root = system.root_dir();
        for (name, text) in
            [("user-data", &self.user_data), ("meta-data", &self.meta_data), ("network-config", &self.network_config)]
        {
            let mut file = root.create_file(name)?;
            file.truncate()?;
            file.write_all(text.as_bytes())?;
            file.flush()?;
        }
        drop(root);
        system.unmount()?;
        Ok(())
    }
}

/// Makes a disk of the same size with nothing on it: for a guest that has read its seed.
pub fn blank(path: &Path) -> std::io::Result<()> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.set_len(SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_written_can_be_read_by_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seed");
        let seed = SeedFiles { user_data: "u".repeat(100_000), meta_data: "m".into(), network_config: "n".into() };
        seed.write(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let system = FileSystem::new(file, FsOptions::new()).unwrap();
        assert_eq!(system.volume_label(), "CIDATA");
        let mut text = String::new();
        system.root_dir().open_file("user-data").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, seed.user_data);
    }
}
