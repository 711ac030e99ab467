//! What a package manager did to a system, step by step: which step changed which file.
//!
//! zypper runs one rpm for each package, so a program before rpm in `PATH` sees each step, and can look at the files before
//! and after. `%posttrans` scriptlets run when all steps are done: they are a step of their own, after the last.

use crate::guest_path::GuestPath;
use serde::{Deserialize, Serialize};
use std::fmt;

/// All steps of one transaction, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// The steps.
    pub steps: Vec<TransactionStep>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionStep {
    /// Its number, from 1.
    pub number: u32,
    /// The package, with its version.
    pub package: String,
    /// What was done with it.
    pub verb: Verb,
    /// Configuration that differs after the step: changed, removed or created.
    #[serde(default)]
    pub changed: Vec<GuestPath>,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// A package comes, or a newer version takes an older one's place.
    Install,
    /// A package goes.
    Erase,
    /// Scriptlets that run after all steps.
    Posttrans,
}

impl Transaction {
    /// The last step that changed the path.
    #[must_use]
    pub fn changed(&self, path: &GuestPath) -> Option<&TransactionStep> {
        self.steps.iter().rev().find(|step| step.changed.contains(path))
    }

    /// How many packages came or went.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.iter().filter(|step| step.verb != Verb::Posttrans).count()
    }

    /// Whether nothing was done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Install => "install",
            Self::Erase => "erase",
            Self::Posttrans => "%posttrans",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_that_changed_a_path_is_found() {
        let step = |number, verb, paths: &[&str]| TransactionStep {
            number,
            package: format!("p{number}"),
            verb,
            changed: paths.iter().map(|&path| path.into()).collect(),
        };
        let steps = vec![
            step(1, Verb::Install, &["/etc/a"]),
            step(2, Verb::Erase, &["/etc/a", "/etc/b"]),
            step(3, Verb::Posttrans, &["/etc/b"]),
        ];
        let transaction = Transaction { steps };
        let changed = |path: &str| transaction.changed(&path.into()).map(|step| step.number);
        assert_eq!((changed("/etc/a"), changed("/etc/b"), changed("/etc/c")), (Some(2), Some(3), None));
        assert_eq!(transaction.len(), 2);
    }
}
