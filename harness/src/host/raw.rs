//! What safe Rust has no words for: a child's parent-death signal, and the processor's time-stamp counter. The only `unsafe` code of the
//! project is here.
#![expect(
    unsafe_code,
    reason = "pre_exec is the only way to set a parent-death signal before exec, and rdtsc an instruction"
)]

use nix::sys::prctl;
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

/// The time-stamp counter of the processor that this runs on.
#[cfg(target_arch = "x86_64")]
pub(super) fn time_stamp_counter() -> u64 {
    // SAFETY: every x86-64 processor has RDTSC, and it touches no memory. A kernel that forbids it to user space (prctl(2),
    // `PR_SET_TSC`) does so only for processes that ask for it.
    unsafe { std::arch::x86_64::_rdtsc() }
}
