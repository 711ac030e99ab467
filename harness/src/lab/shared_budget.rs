//! What all processes of one cache have taken of something that this host has.
//!
//! Who asks makes a file in a directory: its name tells the order of asking, its content how much is wanted, and whether it was
//! given. The file is locked as long as its owner lives (`flock(2)`), so a share ends with its process, whatever way that ends.
//! Every look at the directory holds one more lock, so no two processes give away the same.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// How files of shares end.
const SHARE: &str = "share";

/// A directory with what was asked for and given.
#[derive(Debug)]
pub(super) struct SharedBudget {
    directory: PathBuf,
}

/// What was asked for. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Ask {
    path: PathBuf,
    /// Held to the end: the lock goes with the open file.
    file: File,
    number: u64,
    amount: u32,
}

/// What became of an ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is given, until the ask is dropped.
    Given,
    /// Not yet: so much is left, of so much.
    Later {
        /// What nobody has.
        left: u32,
        /// All there is.
        total: u32,
    },
    /// There is not so much, whoever gives it back.
    Never {
        /// All there is.
        total: u32,
    },
}

/// An ask of somebody who lives.
struct Other {
    number: u64,
    amount: u32,
    given: bool,
}

impl SharedBudget {
    /// The one in this directory, which is made if need be.
    pub(super) fn open(directory: PathBuf) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        Ok(Self { directory })
    }

    /// Its directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Asks for so much, behind all who have asked before.
    pub(super) fn ask(&self, amount: u32) -> io::Result<Ask> {
        let _looking = self.lock()?;
        let number = self.files()?.last().map_or(0, |(number, _)| number + 1);
        let path = self.directory.join(format!("{number:012}.{SHARE}"));
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        // Nobody else can have it: who looks at it holds the lock that we hold.
        file.lock()?;
        write(&mut file, amount, false)?;
        Ok(Ask { path, file, number, amount })
    }

    /// Gives what was asked for if its turn has come and there is so much. What there is in all is measured when nobody has anything,
    /// since nobody can tell how much of their shares others use already.
    pub(super) fn turn(&self, ask: &mut Ask, measure: impl Fn() -> u32) -> io::Result<Turn> {
        let _looking = self.lock()?;
        let others = self.others(ask)?;
        let given: u32 = others.iter().filter(|other| other.given).map(|other| other.amount).sum();
        let total = self.total(given == 0, &measure)?;
        if ask.amount > total {
            return Ok(Turn::Never { total });
        }
        let left = total.saturating_sub(given);
        // What programs use that know nothing of this is missing, too.
        let left = if given == 0 { left } else { left.min(measure()) };
        let is_first = others.iter().all(|other| other.given || other.number > ask.number);
        if !is_first || ask.amount > left {
            return Ok(Turn::Later { left, total });
        }
        write(&mut ask.file, ask.amount, true)?;
        Ok(Turn::Given)
    }

    fn lock(&self) -> io::Result<File> {
        let file =
            File::options().write(true).create(true).truncate(false).mode(0o600).open(self.directory.join("lock"))?;
        file.lock()?;
        Ok(file)
    }

    /// Numbers and files of all asks, in order.
    fn files(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut files = Vec::new();
        for entry in fs_err::read_dir(&self.directory)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if let (Some(number), true) = (number, path.extension().is_some_and(|extension| extension == SHARE)) {
                files.push((number, path));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// All other asks of those who live. What the dead have left is removed.
    fn others(&self, ask: &Ask) -> io::Result<Vec<Other>> {
        let mut others = Vec::new();
        for (number, path) in self.files()?.into_iter().filter(|(number, _)| *number != ask.number) {
            let mut file = match File::open(&path) {
                Ok(file) => file,
                // It was given back at this moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            match file.try_lock_shared() {
                Ok(()) => remove(&path)?,
                Err(TryLockError::WouldBlock) => {
                    let (amount, given) = read(&mut file, &path)?;
                    others.push(Other { number, amount, given });
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(others)
    }

    /// All there is, measured anew or as it was measured.
    fn total(&self, anew: bool, measure: impl Fn() -> u32) -> io::Result<u32> {
        let path = self.directory.join("total");
        let known = if anew { None } else { fs_err::read_to_string(&path).ok() };
        if let Some(total) = known.and_then(|text| text.trim().parse().ok()) {
            return Ok(total);
        }
        let total = measure();
        fs_err::write(&path, format!("{total}\n"))?;
        Ok(total)
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        let _ = remove(&self.path);
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn write(file: &mut File, amount: u32, given: bool) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    // Both words are of one length.
    file.write_all(format!("{} {amount}\n", if given { "given " } else { "wanted" }).as_bytes())
}

fn read(file: &mut File, path: &Path) -> io::Result<(u32, bool)> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let mut words = text.split_whitespace();
    let given = words.next().and_then(|word| ["wanted", "given"].iter().position(|known| *known == word));
    let amount = words.next().and_then(|amount| amount.parse().ok());
    let told = given.zip(amount).map(|(given, amount)| (amount, given == 1));
    told.ok_or_else(|| {
        let words =
            format!("{} is not what this version writes: end the runs that use this cache first", path.display());
        io::Error::new(io::ErrorKind::InvalidData, words)
    })
}

#[cfg(test)]
#[path = "shared_budget_tests.rs"]
mod tests;
