//! What Debian's own maintainer scripts make of a release, seen in a tree that mmdebstrap has installed.
//!
//! rpm gives every path the owner and mode that the package says, at every upgrade; dpkg leaves alone what a maintainer
//! script has changed. So the packages must say what is true after the scripts: without that, an upgrade gives
//! /var/lib/cyrus to root, takes the group from postdrop, and neither daemon starts. Byte code of Python belongs to
//! the packages for another reason: nobody wants to make it on the user's machine.

use super::deb::canonical;
use super::debs::Debs;
use super::definition::Definition;
use super::error::ReleaseError;
use super::package::{Content, File};
use super::site::{Progress, Site};
use crate::cache::{ContentKey, EntryName, InUse, Size};
use crate::image::{LEFT_OUT, mirror, run_tool, tool_version};
use crate::plain_path::PlainPath;
use crate::shell::{quoted, quoted_path};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Changes when something else is harvested.
const FORMAT: &str = "2";

const TREE: &str = "tree.tar";
const HARVEST: &str = "harvest.json";
const BYTECODE: &str = "bytecode";

/// What a path is like in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attributes {
    pub(super) mode: u16,
    pub(super) owner: String,
    pub(super) group: String,
    /// The target, if it is a link.
    pub(super) link: Option<String>,
}

/// What was made of one package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OfPackage {
    /// Its paths.
    pub(super) attributes: BTreeMap<String, Attributes>,
    /// Byte code of its modules, by path, with the time of each file.
    pub(super) bytecode: BTreeMap<String, u32>,
}

/// A tree, and what was seen in it.
#[derive(Debug)]
pub(super) struct Harvest {
    in_use: InUse,
    packages: HashMap<String, OfPackage>,
    /// The entry's, for what depends on its byte code.
    pub(super) key: String,
}

impl Harvest {
    /// What was made of a package.
    pub(super) fn of(&self, package: &str) -> OfPackage {
        self.packages.get(package).cloned().unwrap_or_default()
    }

    /// The byte code of a package, as files of it.
    pub(super) fn bytecode(&self, package: &str) -> io::Result<BTreeMap<String, File>> {
        let root = self.in_use.place().join(BYTECODE);
        let mut files = BTreeMap::new();
        for (path, modified) in self.of(package).bytecode {
            let bytes = fs_err::read(below_root(&path)?.below(&root))?;
            let directory = Path::new(&path).parent().unwrap_or(Path::new("/")).display().to_string();
            files.entry(directory).or_insert_with(File::default);
            let content = Content::File(Arc::new(bytes));
            files.insert(path, File { content, mode: 0o644, modified, ..File::default() });
        }
        Ok(files)
    }

    /// The entry of the cache that it is in.
    pub(super) fn into_in_use(self) -> InUse {
        self.in_use
    }

    /// The tree, as a tar file.
    pub(super) fn tree(&self) -> PathBuf {
        self.in_use.place().join(TREE)
    }
}

/// Hands back what was harvested of a release; installs it in a tree if nobody has yet.
pub(super) fn ensure(site: &Site, definition: &Definition, debs: &Debs) -> Result<Harvest, ReleaseError> {
    let mut ingredients = vec![FORMAT.to_owned(), tool_version("mmdebstrap", "--version")];
    ingredients.extend(definition.packages.iter().chain(&definition.debconf).cloned());
    ingredients.extend(debs.listed.iter().map(|one| one.sha256.clone()));
    let key = ContentKey::of(ingredients.iter().map(String::as_bytes));
    let name = EntryName::new(&format!("{}.tree", definition.name), &key);
    let in_use = site.provide(&name, |workspace, new| {
        // The packages unpacked, the tar file, and the packages themselves.
        let packed: u64 = debs.listed.iter().map(|one| one.size.as_bytes()).sum();
        site.want_room(Size::bytes(packed * 9))?;
        site.tell(Progress::Installing { packages: debs.listed.len() });
        install(definition, debs.place(), &new.join(TREE), workspace.path())?;
        let packages = harvest(&new.join(TREE), &new.join(BYTECODE))?;
        fs_err::write(new.join(HARVEST), serde_json::to_vec(&packages).map_err(io::Error::from)?)?;
        Ok(())
    })?;
    let packages = serde_json::from_slice(&fs_err::read(in_use.place().join(HARVEST))?).map_err(io::Error::from)?;
    Ok(Harvest { in_use, packages, key: key.to_string() })
}

/// Runs mmdebstrap, which finds the packages in apt's cache and fetches none.
fn install(definition: &Definition, debs: &Path, target: &Path, workspace: &Path) -> Result<(), ReleaseError> {
    let mut arguments = vec!["--variant=essential".to_owned(), "--format=tar".into()];
    arguments.push("--aptopt=APT::Install-Recommends \"false\"".into());
    arguments.extend(LEFT_OUT.map(|paths| format!("--dpkgopt=path-exclude={paths}")));
    // A tree that is not finished is thrown away, so nothing has to be on the disk at any moment.
    arguments.push("--dpkgopt=force-unsafe-io".into());
    arguments.push(format!(
        "--setup-hook=mkdir -p \"$1/var/cache/apt/archives/partial\"; cp {}/*.deb \"$1/var/cache/apt/archives/\"",
        quoted_path(debs)?
    ));
    for answer in &definition.debconf {
        let answer = quoted(answer);
        arguments.push(format!("--essential-hook=printf '%s\\n' {answer} | chroot \"$1\" debconf-set-selections"));
    }
    // mmdebstrap lends the host's name and resolver to the tree: nothing of this host stays in it.
    arguments.push("--customize-hook=echo localhost > \"$1/etc/hostname\" && : > \"$1/etc/resolv.conf\"".into());
    arguments.push(format!("--include={}", definition.packages.join(",")));
    arguments.extend([definition.suite.clone(), target.display().to_string()]);
    arguments.extend(mirror());
    Ok(run_tool("mmdebstrap", arguments, &definition.recipe(), workspace, &mut |_| {})?)
}

/// Reads the tree, and unpacks its byte code into a directory.
fn harvest(tree: &Path, bytecode: &Path) -> io::Result<HashMap<String, OfPackage>> {
    let mut seen = Seen::default();
    let mut tar = tar::Archive::new(BufReader::with_capacity(1 << 20, fs_err::File::open(tree)?));
    for entry in tar.entries()? {
        seen.add(&mut entry?, bytecode)?;
    }
    let (users, groups) = (names(&seen.passwd), names(&seen.group));
    let name = |names: &HashMap<u64, String>, id: u64| names.get(&id).cloned().unwrap_or_else(|| id.to_string());
    let mut packages: HashMap<String, OfPackage> = HashMap::new();
    for (package, list) in &seen.lists {
        let made = packages.entry(package.clone()).or_default();
        for path in list.lines().map(canonical) {
            if let Some(modules) = seen.bytecode.get(&path) {
                made.bytecode.extend(modules.iter().cloned());
            }
            if let Some(found) = seen.paths.get(&path) {
                let (owner, group) = (name(&users, found.user), name(&groups, found.group));
                made.attributes.insert(path, Attributes { mode: found.mode, owner, group, link: found.link.clone() });
            }
        }
    }
    Ok(packages)
}

/// A path of the tree.
struct Found {
    mode: u16,
    user: u64,
    group: u64,
    link: Option<String>,
}

/// What one pass over the tree collects.
#[derive(Default)]
struct Seen {
    paths: HashMap<String, Found>,
    /// Files of byte code with their times, by the module that they were made of.
    bytecode: HashMap<String, Vec<(String, u32)>>,
    /// dpkg's list of paths for each package.
    lists: HashMap<String, String>,
    passwd: String,
    group: String,
}

impl Seen {
    fn add(&mut self, entry: &mut tar::Entry<impl Read>, bytecode: &Path) -> io::Result<()> {
        let path = canonical(&entry.path()?.to_string_lossy());
        let header = entry.header();
        let mode = u16::try_from(header.mode()? & 0o7777).unwrap_or_default();
        let is_link = header.entry_type().is_symlink();
        let target =
            if is_link { entry.link_name()?.map(|target| target.to_string_lossy().into_owned()) } else { None };
        let found = Found { mode, user: header.uid()?, group: header.gid()?, link: target };
        self.paths.insert(path.clone(), found);
        if let Some(module) = module_of(&path) {
            let modified = u32::try_from(header.mtime()?).unwrap_or_default();
            let target = below_root(&path)?.below(bytecode);
            fs_err::create_dir_all(target.parent().unwrap_or(bytecode))?;
            io::copy(entry, &mut fs_err::File::create(target)?)?;
            self.bytecode.entry(module).or_default().push((path, modified));
        } else if path == "/etc/passwd" {
            entry.read_to_string(&mut self.passwd)?;
        } else if path == "/etc/group" {
            entry.read_to_string(&mut self.group)?;
        } else if let Some(list) = path.strip_prefix("/var/lib/dpkg/info/").and_then(|name| name.strip_suffix(".list"))
        {
            let package = list.split(':').next().unwrap_or(list).to_owned();
            entry.read_to_string(self.lists.entry(package).or_default())?;
        }
        Ok(())
    }
}

/// A path of a tree, as one that leads nowhere else.
fn below_root(path: &str) -> io::Result<PlainPath> {
    PlainPath::try_from(path.trim_start_matches('/').to_owned()).map_err(io::Error::other)
}

/// The module that a file of byte code was made of: PEP 3147, `a/__pycache__/b.cpython-311.pyc` is of `a/b.py`.
fn module_of(path: &str) -> Option<String> {
    let (directory, file) = path.split_once("/__pycache__/")?;
    let (module, _) = file.strip_suffix(".pyc")?.split_once(".cpython-")?;
    Some(format!("{directory}/{module}.py"))
}

/// Names by number, of passwd(5) or group(5).
fn names(text: &str) -> HashMap<u64, String> {
    let one = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    text.lines().filter_map(one).collect()
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
