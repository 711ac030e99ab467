//! What a program that we start can reach, kept by the kernel: Landlock (its `Documentation/userspace-api/landlock.rst`), which needs
//! no rights and works in a container. A kernel without it, or with an older one, keeps what it can.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, PathBeneath, PathFd, PathFdError, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use std::io;
use std::path::{Path, PathBuf};

/// The kernel's rules that are asked for: also devices' controls (5), and signals and abstract sockets (6).
const RULES: ABI = ABI::V6;

/// The only files that a program may open. It makes and removes none, opens no TCP connection, and signals nobody but itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// Programs and libraries, and what belongs to them: directories, with all below them.
    pub programs: Vec<PathBuf>,
    /// Files that it may read.
    pub read: Vec<PathBuf>,
    /// Files and devices that it may read, write and control.
    pub write: Vec<PathBuf>,
}

impl Confinement {
    /// The rules, to be laid upon a process. A file that is not there cannot be opened later, either.
    pub fn rules(&self) -> io::Result<RulesetCreated> {
        let programs = AccessFs::Execute | AccessFs::ReadFile | AccessFs::ReadDir;
        let write = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
        let mut rules = nothing().map_err(io::Error::other)?;
        // Of most directories of programs some hosts have none.
        rules = rules.add_rules(path_beneath_rules(&self.programs, programs)).map_err(io::Error::other)?;
        let read = self.read.iter().map(|path| (path, AccessFs::ReadFile.into()));
        for (path, rights) in read.chain(self.write.iter().map(|path| (path, write))) {
            if let Some(file) = opened(path)? {
                rules = rules.add_rule(PathBeneath::new(file, rights)).map_err(io::Error::other)?;
            }
        }
        Ok(rules)
    }
}

/// Rules by which nothing is allowed.
fn nothing() -> Result<RulesetCreated, RulesetError> {
    let all = Ruleset::default().handle_access(AccessFs::from_all(RULES))?.handle_access(AccessNet::from_all(RULES))?;
    all.scope(Scope::from_all(RULES))?.create()
}

/// The file as a rule names it, if it is there.
fn opened(path: &Path) -> io::Result<Option<PathFd>> {
    match PathFd::new(path) {
        Ok(file) => Ok(Some(file)),
        Err(PathFdError::OpenCall { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// How much of a [`Confinement`] this host's kernel keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Files, devices, signals and TCP, all as asked for.
    Whole,
    /// Not all: the kernel knows fewer kinds of rules.
    Partly,
    /// The kernel has no Landlock, or it is switched off.
    Nothing,
}

/// Lays rules upon a thread that ends at once, and says what became of them.
#[must_use]
pub fn kept() -> Kept {
    let tried = std::thread::spawn(|| Ok::<_, RulesetError>(nothing()?.restrict_self()?.ruleset));
    match tried.join() {
        Ok(Ok(RulesetStatus::FullyEnforced)) => Kept::Whole,
        Ok(Ok(RulesetStatus::PartiallyEnforced)) => Kept::Partly,
        _ => Kept::Nothing,
    }
}
