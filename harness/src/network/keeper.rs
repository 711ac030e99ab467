//! A thread that lives inside a namespace as long as the lab does.
//!
//! Two facts of Linux make it needed: a child is in the network namespace of the *thread* that forked it, and a
//! parent-death signal fires when that *thread* ends. So guests are spawned on this one thread: they are born in the
//! lab's network, and they die with the thread, that is with the lab or with the process.

use super::namespace::NetworkError;
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// A thread inside a network namespace of its own, which runs jobs one after the other.
#[derive(Debug)]
pub struct Keeper {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    namespace: std::sync::Arc<OwnedFd>,
}

impl Keeper {
    /// Starts a thread in a fresh, empty network namespace.
    pub fn start() -> Result<Self, NetworkError> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (opened, ready) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("lab".into())
            .spawn(move || {
                let entered = new_namespace();
                let failed = entered.is_err();
                if opened.send(entered).is_err() || failed {
                    return;
                }
                for job in queue {
                    job();
                }
            })
            .map_err(NetworkError::Thread)?;
        let namespace = ready.recv().map_err(|_| NetworkError::KeeperGone)??;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), namespace: namespace.into() })
    }

    /// Runs `job` on the thread and hands back what it returns.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, NetworkError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            // The caller may have given up: nobody then wants the answer.
            let _ = reply.send(job());
        });
        self.jobs.as_ref().ok_or(NetworkError::KeeperGone)?.send(job).map_err(|_| NetworkError::KeeperGone)?;
        answer.await.map_err(|_| NetworkError::KeeperGone)
    }

    /// Runs `visit` on a short-lived thread inside the namespace: for sockets, which stay in the namespace that they
    /// were made in wherever they are used. Unlike [`Keeper::run`] it does not queue behind other jobs, and children
    /// spawned in it would die with it.
    pub async fn visit<T: Send + 'static>(
        &self,
        visit: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NetworkError> {
        let namespace = self.namespace.clone();
        let (reply, answer) = oneshot::channel();
        std::thread::Builder::new()
            .name("lab-visit".into())
            .spawn(move || {
                let outcome = setns(namespace.as_ref(), CloneFlags::CLONE_NEWNET).map(|()| visit());
                let _ = reply.send(outcome);
            })
            .map_err(NetworkError::Thread)?;
        answer.await.map_err(|_| NetworkError::KeeperGone)?.map_err(NetworkError::Enter)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic in a job was already reported where it happened; the thread has ended either way.
            let _ = thread.join();
        }
    }
}

fn new_namespace() -> Result<OwnedFd, NetworkError> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(NetworkError::Create)?;
    let own = File::open("/proc/thread-self/ns/net").map_err(NetworkError::Open)?;
    Ok(own.into())
}
