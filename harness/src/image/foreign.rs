//! Disks that somebody else made.

use super::error::ImageError;
use super::recipe::{Download, Foreign, Recipe};
use super::tool;
use crate::cache::Size;
use sha2::{Digest as _, Sha256};
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::Path;

/// Fetches the files of a foreign image into `new`, and checks each. Says what it fetches by `fetching`.
pub(super) fn fetch(
    recipe: &Recipe,
    files: &Foreign,
    new: &Path,
    workspace: &Path,
    fetching: &mut dyn FnMut(&str),
) -> Result<(), ImageError> {
    let wanted =
        [(Some(&files.disk), "disk.qcow2"), (files.kernel.as_ref(), "vmlinuz"), (files.initrd.as_ref(), "initrd.img")];
    for (download, name) in wanted {
        if let Some(download) = download {
            fetching(&words(download));
            one(recipe, download, &new.join(name), workspace)?;
        }
    }
    Ok(())
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

fn one(recipe: &Recipe, download: &Download, target: &Path, workspace: &Path) -> Result<(), ImageError> {
    match (&download.path, &download.url) {
        (Some(path), _) => drop(fs_err::copy(path, target)?),
        (None, Some(url)) => curl(recipe, url, target, workspace)?,
        (None, None) => {}
    }
    let found = digest(target)?;
    let wanted = download.sha256.to_ascii_lowercase();
    if found == wanted { Ok(()) } else { Err(ImageError::Digest { what: words(download), found, wanted }) }
}

fn curl(recipe: &Recipe, url: &str, target: &Path, workspace: &Path) -> Result<(), ImageError> {
    let arguments = ["--fail", "--silent", "--show-error", "--location", "--output"].map(AsRef::<OsStr>::as_ref);
    let arguments = arguments.into_iter().chain([target.as_os_str(), "--".as_ref(), url.as_ref()]);
    let mut said = String::new();
    let result = tool::run("curl", arguments, &recipe.name, workspace, &mut |line| line.clone_into(&mut said));
    result.map_err(|error| match error {
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
