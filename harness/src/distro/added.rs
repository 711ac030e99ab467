//! What all packages of a release have beyond Debian's tree, as one tar file.

use super::Made;
use super::assemble::HOME;
use super::convert::in_parallel;
use super::error::ReleaseError;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

pub(super) const FILE: &str = "added.tar";

/// Collects it from the rpms in the directory `release`.
pub(super) fn collect(release: &Path, packages: &[Made]) -> Result<(), ReleaseError> {
    let found = in_parallel(packages, |made| {
        let unreadable =
            |error: rpm::Error| ReleaseError::Package { name: made.name.clone(), reason: error.to_string() };
        let package = rpm::Package::open(made.file.below(release)).map_err(unreadable)?;
        let mut files = Vec::new();
        for file in package.files().map_err(unreadable)? {
            let file = file.map_err(unreadable)?;
            let path = file.metadata.path();
            if path.starts_with(HOME) && file.metadata.mode().file_type() == rpm::FileType::Regular {
                let modified = u32::from(file.metadata.modified_at());
                files.push((
                    path,
                    file.metadata.mode().permissions(),
                    modified,
                    file.content().unwrap_or_default().to_vec(),
                ));
            }
        }
        Ok(files)
    })?;
    let mut tar = tar::Builder::new(BufWriter::new(File::create(release.join(FILE))?));
    for (path, mode, modified, content) in found.into_iter().flatten() {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode.into());
        header.set_mtime(modified.into());
        header.set_uid(0);
        header.set_gid(0);
        let below = path.strip_prefix("/").unwrap_or(&path);
        tar.append_data(&mut header, below, content.as_slice())?;
    }
    tar.into_inner()?.into_inner().map_err(std::io::Error::from)?;
    Ok(())
}
