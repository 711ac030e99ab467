//! The seed disk: a small FAT file system labelled `CIDATA`, where cloud-init's `NoCloud` data source looks.

use super::render::SeedError;
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions, format_volume};
use std::fmt;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Large enough for every role, and the least that FAT likes.
const SIZE: u64 = 2 << 20;

/// What stands before the file system on the disk of a machine that is to hand the seed on to a guest of its own.
const GAP: u64 = 1 << 20;

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

    /// Writes the disk behind a gap of 1 MiB: whoever hands it on to a guest of its own must not take it for its own seed.
    pub fn write_behind_gap(&self, path: &Path) -> Result<(), SeedError> {
        self.write(path)?;
        let disk = std::fs::read(path)?;
        let mut file = std::fs::OpenOptions::new().write(true).truncate(true).open(path)?;
        file.seek(SeekFrom::Start(GAP))?;
        file.write_all(&disk)?;
        Ok(())
    }
}

/// Makes a disk of the same size with nothing on it: for a guest that has read its seed.
pub fn blank(path: &Path) -> std::io::Result<()> {
    zeroes(path, SIZE)
}

/// The same, for a seed behind a gap.
pub fn blank_behind_gap(path: &Path) -> std::io::Result<()> {
    zeroes(path, GAP + SIZE)
}

fn zeroes(path: &Path, size: u64) -> std::io::Result<()> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.set_len(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;

    /// Nobody finds the label at the beginning of the disk.
    #[test]
    fn what_is_handed_on_stands_behind_a_gap() {
        let directory = tempfile::tempdir().unwrap();
        let (own, handed_on) = (directory.path().join("own"), directory.path().join("handed-on"));
        let seed = SeedFiles { user_data: "u".into(), meta_data: "m".into(), network_config: "n".into() };
        seed.write(&own).unwrap();
        seed.write_behind_gap(&handed_on).unwrap();
        let (own, handed_on) = (std::fs::read(own).unwrap(), std::fs::read(&handed_on).unwrap());
        let (gap, rest) = handed_on.split_at(1 << 20);
        assert!(gap.iter().all(|&byte| byte == 0));
        assert_eq!(rest.len(), own.len());
        assert!(rest.windows(6).any(|bytes| bytes == b"CIDATA"));
        let blank = directory.path().join("blank");
        blank_behind_gap(&blank).unwrap();
        assert_eq!(blank.metadata().unwrap().len(), handed_on.len() as u64);
    }

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
