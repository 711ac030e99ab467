//! How to get missing tools onto this host: the exact steps, as data that a person can read before anything is done.
//!
//! Nothing is run here. Facts about the host come in, a [`Plan`] comes out.

mod apt_sources;
mod distribution;

pub use apt_sources::{AptSource, read as read_apt_sources};
pub use distribution::{Distribution, Family};

use super::tools::Tool;
use std::fmt;
use std::path::{Path, PathBuf};

/// Debian 12's own QEMU, 7.2, cannot freeze a lab; and where `qemu-utils` is already that of the backports, it conflicts
/// with the emulator of the release. Both parts therefore come from this suite, always.
const BACKPORTS: &str = "bookworm-backports";
const BACKPORTS_FILE: &str = "/etc/apt/sources.list.d/rehearsal-backports.sources";
const FROM_BACKPORTS: [&str; 2] = ["qemu-system-x86", "qemu-utils"];

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write a file, whose directory exists.
    Write {
        /// Where.
        path: PathBuf,
        /// What.
        content: String,
    },
    /// Run a command.
    Run(CommandLine),
}

/// A command of a package manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// Variables to add to its environment.
    pub environment: Vec<(&'static str, &'static str)>,
    /// The program and its arguments.
    pub words: Vec<String>,
    /// What it means when it fails.
    pub on_failure: OnFailure,
}

/// What it means when a command fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The installation has failed.
    Stop,
    /// The next step may still do: one package source of several that does not answer fails a refresh of all.
    GoOn,
}

/// The steps that bring missing tools, and the tools that no step brings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to do, in order, as root.
    pub steps: Vec<Step>,
    /// Tools for which this distribution has no package.
    pub unpackaged: Vec<&'static Tool>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// The package manager is not known.
    #[error(
        "{distribution} is not a distribution whose package manager is known here; install these by hand: {}",
        wanted.join(", ")
    )]
    UnknownDistribution {
        /// The distribution's name.
        distribution: String,
        /// What is missing.
        wanted: Vec<&'static str>,
    },
    /// There is no source to derive the backports from.
    #[error(
        "apt on this host has no source for bookworm to take the address of {BACKPORTS} from; \
         add a source for {BACKPORTS}, which has a QEMU that is new enough"
    )]
    NoDebianSource,
}

/// The plan that brings `missing` onto a host of this distribution. `sources` matter to apt only.
pub fn plan(distribution: &Distribution, sources: &[AptSource], missing: &[&'static Tool]) -> Result<Plan, PlanError> {
    if missing.is_empty() {
        return Ok(Plan::default());
    }
    let Some(family) = distribution.family else {
        let wanted = missing.iter().map(|tool| tool.name).collect();
        return Err(PlanError::UnknownDistribution { distribution: distribution.name.clone(), wanted });
    };
    let of_family = |tool: &Tool| match family {
        Family::Apt => tool.packages.apt,
        Family::Zypper => tool.packages.zypper,
        Family::Dnf => tool.packages.dnf,
    };
    let mut packages: Vec<&'static str> = missing.iter().flat_map(|tool| of_family(tool)).copied().collect();
    packages.sort_unstable();
    packages.dedup();
    let steps = match family {
        _ if packages.is_empty() => Vec::new(),
        Family::Apt => apt(distribution, sources, &packages)?,
        Family::Zypper => zypper(&packages),
        Family::Dnf => vec![run(&["dnf", "install", "-y", "--setopt=install_weak_deps=False"], &packages)],
    };
    let unpackaged = missing.iter().filter(|tool| of_family(tool).is_empty()).copied().collect();
    Ok(Plan { steps, unpackaged })
}

fn apt(distribution: &Distribution, sources: &[AptSource], packages: &[&str]) -> Result<Vec<Step>, PlanError> {
    let is_of_backports = |package: &&str| distribution.is_debian_12() && FROM_BACKPORTS.contains(package);
    let (backported, plain): (Vec<&str>, Vec<&str>) = packages.iter().copied().partition(is_of_backports);
    let mut steps = Vec::new();
    if !backported.is_empty() && !sources.iter().any(|source| source.suites.iter().any(|suite| suite == BACKPORTS)) {
        steps.push(backports_source(sources)?);
    }
    steps.push(apt_get(&["update"], &[], OnFailure::GoOn));
    let install = ["install", "-y", "--no-install-recommends"];
    if !plain.is_empty() {
        steps.push(apt_get(&install, &plain, OnFailure::Stop));
    }
    if !backported.is_empty() {
        steps.push(apt_get(&[&install[..], &["-t", BACKPORTS]].concat(), &backported, OnFailure::Stop));
    }
    Ok(steps)
}

fn backports_source(sources: &[AptSource]) -> Result<Step, PlanError> {
    let is_debian = |source: &&AptSource| source.suites.iter().any(|suite| suite == "bookworm");
    let debian = sources.iter().find(is_debian).ok_or(PlanError::NoDebianSource)?;
    // A key within the entry begins on a line of its own.
    let signed_by = debian.signed_by.as_deref().map(|keyring| {
        let separator = if keyring.starts_with('\n') { "" } else { " " };
        format!("Signed-By:{separator}{keyring}\n")
    });
    let content = format!(
        "Types: deb\nURIs: {}\nSuites: {BACKPORTS}\nComponents: main\n{}",
        debian.uris,
        signed_by.unwrap_or_default()
    );
    Ok(Step::Write { path: PathBuf::from(BACKPORTS_FILE), content })
}

fn apt_get(action: &[&str], packages: &[&str], on_failure: OnFailure) -> Step {
    let program = ["apt-get", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=120"];
    let words = program.iter().chain(action).chain(packages).map(|&word| word.to_owned()).collect();
    Step::Run(CommandLine { environment: vec![("DEBIAN_FRONTEND", "noninteractive")], words, on_failure })
}

fn zypper(packages: &[&str]) -> Vec<Step> {
    let Step::Run(refresh) = run(&["zypper", "--non-interactive", "refresh"], &[]) else { return Vec::new() };
    let install = run(&["zypper", "--non-interactive", "install", "--no-recommends"], packages);
    vec![Step::Run(CommandLine { on_failure: OnFailure::GoOn, ..refresh }), install]
}

fn run(program: &[&str], packages: &[&str]) -> Step {
    let words = program.iter().chain(packages).map(|&word| word.to_owned()).collect();
    Step::Run(CommandLine { environment: Vec::new(), words, on_failure: OnFailure::Stop })
}

/// As a person would type it in a root shell.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { path, content } => write!(f, "cat > {} <<'END'\n{content}END", path.display()),
            Self::Run(command) => {
                for (name, value) in &command.environment {
                    write!(f, "{name}={value} ")?;
                }
                f.write_str(&command.words.join(" "))
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        for tool in &self.unpackaged {
            writeln!(f, "# no package here: {} (needed to {})", tool.name, tool.purpose)?;
        }
        Ok(())
    }
}

/// The plan that brings `missing` onto the host whose files lie below `root`: `/`, but for tests.
pub fn plan_for_host(root: &Path, missing: &[&'static Tool]) -> Result<Plan, PlanError> {
    plan(&Distribution::detect(root), &read_apt_sources(root), missing)
}

#[cfg(test)]
mod tests;
