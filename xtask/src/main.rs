//! The command line of Rehearsal.

mod bench;
mod bisect;
mod byhand;
mod cache_entry;
mod check;
mod clean;
mod compare;
mod diagnose;
mod distro;
mod docs;
mod doctor;
mod drift;
mod duration;
mod egress;
mod exit;
#[cfg(test)]
mod glossary;
mod image;
mod lab;
mod lab_context;
mod manual;
mod mutants;
#[cfg(test)]
mod policy;
mod predict;
mod record;
mod report;
mod requirements;
mod selftest;
mod setup;
mod test;
mod ui;
mod workbench;
#[cfg(test)]
mod workflow;

use clap::{Parser, Subcommand};
use exit::End;
use std::process::ExitCode;

const AFTER: &str = "\
Exit codes: 0 all is well, 1 an expectation failed, 2 the command line or a file is wrong,
3 this host lacks something, 4 something else went wrong; 130 after Ctrl-C.

Example, from a fresh clone to the first results:

    cargo xtask test --yes pam-loss";

/// Rehearses the life of a private mail server in disposable virtual machines.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = AFTER)]
pub(crate) struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Install the programs that Rehearsal needs on this host
    #[command(after_help = "Example, to see what would be done:\n\n    cargo xtask setup --dry-run")]
    Setup(setup::Args),
    /// Say what this host can do, and what would make it better
    #[command(after_help = "Example, for a script:\n\n    cargo xtask doctor --json")]
    Doctor(doctor::Args),
    /// Build images of machines, and show those in the cache
    #[command(subcommand)]
    Image(image::Action),
    /// Build rpm distributions that guests are upgraded from and to
    #[command(subcommand)]
    Distro(distro::Action),
    /// Show the labs that are kept, booted and frozen
    #[command(subcommand)]
    Lab(lab::Action),
    /// Remove what is kept in the cache, and what killed processes have left
    #[command(after_help = "Example, of what nobody used this week:\n\n    cargo xtask clean --older-than 7d")]
    Clean(clean::Args),
    /// Live through bad days for real: slow, and not part of `cargo test`
    #[command(subcommand)]
    Selftest(selftest::Action),
    /// Run the scenarios in guests
    #[command(after_help = test::EXAMPLES)]
    Test(test::Args),
    /// Make the reports of a run again, and show them
    Report(report::Args),
    /// Run one case to a point, and hold its lab there for you
    Repro(byhand::ReproArgs),
    /// Show the labs that are held
    #[command(
        after_help = "Example, the addresses of machines, for a script:\n\n    cargo xtask status --json | jq -r '.[].status.machines[].address'"
    )]
    Status(byhand::StatusArgs),
    /// Open a shell, as root, in a machine of a lab that is held
    #[command(after_help = "Example:\n\n    cargo xtask shell mail")]
    Shell(byhand::ShellArgs),
    /// Run a command, as root, in a machine of a lab that is held; its exit status is the command's
    #[command(after_help = "Example:\n\n    cargo xtask exec mail -- sh -c 'journalctl -b | grep -c pam_sss'")]
    Exec(byhand::ExecArgs),
    /// Sit at the serial console of a machine of a lab that is held
    #[command(after_help = "Example, all that it has printed:\n\n    cargo xtask console mail --log")]
    Console(byhand::ConsoleArgs),
    /// Let programs of this host reach a port of a machine through 127.0.0.1
    Forward(byhand::ForwardArgs),
    /// Print the passwords of the accounts of a lab that is held
    #[command(
        after_help = "Example, for a program that reads one from its standard input:\n\n    cargo xtask passwords alice | my-mail-program"
    )]
    Passwords(byhand::PasswordsArgs),
    /// Bring a lab that is held back to a state that was kept
    #[command(after_help = "Example, to where the scenario begins:\n\n    cargo xtask rewind start")]
    Rewind(byhand::RewindArgs),
    /// Go on with the steps of a scenario whose lab is held
    #[command(
        after_help = "Example, one that has failed is left out:\n\n    cargo xtask resume --skip\n\nExit code: 0 if the steps passed, 1 if one failed; the lab is held then, too."
    )]
    Resume(byhand::ResumeArgs),
    /// End a lab that is held
    #[command(after_help = "Example, where several are held:\n\n    cargo xtask down --lab pam-loss-2")]
    Down(byhand::Choice),
    /// Say what changed in a machine's configuration between two moments of a run
    Drift(drift::Args),
    /// Say whom machines must be allowed to contact, by the packets of a run
    #[command(subcommand)]
    Egress(egress::Action),
    /// Say which changes of configuration are to blame for a scenario's symptoms
    #[command(alias = "explain")]
    Bisect(bisect::Args),
    /// Say why a user cannot log in: in a kept state of a lab, or on a server of your own
    Diagnose(diagnose::Args),
    /// Say how a lab behaves otherwise with one configuration than with another
    Compare(compare::Args),
    /// Say whether the files of scenarios and labs are right, and where they are not
    #[command(after_help = "Example, while a scenario is written:\n\n    cargo xtask check scenarios/pam-loss.toml")]
    Check(check::Args),
    /// Say which requirements of the specification the scenarios drive
    #[command(
        after_help = "Example, the requirements that nobody drives yet:\n\n    cargo xtask requirements --json | jq -r '.uncovered[]'"
    )]
    Requirements(requirements::Args),
    /// Write the pages and schemas that are made from the types
    #[command(after_help = "Example, after a verb was added:\n\n    cargo xtask docs")]
    Docs,
    /// Record what steps show as snapshots, after asking for each that differs
    Record(record::Args),
    /// Say what an upgrade with rpm will do to each configuration file of a system
    Predict(predict::Args),
    /// Break the code that decides, one place at a time, and say what no test notices
    #[command(after_help = mutants::EXAMPLES)]
    Mutants(mutants::Args),
    /// Measure how long things take on this host, side by side
    #[command(subcommand)]
    Bench(bench::Action),
    /// Print completions for a shell
    #[command(after_help = manual::COMPLETIONS_EXAMPLE)]
    Completions(manual::CompletionsArgs),
    /// Print the manual page, or write one for each command
    #[command(after_help = "Example, to read it:\n\n    cargo xtask man | man -l -")]
    Man(manual::ManArgs),
    /// Called `requirements` now
    #[command(hide = true, disable_help_flag = true)]
    Coverage(Renamed),
    /// Called `distro` now
    #[command(hide = true, disable_help_flag = true)]
    Release(Renamed),
}

/// Whatever is given to a command that has another name now.
#[derive(clap::Args)]
struct Renamed {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

impl Renamed {
    fn refuse(&self, old: &str, new: &str) -> anyhow::Result<ExitCode> {
        let line: Vec<_> = std::iter::once(new).chain(self.rest.iter().map(String::as_str)).collect();
        Err(exit::Invalid(format!("`{old}` is called `{new}` now: run `cargo xtask {}`", line.join(" "))).into())
    }
}

fn main() -> ExitCode {
    let entered = harness::network::enter_if_executed_for_it();
    harness::host::pipe::end_quietly_without_reader();
    let ended = entered.map_err(Into::into).and_then(|()| run(Cli::parse().action));
    let ended = ended.unwrap_or_else(|error| {
        let end = exit::of(&error);
        match end {
            // A backtrace, if one is asked for, helps only us.
            End::Internal => ui::note(format_args!("Error: {error:?}")),
            // It shows, in colours, a file that a person wrote.
            End::Invalid => ui::own(format_args!("Error: {error:#}")),
            End::Interrupted => ui::note("interrupted"),
            End::Failed | End::Host => ui::note(format_args!("Error: {error:#}")),
        }
        end.into()
    });
    if harness::host::pipe::flushed() { ended } else { End::Internal.into() }
}

fn run(action: Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::Setup(args) => setup::run(args),
        Action::Doctor(args) => doctor::run(args),
        Action::Image(action) => image::run(action),
        Action::Distro(action) => distro::run(&action),
        Action::Lab(action) => lab::run(&action),
        Action::Clean(args) => clean::run(&args),
        Action::Selftest(action) => selftest::run(&action),
        Action::Test(args) => test::run(args),
        Action::Report(args) => report::run(&args),
        Action::Repro(args) => byhand::repro(&args),
        Action::Status(args) => byhand::status(&args),
        Action::Shell(args) => byhand::shell(&args),
        Action::Exec(args) => byhand::exec(&args),
        Action::Console(args) => byhand::console(&args),
        Action::Forward(args) => byhand::forward(&args),
        Action::Passwords(args) => byhand::passwords(&args),
        Action::Rewind(args) => byhand::rewind(&args),
        Action::Resume(args) => byhand::resume(&args),
        Action::Down(choice) => byhand::down(&choice),
        Action::Drift(args) => drift::run(&args),
        Action::Egress(action) => egress::run(&action),
        Action::Bisect(args) => bisect::run(&args),
        Action::Diagnose(args) => diagnose::run(&args),
        Action::Compare(args) => compare::run(&args),
        Action::Check(args) => check::run(&args),
        Action::Requirements(args) => requirements::run(&args),
        Action::Coverage(renamed) => renamed.refuse("coverage", "requirements"),
        Action::Release(renamed) => renamed.refuse("release", "distro"),
        Action::Docs => docs::run(),
        Action::Record(args) => record::run(args),
        Action::Predict(args) => predict::run(&args),
        Action::Mutants(args) => mutants::run(&args),
        Action::Bench(action) => bench::run(&action),
        Action::Completions(args) => manual::completions(args),
        Action::Man(args) => manual::man(&args),
    }
}

/// A diagnostic with its place in the file, as an error for the end of `main`.
fn report(diagnostic: impl miette::Diagnostic + Send + Sync + 'static) -> anyhow::Error {
    exit::Invalid(format!("{:?}", miette::Report::new(diagnostic))).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, CommandFactory as _};

    /// The help of a command and of all below it.
    fn help(command: &Command, path: &str, all: &mut Vec<String>) {
        let mut own = command.clone().bin_name(path).disable_help_subcommand(true);
        all.push(format!("$ {path} --help\n\n{}", own.render_long_help()));
        for below in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            help(below, &format!("{path} {}", below.get_name()), all);
        }
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        let mut all = Vec::new();
        help(&Cli::command(), "cargo xtask", &mut all);
        let leaf = |text: &&String| !text.contains("\nCommands:\n");
        let without: Vec<_> = all.iter().filter(leaf).filter(|text| !text.contains("Example")).collect();
        assert!(without.is_empty(), "without an example: {without:#?}");
        insta::assert_snapshot!(all.join("\n\n"));
    }
}
