//! The serial console as a person sits at it: what was shown lately, what is shown from now on, and a keyboard.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::broadcast;

/// How much of what was shown is shown again to whoever comes later, in bytes.
const MEMORY: usize = 16 << 10;

/// Pieces that a slow watcher may lag behind before it misses some.
const BACKLOG: usize = 256;

/// The console of one running machine. Clones are the same console.
#[derive(Debug, Clone)]
pub struct Terminal {
    screen: Arc<Mutex<Screen>>,
    /// Kept open as long as the console is read: QEMU takes the end of this direction for the end of both.
    keyboard: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
}

#[derive(Debug)]
struct Screen {
    lately: VecDeque<u8>,
    /// None when the guest has closed it.
    now: Option<broadcast::Sender<Vec<u8>>>,
}

/// Somebody who looks at a console.
#[derive(Debug)]
pub struct Watcher {
    /// What was shown lately.
    pub lately: Vec<u8>,
    /// What is shown from then on, without a gap.
    pub now: broadcast::Receiver<Vec<u8>>,
}

impl Terminal {
    pub(super) fn new(keyboard: OwnedWriteHalf) -> Self {
        let (now, _) = broadcast::channel(BACKLOG);
        let screen = Screen { lately: VecDeque::new(), now: Some(now) };
        Self { screen: Arc::new(screen.into()), keyboard: Arc::new(keyboard.into()) }
    }

    /// Takes what the guest has printed.
    pub(super) fn show(&self, bytes: &[u8]) {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        screen.lately.extend(bytes);
        let excess = screen.lately.len().saturating_sub(MEMORY);
        screen.lately.drain(..excess);
        // Nobody may be looking.
        let _ = screen.now.as_ref().map(|now| now.send(bytes.to_vec()));
    }

    /// The guest prints no more.
    pub(super) fn close(&self) {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).now = None;
    }

    /// Looks at the console.
    #[must_use]
    pub fn watch(&self) -> Watcher {
        let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = screen.now.as_ref().map_or_else(|| broadcast::channel(1).1, broadcast::Sender::subscribe);
        Watcher { lately: screen.lately.iter().copied().collect(), now }
    }

    /// Types on its keyboard.
    pub async fn type_in(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.keyboard.lock().await.write_all(bytes).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn who_comes_later_sees_what_was_shown_and_misses_nothing() {
        let (ours, mut guest) = UnixStream::pair().unwrap();
        let (_output, keyboard) = ours.into_split();
        let terminal = Terminal::new(keyboard);
        terminal.show(&vec![b'x'; MEMORY]);
        terminal.show(b"login: ");
        let mut watcher = terminal.watch();
        terminal.show(b"root");
        assert_eq!((watcher.lately.len(), watcher.lately.ends_with(b"xlogin: ")), (MEMORY, true));
        assert_eq!(watcher.now.recv().await.unwrap(), b"root");
        terminal.type_in(b"alice\r").await.unwrap();
        let mut typed = [0; 6];
        guest.read_exact(&mut typed).await.unwrap();
        assert_eq!(&typed, b"alice\r");
        terminal.close();
        assert_eq!(watcher.now.recv().await, Err(broadcast::error::RecvError::Closed));
        assert_eq!(terminal.watch().now.recv().await, Err(broadcast::error::RecvError::Closed));
    }
}
