//! A private directory for one run's disks, sockets and memory files, which is gone when we are, whatever way we end.
//!
//! On an orderly end it is removed by [`Drop`]. A process killed with SIGKILL runs no code, so a *janitor* waits beside it:
//! a shell in a session of its own that reads from a pipe only we can write to. We never write; when we end, however, the
//! kernel closes the pipe, and the janitor removes the directory. For the case that the janitor is killed too, a locked
//! file marks a directory that is in use, and [`Workspace::sweep`] removes those whose lock nobody holds.

use crate::size::Size;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The file in a workspace that its owner holds locked; only directories with this file are ever swept.
const LOCK_FILE: &str = ".rehearsal-in-use";

/// Reads to the end of standard input, then removes the directory: for some seconds more, if QEMU processes that are
/// dying with us still write to it. The signals by which a terminal ends us are not meant for it.
const JANITOR: &str = r#"
trap '' INT TERM HUP
while read -r _; do :; done
tries=0
while [ -d "$1" ] && ! rm -rf -- "$1" 2>/dev/null && [ "$tries" -lt 50 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
"#;

/// A directory that is removed when this value is dropped, or this process ends in any other way.
#[derive(Debug)]
pub struct Workspace {
    path: PathBuf,
    janitor: Child,
    /// Held to the end: the lock goes with the open file.
    _in_use: File,
}

impl Workspace {
    /// Makes a directory `<purpose>-<random>` below `parent`, which is made if need be; only its owner may enter it.
    pub fn create(parent: &Path, purpose: &str) -> io::Result<Self> {
        fs_err::create_dir_all(parent)?;
        // While we hold the parent, nobody sweeps a directory that is made and not locked yet.
        let parent_lock = hold(parent)?;
        let path = parent.join(format!("{purpose}-{:012x}", rand::random::<u64>() & 0xffff_ffff_ffff));
        // The janitor comes first: there is no moment at which we could be killed and leave a directory without one.
        let mut janitor = start_janitor(&path)?;
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path).and_then(|()| lock_in(&path));
        drop(parent_lock);
        match made {
            Ok(in_use) => Ok(Self { path, janitor, _in_use: in_use }),
            Err(error) => {
                // It removes what there is.
                drop(janitor.stdin.take());
                janitor.wait()?;
                Err(error)
            }
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a directory is a workspace, in use or abandoned.
    #[must_use]
    pub fn is_one(directory: &Path) -> bool {
        directory.join(LOCK_FILE).is_file()
    }

    /// Removes the workspaces below `parent` that nobody uses any more, and says which and what they took.
    pub fn sweep(parent: &Path) -> io::Result<Vec<(PathBuf, Size)>> {
        if !parent.is_dir() {
            return Ok(Vec::new());
        }
        let _parent_lock = hold(parent)?;
        let mut removed = Vec::new();
        for entry in fs_err::read_dir(parent)? {
            let path = entry?.path();
            if is_abandoned(&path)? {
                let size = Size::on_disk(&path);
                match fs_err::remove_dir_all(&path) {
                    // A janitor was quicker.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    result => result.map(|()| removed.push((path, size)))?,
                }
            }
        }
        Ok(removed)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = fs_err::remove_dir_all(&self.path);
        // The janitor sees the end of its input, does what we could not, and ends.
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

fn hold(directory: &Path) -> io::Result<File> {
    let file = File::open(directory)?;
    file.lock()?;
    Ok(file)
}

fn lock_in(directory: &Path) -> io::Result<File> {
    let file = File::create_new(directory.join(LOCK_FILE))?;
    file.lock()?;
    Ok(file)
}

fn is_abandoned(directory: &Path) -> io::Result<bool> {
    // Without one it is no workspace, one that its janitor is removing, or another user's.
    let Ok(file) = File::open(directory.join(LOCK_FILE)) else { return Ok(false) };
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn start_janitor(directory: &Path) -> io::Result<Child> {
    // setsid(1) becomes the shell without a fork, since it is no leader of a process group: so we can wait for it.
    // The pipe's other end is closed on exec, as all that std makes: no other child of ours holds it open.
    Command::new("setsid")
        .args(["sh", "-c", JANITOR, "rehearsal-janitor"])
        .arg(std::path::absolute(directory)?)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::raw::tie_to_thread;
    use crate::time::Deadline;
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    #[test]
    fn drop_removes_the_directory_and_reaps_the_janitor() {
        let parent = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(parent.path(), "lab").unwrap();
        let (path, janitor) = (workspace.path().to_owned(), workspace.janitor.id());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::create_dir(path.join("disks")).unwrap();
        std::fs::write(path.join("disks/a.qcow2"), "content").unwrap();
        drop(workspace);
        assert!(!path.exists());
        assert!(!Path::new(&format!("/proc/{janitor}")).exists(), "the janitor is left");
    }

    #[test]
    fn sweep_removes_what_nobody_holds_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let live = Workspace::create(parent.path(), "lab").unwrap();
        let stale = parent.path().join("lab-00000000abcd");
        let foreign = parent.path().join("pictures");
        for directory in [&stale, &foreign] {
            std::fs::create_dir(directory).unwrap();
        }
        std::fs::write(stale.join(LOCK_FILE), "").unwrap();
        let removed = Workspace::sweep(parent.path()).unwrap();
        assert_eq!(removed.into_iter().map(|(path, _)| path).collect::<Vec<_>>(), [stale.as_path()]);
        assert!(!stale.exists() && foreign.exists() && live.path().exists());
    }

    const PARENT_VARIABLE: &str = "REHEARSAL_TEST_WORKSPACE_PARENT";

    /// Not a test by itself: the process that the next test kills. Without the variable it has nothing to do.
    #[test]
    fn process_to_be_killed() {
        let Some(parent) = std::env::var_os(PARENT_VARIABLE) else { return };
        let workspace = Workspace::create(Path::new(&parent), "killed").unwrap();
        println!("workspace={}", workspace.path().display());
        // Until the test kills us.
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        panic!("nobody killed this process");
    }

    const BUSY_VARIABLE: &str = "REHEARSAL_TEST_BUSY_PARENT";

    /// Not a test by itself: makes workspaces until the next test kills it.
    #[test]
    fn process_that_makes_workspaces() {
        let Some(parent) = std::env::var_os(BUSY_VARIABLE) else { return };
        loop {
            println!("next");
            drop(Workspace::create(Path::new(&parent), "busy").unwrap());
        }
    }

    #[tokio::test]
    async fn a_process_killed_while_it_makes_one_leaves_none() {
        let parent = tempfile::tempdir().unwrap();
        for number in 0..60 {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "host::workspace::tests::process_that_makes_workspaces", "--nocapture"]);
            command.env(BUSY_VARIABLE, parent.path()).stdin(Stdio::null()).stdout(Stdio::piped());
            let mut process = tie_to_thread(&mut command).spawn().unwrap();
            // Read to the end of this turn: a closed pipe would end the process before we do.
            let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
            assert!(output.by_ref().map_while(Result::ok).any(|line| line.contains("next")));
            // Each time a little later: a timer of the runtime is too coarse for that.
            let moment = std::time::Instant::now() + Duration::from_micros(number * 15);
            while std::time::Instant::now() < moment {
                std::hint::spin_loop();
            }
            process.kill().unwrap();
            process.wait().unwrap();
        }
        let left = || async {
            let left = std::fs::read_dir(parent.path()).unwrap().count();
            if left == 0 { Ok(()) } else { Err(format!("{left} directories")) }
        };
        Deadline::after(Duration::from_secs(20)).poll("no workspace to be left", left).await.unwrap();
    }

    #[tokio::test]
    async fn a_killed_process_leaves_no_directory() {
        let parent = tempfile::tempdir().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "host::workspace::tests::process_to_be_killed", "--nocapture"]);
        command.env(PARENT_VARIABLE, parent.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = tie_to_thread(&mut command).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let path =
            output.lines().map_while(Result::ok).find_map(|line| Some(line.split_once("workspace=")?.1.to_owned()));
        let path = PathBuf::from(path.expect("the process says where its workspace is"));
        assert!(path.is_dir());
        process.kill().unwrap();
        process.wait().unwrap();
        let gone = || async { if path.exists() { Err("it is there".to_owned()) } else { Ok(()) } };
        Deadline::after(Duration::from_secs(20)).poll("the workspace to be removed", gone).await.unwrap();
    }
}
