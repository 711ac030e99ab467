//! From entries to one file.

use super::super::claim::InUse;
use super::super::list::CacheEntry;
use super::super::name::{EntryName, PlanName};
use super::super::place::{Cache, Kind};
use super::{ArchiveError, FORMAT, Listed, Loose, MANIFEST, Manifest, Noted, Role};
use crate::host::output::{OutputFile, Readers};
use crate::plain_path::PlainPath;
use crate::size::Size;
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// How hard zstd tries: its own choice, fast enough for disks.
const LEVEL: i32 = 3;

/// What was exported.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The entries, with their kinds.
    pub entries: Vec<(Kind, EntryName)>,
    /// What they hold.
    pub holds: Size,
    /// What the file takes.
    pub takes: Size,
}

/// Writes entries into the file `target`, which is there whole or not at all; only its owner can read it. Templates bring
/// along what they stand on, and the secret of the cache. `progress` is told of each entry. Blocks.
pub fn export(
    cache: &Cache,
    entries: &[CacheEntry],
    target: &Path,
    progress: &mut dyn FnMut(&EntryName, Size),
) -> Result<Exported, ArchiveError> {
    let wanted = with_foundations(cache, entries)?;
    let held: Vec<(&CacheEntry, InUse)> = wanted
        .iter()
        .map(|kept| {
            let held = cache.open(kept.kind, &kept.name)?;
            Ok((kept, held.ok_or_else(|| ArchiveError::Gone(kept.name.clone()))?))
        })
        .collect::<Result<_, ArchiveError>>()?;
    let (manifest, paths) = describe(cache, &held)?;
    // It may hold the secret of the cache.
    let mut output = OutputFile::create(target, Readers::Owner)?;
    write(output.file(), &manifest, &paths, progress).map_err(|error| full(error, target, &manifest))?;
    output.publish()?;
    Ok(Exported {
        entries: wanted.iter().map(|kept| (kept.kind, kept.name.clone())).collect(),
        holds: manifest.files().map(|file| Size::bytes(file.bytes)).sum(),
        takes: Size::bytes(target.metadata()?.len()),
    })
}

/// What is asked for, and what its templates stand on; what others stand on comes first.
fn with_foundations(cache: &Cache, entries: &[CacheEntry]) -> Result<Vec<CacheEntry>, ArchiveError> {
    let mut wanted: Vec<CacheEntry> = entries.to_vec();
    for template in entries.iter().filter(|kept| kept.kind == Kind::Template) {
        for kind in [Kind::Image, Kind::Release] {
            wanted.extend(cache.list(kind)?.into_iter().filter(|kept| template.stands_on(kept)));
        }
    }
    wanted.sort_by_key(|kept| (kept.kind == Kind::Template, kept.kind.directory(), kept.name.clone()));
    wanted.dedup_by_key(|kept| (kept.kind, kept.name.clone()));
    Ok(wanted)
}

/// The manifest, and the file behind each line of it.
fn describe(cache: &Cache, held: &[(&CacheEntry, InUse)]) -> Result<(Manifest, Vec<PathBuf>), ArchiveError> {
    let mut manifest =
        Manifest { format: FORMAT, made: Timestamp::now(), secret: None, entries: Vec::new(), loose: Vec::new() };
    let mut paths = Vec::new();
    for (kept, in_use) in held {
        let mut files = Vec::new();
        for entry in walkdir::WalkDir::new(in_use.place()).min_depth(1).sort_by_file_name() {
            let entry = entry.map_err(io::Error::from)?;
            if entry.file_type().is_dir() {
                continue;
            }
            let below = entry.path().strip_prefix(in_use.place()).ok().and_then(Path::to_str);
            let (Some(below), true) = (below, entry.file_type().is_file()) else {
                return Err(ArchiveError::NoFile(entry.path().to_owned()));
            };
            files.push(note(entry.path(), below)?);
            paths.push(entry.path().to_owned());
        }
        let stands_on = kept.foundations().cloned().collect();
        manifest.entries.push(Listed { kind: kept.kind, name: kept.name.clone(), stands_on, files });
    }
    let mut loose: Vec<(Role, PathBuf)> = Vec::new();
    for entry in fs_err::read_dir(cache.building())? {
        let entry = entry?;
        if PlanName::parse(&entry.file_name().to_string_lossy()).is_some() && entry.file_type()?.is_file() {
            loose.push((Role::Plan, entry.path()));
        }
    }
    loose.sort_by(|one, other| one.1.cmp(&other.1));
    if held.iter().any(|(kept, _)| kept.kind == Kind::Template) {
        manifest.secret = Some(note(&cache.secret(), "secret")?.blake3);
        loose.push((Role::Secret, cache.secret()));
    }
    for (role, path) in loose {
        let modified = path.metadata()?.modified()?.try_into().unwrap_or(Timestamp::UNIX_EPOCH);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        manifest.loose.push(Loose { role, modified, file: note(&path, &name)? });
        paths.push(path);
    }
    Ok((manifest, paths))
}

fn note(path: &Path, name: &str) -> io::Result<Noted> {
    let plain = PlainPath::try_from(name.to_owned()).map_err(io::Error::other)?;
    let file = fs_err::File::open(path)?;
    let metadata = file.metadata()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    Ok(Noted {
        path: plain,
        bytes: metadata.len(),
        mode: metadata.permissions().mode() & 0o777,
        blake3: hasher.finalize().to_hex().to_string(),
    })
}

fn write(
    file: &mut File,
    manifest: &Manifest,
    paths: &[PathBuf],
    progress: &mut dyn FnMut(&EntryName, Size),
) -> Result<(), ArchiveError> {
    let mut encoder = zstd::Encoder::new(BufWriter::new(file), LEVEL)?;
    encoder.include_checksum(true)?;
    let mut archive = tar::Builder::new(encoder);
    let text = serde_json::to_vec_pretty(manifest).map_err(io::Error::from)?;
    append(&mut archive, MANIFEST, text.len() as u64, text.as_slice())?;
    let mut last = None;
    for (number, (path, noted)) in paths.iter().zip(manifest.files()).enumerate() {
        let whose = whose(manifest, number);
        if let Some(name) = whose.filter(|name| last.as_ref() != Some(name)) {
            let listed = manifest.entries.iter().find(|entry| entry.name == name);
            let size = listed.into_iter().flat_map(|entry| &entry.files).map(|file| Size::bytes(file.bytes)).sum();
            progress(&name, size);
            last = Some(name);
        }
        let mut checked = Checked { inner: fs_err::File::open(path)?, hasher: blake3::Hasher::new() };
        append(&mut archive, &member(number), noted.bytes, (&mut checked).take(noted.bytes))?;
        // Entries never change; loose files may.
        if checked.hasher.finalize().to_hex().as_str() != noted.blake3 {
            let reason = format!("{} changed while it was read: try again", path.display());
            return Err(io::Error::other(reason).into());
        }
    }
    archive.into_inner()?.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(())
}

/// The entry that a file belongs to.
fn whose(manifest: &Manifest, number: usize) -> Option<EntryName> {
    let mut before = 0;
    let found = manifest.entries.iter().find(|entry| {
        before += entry.files.len();
        number < before
    });
    found.map(|entry| entry.name.clone())
}

/// The name of a file in the archive.
pub(super) fn member(number: usize) -> String {
    format!("{number:06}")
}

fn append(archive: &mut tar::Builder<impl Write>, name: &str, bytes: u64, content: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_entry_type(tar::EntryType::Regular);
    archive.append_data(&mut header, name, content)
}

/// Hashes what goes through.
struct Checked<R> {
    inner: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

fn full(error: ArchiveError, target: &Path, manifest: &Manifest) -> ArchiveError {
    match error {
        ArchiveError::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
            let place = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let needed = manifest.files().map(|file| Size::bytes(file.bytes)).sum();
            ArchiveError::Full { place: place.to_owned(), needed, free: Size::free_at(place).unwrap_or_default() }
        }
        other => other,
    }
}
