//! Where a held lab is, and which of several is meant.

use super::protocol::FORMAT;
use crate::diagnostic::nearest;
use crate::host::workspace::Workspace;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The first word of the names of workspaces that hold labs.
const PURPOSE: &str = "hold";
const CARD: &str = "card.json";
const SOCKET: &str = "socket";
const AUTHORITY: &str = "authority.pem";

/// What is held, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRecord {
    /// The language that its holder speaks.
    pub format: u32,
    /// What it is called: the scenario's name, and a number if there are several.
    pub name: String,
    /// The scenario.
    pub scenario: String,
    /// The case. A holder of an earlier version calls it a cell.
    #[serde(alias = "cell")]
    pub case: String,
    /// The process that holds it.
    pub pid: u32,
    /// Since when.
    pub since: jiff::Timestamp,
    /// Where its logs and results are.
    pub results: PathBuf,
}

/// The workspace of a held lab, as its holder has it. All is gone with it.
#[derive(Debug)]
pub struct Place {
    workspace: Workspace,
    /// What is written on its card.
    pub card: SessionRecord,
    listener: Option<std::os::unix::net::UnixListener>,
}

/// Why no lab was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There is none.
    #[error("no lab is held now; `cargo xtask repro SCENARIO` holds one")]
    None,
    /// There is none of that name.
    #[error("no lab called `{name}` is held; {hint}")]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        hint: String,
    },
    /// There are several.
    #[error("several labs are held: choose one by --lab: {}", names.join(", "))]
    Several {
        /// Their names.
        names: Vec<String>,
    },
    /// Its holder speaks another language.
    #[error("lab {name} is held by another version of Rehearsal: end it by `kill {pid}`")]
    Foreign {
        /// Its name.
        name: String,
        /// Its holder.
        pid: u32,
    },
    /// The directory of labs could not be read.
    #[error("failed to look for labs in {}", place.display())]
    Unreadable {
        /// The directory.
        place: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Place {
    /// Makes the workspace of a lab below `labs`, with a socket that waits for clients.
    pub fn create(labs: &Path, scenario: &str, case: &str, results: &Path) -> io::Result<Self> {
        let workspace = Workspace::create(labs, PURPOSE)?;
        let taken: Vec<_> = held(labs)?.into_iter().map(|(_, card)| card.name).collect();
        let card = SessionRecord {
            format: FORMAT,
            name: free_name(scenario, &taken),
            scenario: scenario.to_owned(),
            case: case.to_owned(),
            pid: std::process::id(),
            since: jiff::Timestamp::now(),
            results: results.to_owned(),
        };
        let listener = reach(workspace.path(), |path| std::os::unix::net::UnixListener::bind(path))?;
        listener.set_nonblocking(true)?;
        // Whoever finds the card finds the socket, too.
        private_file(&workspace.path().join(CARD), &serde_json::to_vec_pretty(&card)?)?;
        Ok(Self { workspace, card, listener: Some(listener) })
    }

    /// The socket, once.
    pub(super) fn listener(&mut self) -> io::Result<tokio::net::UnixListener> {
        let listener = self.listener.take().ok_or_else(|| io::Error::other("the socket is served already"))?;
        tokio::net::UnixListener::from_std(listener)
    }

    /// Puts the certificate of the lab's authority there, for programs that shall trust it.
    pub(super) fn publish_authority(&self, pem: &str) -> io::Result<PathBuf> {
        let path = self.workspace.path().join(AUTHORITY);
        if !path.exists() {
            private_file(&path, pem.as_bytes())?;
        }
        Ok(path)
    }
}

/// Calls `visit` with a short path to the socket in `directory`: the address of a socket has no room for a long one
/// (unix(7), `sun_path`).
pub(super) fn reach<T>(directory: &Path, visit: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let directory = File::open(directory)?;
    visit(&Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(SOCKET))
}

fn private_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let half = path.with_extension("new");
    File::options().create_new(true).write(true).mode(0o600).open(&half)?.write_all(content)?;
    std::fs::rename(half, path)
}

fn free_name(scenario: &str, taken: &[String]) -> String {
    let numbered = (2..).map(|number| format!("{scenario}-{number}"));
    let mut names = std::iter::once(scenario.to_owned()).chain(numbered);
    names.find(|name| !taken.contains(name)).unwrap_or_else(|| scenario.to_owned())
}

/// The labs that are held now, by the directory of each; sorted by name. A card whose holder is gone is passed over: its
/// janitor is about to remove it.
pub fn held(labs: &Path) -> io::Result<Vec<(PathBuf, SessionRecord)>> {
    let mut found = Vec::new();
    if !labs.is_dir() {
        return Ok(found);
    }
    for entry in fs_err::read_dir(labs)? {
        let directory = entry?.path();
        let of_ours = directory.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PURPOSE));
        if !of_ours {
            continue;
        }
        let Ok(text) = std::fs::read(directory.join(CARD)) else { continue };
        let alive = reach(&directory, |path| std::os::unix::net::UnixStream::connect(path)).is_ok();
        if let (true, Ok(card)) = (alive, serde_json::from_slice(&text)) {
            found.push((directory, card));
        }
    }
    found.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
    Ok(found)
}

/// The lab that is meant: the one of that name, or the only one.
pub fn find(labs: &Path, name: Option<&str>) -> Result<(PathBuf, SessionRecord), FindError> {
    let unreadable = |source| FindError::Unreadable { place: labs.to_owned(), source };
    let found = choose(held(labs).map_err(unreadable)?, name)?;
    if found.1.format == FORMAT {
        return Ok(found);
    }
    Err(FindError::Foreign { name: found.1.name, pid: found.1.pid })
}

fn choose(mut labs: Vec<(PathBuf, SessionRecord)>, name: Option<&str>) -> Result<(PathBuf, SessionRecord), FindError> {
    let names: Vec<_> = labs.iter().map(|(_, card)| card.name.clone()).collect();
    match (name, labs.len()) {
        (_, 0) => Err(FindError::None),
        (None, 1) => Ok(labs.remove(0)),
        (None, _) => Err(FindError::Several { names }),
        (Some(name), _) => {
            let known: Vec<_> = names.iter().map(String::as_str).collect();
            let meant = nearest(name, &known).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            let hint = format!("{meant}there are: {}", known.join(", "));
            let chosen = labs.into_iter().find(|(_, card)| card.name == name);
            chosen.ok_or_else(|| FindError::Unknown { name: name.to_owned(), hint })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn create(labs: &Path) -> Place {
        Place::create(labs, "pam-loss", "fault", Path::new("/results")).unwrap()
    }

    #[test]
    fn a_held_lab_is_found_and_gone_with_its_holder() {
        // A long path does not fit into the address of a socket.
        let parent = tempfile::tempdir().unwrap();
        let labs = parent.path().join("x".repeat(120));
        assert!(matches!(find(&labs, None), Err(FindError::None)));
        let first = create(&labs);
        let (directory, card) = find(&labs, None).unwrap();
        assert_eq!((card.name.as_str(), card.pid), ("pam-loss", std::process::id()));
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&directory.join(CARD))), (0o700, 0o600));
        let second = create(&labs);
        assert_eq!(second.card.name, "pam-loss-2");
        assert_eq!(find(&labs, Some("pam-loss-2")).unwrap().1, second.card);
        let several = find(&labs, None).unwrap_err().to_string();
        assert!(several.ends_with("choose one by --lab: pam-loss, pam-loss-2"), "{several}");
        let unknown = find(&labs, Some("pam-los")).unwrap_err().to_string();
        assert!(unknown.contains("did you mean `pam-loss`? there are: pam-loss, pam-loss-2"), "{unknown}");
        drop((first, second));
        assert!(matches!(find(&labs, None), Err(FindError::None)));
        assert_eq!(std::fs::read_dir(&labs).unwrap().count(), 0);
    }

    #[test]
    fn another_language_is_told() {
        let labs = tempfile::tempdir().unwrap();
        let place = create(labs.path());
        let card = SessionRecord { format: 0, ..place.card.clone() };
        std::fs::write(place.workspace.path().join(CARD), serde_json::to_vec(&card).unwrap()).unwrap();
        let error = find(labs.path(), None).unwrap_err().to_string();
        assert!(error.contains(&format!("end it by `kill {}`", std::process::id())), "{error}");
    }
}
