//! Becoming root of one's own user namespace, so that an ordinary user can have network namespaces too.

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use std::fs;

/// Why the user namespace could not be had.
#[derive(Debug, thiserror::Error)]
pub enum UserNamespaceError {
    /// The kernel said no.
    #[error(
        "this host gives ordinary users no user namespace ({0}): run as root, or allow unprivileged user namespaces"
    )]
    Refused(#[source] nix::Error),
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

/// Does nothing for root. Else moves this process into a user namespace of its own in which it is root: enough for
/// network namespaces, bridges and taps (`user_namespaces(7)`); the process keeps its rights on files.
///
/// Must be called while the process has a single thread: at the start of `main`, before any runtime.
pub fn become_root_of_own_user_namespace() -> Result<(), UserNamespaceError> {
    let (user, group) = (geteuid(), getegid());
    if user.is_root() {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWUSER).map_err(UserNamespaceError::Refused)?;
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
