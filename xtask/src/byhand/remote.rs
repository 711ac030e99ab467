//! A command or a shell in a machine, over ssh: bytes go both ways as they come, and its end is ours.

use super::screen::Screen;
use super::terminal::Size;
use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use ssh2::{BlockDirections, Channel, ErrorCode, Session};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::str::FromStr as _;

/// How long ssh may take over a question of its own, in milliseconds.
const PATIENCE: u32 = 60_000;
/// `LIBSSH2_ERROR_EAGAIN` (libssh2.h).
const AGAIN: ErrorCode = ErrorCode::Session(-37);
/// So much of our input may wait for the machine.
const WAITING: usize = 64 << 10;

/// How the streams of a command are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    /// To a terminal of this size, which is ours.
    Terminal(Size),
    /// Each to its own.
    Separate,
}

/// A session on a machine.
pub(super) struct Remote {
    session: Session,
    channel: Channel,
    socket: UnixStream,
    output: Screen<io::Stdout>,
    errors: Screen<io::Stderr>,
}

impl Remote {
    /// Logs in as root, over a pipe to the machine's sshd. Nobody can be in between: the pipe ends in the lab.
    pub(super) fn login(pipe: UnixStream, key: &str) -> anyhow::Result<Self> {
        pipe.set_nonblocking(false)?;
        let mut session = Session::new()?;
        session.set_timeout(PATIENCE);
        session.set_tcp_stream(pipe.try_clone()?);
        session.handshake()?;
        session.userauth_pubkey_memory("root", None, key, None)?;
        let channel = session.channel_session()?;
        let (output, errors) = (Screen::new(io::stdout()), Screen::new(io::stderr()));
        Ok(Self { session, channel, socket: pipe, output, errors })
    }

    /// Starts a command, or a shell if there is none.
    pub(super) fn start(&mut self, command: Option<&str>, streams: Streams) -> anyhow::Result<()> {
        if let Streams::Terminal(size) = streams {
            let kind = std::env::var("TERM").unwrap_or_else(|_| "xterm".into());
            self.channel.request_pty(&kind, None, Some((size.columns, size.rows, 0, 0)))?;
        }
        match command {
            Some(command) => self.channel.exec(command)?,
            None => self.channel.shell()?,
        }
        Ok(())
    }

    /// Carries bytes until the command has ended, and says how: its exit status, or 128 and its signal.
    pub(super) fn carry(&mut self, streams: Streams) -> anyhow::Result<u8> {
        self.session.set_blocking(false);
        let resized = Resizes::of(streams)?;
        let mut input = Input::default();
        while !self.channel.eof() {
            let moved = self.output()? | self.input(&mut input)?;
            if let Some(size) = resized.next()? {
                // One that is lost is followed by another.
                let _ = self.channel.request_pty_size(size.columns, size.rows, None, None);
            }
            // Asking for output has read what came, and the end may be among it.
            if !moved && !self.channel.eof() {
                self.wait(&mut input, &resized)?;
            }
        }
        self.session.set_blocking(true);
        if let Streams::Terminal(_) = streams {
            self.output.leave()?;
        }
        self.channel.close()?;
        self.channel.wait_close()?;
        let signal = self.channel.exit_signal()?.exit_signal;
        let status = match signal.as_deref().map(|name| Signal::from_str(&format!("SIG{name}"))) {
            Some(signal) => 128 + signal.map_or(0, |signal| signal as i32),
            None => self.channel.exit_status()?,
        };
        Ok(u8::try_from(status).unwrap_or(u8::MAX))
    }

    /// What the machine has said. True if there was something.
    fn output(&mut self) -> anyhow::Result<bool> {
        let said = copy(&mut self.channel, &mut self.output)?;
        let complained = copy(&mut self.channel.stderr(), &mut self.errors)?;
        Ok(said || complained)
    }

    /// What waits for the machine. True if it has taken something.
    fn input(&mut self, input: &mut Input) -> anyhow::Result<bool> {
        if !input.waiting.is_empty() {
            return match self.channel.write(&input.waiting) {
                Ok(count) => {
                    input.waiting.drain(..count);
                    Ok(count > 0)
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
                // It has ended, or has closed its input: nothing more is wanted.
                Err(_) => {
                    (input.waiting, input.is_over, input.is_told) = (Vec::new(), true, true);
                    Ok(false)
                }
            };
        }
        if input.is_over && !input.is_told {
            match self.channel.send_eof() {
                Ok(()) => input.is_told = true,
                Err(error) if error.code() == AGAIN => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Waits until something can be done.
    fn wait(&self, input: &mut Input, resized: &Resizes) -> anyhow::Result<()> {
        let mut flags = PollFlags::POLLIN;
        if matches!(self.session.block_directions(), BlockDirections::Outbound | BlockDirections::Both) {
            flags |= PollFlags::POLLOUT;
        }
        let stdin = io::stdin();
        let mut wanted = vec![PollFd::new(self.socket.as_fd(), flags)];
        let listens = !input.is_over && input.waiting.len() < WAITING;
        wanted.extend(listens.then(|| PollFd::new(stdin.as_fd(), PollFlags::POLLIN)));
        wanted.extend(resized.descriptor().map(|it| PollFd::new(it, PollFlags::POLLIN)));
        match poll(&mut wanted, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("failed to wait for the machine"),
        }
        let ready = |index: usize| wanted.get(index).and_then(PollFd::any).unwrap_or(false);
        if listens && ready(1) {
            input.read()?;
        }
        Ok(())
    }
}

/// What is on its way to the machine.
#[derive(Default)]
struct Input {
    waiting: Vec<u8>,
    is_over: bool,
    is_told: bool,
}

impl Input {
    /// Reads what is there, past the buffer of std's, which poll(2) does not know of.
    fn read(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; 8192];
        let count = nix::unistd::read(io::stdin().as_fd(), &mut buffer).context("failed to read standard input")?;
        self.waiting.extend(&buffer[..count]);
        self.is_over = count == 0;
        Ok(())
    }
}

/// Copies what is there. True if there was something.
fn copy(from: &mut impl Read, to: &mut Screen<impl Write>) -> anyhow::Result<bool> {
    let mut buffer = [0; 16 << 10];
    let mut moved = false;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => to.show(&buffer[..count])?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => bail!("the connection to the machine broke: {error}"),
        }
        moved = true;
    }
    Ok(moved)
}

/// Tells when the terminal has another size.
struct Resizes(Option<SignalFd>);

impl Resizes {
    fn of(streams: Streams) -> anyhow::Result<Self> {
        let Streams::Terminal(_) = streams else { return Ok(Self(None)) };
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGWINCH);
        signals.thread_block()?;
        Ok(Self(Some(SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)))
    }

    fn next(&self) -> anyhow::Result<Option<Size>> {
        let Some(signals) = &self.0 else { return Ok(None) };
        Ok(signals.read_signal()?.map(|_| Size::now()))
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(|signals| signals.as_fd())
    }
}
