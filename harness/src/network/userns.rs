//! Becoming root of one's own user namespace, so that an ordinary user can have network namespaces too.
//!
//! The kernel gives a user namespace to a process of one thread only (`unshare(2)`, EINVAL), and threads that have read the output of
//! some program may still be here when one is wanted. So this program executes itself again, which ends all other threads, and
//! enters the namespace as the first thing that it does then.

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::{env, fs, process};

/// Names the process that is to enter a namespace when it begins. Its children inherit the variable, and are other processes.
const ENTERS: &str = "REHEARSAL_ENTERS_NAMESPACE";

/// Why the user namespace could not be had.
#[derive(Debug, thiserror::Error)]
pub enum UserNamespaceError {
    /// The kernel said no.
    #[error(
        "this host gives ordinary users no user namespace ({0}): run as root, or allow unprivileged user namespaces"
    )]
    Refused(#[source] nix::Error),
    /// It was asked in a way that no host answers.
    #[error("failed to enter a user namespace ({0}), and that is no limit of this host")]
    Asked(#[source] nix::Error),
    /// The program could not be executed again.
    #[error("failed to execute this program again, to enter a user namespace")]
    Again(#[source] std::io::Error),
    /// The identity could not be mapped.
    #[error("failed to write {path}")]
    Map {
        /// The file of proc(5).
        path: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl UserNamespaceError {
    /// Whether this host does not give what is asked for.
    #[must_use]
    pub fn is_limit_of_host(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// Enters a user namespace of its own, if the process was executed for that. Call it first in `main`, where there is one thread.
pub fn enter_if_executed_for_it() -> Result<(), UserNamespaceError> {
    let meant = env::var(ENTERS).is_ok_and(|process| process == process::id().to_string());
    if meant && !geteuid().is_root() { enter() } else { Ok(()) }
}

/// Does nothing for root. Else executes this program again, in a user namespace of its own in which it is root: enough for
/// network namespaces, bridges and taps (`user_namespaces(7)`); the process keeps its rights on files.
///
/// All that was done before is done again, so call it before anything that counts.
pub fn become_root_of_own_user_namespace() -> Result<(), UserNamespaceError> {
    if geteuid().is_root() {
        return Ok(());
    }
    let mut arguments = env::args_os();
    let mut again = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    Err(UserNamespaceError::Again(again.args(arguments).env(ENTERS, process::id().to_string()).exec()))
}

fn enter() -> Result<(), UserNamespaceError> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|error| match error {
        nix::Error::EINVAL => UserNamespaceError::Asked(error),
        _ => UserNamespaceError::Refused(error),
    })?;
    // An ordinary user may map its group only after giving up setgroups(2).
    for (path, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {user} 1")),
        ("/proc/self/gid_map", format!("0 {group} 1")),
    ] {
        fs::write(path, text).map_err(|source| UserNamespaceError::Map { path, source })?;
    }
    Ok(())
}
