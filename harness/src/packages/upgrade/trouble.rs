//! Why an upgrade did not come to its end: which step, which package, and what to do.
//!
//! The words are zypper's and rpm's own, as they say them in the C locale.

use super::Step;
use std::fmt;

/// Why an upgrade failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Packages need what nobody has. Nothing was installed.
    Unresolvable {
        /// zypper's words for each problem.
        problems: Vec<String>,
    },
    /// A package of the repository is not what the repository says it is, or is not there.
    Damaged {
        /// The package, as zypper names it.
        package: String,
        /// zypper's words.
        said: String,
    },
    /// The file system has too little space.
    Full {
        /// The words that say so.
        said: String,
    },
    /// rpm failed to install or remove a package.
    Package {
        /// Which step it was.
        number: u32,
        /// Of how many that were begun.
        of: usize,
        /// The package.
        package: String,
        /// rpm's exit status.
        status: i32,
        /// rpm's words.
        said: Vec<String>,
    },
    /// Something else.
    Other {
        /// zypper's exit status.
        status: i64,
        /// The lines that tell something.
        said: Vec<String>,
    },
}

impl Trouble {
    /// What went wrong, if anything did: from zypper's exit status, the steps that rpm took, and zypper's log.
    #[must_use]
    pub fn of(status: i64, steps: &[Step], log: &str) -> Option<Self> {
        let failed = steps.iter().find(|step| step.status != 0);
        if status == 0 && failed.is_none() {
            return None;
        }
        let lines: Vec<&str> = log.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect();
        let with = |words: &[&str]| -> Vec<String> {
            let mut found: Vec<String> = lines
                .iter()
                .filter(|line| words.iter().any(|word| line.contains(word)))
                .map(|line| (*line).chars().take(300).collect())
                .collect();
            found.dedup();
            found
        };
        if let Some(said) = with(&[
            "No space left on device",
            "needs more space",
            "Not enough space",
            "more space needed",
            "installing package",
        ])
        .into_iter()
        .find(|line| is_about_space(line))
        {
            return Some(Self::Full { said });
        }
        if let Some(step) = failed {
            return Some(Self::Package {
                number: step.number,
                of: steps.len(),
                package: step.package.clone(),
                status: step.status,
                said: with(&["error:", "scriptlet failed", "warning: %"]).into_iter().take(4).collect(),
            });
        }
        let problems: Vec<_> = with(&["Problem: "]);
        if !problems.is_empty() {
            return Some(Self::Unresolvable { problems });
        }
        if let Some(said) = with(&[
            "igest verification failed",
            "doesn't match",
            "not found on medium",
            "Can't provide",
            "Failed to provide Package",
            "Package header is not signed",
        ])
        .first()
        {
            let package = lines.iter().find_map(|line| named_in(line)).unwrap_or_else(|| "a package".to_owned());
            return Some(Self::Damaged { package, said: said.clone() });
        }
        Some(Self::Other { status, said: with(&["rror", "ailed", "Problem"]).into_iter().take(6).collect() })
    }

    /// What to do.
    #[must_use]
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Unresolvable { .. } => {
                "nothing was installed; mirror the repository again, whole, or add the one that has what is missing"
            }
            Self::Damaged { .. } => "nothing of it was installed; fetch this package again and start the upgrade anew",
            Self::Full { .. } => {
                "make space on the file system of the root and start the upgrade anew: it goes on where it stopped"
            }
            Self::Package { .. } => {
                "see what the package's scriptlets need, and start the upgrade anew: it goes on where it stopped"
            }
            Self::Other { .. } => "see zypper's whole log in the transcript of this step",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolvable { problems } => write!(f, "packages cannot be resolved: {}", problems.join("; "))?,
            Self::Damaged { package, said } => write!(f, "{package} cannot be used: {said}")?,
            Self::Full { said } => write!(f, "there is too little space: {said}")?,
            Self::Package { number, of, package, status, said } => {
                write!(f, "step {number} of {of}, {package}: rpm ended with status {status}")?;
                if !said.is_empty() {
                    write!(f, ": {}", said.join("; "))?;
                }
            }
            Self::Other { status, said } => write!(f, "zypper ended with status {status}: {}", said.join("; "))?,
        }
        write!(f, " — {}", self.cure())
    }
}

fn is_about_space(line: &str) -> bool {
    line.contains("space left")
        || line.contains("needs") && line.contains("filesystem")
        || line.contains("ot enough space")
        || line.contains("more space")
}

/// The package that a line of zypper's is about: a word that ends like the name of a package's file.
fn named_in(line: &str) -> Option<String> {
    let words = line.split([' ', '\'', '(', ')', '/', ',']);
    let mut packages = words.filter_map(|word| word.trim_end_matches(['.', ':']).strip_suffix(".rpm"));
    packages.next().map(str::to_owned)
}
