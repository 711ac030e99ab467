//! What goes into an rpm, whoever writes it.

use super::version::Evr;
use super::write::BUILT;
use crate::predict::entry::{Algorithm, Care};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A package of a release.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub evr: Evr,
    /// Whether it is the same on every architecture.
    pub noarch: bool,
    /// One line for people.
    pub summary: String,
    /// What it is filed under.
    pub section: String,
    /// What it needs of others, and what it does to them.
    pub relations: Relations,
    /// Its files, by path.
    pub files: BTreeMap<String, File>,
    /// What rpm runs.
    pub scriptlets: Scriptlets,
    /// How the digests of its files are made.
    pub digests: Algorithm,
}

impl Package {
    /// The name of its file.
    #[must_use]
    pub fn file_name(&self) -> String {
        let architecture = if self.noarch { "noarch" } else { "x86_64" };
        format!("{}-{}.{architecture}.rpm", self.name, self.evr.without_epoch())
    }
}

/// A file of a package.
#[derive(Debug, Clone)]
pub struct File {
    /// What lies there.
    pub content: Content,
    /// Permissions, of a file or directory.
    pub mode: u16,
    /// The user, by name.
    pub owner: String,
    /// The group, by name.
    pub group: String,
    /// When it was last changed, in seconds since 1970.
    pub modified: u32,
    /// What rpm does to changes that the administrator made.
    pub care: Care,
    /// The first name of a file that has several in this package.
    pub hard_link: Option<String>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            content: Content::Directory,
            mode: 0o755,
            owner: "root".into(),
            group: "root".into(),
            modified: BUILT,
            care: Care::None,
            hard_link: None,
        }
    }
}

/// What lies at a path.
#[derive(Debug, Clone)]
pub enum Content {
    /// A regular file.
    File(Arc<Vec<u8>>),
    /// A symbolic link to this target.
    Link(String),
    /// A directory.
    Directory,
}

/// One relation to other packages, in rpm's terms.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Need {
    /// The other package, or what it provides.
    pub name: String,
    /// Sign (`<`, `<=`, `=`, `>=`, `>`) and version.
    pub version: Option<(String, String)>,
}

impl Need {
    /// Any version.
    #[must_use]
    pub fn any(name: &str) -> Self {
        Self { name: name.to_owned(), version: None }
    }
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.version {
            None => f.write_str(&self.name),
            Some((sign, version)) => write!(f, "{} {sign} {version}", self.name),
        }
    }
}

/// Relations of a package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Relations {
    /// What must be there.
    pub requires: Vec<Need>,
    /// What must be there before this package's files come, and is therefore installed before: `Requires(pre)`.
    pub requires_before: Vec<Need>,
    /// Other names of it.
    pub provides: Vec<Need>,
    /// What must not be there.
    pub conflicts: Vec<Need>,
    /// What it takes the place of.
    pub obsoletes: Vec<Need>,
}

/// What rpm runs, and by what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scriptlets {
    /// After the files have come.
    pub post: Option<Scriptlet>,
    /// Before the files go.
    pub preun: Option<Scriptlet>,
    /// After the whole transaction.
    pub posttrans: Option<Scriptlet>,
}

/// A scriptlet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scriptlet {
    /// `/bin/sh`, or `<lua>`: the interpreter in rpm itself.
    pub interpreter: &'static str,
    /// The text.
    pub text: String,
}

impl Scriptlet {
    /// For the shell.
    #[must_use]
    pub fn shell(text: impl Into<String>) -> Self {
        Self { interpreter: "/bin/sh", text: text.into() }
    }

    /// For rpm's own interpreter.
    #[must_use]
    pub fn lua(text: impl Into<String>) -> Self {
        Self { interpreter: "<lua>", text: text.into() }
    }
}
