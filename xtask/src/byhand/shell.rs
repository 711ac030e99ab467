//! `cargo xtask shell` and `exec`: commands in a machine, as root.

use super::remote::{Remote, Streams};
use super::screen::Screen;
use super::terminal::{Raw, Size};
use super::{Choice, Reached, unexpected, wait_for};
use anyhow::Context as _;
use harness::machine::quoted;
use harness::session::{Refusal, Reply, Request, TalkError};
use std::io::IsTerminal as _;
use std::process::ExitCode;

/// Where.
#[derive(Debug, clap::Args)]
pub(crate) struct ShellArgs {
    /// The machine
    machine: String,
    #[command(flatten)]
    choice: Choice,
}

/// What, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct ExecArgs {
    /// The machine
    machine: String,
    /// Run it by the guest agent: it needs no network in the machine, has no standard input, and shows its output at the end
    #[arg(long)]
    agent: bool,
    /// The program and its arguments; for a shell's syntax, `sh -c '…'`
    #[arg(required = true, last = true)]
    command: Vec<String>,
    #[command(flatten)]
    choice: Choice,
}

/// A shell, on a terminal if there is one.
pub(crate) fn shell(args: &ShellArgs) -> anyhow::Result<ExitCode> {
    let lab = args.choice.find()?;
    let mut remote = connect(&lab, &args.machine)?;
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let streams = if is_terminal { Streams::Terminal(Size::now()) } else { Streams::Separate };
    remote.start(None, streams)?;
    let raw = if is_terminal { Some(Raw::enter()?) } else { None };
    let status = remote.carry(streams);
    drop(raw);
    Ok(ExitCode::from(status?))
}

/// One command, with its exit status.
pub(crate) fn exec(args: &ExecArgs) -> anyhow::Result<ExitCode> {
    let lab = args.choice.find()?;
    let words: Vec<_> = args.command.iter().map(|word| quoted(word)).collect();
    let command = words.join(" ");
    if args.agent {
        return by_agent(&lab, &args.machine, command);
    }
    let mut remote = connect(&lab, &args.machine)?;
    remote.start(Some(&command), Streams::Separate)?;
    Ok(ExitCode::from(remote.carry(Streams::Separate)?))
}

fn by_agent(lab: &Reached, machine: &str, command: String) -> anyhow::Result<ExitCode> {
    let reply = wait_for(lab.ask(&Request::Run { machine: machine.to_owned(), command }))?;
    let Reply::Output { status, stdout, stderr } = reply else { return unexpected() };
    Screen::new(std::io::stdout()).show(stdout.as_bytes())?;
    Screen::new(std::io::stderr()).show(stderr.as_bytes())?;
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX)))
}

/// An ssh session in the lab's own network: the lab has no other one.
fn connect(lab: &Reached, machine: &str) -> anyhow::Result<Remote> {
    let asked = wait_for(async {
        let pipe = lab.pipe(&Request::Connect { machine: machine.to_owned(), port: 22 }).await?;
        let Reply::Key(key) = lab.ask(&Request::Key).await? else { return unexpected() };
        Ok((pipe.into_std()?, key))
    });
    let (pipe, key) = asked.map_err(|error| match error.downcast_ref() {
        Some(TalkError::Refused(Refusal::Broken(_))) => error.context(format!(
            "no ssh to {machine}; where the lab itself runs it, `cargo xtask exec --agent {machine} -- …` needs no network there"
        )),
        _ => error,
    })?;
    Remote::login(pipe, &key.0).with_context(|| format!("no ssh to {machine}"))
}
