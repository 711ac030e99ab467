//! The programs of this host that Rehearsal starts: what each is for, which package has it, and whether it is here.
//!
//! One table, read by the doctor, by the installation plan and by people.

use super::child;
use crate::time::Deadline;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The environment variable that names another QEMU than the one on the path.
pub const QEMU_VARIABLE: &str = "REHEARSAL_QEMU";

/// Where programs for root lie; an ordinary user's `PATH` may not name them.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// Something that this host must have.
#[derive(Debug, PartialEq, Eq)]
pub struct Tool {
    /// The program, or for a file the package's usual name.
    pub name: &'static str,
    /// What it does for Rehearsal: completes "needed to …".
    pub purpose: &'static str,
    /// The packages that bring it.
    pub packages: Packages,
    /// How to see that it is here.
    pub proof: Proof,
    /// The oldest version that will do.
    pub minimum: Option<Version>,
}

/// The packages that bring a tool, per family of distributions; none where the family has no package of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Packages {
    /// Debian and Ubuntu.
    pub apt: &'static [&'static str],
    /// openSUSE.
    pub zypper: &'static [&'static str],
    /// Fedora and Red Hat Enterprise Linux.
    pub dnf: &'static [&'static str],
}

/// How to see that a tool is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The program is on the path, and says its version when given this argument.
    Program(&'static str),
    /// This file exists.
    File(&'static str),
}

/// The first two numbers of a version, which is all that we compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl Version {
    /// Reads the begin of a version such as `10.0.2`.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|number| number.parse().ok());
        Some(Self(numbers.next()??, numbers.next()??))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

const fn everywhere(package: &'static [&'static str]) -> Packages {
    Packages { apt: package, zypper: package, dnf: package }
}

/// What every run needs, in the order in which people are told of it.
pub const TOOLS: &[Tool] = &[
    Tool {
        name: "qemu-system-x86_64",
        purpose: "run guests",
        // openSUSE splits the firmware and the network cards' boot ROMs off; elsewhere they are dependencies.
        packages: Packages {
            apt: &["qemu-system-x86"],
            zypper: &["qemu-x86", "qemu-ipxe", "qemu-seabios", "qemu-vgabios"],
            dnf: &["qemu-system-x86-core"],
        },
        proof: Proof::Program("--version"),
        // `migrate file:` and the `rom` property of memory-backend-file are of 8.2: labs are frozen and thawed by them.
        minimum: Some(Version(8, 2)),
    },
    Tool {
        name: "qemu-img",
        purpose: "make and convert disk images",
        packages: Packages { apt: &["qemu-utils"], zypper: &["qemu-tools"], dnf: &["qemu-img"] },
        proof: Proof::Program("--version"),
        minimum: None,
    },
    Tool {
        name: "mmdebstrap",
        purpose: "build guest images from Debian packages",
        packages: Packages { apt: &["mmdebstrap"], zypper: &[], dnf: &["mmdebstrap"] },
        proof: Proof::Program("--version"),
        minimum: None,
    },
    Tool {
        name: "apt-get",
        purpose: "resolve and fetch Debian packages for mmdebstrap",
        packages: Packages { apt: &["apt"], zypper: &[], dnf: &["apt"] },
        proof: Proof::Program("--version"),
        minimum: None,
    },
    Tool {
        name: "debian-archive-keyring",
        purpose: "check the signatures of Debian packages",
        packages: Packages { apt: &["debian-archive-keyring"], zypper: &[], dnf: &["debian-keyring"] },
        proof: Proof::File("/usr/share/keyrings/debian-archive-keyring.gpg"),
        minimum: None,
    },
    Tool {
        name: "mke2fs",
        purpose: "make a guest's file system without mounting it",
        packages: everywhere(&["e2fsprogs"]),
        proof: Proof::Program("-V"),
        minimum: None,
    },
    Tool {
        name: "ip",
        purpose: "make the bridges and taps of a lab",
        packages: Packages { apt: &["iproute2"], zypper: &["iproute2"], dnf: &["iproute"] },
        proof: Proof::Program("-V"),
        minimum: None,
    },
    Tool {
        name: "unshare",
        purpose: "give each lab a network of its own",
        packages: everywhere(&["util-linux"]),
        proof: Proof::Program("--version"),
        minimum: None,
    },
    Tool {
        name: "nft",
        purpose: "filter packets between the segments of a lab",
        packages: everywhere(&["nftables"]),
        proof: Proof::Program("--version"),
        minimum: None,
    },
    Tool {
        name: "curl",
        purpose: "fetch cloud images and release files",
        // Without certificates of authorities it fetches nothing by https.
        packages: Packages {
            apt: &["ca-certificates", "curl"],
            zypper: &["ca-certificates-mozilla", "curl"],
            dnf: &["ca-certificates", "curl"],
        },
        proof: Proof::Program("--version"),
        minimum: None,
    },
    Tool {
        name: "rpmbuild",
        purpose: "make rpm packages for the rpm-based releases",
        packages: Packages { apt: &["rpm"], zypper: &["rpm-build"], dnf: &["rpm-build"] },
        proof: Proof::Program("--version"),
        minimum: None,
    },
    Tool {
        name: "createrepo_c",
        purpose: "make package repositories for the rpm-based releases",
        packages: Packages { apt: &["createrepo-c"], zypper: &["createrepo_c"], dnf: &["createrepo_c"] },
        proof: Proof::Program("--version"),
        minimum: None,
    },
];

/// What only some commands need: `cargo xtask setup --all` installs these, too.
pub const OPTIONAL: &[Tool] = &[
    Tool {
        name: "chromium",
        purpose: "look at the page of a report as a browser shows it (`cargo xtask selftest report`)",
        packages: everywhere(&["chromium"]),
        proof: Proof::Program("--version"),
        minimum: None,
    },
    Tool {
        name: "tshark",
        purpose: "count the packets of captures once more (`cargo xtask selftest flows`)",
        packages: Packages { apt: &["tshark"], zypper: &["wireshark"], dnf: &["wireshark-cli"] },
        proof: Proof::Program("--version"),
        minimum: None,
    },
];

/// Whether a tool is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is.
    Found {
        /// What was looked for.
        tool: &'static Tool,
        /// Where it is.
        path: PathBuf,
        /// Its version, if it tells one.
        version: Option<String>,
    },
    /// It is, but too old.
    Outdated {
        /// What was looked for.
        tool: &'static Tool,
        /// Where it is.
        path: PathBuf,
        /// Its version.
        version: String,
        /// The oldest that will do.
        minimum: Version,
    },
    /// It is not.
    Missing {
        /// What was looked for.
        tool: &'static Tool,
    },
}

impl Finding {
    /// What was looked for.
    pub fn tool(&self) -> &'static Tool {
        match self {
            Self::Found { tool, .. } | Self::Outdated { tool, .. } | Self::Missing { tool } => tool,
        }
    }

    /// Whether the tool must still be installed, or a newer version of it.
    pub fn is_wanting(&self) -> bool {
        !matches!(self, Self::Found { .. })
    }
}

/// The QEMU to run: what `REHEARSAL_QEMU` names, else `qemu-system-x86_64` from the path.
pub fn qemu_program() -> PathBuf {
    std::env::var_os(QEMU_VARIABLE).map_or_else(|| PathBuf::from("qemu-system-x86_64"), PathBuf::from)
}

/// The same by its real path, if it is there: what belongs to it lies beside it.
pub fn qemu_in_place() -> PathBuf {
    let program = qemu_program();
    let found = locate(&program, &search_path()).and_then(|path| path.canonicalize().ok());
    found.unwrap_or(program)
}

/// The first line that a program says about its version; empty if it cannot be run.
pub fn version_line(program: &Path) -> String {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}

/// Looks for every tool of the table.
pub fn find() -> Vec<Finding> {
    let directories = search_path();
    TOOLS.iter().map(|tool| find_one(tool, &directories)).collect()
}

/// Looks for every tool that only some commands need.
pub fn find_optional() -> Vec<Finding> {
    let directories = search_path();
    OPTIONAL.iter().map(|tool| find_one(tool, &directories)).collect()
}

fn find_one(tool: &'static Tool, directories: &[PathBuf]) -> Finding {
    let (path, version) = match tool.proof {
        Proof::File(path) => (Path::new(path).exists().then(|| PathBuf::from(path)), None),
        Proof::Program(argument) => {
            let name = if tool.name == "qemu-system-x86_64" { qemu_program() } else { PathBuf::from(tool.name) };
            let path = locate(&name, directories);
            let version = path.as_deref().and_then(|path| ask_version(path, argument));
            (path, version)
        }
    };
    let Some(path) = path else { return Finding::Missing { tool } };
    match (tool.minimum, version) {
        (Some(minimum), Some(version)) if Version::parse(&version).is_some_and(|version| version < minimum) => {
            Finding::Outdated { tool, path, version, minimum }
        }
        (_, version) => Finding::Found { tool, path, version },
    }
}

/// The path of a program, as a shell would find it, but with the directories of root's programs always searched too.
pub fn which(name: &str) -> Option<PathBuf> {
    locate(Path::new(name), &search_path())
}

fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(SYSTEM_DIRECTORIES.map(PathBuf::from)).collect()
}

/// The directories in which [`which`] looks, in the form of the variable `PATH`.
pub(crate) fn search_path_text() -> std::ffi::OsString {
    // Only a directory with a colon in its name cannot be joined, and none came out of PATH so.
    std::env::join_paths(search_path()).unwrap_or_default()
}

fn locate(name: &Path, directories: &[PathBuf]) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return is_program(name).then(|| name.to_owned());
    }
    directories.iter().map(|directory| directory.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn ask_version(program: &Path, argument: &str) -> Option<String> {
    let mut command = Command::new(program);
    let finished = child::run(command.arg(argument).stdin(Stdio::null()), Deadline::after(VERSION_LIMIT)).ok()?;
    // mke2fs tells its version on standard error.
    version_in(&finished.text()).or_else(|| version_in(&finished.errors))
}

/// The first run of digits and dots with a dot within: `6.1.0` in "ip utility, iproute2-6.1.0, libbpf 1.1.2".
fn version_in(text: &str) -> Option<String> {
    text.split(|character: char| !character.is_ascii_digit() && character != '.')
        .map(|run| run.trim_matches('.'))
        .find(|run| run.contains('.'))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)", Some("10.0.2"))]
    #[case("mke2fs 1.47.0 (5-Feb-2023)", Some("1.47.0"))]
    #[case("ip utility, iproute2-6.1.0, libbpf 1.1.2", Some("6.1.0"))]
    #[case("Version: 0.17.3 (Features: DeltaRPM LegacyWeakdeps )", Some("0.17.3"))]
    #[case("nftables v1.0.6 (Lester Gooch #5)", Some("1.0.6"))]
    #[case("RPM version 4.18.0", Some("4.18.0"))]
    #[case("usage: something. Else", None)]
    fn versions_are_found_in_what_programs_say(#[case] said: &str, #[case] version: Option<&str>) {
        assert_eq!(version_in(said).as_deref(), version);
    }

    static OLD: Tool = Tool {
        name: "tool-of-this-test",
        purpose: "test",
        packages: everywhere(&[]),
        proof: Proof::Program("--version"),
        minimum: Some(Version(8, 2)),
    };

    #[rstest]
    #[case::too_old("7.2.19", true)]
    #[case::the_oldest("8.2.0", false)]
    #[case::two_digits("10.0.2", false)]
    #[case::says_nothing("", false)]
    fn an_old_tool_is_wanting(#[case] version: &str, #[case] wanting: bool) {
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join(OLD.name);
        std::fs::write(&program, format!("#!/bin/sh\necho version {version}\n")).unwrap();
        let directories = [place.path().to_owned()];
        assert!(matches!(find_one(&OLD, &directories), Finding::Missing { .. }), "not yet executable");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_one(&OLD, &directories).is_wanting(), wanting);
    }

    #[test]
    fn every_tool_has_a_package_on_debian() {
        assert!(TOOLS.iter().chain(OPTIONAL).all(|tool| !tool.packages.apt.is_empty() && !tool.purpose.is_empty()));
    }
}
