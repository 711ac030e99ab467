//! `cargo xtask setup`: the programs that Rehearsal needs, installed by the host's own package manager.
//!
//! What is to be done is planned as data by `harness::host::install`; here a person sees it, agrees, and it is done.

pub(crate) mod crates;

use crate::exit::{End, HostLacks};
use crate::ui;
use anyhow::{Context, bail};
use harness::host::install::{self, CommandLine, OnFailure, Plan, Step};
use harness::host::tools::{self, Finding, Tool};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// What `setup` is told.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Args {
    /// Do it without asking; so it is too when CI=true
    #[arg(long)]
    yes: bool,
    /// Install also what only some commands need
    #[arg(long)]
    all: bool,
    /// Only show what would be done
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

/// Shows what is missing and how to get it, and gets it.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { yes, all, dry_run } = args;
    if dry_run {
        let (missing, crates) = (look(all), if all { crates::missing() } else { Vec::new() });
        if !missing.is_empty() {
            show(&missing)?;
        }
        show_crates(&crates);
        if !(missing.is_empty() && crates.is_empty()) {
            return Ok(ExitCode::SUCCESS);
        }
    } else if let Err(error) = ensure(yes, all) {
        ui::line(format_args!("\n{error:#}"));
        return Ok(End::Host.into());
    }
    ui::line(format_args!(
        "All programs that Rehearsal needs are here{}.",
        if all { ", and those that it can use" } else { "" }
    ));
    Ok(ExitCode::SUCCESS)
}

/// Sees to it that all tools are here: shows what is missing, asks unless `yes`, installs. Says nothing when none is.
pub(crate) fn ensure_tools(yes: bool) -> anyhow::Result<()> {
    ensure(yes, false)
}

fn ensure(yes: bool, all: bool) -> anyhow::Result<()> {
    let missing = look(all);
    let mut installed = Ok(());
    if !missing.is_empty() {
        installed = show(&missing).and_then(|plan| install(&plan, yes, all));
    }
    if all {
        installed = installed.and_then(|()| install_crates(yes));
    }
    installed.map_err(|error| HostLacks(format!("{error:#}")).into())
}

fn look(all: bool) -> Vec<Finding> {
    let optional = if all { tools::find_optional() } else { Vec::new() };
    tools::find().into_iter().chain(optional).filter(Finding::is_wanting).collect()
}

fn show(missing: &[Finding]) -> anyhow::Result<Plan> {
    ui::line(format_args!("These programs are missing on this host:"));
    for finding in missing {
        let tool = finding.tool();
        let state = match finding {
            Finding::Outdated { version, minimum, .. } => format!(" ({version} is here, {minimum} at least is needed)"),
            _ => String::new(),
        };
        ui::line(format_args!("  {}, needed to {}{state}", tool.name, tool.purpose));
    }
    let tools: Vec<&'static Tool> = missing.iter().map(Finding::tool).collect();
    let plan = install::plan_for_host(Path::new("/"), &tools)?;
    ui::line(format_args!("\nTo be done as root:\n\n{plan}"));
    Ok(plan)
}

fn show_crates(missing: &[&crates::Crate]) {
    for program in missing {
        ui::line(format_args!("\n{program} is missing, needed to {}", program.purpose));
        ui::line(format_args!("To be done as this user, in minutes:\n\n{}", program.command()));
    }
}

fn install_crates(yes: bool) -> anyhow::Result<()> {
    let missing = crates::missing();
    show_crates(&missing);
    if !(missing.is_empty() || yes || in_ci() || agreed()?) {
        bail!("it was not installed; run the command above, or `cargo xtask setup --all --yes`");
    }
    missing.iter().try_for_each(|program| program.install())
}

fn install(plan: &Plan, yes: bool, all: bool) -> anyhow::Result<()> {
    if plan.steps.is_empty() {
        bail!("this distribution has no packages of them; install them by hand, then run `cargo xtask doctor`");
    }
    let power = Power::of_this_process().context(
        "not root, and there is no sudo here: run the commands above in a root shell, \
         or `cargo xtask setup --yes` as root",
    )?;
    if !(yes || in_ci() || agreed()?) {
        bail!("nothing was done; run the commands above, or `cargo xtask setup --yes`");
    }
    for step in &plan.steps {
        ui::line(format_args!("\n+ {}", step.to_string().lines().next().unwrap_or_default()));
        power.perform(step)?;
    }
    let left: Vec<&str> = look(all).iter().map(|finding| finding.tool().name).collect();
    if !left.is_empty() {
        bail!("all commands ran, but these are still missing: {}", left.join(", "));
    }
    ui::line("");
    Ok(())
}

fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Asks the person; without one at a terminal the answer is no.
fn agreed() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    ui::out(format_args!("\nDo this now? [y/N] "));
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// How we come by root's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    Root,
    Sudo,
}

impl Power {
    fn of_this_process() -> Option<Self> {
        if nix::unistd::geteuid().is_root() { Some(Self::Root) } else { tools::which("sudo").map(|_| Self::Sudo) }
    }

    fn perform(self, step: &Step) -> anyhow::Result<()> {
        match step {
            Step::Write { path, content } => self.write(path, content),
            Step::Run(line) => self.run(line),
        }
    }

    fn write(self, path: &Path, content: &str) -> anyhow::Result<()> {
        if self == Self::Root {
            return Ok(fs_err::write(path, content)?);
        }
        let mut tee = Command::new("sudo").arg("tee").arg(path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        if let Some(mut input) = tee.stdin.take() {
            input.write_all(content.as_bytes())?;
        }
        let status = tee.wait()?;
        if status.success() { Ok(()) } else { bail!("failed to write {} by sudo: {status}", path.display()) }
    }

    fn run(self, line: &CommandLine) -> anyhow::Result<()> {
        let words = self.words(line);
        let status = Command::new(&words[0])
            .args(&words[1..])
            .status()
            .with_context(|| format!("failed to run {}", words[0]))?;
        match line.on_failure {
            _ if status.success() => Ok(()),
            OnFailure::GoOn => {
                ui::line(format_args!("That ended with {status}; going on, as the next step may do without it."));
                Ok(())
            }
            OnFailure::Stop => bail!("`{}` ended with {status}; its own words are above", words.join(" ")),
        }
    }

    /// The command with its environment, in a form that sudo hands on.
    fn words(self, line: &CommandLine) -> Vec<String> {
        let mut words: Vec<String> = match self {
            Self::Root => Vec::new(),
            Self::Sudo => vec!["sudo".to_owned()],
        };
        if !line.environment.is_empty() {
            words.push("env".to_owned());
            words.extend(line.environment.iter().map(|(name, value)| format!("{name}={value}")));
        }
        words.extend(line.words.iter().cloned());
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sudo_gets_the_environment_as_arguments() {
        let line = CommandLine {
            environment: vec![("DEBIAN_FRONTEND", "noninteractive")],
            words: vec!["apt-get".to_owned(), "update".to_owned()],
            on_failure: OnFailure::GoOn,
        };
        assert_eq!(Power::Root.words(&line).join(" "), "env DEBIAN_FRONTEND=noninteractive apt-get update");
        assert_eq!(Power::Sudo.words(&line).join(" "), "sudo env DEBIAN_FRONTEND=noninteractive apt-get update");
    }

    #[test]
    fn a_step_that_may_fail_does_not_stop_and_one_that_must_not_does() {
        let failing = |on_failure| CommandLine { environment: Vec::new(), words: vec!["false".to_owned()], on_failure };
        assert!(Power::Root.run(&failing(OnFailure::GoOn)).is_ok());
        assert!(Power::Root.run(&failing(OnFailure::Stop)).is_err());
    }
}
