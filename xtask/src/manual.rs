//! `cargo xtask completions` and `cargo xtask man`: the command line, as shells and `man` know it.

use crate::Cli;
use crate::ui;
use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use harness::host::output::{self, Readers};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) const COMPLETIONS_EXAMPLE: &str = "\
Example, for ~/.bashrc; a shell completes commands by their first word, so it gets one:

    alias xtask='cargo xtask'
    source <(cargo xtask completions bash)";

/// Which shell.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Where to.
#[derive(clap::Args)]
pub(crate) struct ManArgs {
    /// Write a page for each command into this directory, which exists
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// The command line under a name of one word.
fn command() -> Command {
    Cli::command().name("xtask").bin_name("xtask")
}

/// Prints the completions. A reader that ends early is no failure.
pub(crate) fn completions(args: CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "xtask", &mut text);
    print(&text)
}

/// Prints the page, or writes all.
pub(crate) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let Some(directory) = &args.directory else {
        let mut text = Vec::new();
        clap_mangen::Man::new(command()).render(&mut text)?;
        return print(&text);
    };
    write_pages(directory).with_context(|| format!("failed to write manual pages into {}", directory.display()))?;
    let page = directory.join("xtask.1");
    ui::line(format_args!("manual pages are in {}: try `man -l {}`", directory.display(), page.display()));
    Ok(ExitCode::SUCCESS)
}

/// Pages are made beside, since `clap_mangen` writes through whatever stands there.
fn write_pages(directory: &Path) -> anyhow::Result<()> {
    let made = tempfile::tempdir()?;
    clap_mangen::generate_to(command(), made.path())?;
    for page in fs_err::read_dir(made.path())? {
        let page = page?;
        output::write(&directory.join(page.file_name()), Readers::Others, &fs_err::read(page.path())?)?;
    }
    Ok(())
}

fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::bash(Shell::Bash, "_xtask()")]
    #[case::zsh(Shell::Zsh, "#compdef xtask")]
    #[case::fish(Shell::Fish, "complete -c xtask")]
    fn shells_get_their_completions(#[case] shell: Shell, #[case] words: &str) {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command(), "xtask", &mut text);
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(words) && text.contains("requirements"), "{text}");
    }

    #[test]
    fn each_command_has_a_page() {
        let directory = tempfile::tempdir().unwrap();
        write_pages(directory.path()).unwrap();
        let page = std::fs::read_to_string(directory.path().join("xtask-test.1")).unwrap();
        assert!(page.contains("tier") && page.contains("pam"), "{page}");
        let own = directory.path().join("xtask-test.1");
        std::fs::remove_file(&own).unwrap();
        std::os::unix::fs::symlink("elsewhere", &own).unwrap();
        assert!(write_pages(directory.path()).unwrap_err().to_string().contains("is a link"));
    }
}
