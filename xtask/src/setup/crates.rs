//! Programs that cargo builds from crates.io, for who changes Rehearsal; `setup --all` installs them for this user.

use anyhow::{Context as _, ensure};
use std::fmt;
use std::process::Command;

/// A program of a crate, in the version that the project is used with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Crate {
    name: &'static str,
    version: &'static str,
    /// What it does: completes "needed to …".
    pub(super) purpose: &'static str,
}

/// Subcommands of cargo.
pub(super) const CRATES: &[Crate] = &[Crate {
    name: "cargo-mutants",
    version: "27.1.0",
    purpose: "break the code that decides, and see which tests notice it (`cargo xtask mutants`)",
}];

/// Those that are not here, or not in their version.
pub(crate) fn missing() -> Vec<&'static Crate> {
    CRATES.iter().filter(|program| !program.is_here()).collect()
}

impl Crate {
    fn is_here(&self) -> bool {
        let subcommand = self.name.trim_start_matches("cargo-");
        let output = Command::new("cargo").args([subcommand, "--version"]).output();
        output.is_ok_and(|output| self.says_so(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Whether this is what the right version says of itself.
    fn says_so(&self, said: &str) -> bool {
        said.trim() == self.to_string()
    }

    /// What installs it, as a person would type it.
    pub(super) fn command(&self) -> String {
        format!("cargo install --locked --version ={} {}", self.version, self.name)
    }

    /// Builds and installs it, in place of another version.
    pub(super) fn install(&self) -> anyhow::Result<()> {
        let command = self.command();
        let mut words = command.split(' ');
        // A target directory that is kept for the project would keep all that this crate is built from, too.
        let status = Command::new(words.next().unwrap_or_default())
            .args(words)
            .env_remove("CARGO_TARGET_DIR")
            .status()
            .context("failed to run cargo")?;
        ensure!(status.success(), "`{command}` ended with {status}; its own words are above");
        ensure!(
            self.is_here(),
            "`{command}` succeeded, and `cargo` still does not find {self}: is ~/.cargo/bin on the PATH?"
        );
        Ok(())
    }
}

/// As it says its version.
impl fmt::Display for Crate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::it("cargo-mutants 27.1.0\n", true)]
    #[case::older("cargo-mutants 26.2.0\n", false)]
    #[case::none("", false)]
    fn only_the_pinned_version_will_do(#[case] said: &str, #[case] here: bool) {
        assert_eq!(CRATES[0].says_so(said), here);
        assert_eq!(CRATES[0].command(), "cargo install --locked --version =27.1.0 cargo-mutants");
    }
}
