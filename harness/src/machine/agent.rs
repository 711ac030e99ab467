//! The QEMU guest agent: commands and files over virtio-serial, out of reach of any packet filter.
//!
//! The agent answers in order and its answers carry no number, so a caller that gave up half-way would leave an answer
//! for the next one. Therefore one task owns the connection and finishes every request that it started, whether
//! somebody still waits for it or not; when the guest's agent was restarted, the task makes a fresh, synchronised
//! connection over the same socket.
//!
//! Source: QEMU `docs/interop/qemu-ga-ref`.

use super::bounded::{Bounded, Bounds};
use crate::time::{Deadline, Expired};
use qapi::futures::{QapiService, QgaStreamTokio};
use qapi::qga;
use serde::Serialize;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::WriteHalf;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

type Service = QapiService<QgaStreamTokio<WriteHalf<UnixStream>>>;

/// How long the agent may take to answer one request before it is taken for dead or restarted.
const ANSWER: Duration = Duration::from_mins(1);

/// The agent keeps 16 MiB of each stream of a command (`GUEST_EXEC_MAX_OUTPUT` in qga/commands.c), and sends it in base64. No answer
/// that we ask for has a hundred values.
const BOUNDS: Bounds = Bounds { bytes: 46 << 20, values: 1 << 16 };

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// Its exit status; 128 + n after signal n, as a shell counts.
    pub status: i64,
    /// Standard output. Bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// The same, as it came.
#[derive(Debug)]
pub(super) struct Bytes {
    pub(super) status: i64,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// The agent has left out the end: it keeps 16 MiB.
    pub(super) is_cut: bool,
}

/// Why the agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The agent said no.
    #[error("the guest agent refused {request}: {reason}")]
    Refused {
        /// The request.
        request: &'static str,
        /// Its words.
        reason: String,
    },
    /// What it sends has no end.
    #[error("the guest agent sends more than anybody asked for; the guest is broken, or hostile")]
    Flood,
    /// The connection ended: QEMU is gone.
    #[error("the connection to the guest agent ended")]
    Gone,
    /// It does not answer.
    #[error("the guest agent has not answered for {} s: it hangs, or the guest does", ANSWER.as_secs())]
    Silent,
    /// No answer in time.
    #[error(transparent)]
    Expired(#[from] Expired),
}

/// A handle on the guest agent of one machine.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) commands: Commands,
    task: JoinHandle<()>,
}

/// Runs commands by the guest agent of one machine, as long as that runs.
#[derive(Debug, Clone)]
pub struct Commands {
    requests: mpsc::Sender<Request>,
}

enum Request {
    Ping(Reply<()>),
    Start(Box<qga::guest_exec>, Reply<i64>),
    Status(i64, Reply<qga::GuestExecStatus>),
}

type Reply<T> = oneshot::Sender<Result<T, Failure>>;

/// Why a request has no result.
enum Failure {
    /// What came is beyond all bounds.
    Flood,
    /// The connection broke: there is no QEMU at its other end.
    Broken,
    /// The agent said no.
    Refused(String),
}

impl Agent {
    /// Takes the host's end of the agent's port. Nothing is sent before the first request.
    pub(super) fn new(socket: std::os::unix::net::UnixStream) -> Self {
        let (requests, queue) = mpsc::channel(32);
        let task = tokio::spawn(serve(socket, queue));
        Self { commands: Commands { requests }, task }
    }
}

impl Commands {
    /// Waits until the agent answers: the guest's user space is up.
    pub(super) async fn ready(&self, deadline: Deadline) -> Result<(), AgentError> {
        let (reply, answer) = oneshot::channel();
        self.request("guest-ping", Request::Ping(reply), answer, "the guest agent to answer", deadline).await
    }

    /// Runs `/bin/sh -c script` in the guest, with `input` on its standard input.
    pub async fn shell(&self, script: &str, input: Option<&[u8]>, deadline: Deadline) -> Result<Output, AgentError> {
        self.run("/bin/sh", &["-c", script], input, deadline).await
    }

    /// Runs one program in the guest, without a shell, with `input` on its standard input.
    pub(super) async fn run(
        &self,
        program: &str,
        arguments: &[&str],
        input: Option<&[u8]>,
        deadline: Deadline,
    ) -> Result<Output, AgentError> {
        self.run_for_bytes(program, arguments, input, deadline).await.map(Output::from)
    }

    /// The same, for a program whose output is no text.
    pub(super) async fn run_for_bytes(
        &self,
        program: &str,
        arguments: &[&str],
        input: Option<&[u8]>,
        deadline: Deadline,
    ) -> Result<Bytes, AgentError> {
        let command = qga::guest_exec {
            path: program.into(),
            arg: Some(arguments.iter().map(|&argument| argument.into()).collect()),
            env: None,
            input_data: input.map(<[u8]>::to_vec),
            capture_output: Some(qga::GuestExecCaptureOutput::flag(true)),
        };
        let (reply, answer) = oneshot::channel();
        let request = Request::Start(Box::new(command), reply);
        let pid = self.request("guest-exec", request, answer, "the guest to start a command", deadline).await?;
        // Of a shell it is the script that people know.
        let known_as = arguments.last().filter(|_| program == "/bin/sh").copied().unwrap_or(program);
        self.finished(pid, known_as, deadline).await
    }

    async fn finished(&self, pid: i64, script: &str, deadline: Deadline) -> Result<Bytes, AgentError> {
        let mut pause = Duration::from_millis(5);
        loop {
            let (reply, answer) = oneshot::channel();
            let what = "the status of a command";
            let status = self.request("guest-exec-status", Request::Status(pid, reply), answer, what, deadline).await?;
            if status.exited {
                return Ok(Bytes::from(status));
            }
            if deadline.passed() {
                return Err(deadline.expired(format_args!("`{}` to end", summary(script)), None).into());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(Duration::from_millis(100));
        }
    }

    async fn request<T>(
        &self,
        name: &'static str,
        request: Request,
        answer: oneshot::Receiver<Result<T, Failure>>,
        what: &str,
        deadline: Deadline,
    ) -> Result<T, AgentError> {
        self.requests.send(request).await.map_err(|_| AgentError::Gone)?;
        let answer = deadline.bound(what, answer).await?;
        // Whoever serves requests gives one up that gets no answer, or ends with QEMU.
        let given_up = |_| if self.requests.is_closed() { AgentError::Gone } else { AgentError::Silent };
        let answer = answer.map_err(given_up)?;
        answer.map_err(|failure| match failure {
            Failure::Broken => AgentError::Gone,
            Failure::Flood => AgentError::Flood,
            Failure::Refused(reason) => AgentError::Refused { request: name, reason },
        })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection on which the next answer belongs to the next request.
struct Connection {
    service: Service,
    /// Whether something came that is beyond all bounds.
    exceeded: Arc<AtomicBool>,
}

/// Owns the socket; ends when nobody can ask any more.
async fn serve(socket: std::os::unix::net::UnixStream, mut queue: mpsc::Receiver<Request>) {
    let mut service = None;
    while let Some(request) = queue.recv().await {
        let connected = match service.take() {
            Some(connected) => connected,
            None => match synchronised(&socket).await {
                Some(fresh) => fresh,
                None => return,
            },
        };
        // An agent that does not answer was restarted with its guest, or hangs: the next request finds out.
        let Connection { service: connected, exceeded } = connected;
        if tokio::time::timeout(ANSWER, answer(&connected, &exceeded, request)).await == Ok(true) {
            service = Some(Connection { service: connected, exceeded });
        }
    }
}

/// Makes one. Waits for the agent as long as QEMU lives.
async fn synchronised(socket: &std::os::unix::net::UnixStream) -> Option<Connection> {
    loop {
        let stream = socket.try_clone().ok()?;
        stream.set_nonblocking(true).ok()?;
        let stream = UnixStream::from_std(stream).ok()?;
        let exceeded = Arc::new(AtomicBool::new(false));
        let (read, write) = tokio::io::split(stream);
        let read = Bounded::new(read, BOUNDS, exceeded.clone());
        let (service, events) = QgaStreamTokio::open_split(read, write).into_parts();
        let events = events.spawn_tokio();
        let id = i32::from_be_bytes(rand::random()) & i32::MAX;
        match tokio::time::timeout(ANSWER, service.guest_sync(id)).await {
            Ok(Ok(())) => return Some(Connection { service, exceeded }),
            // Stale bytes of an earlier connection, or no agent yet: ask again. End of file: QEMU is gone.
            Ok(Err(error)) if is_end_of_file(&error) && socket_is_closed(socket) => return None,
            Ok(Err(_)) | Err(_) => events.abort(),
        }
    }
}

fn is_end_of_file(error: &qapi::ExecuteError) -> bool {
    matches!(error, qapi::ExecuteError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof)
}

fn socket_is_closed(socket: &std::os::unix::net::UnixStream) -> bool {
    use nix::sys::socket::{MsgFlags, recv};
    use std::os::fd::AsRawFd;
    let mut byte = [0; 1];
    matches!(recv(socket.as_raw_fd(), &mut byte, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT), Ok(0))
}

/// Carries one request through. False when the connection cannot be used any more.
async fn answer(service: &Service, exceeded: &AtomicBool, request: Request) -> bool {
    match request {
        Request::Ping(reply) => hand_over(reply, exceeded, service.execute(qga::guest_ping {}).await.map(|_| ())),
        Request::Start(command, reply) => {
            hand_over(reply, exceeded, service.execute(*command).await.map(|started| started.pid))
        }
        Request::Status(pid, reply) => {
            hand_over(reply, exceeded, service.execute(qga::guest_exec_status { pid }).await)
        }
    }
}

fn hand_over<T>(reply: Reply<T>, exceeded: &AtomicBool, answer: Result<T, qapi::ExecuteError>) -> bool {
    let answer = answer.map_err(|error| match error {
        qapi::ExecuteError::Io(_) if exceeded.load(Ordering::Relaxed) => Failure::Flood,
        qapi::ExecuteError::Io(_) => Failure::Broken,
        refused @ qapi::ExecuteError::Qapi(_) => Failure::Refused(refused.to_string()),
    });
    let usable = !matches!(answer, Err(Failure::Broken | Failure::Flood));
    // A caller that gave up does not want its answer: a failed send is no error.
    let _ = reply.send(answer);
    usable
}

impl From<qga::GuestExecStatus> for Bytes {
    fn from(status: qga::GuestExecStatus) -> Self {
        let by_signal = status.signal.map(|signal| signal.saturating_add(128));
        Self {
            status: status.exitcode.or(by_signal).unwrap_or(-1),
            stdout: status.out_data.unwrap_or_default(),
            stderr: status.err_data.unwrap_or_default(),
            is_cut: status.out_truncated == Some(true),
        }
    }
}

impl From<Bytes> for Output {
    fn from(bytes: Bytes) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { status: bytes.status, stdout: text(bytes.stdout), stderr: text(bytes.stderr) }
    }
}

/// The first line of a script, short enough for a message.
pub(super) fn summary(script: &str) -> String {
    let mut lines = script.trim().lines();
    let first = lines.next().unwrap_or_default();
    let cut: String = first.chars().take(80).collect();
    if cut.len() < first.len() || lines.next().is_some() { format!("{cut} …") } else { cut }
}

/// Reads anything as what an agent sends.
#[cfg(any(test, fuzzing))]
pub(crate) async fn fuzz(bytes: &[u8]) {
    let read = Bounded::new(bytes, Bounds { bytes: 4096, values: 64 }, Arc::default());
    let (service, events) = QgaStreamTokio::open_split(read, tokio::io::sink()).into_parts();
    let asked = service.execute(qga::guest_exec_status { pid: 1 });
    // Whichever ends first: the answer is there, or nothing more comes.
    tokio::select! {
        answer = asked => drop(answer.map(|status| Output::from(Bytes::from(status)))),
        _ = events => {}
    }
}
