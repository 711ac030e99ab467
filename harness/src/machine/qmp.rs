//! QMP, the protocol by which QEMU itself is driven (QEMU `docs/interop/qmp-spec`).

use super::bounded::{Bounded, Bounds};
use crate::time::Deadline;
use qapi::ExecuteError;
use qapi::futures::{QapiService, QmpStreamTokio};
use qapi::qmp::{self, QmpCommand};
use std::io;
use std::sync::Arc;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A QEMU that a guest has taken over is a guest. Nothing that it is asked has long answers.
const BOUNDS: Bounds = Bounds { bytes: 4 << 20, values: 1 << 16 };

type Service = QapiService<QmpStreamTokio<WriteHalf<UnixStream>>>;

/// Why a QMP command has no result.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// QEMU did not greet, or the connection broke.
    #[error("QMP connection to QEMU failed")]
    Connection(#[source] io::Error),
    /// The connection broke during a command.
    #[error("QMP connection to QEMU broke during `{command}`")]
    Broken {
        /// The command.
        command: &'static str,
        /// How.
        #[source]
        source: io::Error,
    },
    /// QEMU refused the command.
    #[error("QEMU refused `{command}`: {reason}")]
    Refused {
        /// The command.
        command: &'static str,
        /// QEMU's words.
        reason: String,
    },
    /// No answer in time.
    #[error(transparent)]
    Expired(#[from] crate::time::Expired),
}

/// A connection to QEMU. Dropping it ends the connection, not QEMU.
pub(super) struct Qmp {
    service: Service,
    events: JoinHandle<()>,
    closed: watch::Receiver<bool>,
}

impl Qmp {
    /// Waits for QEMU's greeting and negotiates.
    pub(super) async fn connect(stream: UnixStream, deadline: Deadline) -> Result<Self, QmpError> {
        let (read, write): (ReadHalf<_>, WriteHalf<_>) = tokio::io::split(stream);
        let read = Bounded::new(read, BOUNDS, Arc::default());
        let opened = deadline.bound("QEMU's greeting", QmpStreamTokio::open_split(read, write)).await?;
        let stream = deadline
            .bound("QEMU's capabilities", opened.map_err(QmpError::Connection)?.negotiate())
            .await?
            .map_err(QmpError::Connection)?;
        let (service, events) = stream.into_parts();
        let (sender, closed) = watch::channel(false);
        let events = tokio::spawn(async move {
            events.into_future().await;
            sender.send_replace(true);
        });
        Ok(Self { service, events, closed })
    }

    /// Completes when QEMU has closed the connection, or has sent what makes no sense; never, if we close it.
    pub(super) async fn closed(&self) {
        if self.closed.clone().wait_for(|closed| *closed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Sends one command and waits for its result.
    pub(super) async fn execute<C: QmpCommand>(&self, command: C, deadline: Deadline) -> Result<C::Ok, QmpError> {
        let answer = deadline.bound(format!("QEMU to answer `{}`", C::NAME), self.service.execute(command)).await?;
        answer.map_err(|error| match error {
            ExecuteError::Io(source) => QmpError::Broken { command: C::NAME, source },
            refused @ ExecuteError::Qapi(_) => QmpError::Refused { command: C::NAME, reason: refused.to_string() },
        })
    }

    /// Tells QEMU to end at once; the guest is not asked.
    pub(super) async fn quit(&self, deadline: Deadline) -> Result<(), QmpError> {
        self.execute(qmp::quit {}, deadline).await.map(|_| ())
    }
}

impl Drop for Qmp {
    fn drop(&mut self) {
        self.events.abort();
    }
}

impl std::fmt::Debug for Qmp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Qmp").finish_non_exhaustive()
    }
}
