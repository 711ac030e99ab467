//! One check per tool of the table.

use super::{Check, State};
use crate::host::install::{Distribution, Family};
use crate::host::tools::{self, Finding, Tool};
use std::path::Path;

pub(super) fn examine() -> Vec<Check> {
    let family = Distribution::detect(Path::new("/")).family;
    let needed = tools::find().into_iter().map(|finding| check(finding, family));
    needed.chain(tools::find_optional().into_iter().map(|finding| optional(check(finding, family)))).collect()
}

fn check(finding: Finding, family: Option<Family>) -> Check {
    match finding {
        Finding::Found { tool, path, version } => {
            let version = version.map(|version| format!("{version}, ")).unwrap_or_default();
            Check::ok(tool.name, format!("{version}{}", path.display()))
        }
        Finding::Outdated { tool, path, version, minimum } => {
            let found = format!("{version}, {}; at least {minimum} is needed", path.display());
            wanting(tool, found, family)
        }
        Finding::Missing { tool } => wanting(tool, "not installed".to_owned(), family),
    }
}

/// The same for what scenarios do without.
fn optional(check: Check) -> Check {
    match check.state {
        State::Ok => check,
        State::Missing | State::Degraded => Check {
            state: State::Degraded,
            consequence: check.consequence.map(|words| format!("{words}; scenarios run without it")),
            cure: check.cure.map(|cure| cure.replace("cargo xtask setup,", "cargo xtask setup --all,")),
            ..check
        },
    }
}

fn wanting(tool: &Tool, finding: String, family: Option<Family>) -> Check {
    let packages = match family {
        Some(Family::Apt) => tool.packages.apt,
        Some(Family::Zypper) => tool.packages.zypper,
        Some(Family::Dnf) => tool.packages.dnf,
        None => &[],
    };
    let cure = if packages.is_empty() {
        "this distribution has no package that is known here; install it by hand".to_owned()
    } else {
        format!("cargo xtask setup, which installs {}", packages.join(" "))
    };
    Check::missing(tool.name, finding, &format!("it is needed to {}", tool.purpose)).cure(cure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tools::{TOOLS, Version};
    use std::path::PathBuf;

    #[test]
    fn a_tool_that_is_too_old_is_told_with_the_package_to_get() {
        let (path, version) = (PathBuf::from("/usr/bin/qemu-system-x86_64"), "7.2.19".to_owned());
        let finding = Finding::Outdated { tool: &TOOLS[0], path, version, minimum: Version(8, 2) };
        let check = check(finding, Some(Family::Apt));
        assert_eq!(check.state, State::Missing);
        assert_eq!(check.finding, "7.2.19, /usr/bin/qemu-system-x86_64; at least 8.2 is needed");
        assert_eq!(check.cure.as_deref(), Some("cargo xtask setup, which installs qemu-system-x86"));
    }

    #[test]
    fn what_scenarios_do_without_is_no_obstacle() {
        let chromium = &crate::host::tools::OPTIONAL[0];
        let check = optional(check(Finding::Missing { tool: chromium }, Some(Family::Apt)));
        assert_eq!(check.state, State::Degraded);
        assert_eq!(check.cure.as_deref(), Some("cargo xtask setup --all, which installs chromium"));
    }

    #[test]
    fn without_a_package_a_person_must_do_it() {
        let mmdebstrap = TOOLS.iter().find(|tool| tool.name == "mmdebstrap").unwrap();
        let check = check(Finding::Missing { tool: mmdebstrap }, Some(Family::Zypper));
        assert!(check.cure.unwrap().contains("by hand"));
    }
}
