//! The packages on a disk that a guest mounts, read on the host: what is predicted from them is predicted from the very
//! files that the guest upgrades with.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why a directory of a disk could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// debugfs could not be started.
    #[error("failed to run debugfs, which is in the package e2fsprogs: {0}")]
    Tool(#[source] io::Error),
    /// The disk has no such directory.
    #[error("there is no directory `{directory}` on {}: {said}", disk.display())]
    Missing {
        /// The disk.
        disk: PathBuf,
        /// The directory.
        directory: String,
        /// What debugfs said.
        said: String,
    },
}

/// Copies a directory of an ext4 file system into `target`, without mounting it (debugfs(8), `rdump`).
///
/// Hands back where it is then.
pub fn unpacked(disk: &Path, directory: &str, target: &Path) -> Result<PathBuf, OfflineError> {
    // In a request a path would have to be quoted, and debugfs knows no way to do that for each.
    let request = format!("rdump \"/{directory}\" .");
    let mut debugfs = Command::new("debugfs");
    debugfs.arg("-R").arg(request).arg(std::path::absolute(disk).map_err(OfflineError::Tool)?).current_dir(target);
    let output = debugfs.output().map_err(OfflineError::Tool)?;
    let place = target.join(Path::new(directory).file_name().unwrap_or_default());
    // debugfs ends with 0 whatever happened.
    if place.is_dir() {
        return Ok(place);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(OfflineError::Missing { disk: disk.to_owned(), directory: directory.to_owned(), said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_copied_out_and_a_missing_one_named() {
        let work = tempfile::tempdir().unwrap();
        let root = work.path().join("root/15.0/kept");
        std::fs::create_dir_all(&root).unwrap();
        std::fs::write(root.join("a.rpm"), "content").unwrap();
        let disk = work.path().join("disk.img");
        let mut mke2fs = Command::new("mke2fs");
        mke2fs.args(["-q", "-t", "ext4", "-d"]).arg(work.path().join("root")).arg(&disk).arg("4M");
        let status = mke2fs.status().unwrap();
        assert!(status.success());
        let target = work.path().join("a \"target\"; of mine");
        std::fs::create_dir(&target).unwrap();
        let place = unpacked(&disk, "15.0/kept", &target).unwrap();
        assert_eq!(std::fs::read_to_string(place.join("a.rpm")).unwrap(), "content");
        let error = unpacked(&disk, "15.0/nothing", &target).unwrap_err().to_string();
        assert!(error.contains("there is no directory `15.0/nothing`"), "{error}");
    }
}
