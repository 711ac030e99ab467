//! From one file to entries: all of it is read, hashed and laid down beside the cache's rooms before any of it counts.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use super::super::claim::Claim;
use super::super::name::EntryName;
use super::super::place::{Cache, Kind};
use super::claims::claim_all;
use super::contents::{Trust, check_disk, check_trust};
use super::export::member;
use super::{ArchiveError, FORMAT, Listed, Loose, MANIFEST, MANIFEST_LIMIT, Manifest, Noted, Role};
use crate::host::workspace::Workspace;
use crate::size::Size;
use std::fs::{File, Permissions};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What is read at once. Where all of it is zeroes, a hole is left.
const BLOCK: usize = 1 << 17;

/// How many zeroes may follow the last member: tar fills up a block of 20 records (tar(5)).
const PADDING: usize = 20 * 512;

/// What happens during an import.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// Somebody else makes this entry, and is waited for.
    Waiting(&'a EntryName),
    /// This entry is read, which has so many bytes.
    Reading(&'a EntryName, Size),
}

/// What an import did.
#[derive(Debug, Clone, Default)]
pub struct Imported {
    /// Entries that came.
    pub came: Vec<(Kind, EntryName)>,
    /// Entries that were here already, and stay as they are.
    pub here: Vec<(Kind, EntryName)>,
}

/// Takes the entries of an export into the cache: all of them, or, with an error, none. What is there already stays. Blocks
/// while somebody else makes one of them.
pub fn import(
    cache: &Cache,
    file: &Path,
    trust: Trust,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Imported, ArchiveError> {
    cache.sweep()?;
    let place = cache.building();
    let workspace = Workspace::create(&place, "import")?;
    let mut needed = None;
    let read = read(cache, file, trust, workspace.path(), &mut needed, progress);
    let laid = read.map_err(|error| match error {
        ArchiveError::Io(error) if error.kind() == io::ErrorKind::StorageFull => ArchiveError::Full {
            needed: needed.unwrap_or_default(),
            free: Size::free_at(&place).unwrap_or_default(),
            place: place.clone(),
        },
        other => other,
    })?;
    laid.publish(cache)
}

/// What was laid down, and is right.
struct Laid {
    /// Each with its claim and, unless it is here already, its directory.
    entries: Vec<(Kind, EntryName, Claim, Option<PathBuf>)>,
    loose: Vec<(Loose, PathBuf)>,
}

fn read(
    cache: &Cache,
    file: &Path,
    trust: Trust,
    workspace: &Path,
    needed: &mut Option<Size>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Laid, ArchiveError> {
    let mut input = BufReader::new(fs_err::File::open(file)?.into_parts().0);
    check_magic(&mut input)?;
    let decoder = zstd::Decoder::with_buffer(input)?;
    let mut archive = tar::Archive::new(decoder);
    let mut members = archive.entries().map_err(broken)?.raw(true);
    let manifest = manifest(members.next())?;
    check_trust(&manifest, trust)?;
    check_foundations(cache, &manifest)?;
    check_secret(cache, &manifest)?;
    let names: Vec<_> = manifest.entries.iter().map(|listed| (listed.kind, listed.name.clone())).collect();
    let mut claims = claim_all(cache, &names, &mut |name| progress(Progress::Waiting(name)))?;
    let is_missing = |listed: &Listed| claims.get(&(listed.kind, listed.name.clone())).is_some_and(|it| !it.exists());
    let missing = manifest.entries.iter().filter(|listed| is_missing(listed)).flat_map(|listed| &listed.files);
    let size: Size =
        missing.chain(manifest.loose.iter().map(|loose| &loose.file)).map(|file| Size::bytes(file.bytes)).sum();
    *needed = Some(size);
    let free = Size::free_at(workspace)?;
    if free < size {
        return Err(ArchiveError::Full { place: cache.building(), needed: size, free });
    }
    let mut laid = Laid { entries: Vec::new(), loose: Vec::new() };
    let mut numbers = 0..;
    let mut next = |noted: &Noted, target: Option<&Path>| {
        let number = numbers.next().unwrap_or_default();
        lay(members.next(), number, noted, target)
    };
    for (index, (listed, name)) in manifest.entries.iter().zip(names).enumerate() {
        let gone = || ArchiveError::Gone(name.1.clone());
        let claim = claims.remove(&name).ok_or_else(gone)?;
        let new = (!claim.exists()).then(|| workspace.join(index.to_string()));
        progress(Progress::Reading(&name.1, listed.files.iter().map(|file| Size::bytes(file.bytes)).sum()));
        lay_entry(listed, new.as_deref(), &mut next)?;
        laid.entries.push((listed.kind, name.1, claim, new));
    }
    for (index, loose) in manifest.loose.iter().enumerate() {
        let target = workspace.join(format!("loose-{index}"));
        next(&loose.file, Some(&target))?;
        laid.loose.push((loose.clone(), target));
    }
    if members.next().is_some() {
        return Err(ArchiveError::Altered("it holds more than its manifest says".into()));
    }
    // The end of the stream is checked by its own sum.
    check_rest(archive.into_inner())?;
    Ok(laid)
}

/// Behind the last member there are a few zeroes only, up to the end of the stream.
fn check_rest(mut rest: impl Read) -> Result<(), ArchiveError> {
    let mut block = vec![0; PADDING + 1];
    let mut length = 0;
    while length < block.len() {
        match rest.read(&mut block[length..]).map_err(broken)? {
            0 => break,
            count => length = length.saturating_add(count),
        }
    }
    let is_end = length <= PADDING && block[..length].iter().all(|byte| *byte == 0);
    if is_end { Ok(()) } else { Err(ArchiveError::Altered("something follows its end".into())) }
}

fn lay_entry(
    listed: &Listed,
    new: Option<&Path>,
    next: &mut impl FnMut(&Noted, Option<&Path>) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    if let Some(new) = new {
        fs_err::create_dir(new)?;
    }
    for file in &listed.files {
        let target = new.map(|new| file.path.below(new));
        if let Some(parent) = target.as_deref().and_then(Path::parent) {
            fs_err::create_dir_all(parent)?;
        }
        next(file, target.as_deref())?;
        if let Some(target) = &target {
            check_disk(listed, &file.path, target)?;
        }
    }
    Ok(())
}

/// Source: RFC 8878, section 3.1.1: the magic number of a Zstandard frame, little-endian.
fn check_magic(input: &mut BufReader<File>) -> Result<(), ArchiveError> {
    let mut magic = [0; 4];
    match input.read_exact(&mut magic) {
        Ok(()) if magic == [0x28, 0xB5, 0x2F, 0xFD] => Ok(input.seek(SeekFrom::Start(0)).map(drop)?),
        Ok(()) => Err(ArchiveError::Foreign("it is not compressed by zstd".into())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(ArchiveError::Foreign("it is empty, or almost".into()))
        }
        Err(error) => Err(error.into()),
    }
}

type Member<'a, R> = Option<io::Result<tar::Entry<'a, R>>>;

fn manifest<R: Read>(first: Member<'_, R>) -> Result<Manifest, ArchiveError> {
    let foreign = || ArchiveError::Foreign(format!("its first member is not {MANIFEST}"));
    let mut first = first.ok_or_else(foreign)?.map_err(|error| match broken(error) {
        ArchiveError::Altered(_) => foreign(),
        other => other,
    })?;
    let is_ours = first.path_bytes().as_ref() == MANIFEST.as_bytes();
    if !is_ours || first.header().entry_type() != tar::EntryType::Regular || first.size() > MANIFEST_LIMIT {
        return Err(foreign());
    }
    let mut text = Vec::new();
    first.read_to_end(&mut text).map_err(broken)?;
    parse(&text)
}

fn parse(text: &[u8]) -> Result<Manifest, ArchiveError> {
    let damaged = |error: serde_json::Error| ArchiveError::Altered(format!("its manifest makes no sense: {error}"));
    let value: serde_json::Value = serde_json::from_slice(text).map_err(damaged)?;
    match value["format"].as_u64() {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(format) => return Err(ArchiveError::Version(format)),
        None => return Err(ArchiveError::Foreign("its manifest has no format".into())),
    }
    let manifest: Manifest = serde_json::from_value(value).map_err(damaged)?;
    manifest.check()?;
    Ok(manifest)
}

/// Reads anything as an archive's manifest; says whether it is one.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) -> bool {
    let Ok(manifest) = parse(bytes) else { return false };
    let _ = super::contents::check_trust(&manifest, Trust::Guests);
    true
}

fn check_foundations(cache: &Cache, manifest: &Manifest) -> Result<(), ArchiveError> {
    for template in manifest.templates() {
        for missing in &template.stands_on {
            let along = manifest.entries.iter().any(|entry| entry.name == *missing);
            let here = [Kind::Image, Kind::Release].into_iter().any(|kind| cache.place(kind, missing).is_dir());
            if !along && !here {
                return Err(ArchiveError::Baseless { template: template.name.clone(), missing: missing.clone() });
            }
        }
    }
    Ok(())
}

/// Templates are of use only with the secret that their passwords are derived from.
fn check_secret(cache: &Cache, manifest: &Manifest) -> Result<(), ArchiveError> {
    let Some(theirs) = &manifest.secret else { return Ok(()) };
    match fs_err::read(cache.secret()) {
        Ok(ours) if blake3::hash(&ours).to_hex().as_str() == theirs => Ok(()),
        Ok(_) => Err(ArchiveError::OtherSecret),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads one member, which must be the file that the manifest says, and writes it, if there is a target.
fn lay<R: Read>(found: Member<'_, R>, number: usize, noted: &Noted, target: Option<&Path>) -> Result<(), ArchiveError> {
    let name = noted.path.as_str().escape_debug();
    let mut found = found.ok_or_else(|| ArchiveError::Truncated(format!("`{name}` is missing")))?.map_err(broken)?;
    let is_next = found.path_bytes().as_ref() == member(number).as_bytes();
    if !is_next || found.header().entry_type() != tar::EntryType::Regular || found.size() != noted.bytes {
        return Err(ArchiveError::Altered(format!("where `{name}` should be, there is something else")));
    }
    let mut file =
        target.map(|target| File::options().write(true).create_new(true).mode(0o600).open(target)).transpose()?;
    let mut hasher = blake3::Hasher::new();
    let (mut block, mut left) = (vec![0; BLOCK], noted.bytes);
    while left > 0 {
        let piece = &mut block[..BLOCK.min(usize::try_from(left).unwrap_or(BLOCK))];
        found.read_exact(piece).map_err(broken)?;
        hasher.update(piece);
        left = left.saturating_sub(piece.len() as u64);
        if let Some(file) = &mut file {
            if piece.iter().all(|byte| *byte == 0) {
                file.seek(SeekFrom::Current(i64::try_from(piece.len()).unwrap_or_default()))?;
            } else {
                file.write_all(piece)?;
            }
        }
    }
    if hasher.finalize().to_hex().as_str() != noted.blake3 {
        return Err(ArchiveError::Altered(format!("`{name}` is not what its manifest says")));
    }
    if let Some(file) = file {
        file.set_len(noted.bytes)?;
        file.set_permissions(Permissions::from_mode(noted.mode & 0o777))?;
    }
    Ok(())
}

/// What reading the archive came to, in our words: an end that is too early, or something that cannot be.
fn broken(error: io::Error) -> ArchiveError {
    let words = error.to_string();
    let early = ["incomplete frame", "unexpected EOF", "failed to fill whole buffer", "unexpected end"];
    if error.kind() == io::ErrorKind::UnexpectedEof || early.iter().any(|early| words.contains(early)) {
        return ArchiveError::Truncated(words);
    }
    match error.raw_os_error() {
        Some(_) => error.into(),
        None => ArchiveError::Altered(words),
    }
}

impl Laid {
    /// Moves all of it to where it belongs.
    fn publish(self, cache: &Cache) -> Result<Imported, ArchiveError> {
        let mut imported = Imported::default();
        for (loose, path) in &self.loose {
            match loose.role {
                Role::Plan => {
                    let target = loose.file.path.below(&cache.building());
                    let modified = SystemTime::try_from(loose.modified).unwrap_or(SystemTime::UNIX_EPOCH);
                    // Versions that were asked for later hold.
                    let newer = target.metadata().and_then(|data| data.modified()).is_ok_and(|here| here >= modified);
                    if !newer {
                        File::options().write(true).open(path)?.set_modified(modified)?;
                        fs_err::rename(path, &target)?;
                    }
                }
                Role::Secret => {
                    // Whatever its mode was: it is a secret.
                    fs_err::set_permissions(path, Permissions::from_mode(0o600))?;
                    // One that is here stays, and must be the same: another run may just have made one.
                    let _ = fs_err::hard_link(path, cache.secret());
                    if fs_err::read(cache.secret())? != fs_err::read(path)? {
                        return Err(ArchiveError::OtherSecret);
                    }
                }
            }
        }
        for (kind, name, claim, new) in self.entries {
            match new {
                Some(new) => {
                    claim.publish(&new)?;
                    imported.came.push((kind, name));
                }
                None => imported.here.push((kind, name)),
            }
        }
        Ok(imported)
    }
}
