//! What a program that we start can reach, kept by the kernel: Landlock (its `Documentation/userspace-api/landlock.rst`), which needs
//! no rights and works in a container. A kernel without it, or with an older one, keeps what it can.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use std::path::PathBuf;

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
    pub fn rules(&self) -> Result<RulesetCreated, RulesetError> {
        let programs = AccessFs::Execute | AccessFs::ReadFile | AccessFs::ReadDir;
        let write = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
        Ruleset::default()
            .handle_access(AccessFs::from_all(RULES))?
            .handle_access(AccessNet::from_all(RULES))?
            .scope(Scope::from_all(RULES))?
            .create()?
            .add_rules(path_beneath_rules(&self.programs, programs))?
            .add_rules(path_beneath_rules(&self.read, AccessFs::ReadFile))?
            .add_rules(path_beneath_rules(&self.write, write))
    }
}

/// How much of a [`Confinement`] this host's kernel keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All of it.
    Whole,
    /// Files, but not all that is asked for beyond them.
    Partly,
    /// Nothing.
    Nothing,
}

/// Lays rules upon a thread that ends at once, and says what became of them.
#[must_use]
pub fn kept() -> Kept {
    let tried = std::thread::spawn(|| Ok::<_, RulesetError>(Confinement::default().rules()?.restrict_self()?.ruleset));
    match tried.join() {
        Ok(Ok(RulesetStatus::FullyEnforced)) => Kept::Whole,
        Ok(Ok(RulesetStatus::PartiallyEnforced)) => Kept::Partly,
        _ => Kept::Nothing,
    }
}
