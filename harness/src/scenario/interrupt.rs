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

    /// Whether somebody has asked.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.wished.is_cancelled()
    }

    pub(super) async fn wished(&self) {
        self.wished.cancelled().await;
    }

    pub(super) async fn at_once(&self) {
        self.at_once.cancelled().await;
    }
}
