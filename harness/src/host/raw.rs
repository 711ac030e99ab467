//! What safe Rust has no words for: what is done in a child before it becomes another program, and the processor's time-stamp counter.
//! The only `unsafe` code of the project is here.
#![expect(unsafe_code, reason = "pre_exec is the only way to act between fork and exec, and rdtsc an instruction")]

use landlock::RulesetCreated;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use std::os::unix::process::CommandExt;

/// Ties a command's life to the thread that spawns it: own process group, SIGKILL when that thread ends.
///
/// A terminal's Ctrl-C reaches us, and we decide what happens to guests; and by the parent-death signal (prctl(2),
/// `PR_SET_PDEATHSIG`) even `kill -9` of the runner takes its children along. The signal is sent when the *thread* that forked the child
/// ends, not the process: spawn long-lived children from a thread that lives as long as they should.
pub fn tie_to_thread(command: &mut std::process::Command) -> &mut std::process::Command {
    command.process_group(0);
    // SAFETY: the closure runs between fork and exec; prctl is one system call, allocates nothing and takes no lock,
    // so it is sound in the child of a multithreaded process (signal-safety(7)).
    unsafe { command.pre_exec(|| prctl::set_pdeathsig(Signal::SIGKILL).map_err(Into::into)) }
}

/// Lays rules upon what a command starts, which gains no rights by any program (prctl(2), `PR_SET_NO_NEW_PRIVS`) and leaves no image
/// of its memory when it dies: with a limit of 1 no handler is called either, as with 0 it would be (core(5); `fs/coredump.c`).
pub(crate) fn confine(command: &mut std::process::Command, rules: RulesetCreated) -> &mut std::process::Command {
    let mut rules = Some(rules);
    let confine = move || {
        setrlimit(Resource::RLIMIT_CORE, 1, 1)?;
        match rules.take().map(RulesetCreated::restrict_self) {
            Some(Ok(_)) => Ok(()),
            // A command is spawned once. An error of Landlock's would have to be made into one of the system's, which allocates.
            Some(Err(_)) | None => Err(std::io::Error::from_raw_os_error(nix::libc::EPERM)),
        }
    };
    // SAFETY: the closure runs between fork and exec. It makes three system calls (setrlimit, prctl, landlock_restrict_self) and closes
    // a descriptor; it allocates nothing and takes no lock, so it is sound in the child of a multithreaded process (signal-safety(7)).
    unsafe { command.pre_exec(confine) }
}

/// The time-stamp counter of the processor that this runs on.
#[cfg(target_arch = "x86_64")]
pub(super) fn time_stamp_counter() -> u64 {
    // SAFETY: every x86-64 processor has RDTSC, and it touches no memory. A kernel that forbids it to user space (prctl(2),
    // `PR_SET_TSC`) does so only for processes that ask for it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::confinement::Confinement;

    /// Whatever this kernel knows of Landlock.
    #[test]
    fn a_confined_command_gains_no_rights_and_leaves_no_dump() {
        let programs = ["/usr", "/bin", "/lib", "/lib64", "/proc"].map(Into::into).into();
        let rules =
            Confinement { programs, write: vec!["/dev/null".into()], ..Confinement::default() }.rules().unwrap();
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "ulimit -H -c; grep NoNewPrivs /proc/$$/status"]);
        let output = confine(&mut command, rules).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "0\nNoNewPrivs:\t1\n");
    }
}
