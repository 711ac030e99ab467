//! A running guest: QEMU's process, watched until it ends.

use super::agent::{Agent, AgentError, Commands};
use super::argv::{Descriptors, argv};
use super::capture;
use super::console::{self, ConsoleFault};
use super::freeze;
use super::log::{Log, Logs};
use super::memory::Ram;
use super::qmp::{Qmp, QmpError};
use super::reach::reach;
use super::spec::{MachineName, Origin, Spec};
use super::terminal::Terminal;
use crate::host::core_meter;
use crate::host::memory::Kills;
use crate::host::raw::{confine, tie_to_thread};
use crate::machine::clock_sync::ClockSync;
use crate::machine::failure::{MachineFailure, ending};
use crate::network::{Keeper, NetworkError};
use crate::size::Size;
use crate::time::{Deadline, Expired};
use command_fds::{CommandFdExt, FdMapping};
use landlock::RulesetCreated;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Socket;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// The log keeps this much of what QEMU says: a guest that makes it complain could do so without an end.
const WORDS_LIMIT: Size = Size::mebibytes(1);
/// How long a QEMU may take to end after it has closed its control channel.
const ENDING: Duration = Duration::from_secs(10);
/// How long it may take until all stands in the log that a QEMU has said which has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What QEMU has of our environment, which may hold tokens: where programs are, for one that is a script, and libraries; and places of
/// ours, by which everybody sees whose it is.
const ENVIRONMENT: [&str; 4] = ["PATH", "LD_LIBRARY_PATH", "XDG_CACHE_HOME", "REHEARSAL_RESULTS"];

/// Why a machine did not start or stop.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// A file or socket of the machine could not be made.
    #[error("failed to prepare machine {machine}: {what}")]
    Prepare {
        /// The machine.
        machine: MachineName,
        /// What was being made.
        what: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// QEMU could not be executed.
    #[error("failed to run {} for machine {machine}; `cargo xtask doctor` tells what is missing", program.display())]
    Spawn {
        /// The machine.
        machine: MachineName,
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The machine ended or broke.
    #[error("machine {machine}: {trouble}")]
    MachineFailure {
        /// The machine.
        machine: MachineName,
        /// What happened to it.
        trouble: MachineFailure,
    },
    /// QEMU's control channel failed.
    #[error("machine {machine}: {source}")]
    Control {
        /// The machine.
        machine: MachineName,
        /// What failed.
        source: QmpError,
    },
    /// The guest agent failed.
    #[error("machine {machine}: {source}")]
    Agent {
        /// The machine.
        machine: MachineName,
        /// What failed.
        source: AgentError,
    },
    /// Its RAM is shared with the frozen guest that it comes from.
    #[error("machine {machine} was thawed for use only, and cannot be frozen again")]
    CannotFreeze {
        /// The machine.
        machine: MachineName,
    },
    /// The lab's network is gone.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// QEMU did not end.
    #[error("machine {machine}: {source}")]
    Expired {
        /// The machine.
        machine: MachineName,
        /// What was waited for.
        source: Expired,
    },
}

impl MachineError {
    /// Whether QEMU did not take the state of the frozen guest that the machine comes from.
    #[must_use]
    pub fn is_refused_state(&self) -> bool {
        match self {
            Self::Control { source: QmpError::Refused { command, .. }, .. } => *command == freeze::LOAD,
            // A QEMU before 9.1 ends, whatever it is asked to do then.
            Self::MachineFailure { trouble: MachineFailure::Exited { how }, .. } => {
                how.contains("load of migration failed")
            }
            _ => false,
        }
    }
}

/// A running guest. Dropping it kills QEMU.
#[derive(Debug)]
pub struct Machine {
    name: MachineName,
    pub(super) qmp: Arc<Qmp>,
    pub(super) agent: Agent,
    pub(super) waker: ClockSync,
    pub(super) ram: Option<Ram>,
    /// Where QEMU may write the state of processors and devices.
    pub(super) devices: PathBuf,
    terminal: Terminal,
    /// Where packets of its cards are written.
    pub(super) captures: capture::Files,
    /// Whether its cables are plugged in.
    pub(super) linked: AtomicBool,
    pid: Option<u32>,
    exited: watch::Receiver<Option<String>>,
    badness: watch::Receiver<Option<ConsoleFault>>,
    kill: Option<oneshot::Sender<()>>,
    supervisor: JoinHandle<()>,
}

impl Machine {
    /// Starts QEMU on the lab's keeper thread and waits until it answers by QMP. A guest that is switched on boots
    /// meanwhile; one that comes from a frozen guest has its state and is paused. In `logs` appear `console-<name>.log`
    /// and `qemu-<name>.log`.
    pub async fn start(spec: &Spec, keeper: &Keeper, logs: Logs<'_>, deadline: Deadline) -> Result<Self, MachineError> {
        let name = spec.name.clone();
        let prepare = |what: &str| {
            let (machine, what) = (name.clone(), what.to_owned());
            move |source| MachineError::Prepare { machine, what, source }
        };
        let (qmp, qmp_theirs) = Socket::pair().map_err(prepare("a socket"))?;
        let (agent, agent_theirs) = Socket::pair().map_err(prepare("a socket"))?;
        let (console, console_theirs) = Socket::pair().map_err(prepare("a socket"))?;
        let (waker, waker_theirs) = Socket::pair().map_err(prepare("a socket"))?;
        let words = logs.path(&format!("qemu-{name}.log"));
        let said =
            Log::create(&words, WORDS_LIMIT, logs.secrets).await.map_err(prepare(&format!("{}", words.display())))?;
        let ram = ram(spec).await.map_err(prepare("its RAM"))?;
        let mut inherited: Vec<OwnedFd> =
            [qmp_theirs, agent_theirs, console_theirs, waker_theirs].map(OwnedFd::from).into();
        inherited.extend(ram.as_ref().map(Ram::descriptor).transpose().map_err(prepare("its RAM"))?);
        if spec.origin.can_be_frozen() {
            std::fs::File::create(spec.devices()).map_err(prepare("the file for the state of its devices"))?;
        }
        let captures = capture::Files::make(logs.captures, &name, spec.cards.len());
        let captures = captures.map_err(prepare("the files for its packets"))?;
        let rules = reach(spec, captures.paths()).rules().map_err(prepare("the rules that confine QEMU"))?;
        let child = spawn(spec, keeper, inherited, rules).await?;

        let pid = child.id();
        if let Some(pid) = pid {
            core_meter::watch(name.as_str(), pid);
        }
        let (kill, killed) = oneshot::channel();
        let (exit_sender, exited) = watch::channel(None);
        let supervisor = tokio::spawn(supervise(child, killed, exit_sender, said, words));
        let (badness_sender, badness) = watch::channel(None);
        let path = logs.path(&format!("console-{name}.log"));
        let log = Log::create(&path, console::LOG_LIMIT, logs.secrets).await;
        let log = log.map_err(prepare(&format!("{}", path.display())))?;
        let console = asynchronous(console).map_err(prepare("its console"))?;
        let (output, keyboard) = console.into_split();
        let terminal = Terminal::new(keyboard);
        let shown = terminal.clone();
        tokio::spawn(async move { console::follow(output, &shown, log, badness_sender).await });
        let qmp = match connected(asynchronous(qmp).map_err(prepare("its QMP socket"))?, spec, deadline).await {
            Ok(qmp) => qmp,
            Err(source) => return Err(died_or(name, exited, source).await),
        };
        let agent = Agent::new(agent);
        let waker = ClockSync::new(asynchronous(waker).map_err(prepare("its waker's port"))?);
        let kill = Some(kill);
        Ok(Self {
            name,
            qmp: Arc::new(qmp),
            agent,
            waker,
            ram,
            devices: spec.devices(),
            terminal,
            captures,
            linked: AtomicBool::new(true),
            pid,
            exited,
            badness,
            kill,
            supervisor,
        })
    }

    /// Its name.
    pub fn name(&self) -> &MachineName {
        &self.name
    }

    /// Its console.
    #[must_use]
    pub fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// What runs commands in it, for somebody who does not own it.
    #[must_use]
    pub fn commands(&self) -> Commands {
        self.agent.commands.clone()
    }

    /// Whether QEMU has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.exited.borrow().is_none()
    }

    /// QEMU's process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Waits until the guest's user space answers.
    pub async fn wait_for_agent(&self, deadline: Deadline) -> Result<(), MachineError> {
        let machine = || self.name.clone();
        match self.unless_trouble(self.agent.commands.ready(deadline)).await {
            Ok(answer) => answer.map_err(|source| MachineError::Agent { machine: machine(), source }),
            Err(trouble) => Err(MachineError::MachineFailure { machine: machine(), trouble }),
        }
    }

    /// Work by the agent, unless something befalls the machine first. An agent whose connection broke is a sign of that:
    /// then what befell the machine is the better answer.
    pub(super) async fn unless_trouble<T>(
        &self,
        work: impl Future<Output = Result<T, AgentError>>,
    ) -> Result<Result<T, AgentError>, MachineFailure> {
        let done = tokio::select! {
            done = work => done,
            trouble = self.trouble() => return Err(trouble),
        };
        match done {
            Err(AgentError::Gone) => {
                let trouble = tokio::time::timeout(Duration::from_secs(2), self.trouble()).await;
                trouble.map_or(Ok(Err(AgentError::Gone)), Err)
            }
            done => Ok(done),
        }
    }

    /// Completes when something befalls the machine; never, if nothing does.
    pub async fn trouble(&self) -> MachineFailure {
        let (mut exited, mut badness) = (self.exited.clone(), self.badness.clone());
        let mut ended = self.exited.clone();
        tokio::select! {
            biased;
            Ok(how) = exited.wait_for(Option::is_some) => MachineFailure::Exited { how: how.clone().unwrap_or_default() },
            Ok(seen) = badness.wait_for(Option::is_some) => {
                let seen = seen.clone();
                seen.map_or_else(|| MachineFailure::Exited { how: String::new() }, MachineFailure::Console)
            }
            () = self.qmp.closed() => {
                // A QEMU that ends does so, too.
                let how = tokio::time::timeout(ENDING, ended.wait_for(Option::is_some)).await;
                let how = how.ok().and_then(Result::ok).map(|how| how.clone().unwrap_or_default());
                how.map_or(MachineFailure::Uncontrolled, |how| MachineFailure::Exited { how })
            }
            else => std::future::pending().await,
        }
    }

    /// What QEMU answered to a command. A connection that broke is a sign that something has befallen the machine: then that is the
    /// better answer.
    pub(super) async fn controlled<T>(&self, done: Result<T, QmpError>) -> Result<T, MachineError> {
        let machine = || self.name.clone();
        match done {
            Ok(answer) => Ok(answer),
            Err(source @ QmpError::Broken { .. }) => match tokio::time::timeout(2 * ENDING, self.trouble()).await {
                Ok(trouble) => Err(MachineError::MachineFailure { machine: machine(), trouble }),
                Err(_) => Err(MachineError::Control { machine: machine(), source }),
            },
            Err(source) => Err(MachineError::Control { machine: machine(), source }),
        }
    }

    /// Ends QEMU at once, as pulling the plug does, and waits until it is gone.
    pub async fn stop(mut self, deadline: Deadline) -> Result<(), MachineError> {
        // A QEMU that does not listen is killed below.
        let _ = self.qmp.quit(deadline.at_most(Duration::from_secs(2))).await;
        if let Some(kill) = self.kill.take() {
            let _ = kill.send(());
        }
        let ended = deadline.bound("QEMU to end", &mut self.supervisor).await;
        ended.map(|_| ()).map_err(|source| MachineError::Expired { machine: self.name.clone(), source })
    }
}

async fn ram(spec: &Spec) -> std::io::Result<Option<Ram>> {
    let (mib, origin) = (spec.memory_mib, spec.origin.clone());
    let made = tokio::task::spawn_blocking(move || match origin {
        Origin::PowerOn | Origin::Snapshot(_) => Ram::empty(mib).map(Some),
        Origin::Copied(frozen) => Ram::saved(mib, &frozen.memory).map(Some),
        Origin::Thawed(_) => Ok(None),
    });
    made.await.map_err(std::io::Error::other)?
}

async fn connected(stream: UnixStream, spec: &Spec, deadline: Deadline) -> Result<Qmp, QmpError> {
    let qmp = Qmp::connect(stream, deadline).await?;
    freeze::load(&qmp, spec, deadline).await?;
    Ok(qmp)
}

/// `inherited` in the order of [`Descriptors::INHERITED`]; the last, the RAM, is there or not.
async fn spawn(
    spec: &Spec,
    keeper: &Keeper,
    inherited: Vec<OwnedFd>,
    rules: RulesetCreated,
) -> Result<Child, MachineError> {
    let (program, machine) = (spec.qemu.clone(), spec.name.clone());
    let descriptors = Descriptors::INHERITED;
    let arguments = argv(spec, descriptors);
    let runtime = tokio::runtime::Handle::current();
    let spawned = keeper
        .run(move || {
            let _entered = runtime.enter();
            let mut command = Command::new(&program);
            command
                .env_clear()
                .envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .kill_on_drop(true);
            // Before the descriptors are put in their places, one of which may be that of the rules.
            confine(command.as_std_mut(), rules);
            let Descriptors { qmp, agent, console, waker, memory } = descriptors;
            let numbers = [qmp, agent, console, waker, memory];
            let mappings = inherited.into_iter().zip(numbers);
            let mappings = mappings.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).collect();
            command.as_std_mut().fd_mappings(mappings).expect("the numbers in the child are distinct");
            tie_to_thread(command.as_std_mut());
            command.spawn()
        })
        .await?;
    spawned.map_err(|source| MachineError::Spawn { machine, program: spec.qemu.clone(), source })
}

fn asynchronous(socket: Socket) -> std::io::Result<UnixStream> {
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}

/// Owns the child until it has ended.
async fn supervise(
    mut child: Child,
    killed: oneshot::Receiver<()>,
    exited: watch::Sender<Option<String>>,
    said: Log,
    words: PathBuf,
) {
    let kills = Kills::so_far();
    let following = child.stderr.take().map(|stderr| tokio::spawn(said.follow(stderr)));
    tokio::select! {
        status = child.wait() => {
            // Its last words are still on their way.
            if let Some(following) = following {
                let _ = tokio::time::timeout(LAST_WORDS, following).await;
            }
            let _ = exited.send(Some(ending(status, Kills::so_far().since(kills), &words)));
        }
        // Told to, or the machine was dropped.
        _ = killed => {
            let _ = child.kill().await;
        }
    }
}

/// If QEMU has died, that is the reason why it does not answer.
async fn died_or(machine: MachineName, mut exited: watch::Receiver<Option<String>>, source: QmpError) -> MachineError {
    let patience = Deadline::after(Duration::from_secs(2));
    match patience.bound("QEMU to end", exited.wait_for(Option::is_some)).await {
        Ok(Ok(how)) => MachineError::MachineFailure {
            machine,
            trouble: MachineFailure::Exited { how: how.clone().unwrap_or_default() },
        },
        _ => MachineError::Control { machine, source },
    }
}
