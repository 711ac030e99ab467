//! Files that a person names for a result: they are there whole or not at all, and never in the place of something else.

use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Who may read a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner.
    Owner,
    /// Whomever the umask lets.
    Others,
}

/// Why a result is not written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Something else has that name.
    #[error("{} is {what}: name a new file, or a regular one that is to be replaced", path.display())]
    Taken {
        /// The name.
        path: PathBuf,
        /// What has it.
        what: &'static str,
    },
    /// It cannot be written.
    #[error("failed to write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A result that is being written beside its place. Dropped before [`OutputFile::publish`], it leaves nothing.
#[derive(Debug)]
pub struct OutputFile {
    target: PathBuf,
    part: PathBuf,
    file: File,
}

impl OutputFile {
    /// Begins a result at `target`: a new file, or one in the place of a regular file.
    pub fn create(target: &Path, readers: Readers) -> Result<Self, OutputError> {
        check(target)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let part = target.with_file_name(format!(".{name}.part-{:012x}", rand::random::<u64>() >> 16));
        let mode = if readers == Readers::Owner { 0o600 } else { 0o666 };
        let file = File::options().write(true).create_new(true).mode(mode).open(&part).map_err(failed(target))?;
        Ok(Self { target: target.to_owned(), part, file })
    }

    /// Where it is written.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Moves all that was written to its place.
    pub fn publish(self) -> Result<(), OutputError> {
        self.file.sync_all().map_err(failed(&self.target))?;
        check(&self.target)?;
        std::fs::rename(&self.part, &self.target).map_err(failed(&self.target))
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        // After its publication there is none.
        let _ = std::fs::remove_file(&self.part);
    }
}

/// Writes a result at once.
pub fn write(target: &Path, readers: Readers, content: &[u8]) -> Result<(), OutputError> {
    let mut output = OutputFile::create(target, readers)?;
    output.file().write_all(content).map_err(failed(target))?;
    output.publish()
}

/// Adds to the end of a regular file, which is made if need be.
pub fn append(target: &Path, content: &[u8]) -> Result<(), OutputError> {
    check(target)?;
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = File::options().append(true).create(true).custom_flags(flags).open(target);
    file.and_then(|mut file| file.write_all(content)).map_err(failed(target))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> OutputError + use<> {
    let path = path.to_owned();
    move |source| OutputError::Write { path, source }
}

fn check(path: &Path) -> Result<(), OutputError> {
    match path.symlink_metadata() {
        Ok(data) if data.is_file() => Ok(()),
        Ok(data) => Err(OutputError::Taken { path: path.to_owned(), what: kind_of(&data) }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(failed(path)(source)),
    }
}

fn kind_of(data: &Metadata) -> &'static str {
    let kind = data.file_type();
    match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_symlink() => "a link",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () => "a device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    type Place = fn(&Path);

    #[rstest::rstest]
    #[case::link(|at: &Path| symlink("elsewhere", at).unwrap(), "a link")]
    #[case::link_to_a_file(|at: &Path| { fs::write(at.with_extension("x"), "x").unwrap(); symlink(at.with_extension("x"), at).unwrap() }, "a link")]
    #[case::directory(|at: &Path| fs::create_dir(at).unwrap(), "a directory")]
    #[case::fifo(|at: &Path| nix::unistd::mkfifo(at, nix::sys::stat::Mode::S_IRWXU).unwrap(), "a FIFO")]
    #[case::socket(|at: &Path| drop(std::os::unix::net::UnixListener::bind(at).unwrap()), "a socket")]
    fn what_is_no_regular_file_stays(#[case] place: Place, #[case] what: &str) {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("result");
        place(&target);
        let before = target.symlink_metadata().unwrap().file_type();
        let entries = || fs::read_dir(directory.path()).unwrap().count();
        let count = entries();
        for error in [write(&target, Readers::Others, b"new").unwrap_err(), append(&target, b"new").unwrap_err()] {
            assert!(error.to_string().contains(&format!("is {what}: name a new file")), "{error}");
        }
        assert_eq!(target.symlink_metadata().unwrap().file_type(), before);
        assert_eq!(entries(), count, "something was left");
    }

    #[test]
    fn a_device_stays() {
        let error = OutputFile::create(Path::new("/dev/null"), Readers::Owner).unwrap_err().to_string();
        assert_eq!(error, "/dev/null is a device: name a new file, or a regular one that is to be replaced");
    }

    /// What comes to that place while the result is written is not replaced either.
    #[test]
    fn a_link_that_comes_later_stays() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("result");
        let output = OutputFile::create(&target, Readers::Owner).unwrap();
        symlink("elsewhere", &target).unwrap();
        assert!(output.publish().unwrap_err().to_string().contains("is a link"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_regular_file_is_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("result");
        fs::write(&target, "old").unwrap();
        let mut output = OutputFile::create(&target, Readers::Owner).unwrap();
        output.file().write_all(b"ne").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        drop(output);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "something was left");
        write(&target, Readers::Owner, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        append(&target, b"er").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"newer");
    }
}
