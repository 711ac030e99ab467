//! Checks of what a lab's network is made of, each tried in a namespace that is gone a moment later.

use super::Check;
use crate::host::{child, tools};
use crate::time::Deadline;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const TRIAL_LIMIT: Duration = Duration::from_secs(20);

pub(super) fn examine() -> Vec<Check> {
    let lost = "labs have no network of their own: no scenario can run";
    let unfiltered = "scenarios about packet filters cannot run";
    let namespace = match trial("true") {
        Ok(()) if is_root() => Check::ok("network namespaces", "made as root"),
        Ok(()) => Check::ok("network namespaces", "made in a user namespace, without being root"),
        Err(said) => Check::missing("network namespaces", said, lost).cure(
            "run as root; or allow user namespaces: sysctl user.max_user_namespaces=15000, \
             and on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    };
    let tap = match open_tun(Path::new("/dev/net/tun")).and_then(|()| trial("ip tuntap add dev probe0 mode tap")) {
        Ok(()) => Check::ok("tap devices", "/dev/net/tun opens, and makes one"),
        Err(said) => Check::missing("tap devices", said, "guests have no network: no scenario can run")
            .cure("modprobe tun; as an ordinary user also chmod 0666 /dev/net/tun, as most distributions do"),
    };
    let bridge = match trial("ip link add name probe0 type bridge") {
        Ok(()) => Check::ok("bridges", "one can be made"),
        Err(said) => Check::missing("bridges", said, "guests cannot reach each other: no scenario can run")
            .cure("modprobe bridge"),
    };
    let filter = match trial("nft add table inet probe0 && nft list table inet probe0") {
        Ok(()) => Check::ok("packet filter", "nftables takes a table"),
        Err(said) => Check::degraded("packet filter", said, unfiltered).cure("modprobe nf_tables"),
    };
    vec![namespace, tap, bridge, filter]
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Runs a shell line in a new network namespace, as its root; the error is one line for people.
fn trial(line: &str) -> Result<(), String> {
    let unshare = tools::which("unshare").ok_or("unshare is not installed")?;
    let mut command = Command::new(unshare);
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "sh", "-c", line]).env("PATH", tools::search_path_text()).stdin(Stdio::null());
    match child::run(&mut command, Deadline::after(TRIAL_LIMIT)) {
        Ok(finished) if finished.succeeded() => Ok(()),
        Ok(finished) => Err(finished.last_error_line().unwrap_or("failed without a word").to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn open_tun(device: &Path) -> Result<(), String> {
    let opened = OpenOptions::new().read(true).write(true).open(device);
    opened.map(drop).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("{} does not exist", device.display()),
        io::ErrorKind::PermissionDenied => format!("{} may not be opened by this user", device.display()),
        _ => format!("{} cannot be opened: {error}", device.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_that_fails_says_why() {
        // Where no namespace can be made, it is unshare that says so.
        let said = trial("echo not on this kernel >&2; exit 1").unwrap_err();
        assert!(said.contains("not on this kernel") || said.contains("unshare"), "{said}");
    }

    #[test]
    fn a_device_that_is_not_there_is_named() {
        assert_eq!(open_tun(Path::new("/nonexistent/tun")).unwrap_err(), "/nonexistent/tun does not exist");
    }
}
