//! Which distribution this host is: os-release(5).

use serde::Serialize;
use std::fmt;
use std::path::Path;

/// A family of distributions that share a package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Family {
    /// Debian, Ubuntu and what is made from them.
    Apt,
    /// openSUSE and SUSE Linux Enterprise.
    Zypper,
    /// Fedora and Red Hat Enterprise Linux.
    Dnf,
}

/// This host's distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// `ID`: `debian`, `ubuntu`, `opensuse-leap` …
    pub id: String,
    /// `VERSION_CODENAME`: `bookworm` …
    pub codename: Option<String>,
    /// `PRETTY_NAME`: for people.
    pub name: String,
    /// The family, by `ID` or the nearest one of `ID_LIKE` that we know.
    pub family: Option<Family>,
}

impl Distribution {
    /// The distribution that `/etc/os-release` below `root` describes; an unknown one when there is no such file.
    pub fn detect(root: &Path) -> Self {
        let files = ["etc/os-release", "usr/lib/os-release"];
        let text = files.iter().find_map(|file| fs_err::read_to_string(root.join(file)).ok());
        Self::parse(&text.unwrap_or_default())
    }

    /// Reads the text of an os-release file.
    pub fn parse(os_release: &str) -> Self {
        let id = value(os_release, "ID").unwrap_or_else(|| "linux".to_owned());
        let like = value(os_release, "ID_LIKE").unwrap_or_default();
        let family = std::iter::once(id.as_str()).chain(like.split_whitespace()).find_map(family_of);
        Self {
            codename: value(os_release, "VERSION_CODENAME"),
            name: value(os_release, "PRETTY_NAME").unwrap_or_else(|| id.clone()),
            id,
            family,
        }
    }

    /// Whether it is Debian 12 itself, which has its own rule for QEMU.
    pub(super) fn is_debian_12(&self) -> bool {
        self.id == "debian" && self.codename.as_deref() == Some("bookworm")
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn family_of(id: &str) -> Option<Family> {
    match id {
        "debian" | "ubuntu" => Some(Family::Apt),
        "suse" | "opensuse" | "opensuse-leap" | "opensuse-tumbleweed" | "sles" => Some(Family::Zypper),
        "fedora" | "rhel" | "centos" => Some(Family::Dnf),
        _ => None,
    }
}

fn value(os_release: &str, key: &str) -> Option<String> {
    let line = os_release.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
    Some(line.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("ID=debian\nVERSION_CODENAME=bookworm\n", Some(Family::Apt))]
    #[case("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Some(Family::Apt))]
    #[case("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", Some(Family::Zypper))]
    #[case("ID=\"rocky\"\nID_LIKE='rhel centos fedora'\n", Some(Family::Dnf))]
    #[case("ID=nixos\n", None)]
    #[case("", None)]
    fn the_family_is_that_of_the_id_or_of_what_it_is_like(#[case] text: &str, #[case] family: Option<Family>) {
        assert_eq!(Distribution::parse(text).family, family);
    }

    #[test]
    fn the_file_is_found_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Distribution::detect(root.path()).id, "linux");
        std::fs::create_dir_all(root.path().join("usr/lib")).unwrap();
        std::fs::write(root.path().join("usr/lib/os-release"), "ID=debian\nVERSION_CODENAME=bookworm").unwrap();
        assert!(Distribution::detect(root.path()).is_debian_12());
    }
}
