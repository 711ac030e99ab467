//! Answers clients, each on a connection of its own.

use super::holder::{HolderRequest, ProgressSender};
use super::protocol::{Account, Machine, Refusal, Reply, Request, Secret, State, Status, receive, send};
use crate::diagnostic::nearest;
use crate::lab::{LabHandle, Running};
use crate::scenario::Interrupt;
use crate::seed::Host;
use crate::time::Deadline;
use secrecy::ExposeSecret as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot, watch};

/// How long a connection to a machine may take to come about: nominal.
const CONNECTING: Duration = Duration::from_secs(4);
/// How long a command may take that a person runs by the guest agent.
const COMMAND: Duration = Duration::from_hours(24);

/// What connections need to answer.
pub(super) struct ServerState {
    pub(super) windows: watch::Receiver<Option<LabHandle>>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) wishes: mpsc::Sender<(HolderRequest, oneshot::Sender<Reply>)>,
    pub(super) lines: ProgressSender,
    pub(super) interrupt: Interrupt,
}

/// Takes connections until it is dropped.
pub(super) async fn serve(listener: UnixListener, desk: Arc<ServerState>) {
    loop {
        // That descriptors are used up passes: they are freed as connections end.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let desk = desk.clone();
        // A client that breaks off needs no answer.
        tokio::spawn(async move { desk.answer(stream).await.unwrap_or_default() });
    }
}

impl ServerState {
    async fn answer(&self, mut stream: UnixStream) -> io::Result<()> {
        let request = receive(&mut stream).await?;
        match self.carry_out(&mut stream, request).await {
            Ok(Some(reply)) => send(&mut stream, &reply).await,
            Ok(None) => Ok(()),
            Err(refusal) => send(&mut stream, &Reply::Refused(refusal)).await,
        }
    }

    /// The last answer, unless the connection was used up.
    async fn carry_out(&self, stream: &mut UnixStream, request: Request) -> Result<Option<Reply>, Refusal> {
        match request {
            Request::Status => Ok(Some(Reply::Status(self.status()))),
            Request::Connect { machine, port } => self.connect(stream, &machine, port).await.map(|()| None),
            Request::Console { machine } => self.console(stream, &machine).await.map(|()| None),
            Request::Run { machine, command } => {
                let window = self.window()?;
                let commands = &running(&window, &machine)?.commands;
                let output = commands.shell(&command, None, Deadline::after(COMMAND)).await;
                output.map(|output| Some(output.into())).map_err(|error| Refusal::Broken(error.to_string()))
            }
            Request::Key => {
                let key = self.window()?.identity().ssh_key().expose_secret().to_owned();
                Ok(Some(Reply::Key(Secret(key))))
            }
            Request::Accounts => {
                let window = self.window()?;
                let accounts = window.identity().passwords().map(|(name, password)| Account {
                    name: name.to_owned(),
                    password: Secret(password.plain().expose_secret().to_owned()),
                });
                Ok(Some(Reply::Accounts(accounts.collect())))
            }
            Request::Rewind { to } => self.wish(stream, HolderRequest::Rewind { to }).await.map(Some),
            Request::Resume { until, skip } => self.wish(stream, HolderRequest::Resume { until, skip }).await.map(Some),
            Request::Watch => std::future::pending().await,
            Request::Down => {
                self.interrupt.ask();
                // The connection ends with the lab.
                std::future::pending().await
            }
        }
    }

    fn window(&self) -> Result<LabHandle, Refusal> {
        let missing = || Refusal::NotNow("the lab does not run at this moment: it is being made, or replaced".into());
        self.windows.borrow().clone().ok_or_else(missing)
    }

    /// How things stand, with the machines of this moment.
    pub(super) fn status(&self) -> Status {
        let status = self.status.borrow().clone();
        let Some(window) = &*self.windows.borrow() else { return status };
        let machines = window.hosts().map(|(host, runs)| Machine {
            name: host.name.clone(),
            fqdn: host.fqdn.clone(),
            address: host.address,
            runs,
            inside: window.inside(&host.name).map(ToString::to_string),
        });
        Status { machines: machines.collect(), ..status }
    }

    async fn connect(&self, stream: &mut UnixStream, machine: &str, port: u16) -> Result<(), Refusal> {
        let window = self.window()?;
        let address = SocketAddr::from((host(&window, machine)?.address, port));
        // Of a machine inside another one nobody knows here whether it runs: its port tells.
        if window.inside(machine).is_none() {
            running(&window, machine)?;
        }
        let dialled = window.dial(address, window.pace().deadline(CONNECTING)).await;
        let mut port = dialled.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                Refusal::Unknown(format!("nothing listens on port {port} of {machine}"))
            }
            _ => Refusal::Broken(format!("{machine}:{port}: {error}")),
        })?;
        drop(window);
        open(stream).await?;
        // Whichever end breaks off, the pipe is over.
        let _ = tokio::io::copy_bidirectional(stream, &mut port).await;
        Ok(())
    }

    async fn console(&self, stream: &mut UnixStream, machine: &str) -> Result<(), Refusal> {
        let terminal = running(&self.window()?, machine)?.terminal.clone();
        let mut watcher = terminal.watch();
        open(stream).await?;
        let (mut keys, mut screen) = stream.split();
        let shown = async {
            screen.write_all(&watcher.lately).await?;
            loop {
                match watcher.now.recv().await {
                    Ok(bytes) => screen.write_all(&bytes).await?,
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return io::Result::Ok(()),
                }
            }
        };
        let typed = async {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = keys.read(&mut buffer).await {
                terminal.type_in(&buffer[..count]).await?;
            }
            io::Result::Ok(())
        };
        // Who types no more may still look; who does not look any more has gone.
        tokio::select! {
            _ = shown => {}
            Err(_) = typed => {}
        }
        Ok(())
    }

    /// Hands a wish to the holder, and on what it says meanwhile.
    async fn wish(&self, stream: &mut UnixStream, wish: HolderRequest) -> Result<Reply, Refusal> {
        if self.status.borrow().state == State::Busy {
            return Err(Refusal::NotNow("steps are being carried out: wait until the lab is held".into()));
        }
        let gone = || Refusal::NotNow("the lab is being taken down".into());
        let mut lines = self.lines.listen();
        let (reply, mut answer) = oneshot::channel();
        self.wishes.send((wish, reply)).await.map_err(|_| gone())?;
        let broken = |error: io::Error| Refusal::Broken(error.to_string());
        loop {
            tokio::select! {
                biased;
                Ok(line) = lines.recv() => send(stream, &Reply::Says(line)).await.map_err(broken)?,
                answer = &mut answer => return answer.map_err(|_| gone()),
            }
        }
    }
}

async fn open(stream: &mut UnixStream) -> Result<(), Refusal> {
    send(stream, &Reply::Open).await.map_err(|error| Refusal::Broken(error.to_string()))
}

fn host<'w>(window: &'w LabHandle, name: &str) -> Result<&'w Host, Refusal> {
    window.host(name).ok_or_else(|| {
        let known: Vec<_> = window.hosts().map(|(host, _)| host.name.as_str()).collect();
        let meant = nearest(name, &known).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        Refusal::Unknown(format!("there is no machine `{name}` in the lab; {meant}there are: {}", known.join(", ")))
    })
}

fn running<'w>(window: &'w LabHandle, name: &str) -> Result<&'w Running, Refusal> {
    host(window, name)?;
    window.running(name).ok_or_else(|| {
        Refusal::Broken(match window.inside(name) {
            Some(host) => format!("machine {name} is run by {host}: neither its console nor its guest agent is ours"),
            None => format!("machine {name} is switched off, or not there"),
        })
    })
}
