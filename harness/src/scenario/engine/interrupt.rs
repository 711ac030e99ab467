//! Somebody wants the run to end: at first in order, the second time at once.

use tokio_util::sync::CancellationToken;

/// The wish to end, shared by all that runs.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    wished: CancellationToken,
    at_once: CancellationToken,
}

impl Interrupt {
    /// Says the wish: the first time steps end and logs are still collected, the second time nothing is.
    pub fn ask(&self) {
        if self.wished.is_cancelled() {
            self.at_once.cancel();
        }
        self.wished.cancel();
    }

    /// Takes SIGINT, SIGTERM and the end of the terminal (SIGHUP, unless it is ignored as under `nohup`) for the wish, on the runtime that this is called in. `say` is told before each, whether it is
    /// the first.
    pub fn listen(&self, say: impl Fn(bool) + Send + 'static) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hung_up = crate::host::signals::hangup()?;
        let interrupt = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupted.recv() => {}
                    _ = terminate.recv() => {}
                    () = hung_up.recv() => {}
                }
                say(!interrupt.asked());
                interrupt.ask();
            }
        });
        Ok(())
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.wished.is_cancelled()
    }

    /// Completes when somebody asks.
    pub async fn wished(&self) {
        self.wished.cancelled().await;
    }

    pub(crate) async fn at_once(&self) {
        self.at_once.cancelled().await;
    }
}
