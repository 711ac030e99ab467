//! `cargo xtask console`: the serial console of a machine.

use super::screen::Screen;
use super::terminal::Raw;
use super::{Choice, wait_for};
use crate::ui;
use anyhow::Context as _;
use harness::session::Request;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// The key that leaves the console: Ctrl-], as with telnet and virsh.
const LEAVE: u8 = 0x1d;

/// Whose console.
#[derive(Debug, clap::Args)]
pub(crate) struct ConsoleArgs {
    /// The machine
    machine: String,
    /// Print what it has shown since it was started, and end
    #[arg(long)]
    log: bool,
    #[command(flatten)]
    choice: Choice,
}

/// Shows the console, and types what is typed here.
pub(crate) fn console(args: &ConsoleArgs) -> anyhow::Result<ExitCode> {
    let lab = args.choice.find()?;
    let pipe = wait_for(async {
        let pipe = lab.pipe(&Request::Console { machine: args.machine.clone() }).await?;
        Ok(pipe.into_std()?)
    })?;
    if args.log {
        let log = lab.card.results.join(format!("console-{}.log", args.machine));
        let log = fs_err::read(log)?;
        Screen::new(std::io::stdout()).show(&log).context("failed to print the log")?;
        return Ok(ExitCode::SUCCESS);
    }
    let is_terminal = std::io::stdin().is_terminal();
    if is_terminal {
        ui::note(format_args!(
            "the console of {}; Ctrl-] leaves it; root has no password there until somebody gives it one",
            args.machine
        ));
    }
    let raw = if is_terminal { Some(Raw::enter()?) } else { None };
    let mut output = Screen::new(std::io::stdout());
    let ended = talk(pipe, &mut output);
    output.leave()?;
    drop(raw);
    if is_terminal {
        ui::note("");
    }
    ended.map(|()| ExitCode::SUCCESS)
}

/// Until the machine prints no more, or the user leaves. Who types no more may still look.
fn talk(mut console: UnixStream, output: &mut Screen<std::io::Stdout>) -> anyhow::Result<()> {
    console.set_nonblocking(false)?;
    let stdin = std::io::stdin();
    let mut buffer = [0; 4096];
    let mut listens = true;
    loop {
        let mut wanted = vec![PollFd::new(console.as_fd(), PollFlags::POLLIN)];
        wanted.extend(listens.then(|| PollFd::new(stdin.as_fd(), PollFlags::POLLIN)));
        poll(&mut wanted, PollTimeout::NONE).context("failed to wait for the console")?;
        let ready = |index: usize| wanted.get(index).and_then(PollFd::any).unwrap_or(false);
        let (shows, typed) = (ready(0), ready(1));
        if shows {
            match console.read(&mut buffer)? {
                0 => return Ok(()),
                count => output.show(&buffer[..count])?,
            }
        }
        if typed {
            let count = nix::unistd::read(stdin.as_fd(), &mut buffer).context("failed to read standard input")?;
            let leaves = buffer[..count].iter().position(|key| *key == LEAVE);
            console.write_all(&buffer[..leaves.unwrap_or(count)])?;
            listens = count > 0;
            if leaves.is_some() {
                return Ok(());
            }
        }
    }
}
