//! Why an upgrade did not come to its end: which step, which package, and what to do.
//!
//! The words are the programs' own, as they say them in the C locale.

use super::Step;
use std::collections::HashSet;
use std::fmt;

/// What rpm and zypper say of a full disk.
const SPACE: [&str; 4] = ["No space left on device", "more space on the", "Not enough space", "not enough free space"];
/// What zypper says of a package that is not what the repository promises.
const DAMAGED: [&str; 5] = [
    "igest verification failed",
    "not found on medium",
    "Can't provide",
    "Failed to provide Package",
    "does not match",
];

/// What else tells something, of apt and dpkg, too.
const OTHER: [&str; 6] = ["error:", "Error", "E: ", "aborted", "Problem", "failed"];

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
        /// Of how many.
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
        /// The program's exit status.
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
            let mut seen = HashSet::new();
            found.retain(|line| seen.insert(line.clone()));
            found
        };
        if let Some(said) = with(&SPACE).into_iter().next() {
            return Some(Self::Full { said });
        }
        if let Some(step) = failed {
            return Some(Self::Package {
                number: step.number,
                of: total(&lines).unwrap_or(steps.len()),
                package: step.package.clone(),
                status: step.status,
                said: with(&["error:", "scriptlet failed", "warning: %"]).into_iter().take(4).collect(),
            });
        }
        let problems: Vec<_> = with(&["Problem: "]);
        if !problems.is_empty() {
            return Some(Self::Unresolvable { problems });
        }
        if let Some(said) = with(&DAMAGED).first() {
            let package = lines.iter().find_map(|line| named_in(line)).unwrap_or_else(|| "a package".to_owned());
            return Some(Self::Damaged { package, said: said.clone() });
        }
        Some(Self::Other { status, said: with(&OTHER).into_iter().take(6).collect() })
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
            Self::Other { .. } => "see the whole log in the transcript of this step",
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
                write!(f, "step {number} of {of}, {package}: it ended with status {status}")?;
                if !said.is_empty() {
                    write!(f, ": {}", said.join("; "))?;
                }
            }
            Self::Other { status, said } => write!(f, "the program ended with status {status}: {}", said.join("; "))?,
        }
        write!(f, " — {}", self.cure())
    }
}

/// How many steps zypper counts: it says of each `(187/349)`.
fn total(lines: &[&str]) -> Option<usize> {
    let counted = |line: &&str| line.strip_prefix('(')?.split_once(')')?.0.split_once('/')?.1.trim().parse().ok();
    lines.iter().rev().find_map(counted)
}

/// The package that a line of zypper's is about: a word that ends like the name of a package's file.
fn named_in(line: &str) -> Option<String> {
    let words = line.split([' ', '\'', '(', ')', '/', ',']);
    let mut packages = words.filter_map(|word| word.trim_end_matches(['.', ':']).strip_suffix(".rpm"));
    packages.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::transaction::Verb;

    fn step(status: i32) -> Step {
        Step {
            number: 187,
            verb: Verb::Install,
            began: 1.0,
            ended: 2.0,
            status,
            package: "cyrus-imapd-3.10.2-1.x86_64".into(),
        }
    }

    #[test]
    fn an_upgrade_that_is_done_has_no_trouble() {
        assert_eq!(Trouble::of(0, &[step(0)], "There are 2 problems of yours\n"), None);
    }

    /// Words of zypper 1.14.42 and rpm 4.18.
    #[rstest::rstest]
    #[case::lacking(4, &[], "Problem: nothing provides libicu76 >= 76.1-1~ needed by postfix-3.10.13-0.x86_64\n Solution 1: deinstallation of x\nProblem: nothing provides libicu76 >= 76.1-1~ needed by cyrus-common-3.10.2-1.x86_64\nProblem: nothing provides libicu76 >= 76.1-1~ needed by postfix-3.10.13-0.x86_64\n")]
    #[case::cut(8, &[], "Retrieving: cyrus-imapd-3.10.2-1.x86_64.rpm [.....done]\nWarning: Digest verification failed for file 'cyrus-imapd-3.10.2-1.x86_64.rpm'\nContinue? [yes/no] (no): no\n")]
    #[case::full(8, &[(187, 3)], "error: augeas\ninstalling package augeas-lenses-1.14.1-1.noarch needs 4MB more space on the / filesystem\n")]
    #[case::scriptlet(8, &[(187, 1)], "(187/349) Installing: cyrus-imapd\nerror: %prein(cyrus-imapd-3.10.2-1.x86_64) scriptlet failed, exit status 1\n")]
    #[case::silent(0, &[(187, 9)], "")]
    #[case::other(5, &[], "Root privileges are required: Error of yours\n")]
    fn each_trouble_has_its_words_and_its_cure(#[case] status: i64, #[case] failed: &[(u32, i32)], #[case] log: &str) {
        let steps: Vec<_> = failed.iter().map(|(number, status)| Step { number: *number, ..step(*status) }).collect();
        let said = Trouble::of(status, &steps, log).unwrap().to_string();
        let name = std::thread::current().name().unwrap_or_default().rsplit("::").next().unwrap_or_default().to_owned();
        insta::assert_snapshot!(name, said);
    }
}
