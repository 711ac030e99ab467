//! Disks that somebody else made.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use super::error::ImageError;
use super::recipe::{Download, Foreign, Recipe};
use super::tool;
use crate::cache::Size;
use crate::qcow2::Header;
use sha2::{Digest as _, Sha256};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// How large each part may be. What is larger is no part of a machine's image.
const LARGEST_DISK: Size = Size::gibibytes(64);
const LARGEST_KERNEL: Size = Size::mebibytes(256);
const LARGEST_INITRD: Size = Size::gibibytes(1);

/// Ends a download that takes hours, or that brings less than a KiB a second for a minute; and follows a server to https only.
const CURL: [&str; 17] = [
    "--fail",
    "--silent",
    "--show-error",
    "--location",
    "--proto",
    "=https,file",
    "--proto-redir",
    "=https",
    "--max-redirs",
    "5",
    "--connect-timeout",
    "60",
    "--speed-time",
    "60",
    "--max-time",
    "10800",
    "--output",
];

/// Fetches the files of a foreign image into `new`, and checks each. Says what it fetches by `fetching`.
pub(super) fn fetch(
    recipe: &Recipe,
    files: &Foreign,
    new: &Path,
    workspace: &Path,
    fetching: &mut dyn FnMut(&str),
) -> Result<(), ImageError> {
    let wanted = [
        (Some(&files.disk), "disk.qcow2", LARGEST_DISK),
        (files.kernel.as_ref(), "vmlinuz", LARGEST_KERNEL),
        (files.initrd.as_ref(), "initrd.img", LARGEST_INITRD),
    ];
    for (download, name, largest) in wanted {
        if let Some(download) = download {
            fetching(&words(download));
            one(recipe, download, &new.join(name), largest, workspace)?;
        }
    }
    let is_plain = Header::of_whole(&new.join("disk.qcow2")).map(drop);
    is_plain.map_err(|source| ImageError::Disk { what: words(&files.disk), source })
}

/// What the files take, as far as they are on this host.
pub(super) fn size(files: &Foreign) -> Option<Size> {
    let downloads = [Some(&files.disk), files.kernel.as_ref(), files.initrd.as_ref()].into_iter().flatten();
    let sizes = downloads.map(|download| Some(Size::bytes(download.path.as_ref()?.metadata().ok()?.len())));
    sizes.collect::<Option<Vec<_>>>().map(|sizes| sizes.into_iter().sum())
}

/// Its path or URL.
fn words(download: &Download) -> String {
    let path = || download.path.as_deref().unwrap_or(Path::new("")).display().to_string();
    download.url.clone().unwrap_or_else(path)
}

fn one(recipe: &Recipe, download: &Download, target: &Path, largest: Size, workspace: &Path) -> Result<(), ImageError> {
    let fetched = match (&download.path, &download.url) {
        (Some(path), _) => copy(path, target, largest)?,
        (None, Some(url)) => curl(recipe, url, target, largest, workspace)?,
        (None, None) => Fetched::Whole,
    };
    if fetched == Fetched::TooLarge {
        return Err(ImageError::TooLarge { what: words(download), largest });
    }
    let found = digest(target)?;
    let wanted = download.sha256.to_ascii_lowercase();
    if found == wanted { Ok(()) } else { Err(ImageError::Digest { what: words(download), found, wanted }) }
}

/// Whether all of it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fetched {
    Whole,
    TooLarge,
}

/// Copies a file, and no more of it than it may have: it may be a device without an end, or a FIFO that nobody writes to.
fn copy(path: &Path, target: &Path, largest: Size) -> Result<Fetched, ImageError> {
    let unread = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let source = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path).map_err(unread)?;
    if !source.metadata()?.is_file() {
        return Err(io::Error::other(format!("{} is no regular file", path.display())).into());
    }
    let length = io::copy(&mut source.take(largest.as_bytes().saturating_add(1)), &mut fs_err::File::create(target)?)?;
    Ok(if length > largest.as_bytes() { Fetched::TooLarge } else { Fetched::Whole })
}

/// Downloads a file, and no more of it than it may have, whatever the server says about its length: prlimit(1) bounds what curl can
/// write.
fn curl(recipe: &Recipe, url: &str, target: &Path, largest: Size, workspace: &Path) -> Result<Fetched, ImageError> {
    let bound = format!("--fsize={}", largest.as_bytes().saturating_add(1));
    let arguments = [bound.as_str(), "--", "curl"].into_iter().chain(CURL).map(AsRef::<OsStr>::as_ref);
    let arguments = arguments.chain([target.as_os_str(), "--".as_ref(), url.as_ref()]);
    let mut said = String::new();
    let result = tool::run("prlimit", arguments, &recipe.name, workspace, &mut |line| line.clone_into(&mut said));
    if target.metadata().is_ok_and(|data| data.len() > largest.as_bytes()) {
        return Ok(Fetched::TooLarge);
    }
    result.map(|()| Fetched::Whole).map_err(|error| match error {
        ImageError::Failed { .. } => ImageError::Unreachable { url: url.to_owned(), reason: said },
        other => other,
    })
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = fs_err::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            count => hash.update(&buffer[..count]),
        }
    }
}
