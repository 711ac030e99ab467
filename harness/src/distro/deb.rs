//! Reader of Debian packages (deb(5)): an `ar` archive of `debian-binary`, `control.tar.*` and `data.tar.*`.

use super::ar::Archive;
use super::control::Control;
use super::package::{Content, File};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use tar::EntryType;

/// What the control part of a package says.
#[derive(Debug)]
pub(super) struct Deb {
    pub(super) control: Control,
    /// The same, as it stands in the package.
    pub(super) stanza: String,
    /// Maintainer scripts and debconf's templates, by name.
    pub(super) scripts: BTreeMap<String, String>,
    pub(super) conffiles: BTreeSet<String>,
}

/// Files of the control part that go on in the rpm.
const SCRIPTS: [&str; 4] = ["postinst", "prerm", "postrm", "templates"];

/// Top-level directories that are links into /usr in both releases. What a package ships below them lies below /usr: rpm
/// compares paths, and would take the two names of one file for two files.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

impl Deb {
    /// Reads the control part of the package in a file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::read(path, BufReader::new(fs_err::File::open(path)?))
    }

    /// Reads it from the bytes of a package, which is called `path` in errors.
    fn read(path: &Path, package: impl Read) -> io::Result<Self> {
        let mut members = BTreeMap::new();
        in_part(path, package, "control", |tar| {
            for entry in tar.entries()? {
                let mut entry = entry?;
                if entry.header().entry_type().is_file() {
                    let name = entry.path()?.display().to_string();
                    let mut text = Vec::new();
                    entry.read_to_end(&mut text)?;
                    members
                        .insert(name.trim_start_matches("./").to_owned(), String::from_utf8_lossy(&text).into_owned());
                }
            }
            Ok(())
        })?;
        let stanza = members.remove("control").ok_or_else(|| damaged(path, "it has no control file"))?;
        let control = Control::parse(&stanza).map_err(|diagnostic| damaged(path, &diagnostic))?;
        let conffiles = members.get("conffiles").map_or("", String::as_str).lines().map(str::trim);
        // `remove-on-upgrade PATH` names a file that this version no longer has.
        let conffiles = conffiles.filter(|line| line.starts_with('/')).map(canonical).collect();
        let scripts = SCRIPTS.iter().filter_map(|name| members.remove_entry(*name)).collect();
        Ok(Self { control, stanza, scripts, conffiles })
    }
}

/// Reads the files of the package in `path`, without those that `wanted` refuses by their path.
pub(super) fn files(path: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<BTreeMap<String, File>> {
    files_in(path, BufReader::new(fs_err::File::open(path)?), wanted)
}

fn files_in(path: &Path, package: impl Read, wanted: impl Fn(&str) -> bool) -> io::Result<BTreeMap<String, File>> {
    let mut files: BTreeMap<String, File> = BTreeMap::new();
    in_part(path, package, "data", |tar| {
        for entry in tar.entries()? {
            let mut entry = entry?;
            let name = canonical(&entry.path()?.to_string_lossy());
            if name == "/" || !wanted(&name) {
                continue;
            }
            let content = match entry.header().entry_type() {
                EntryType::Regular => {
                    let mut bytes = Vec::new();
                    entry.read_to_end(&mut bytes)?;
                    Content::File(Arc::new(bytes))
                }
                EntryType::Directory => Content::Directory,
                EntryType::Symlink => Content::Link(link_of(&entry)?),
                EntryType::Link => {
                    let first = canonical(&link_of(&entry)?);
                    let known = files.get_mut(&first).ok_or_else(|| damaged(path, &format!("{first} is not there")))?;
                    // All names of one file know each other by its first one.
                    let first = known.hard_link.get_or_insert(first).clone();
                    let same = File { hard_link: Some(first), ..known.clone() };
                    files.insert(name, same);
                    continue;
                }
                other => {
                    return Err(damaged(
                        path,
                        &format!("{name} is of a kind ({other:?}) that no package of Debian has"),
                    ));
                }
            };
            let file = file(path, &entry, content)?;
            // A directory that is named twice, once through a merged one, is one directory.
            files.entry(name).or_insert(file);
        }
        Ok(())
    })?;
    Ok(files)
}

fn file(path: &Path, entry: &tar::Entry<impl Read>, content: Content) -> io::Result<File> {
    let header = entry.header();
    let name = |name: Option<&str>, id: u64| match name {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ if id == 0 => Ok("root".to_owned()),
        _ => Err(damaged(path, &format!("the owner {id} of a file has no name"))),
    };
    let text = |bytes: io::Result<Option<&str>>| bytes.ok().flatten().map(ToOwned::to_owned);
    let (user, group) =
        (text(header.username().map_err(io::Error::other)), text(header.groupname().map_err(io::Error::other)));
    Ok(File {
        content,
        mode: u16::try_from(header.mode()? & 0o7777).unwrap_or_default(),
        owner: name(user.as_deref(), header.uid()?)?,
        group: name(group.as_deref(), header.gid()?)?,
        modified: u32::try_from(header.mtime()?).unwrap_or_default(),
        ..File::default()
    })
}

fn link_of(entry: &tar::Entry<impl Read>) -> io::Result<String> {
    let target = entry.link_name()?.ok_or_else(|| io::Error::other("a link without a target"))?;
    Ok(target.to_string_lossy().into_owned())
}

/// The path that a member of a package has on the machine.
pub(super) fn canonical(member: &str) -> String {
    let relative = member.strip_prefix('.').filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(member);
    let relative = relative.trim_matches('/');
    match relative.split_once('/') {
        Some((first, _)) if MERGED.contains(&first) => format!("/usr/{relative}"),
        _ => format!("/{relative}"),
    }
}

/// Whether a path is one of the links into /usr.
pub(super) fn is_merged(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|name| MERGED.contains(&name))
}

/// Unpacks the part `control` or `data`, and hands it over.
fn in_part<T>(
    path: &Path,
    package: impl Read,
    part: &str,
    read: impl FnOnce(&mut tar::Archive<Box<dyn Read + '_>>) -> io::Result<T>,
) -> io::Result<T> {
    let mut archive = Archive::new(package);
    while let Some(entry) = archive.next().map_err(|error| damaged(path, &error.to_string()))? {
        let name = entry.name.clone();
        let Some(suffix) = name.strip_prefix(part).and_then(|rest| rest.strip_prefix(".tar")) else { continue };
        let unpacked: Box<dyn Read + '_> = match suffix {
            "" => Box::new(entry),
            ".gz" => Box::new(flate2::read::GzDecoder::new(entry)),
            ".xz" => Box::new(liblzma::read::XzDecoder::new(entry)),
            ".zst" => Box::new(ruzstd::decoding::StreamingDecoder::new(entry).map_err(io::Error::other)?),
            _ => return Err(damaged(path, &format!("{name} is packed in a way that is not read here"))),
        };
        return read(&mut tar::Archive::new(unpacked)).map_err(|error| damaged(path, &error.to_string()));
    }
    Err(damaged(path, &format!("it has no {part}.tar")))
}

/// Reads anything as a package.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let path = Path::new("fuzzed.deb");
    let _ = (Deb::read(path, bytes), files_in(path, bytes, |_| true));
}

fn damaged(path: &Path, diagnostic: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} is no good Debian package: {diagnostic}", path.display()))
}

#[cfg(test)]
#[path = "deb_tests.rs"]
mod tests;
