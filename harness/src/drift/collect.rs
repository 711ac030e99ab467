//! Asks a running machine for its configuration: one program, one answer.

use super::claim::{Claim, Claims};
use super::contents::Contents;
use super::inventory::{Digest, Entry, Inventory, Manager, What};
use crate::guest_path::GuestPath;
use crate::machine::{Machine, VerbError};
use crate::secrets::find;
use crate::time::Deadline;
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::io::Read as _;

/// Runs in the guest; its words are in the file's head.
const COLLECTOR: &str = include_str!("collect.pl");

/// Contents of larger files are not collected: no file of that size is configuration that a person wrote.
const LARGEST: u64 = 4 << 20;

/// So much an answer may have, unpacked: a kilobyte of gzip can be a megabyte of zeroes.
const LARGEST_ANSWER: u64 = 256 << 20;

/// Larger texts are not shown: their digests are compared.
const LARGEST_TEXT: usize = 64 << 10;

/// Why there is no inventory.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The machine did not answer.
    #[error(transparent)]
    Verb(#[from] VerbError),
    /// The answer makes no sense.
    #[error(
        "machine {machine}: what it told of its configuration is of no use: {reason}; is perl there, and the disk in order?"
    )]
    Answer {
        /// The machine.
        machine: String,
        /// What is wrong.
        reason: String,
    },
}

/// Collects the configuration of a machine. `redact` replaces secrets in what may be shown.
pub async fn collect(
    machine: &Machine,
    redact: impl Fn(&str) -> String,
    deadline: Deadline,
) -> Result<(Inventory, Contents), CollectError> {
    // Compressed, it is a fourth of the bytes on a port that is slow where guests are emulated.
    let script = "perl -e \"$1\" '' \"$2\" | gzip --fast --stdout";
    let arguments = ["-c", script, "sh", COLLECTOR, &LARGEST.to_string()];
    let answer = machine.read_from("/bin/sh", &arguments, deadline).await?;
    let machine = machine.name().to_string();
    let wrong = |reason| CollectError::Answer { machine: machine.clone(), reason };
    let records = unpacked(&answer, LARGEST_ANSWER).map_err(wrong)?;
    understand(&machine, &records, redact).map_err(wrong)
}

/// What was packed, if it has no more bytes than `largest`.
fn unpacked(answer: &[u8], largest: u64) -> Result<Vec<u8>, String> {
    let mut records = Vec::new();
    let mut bounded = GzDecoder::new(answer).take(largest + 1);
    bounded.read_to_end(&mut records).map_err(|error| error.to_string())?;
    if records.len() as u64 > largest {
        return Err(format!("unpacked it has more than {}", crate::size::Size::bytes(largest)));
    }
    Ok(records)
}

/// One record: its letter and its fields.
type Record<'a> = (u8, Vec<&'a [u8]>);

/// Takes one record off the front.
pub(super) fn record<'a>(bytes: &mut &'a [u8]) -> Option<Record<'a>> {
    let (&[letter, count], rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    let mut fields = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (&length, rest) = bytes.split_first_chunk()?;
        let (field, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(length)).ok()?)?;
        fields.push(field);
        *bytes = rest;
    }
    Some((letter, fields))
}

/// Puts the records of an answer together.
fn understand(
    machine: &str,
    mut bytes: &[u8],
    redact: impl Fn(&str) -> String,
) -> Result<(Inventory, Contents), String> {
    let mut inventory = Inventory {
        machine: machine.to_owned(),
        at: jiff::Timestamp::now(),
        manager: Manager::None,
        packages: BTreeMap::new(),
        files: BTreeMap::new(),
    };
    let (mut contents, mut claims) = (Contents::default(), Claims::new());
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    loop {
        let (letter, fields) = record(&mut bytes).ok_or("it ends too early")?;
        match (letter, fields.as_slice()) {
            (b'M', [b"rpm"]) => inventory.manager = Manager::Rpm,
            (b'M', [b"dpkg"]) => inventory.manager = Manager::Dpkg,
            (b'P', &[package, version]) => drop(inventory.packages.insert(text(package), text(version))),
            (b'C', &[path, package, flags]) => {
                claims.entry(GuestPath::new(path)).or_default().push(Claim::from_words(text(package), &text(flags)));
            }
            (b'F', &[path, kind, mode, user, group, size, target, content, digest]) => {
                let what = match kind {
                    b"d" => What::Directory,
                    b"l" => What::Link { target: GuestPath::new(target) },
                    b"f" if digest.is_empty() => file(content, &mut contents),
                    b"f" => What::File {
                        size: text(size).parse().map_err(|_| "a size is no number")?,
                        sha256: Digest::from_hex(&text(digest)),
                        text: None,
                    },
                    _ => What::Special,
                };
                let (mode, user, group) = (text(mode), text(user), text(group));
                let entry = Entry { what, mode, user, group, claims: Vec::new() };
                inventory.files.insert(GuestPath::new(path), entry);
            }
            (b'E', [b""]) => break,
            (b'E', &[errors]) => return Err(text(errors)),
            _ => return Err(format!("a record `{}` with {} fields is unknown", char::from(letter), fields.len())),
        }
    }
    assign(&mut inventory, claims);
    show(&mut inventory, &contents, redact);
    Ok((inventory, contents))
}

fn file(content: &[u8], contents: &mut Contents) -> What {
    What::File { size: content.len() as u64, sha256: contents.add(content), text: None }
}

/// Tells each path whose it is.
fn assign(inventory: &mut Inventory, claims: Claims) {
    for (path, mut claims) in claims {
        if let Some(entry) = inventory.files.get_mut(&path)
            && entry.what != What::Directory
        {
            claims.sort();
            claims.dedup();
            entry.claims = claims;
        }
    }
}

/// Adds the text of files that may be shown.
fn show(inventory: &mut Inventory, contents: &Contents, redact: impl Fn(&str) -> String) {
    let shown: Vec<_> = inventory
        .files
        .iter()
        .filter(|(path, _)| everybody_reads(inventory, path))
        .filter_map(|(path, entry)| {
            let content = contents.get(entry.digest()?).filter(|content| content.len() <= LARGEST_TEXT)?;
            let text = find::shown(&path.to_string(), content)?;
            Some((path.clone(), redact(&text)))
        })
        .collect();
    for (path, shown) in shown {
        if let Some(Entry { what: What::File { text, .. }, .. }) = inventory.files.get_mut(&path) {
            *text = Some(shown);
        }
    }
}

/// Whether every user of the machine may read the file, by its mode and those of the directories above.
fn everybody_reads(inventory: &Inventory, path: &GuestPath) -> bool {
    let others = |path: &GuestPath| {
        let entry = inventory.files.get(path)?;
        u32::from_str_radix(&entry.mode, 8).ok().map(|mode| mode & 0o7)
    };
    let is_readable = others(path).is_some_and(|bits| bits & 0o4 != 0);
    // Directories that are not in the inventory, such as /, are not configuration, and open to all.
    is_readable && path.ancestors().all(|directory| others(&directory).is_none_or(|bits| bits & 0o1 != 0))
}

/// Reads anything as an answer.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let _ = understand("mail", bytes, str::to_owned);
}

/// Reads anything as two answers, one behind the other, and compares them; says whether they are two.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz_two(bytes: &[u8]) -> bool {
    // Each ends with its last record, and what is behind it is the next one's.
    let mut rest = bytes;
    while record(&mut rest).is_some_and(|(letter, _)| letter != b'E') {}
    let first = &bytes[..bytes.len() - rest.len()];
    let read = |bytes| understand("mail", bytes, str::to_owned).ok();
    let (Some((before, contents)), Some((after, _))) = (read(first), read(rest)) else { return false };
    let drift = super::Drift::between(&before, &after, None);
    let changes: Vec<_> = drift.changes.iter().collect();
    let _ = super::suspicion::order(&changes, &["imap", "pam"]);
    for change in changes {
        let _ = (change.fate(), change.attributes());
        let _ = super::putback::can_put_back(change, &before, &contents);
    }
    let _ = drift.to_string();
    true
}

#[cfg(test)]
#[path = "collect_tests.rs"]
pub(super) mod tests;
