//! Why there is no image.

use super::recipe::RecipeError;
use crate::cache::{Size, SizeError};
use crate::qcow2::Qcow2Error;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The recipes are wrong.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A file could not be read or written.
    #[error("failed to build the image")]
    File(#[from] io::Error),
    /// The release that an image is of could not be made.
    #[error("failed to make release `{release}`")]
    Release {
        /// The release.
        release: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The upper bound of the cache is not set as it must be.
    #[error("failed to read REHEARSAL_CACHE_LIMIT")]
    Limit(#[from] SizeError),
    /// A program could not be run.
    #[error("failed to run {program}; `cargo xtask setup` installs it")]
    Tool {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed ({status}); its output ends:\n{tail}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// The end of its output.
        tail: String,
    },
    /// The archive does not have what the recipe names.
    #[error(
        "the package archive has no {}: correct `packages` in images/{recipe}.toml or in what it builds on",
        quoted(packages)
    )]
    NoPackage {
        /// The recipe that was planned or built.
        recipe: String,
        /// The packages.
        packages: Vec<String>,
    },
    /// The archive got other versions between the plan and the installation, twice.
    #[error("the package archive changed while `{recipe}` was built ({}): build it again", packages.join(", "))]
    Overtaken {
        /// The recipe that was built.
        recipe: String,
        /// The packages, each with the version that was installed and the one that was planned.
        packages: Vec<String>,
    },
    /// The archive does not have the release.
    #[error(
        "{repository} is not there: correct `suite` in images/{recipe}.toml or in what it builds on, or REHEARSAL_MIRROR"
    )]
    NoSuite {
        /// The recipe that was planned or built.
        recipe: String,
        /// Address and release.
        repository: String,
    },
    /// The archive cannot be reached.
    #[error(
        "failed to fetch {url}: {reason}; look at the network of this host, or name another mirror by REHEARSAL_MIRROR"
    )]
    Unreachable {
        /// What was to be fetched.
        url: String,
        /// The words of the program that tried.
        reason: String,
    },
    /// The file system of the cache is full, or would become it.
    #[error(
        "no space left in {}: {free} free{}; `cargo xtask clean --all` empties the cache, XDG_CACHE_HOME moves it",
        place.display(), needs(*needed)
    )]
    Full {
        /// Where.
        place: PathBuf,
        /// What is free there now.
        free: Size,
        /// What the image takes while it is built, if its packages are known.
        needed: Option<Size>,
    },
    /// A file is not the one that the recipe means.
    #[error("{what} has SHA-256 {found}, and the recipe says {wanted}")]
    Digest {
        /// Its path or URL.
        what: String,
        /// What it has.
        found: String,
        /// What it should have.
        wanted: String,
    },
    /// A file has no end, or one that is far away.
    #[error("{what} has more than {largest}: it is no part of a machine's image")]
    TooLarge {
        /// Its path or URL.
        what: String,
        /// How large it may be.
        largest: Size,
    },
    /// A disk asks for what no disk of ours does.
    #[error("{what} is not used: {source}; name a plain qcow2 disk that stands alone")]
    Disk {
        /// Its path or URL.
        what: String,
        /// What is wrong with it.
        source: Qcow2Error,
    },
    /// The disk of an image in the cache is not one that was made here.
    #[error("{} is not used: {source}; `cargo xtask clean --all` removes what is in the cache, and a build makes it again", disk.display())]
    Planted {
        /// The disk.
        disk: PathBuf,
        /// What is wrong with it.
        source: Qcow2Error,
    },
    /// The tree has no kernel.
    #[error("the tree of `{0}` has no kernel and initial RAM disk in /boot")]
    NoKernel(String),
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn needs(needed: Option<Size>) -> String {
    needed.map(|needed| format!(", {needed} needed for this image")).unwrap_or_default()
}

impl ImageError {
    /// The error for a program that failed, from what it said.
    pub(super) fn of_program(program: &str, status: &str, output: &[String], recipe: &str, place: &Path) -> Self {
        let recipe = recipe.to_owned();
        if output.iter().any(|line| says_full(line)) {
            return Self::full(place, None);
        }
        let packages: Vec<_> = output.iter().filter_map(|line| missing_package(line)).collect();
        if !packages.is_empty() {
            return Self::NoPackage { recipe, packages };
        }
        if let Some(repository) = output.iter().find_map(|line| missing_suite(line)) {
            return Self::NoSuite { recipe, repository };
        }
        if let Some((url, reason)) = output.iter().find_map(|line| failed_fetch(line)) {
            return Self::Unreachable { url, reason };
        }
        let tail = output[output.len().saturating_sub(15)..].join("\n");
        Self::Failed { program: program.to_owned(), status: status.to_owned(), tail }
    }

    pub(super) fn full(place: &Path, needed: Option<Size>) -> Self {
        Self::Full { place: place.to_owned(), free: Size::free_at(place).unwrap_or_default(), needed }
    }

    /// The same error, with what a person needs to know if it is about space.
    pub(super) fn about_space(self, place: &Path, needed: Option<Size>) -> Self {
        match self {
            Self::File(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                Self::full(place, needed)
            }
            Self::Full { place, free, needed: known } => Self::Full { place, free, needed: known.or(needed) },
            other => other,
        }
    }
}

// Below are the words of apt, dpkg, mke2fs, qemu-img and curl in the C locale.

fn says_full(line: &str) -> bool {
    line.contains("No space left on device") || line.starts_with("E: You don't have enough free space in ")
}

fn missing_package(line: &str) -> Option<String> {
    let unable = line.strip_prefix("E: Unable to locate package ");
    let no_candidate = || line.strip_prefix("E: Package '")?.strip_suffix("' has no installation candidate");
    unable.or_else(no_candidate).map(|name| name.trim().to_owned())
}

fn missing_suite(line: &str) -> Option<String> {
    let (repository, rest) = line.strip_prefix("E: The repository '")?.split_once('\'')?;
    rest.contains("does not have a Release file").then(|| repository.trim_end_matches(" Release").to_owned())
}

fn failed_fetch(line: &str) -> Option<(String, String)> {
    let (url, reason) = line.strip_prefix("E: Failed to fetch ")?.split_once(' ')?;
    Some((url.to_owned(), reason.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(output: &str) -> String {
        let output: Vec<_> = output.lines().map(ToOwned::to_owned).collect();
        // A directory whose free space is the same everywhere.
        let error = ImageError::of_program("mmdebstrap", "exit status: 25", &output, "mail", Path::new("/proc"));
        error.about_space(Path::new("/proc"), Some(Size::gibibytes(2))).to_string()
    }

    /// What the programs really wrote.
    #[test]
    fn a_failure_says_what_to_do_next() {
        let apt_end = "E: apt-get update --error-on=any failed\nI: main() received signal PIPE: waiting for setup...";
        let samples = [
            "E: Unable to locate package nosuch\nE: Unable to locate package alsono\nE: setup failed: E: command failed",
            "E: Package 'gone' has no installation candidate",
            "  404  Not Found [IP: 203.0.113.80 80]\nE: The repository 'http://mirror.test/debian nosuch Release' does not have a Release file.",
            "E: Failed to fetch http://127.0.0.1:1/dists/bookworm/InRelease  Could not connect to 127.0.0.1:1 (127.0.0.1). - connect (111: Connection refused)",
            "dpkg: error processing archive x.deb (--unpack):\n cannot copy extracted data: failed to write (No space left on device)",
            "E: something else",
        ];
        let messages: Vec<_> = samples.iter().map(|sample| message(&format!("{sample}\n{apt_end}"))).collect();
        insta::assert_snapshot!(messages.join("\n\n"), @r#"
        the package archive has no `nosuch`, `alsono`: correct `packages` in images/mail.toml or in what it builds on

        the package archive has no `gone`: correct `packages` in images/mail.toml or in what it builds on

        http://mirror.test/debian nosuch is not there: correct `suite` in images/mail.toml or in what it builds on, or REHEARSAL_MIRROR

        failed to fetch http://127.0.0.1:1/dists/bookworm/InRelease: Could not connect to 127.0.0.1:1 (127.0.0.1). - connect (111: Connection refused); look at the network of this host, or name another mirror by REHEARSAL_MIRROR

        no space left in /proc: 0 B free, 2.0 GiB needed for this image; `cargo xtask clean --all` empties the cache, XDG_CACHE_HOME moves it

        mmdebstrap failed (exit status: 25); its output ends:
        E: something else
        E: apt-get update --error-on=any failed
        I: main() received signal PIPE: waiting for setup...
        "#);
    }
}
