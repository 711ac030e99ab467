//! Repositories of a release, on a disk that a guest mounts.
//!
//! ```text
//! /<version>/<variant>/*.rpm, repodata/   one whole repository for each variant; what they share is there once
//! /<old version>/<variant>/*.rpm          the packages that the variant changes in the release before
//! /debian/<suite>/*.deb, Packages         Debian's own packages of the newer release, for apt
//! ```

use super::deb::Deb;
use super::debs::Debs;
use super::definition::Damaged;
use super::error::ReleaseError;
use super::site::{Progress, Site};
use super::{Definition, Release};
use crate::cache::{ContentKey, EntryName, InUse, Size};
use crate::image::{run_tool, tool_version};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Changes when the disk is made in another way.
const FORMAT: &str = "3";

const DISK: &str = "disk.img";

/// The disk with the repositories that an upgrade takes.
#[derive(Debug)]
pub struct Media {
    in_use: InUse,
    /// Of its content.
    pub key: ContentKey,
    /// The releases' versions, the older one first.
    pub versions: (String, String),
    /// The variants, by name.
    pub variants: Vec<String>,
}

impl Media {
    /// The disk: an ext4 file system without partitions, to be mounted read-only.
    #[must_use]
    pub fn disk(&self) -> PathBuf {
        self.in_use.place().join(DISK)
    }

    /// Where the newer release's repository for a variant is on the disk.
    #[must_use]
    pub fn repository(&self, variant: &str) -> String {
        format!("/{}/{variant}", self.versions.1)
    }

    /// Where the older release's packages of a variant are on the disk.
    #[must_use]
    pub fn before(&self, variant: &str) -> String {
        format!("/{}/{variant}", self.versions.0)
    }
}

/// Makes the disk for an upgrade from one release to another, if the cache does not have it.
pub(super) fn ensure(
    site: &Site,
    (old, new): (&Definition, &Definition),
    (before, after): (&Release, &Release),
    debs: &Debs,
) -> Result<Media, ReleaseError> {
    let variants: Vec<String> = new.variants.iter().map(|variant| variant.name.clone()).collect();
    let mut ingredients = vec![FORMAT.to_owned(), before.key.to_string(), after.key.to_string()];
    ingredients.extend(new.damaged.iter().map(|damaged| format!("{damaged:?}")));
    ingredients
        .extend([("createrepo_c", "--version"), ("mke2fs", "-V")].map(|(program, flag)| tool_version(program, flag)));
    let key = ContentKey::of(ingredients.iter().map(String::as_bytes));
    let name = EntryName::new(&format!("{}.disk", new.name), &key);
    let in_use = site.provide(&name, |workspace, target| {
        site.tell(Progress::Disk);
        let root = workspace.path().join("root");
        for variant in &variants {
            let repository = root.join(&new.version).join(variant);
            link_all(&after.rpms(Some(variant)), &repository)?;
            index(&repository, &new.recipe(), workspace.path())?;
            link_all(&before.rpms_of_variant(variant), &root.join(&old.version).join(variant))?;
        }
        for damaged in &new.damaged {
            let repository = root.join(&new.version).join(&damaged.name);
            damage(damaged, &after.rpms(Some(&damaged.variant)), &repository, new, workspace.path())?;
        }
        debian(debs, &root.join("debian").join(&new.suite))?;
        make_disk(&root, &target.join(DISK), &new.recipe(), workspace.path())
    })?;
    Ok(Media { in_use, key, versions: (old.version.clone(), new.version.clone()), variants })
}

/// Hard links: nothing is copied, and `mke2fs -d` writes each file once.
fn link_all(files: &[PathBuf], directory: &Path) -> Result<(), ReleaseError> {
    fs_err::create_dir_all(directory)?;
    for file in files {
        fs_err::hard_link(file, directory.join(file.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// Debian's packages as they are, with an index of them (deb822(5); the archive's own format).
fn debian(debs: &Debs, repository: &Path) -> Result<(), ReleaseError> {
    let files: Vec<_> = debs.listed.iter().map(|listed| listed.file.below(debs.place())).collect();
    link_all(&files, repository)?;
    let mut index = String::new();
    for (listed, path) in debs.listed.iter().zip(&files) {
        let stanza = Deb::open(path)?.stanza;
        let size = listed.size.as_bytes();
        let _ = write!(
            index,
            "{}\nFilename: ./{}\nSize: {size}\nSHA256: {}\n\n",
            stanza.trim_end(),
            listed.file,
            listed.sha256
        );
    }
    Ok(fs_err::write(repository.join("Packages"), index)?)
}

/// A repository with something wrong.
fn damage(
    damaged: &Damaged,
    files: &[PathBuf],
    repository: &Path,
    release: &Definition,
    workspace: &Path,
) -> Result<(), ReleaseError> {
    let of = |package: &str| {
        let is_it = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.strip_prefix(package)
                .is_some_and(|rest| rest.starts_with('-') && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        };
        let unknown = || ReleaseError::NoSuchPackage { repository: damaged.name.clone(), package: package.to_owned() };
        files.iter().find(is_it).ok_or_else(unknown)
    };
    let lacking = damaged.lacks.as_deref().map(of).transpose()?;
    let present: Vec<_> = files.iter().filter(|file| Some(*file) != lacking).cloned().collect();
    link_all(&present, repository)?;
    index(repository, &release.recipe(), workspace)?;
    if let Some(whole) = damaged.cut.as_deref().map(of).transpose()? {
        let content = fs_err::read(whole)?;
        let cut = repository.join(whole.file_name().unwrap_or_default());
        fs_err::remove_file(&cut)?;
        fs_err::write(&cut, &content[..content.len() / 2])?;
    }
    Ok(())
}

/// Writes `repodata/`. Each repository is read anew: packages of two variants have the same names, and not the same content.
fn index(repository: &Path, recipe: &str, workspace: &Path) -> Result<(), ReleaseError> {
    let mut arguments = vec!["--quiet".to_owned(), "--no-database".into(), "--compatibility".into()];
    // What zypper does not need for an upgrade.
    arguments.extend(["--skip-symlinks".into(), "--changelog-limit=0".into()]);
    arguments.push(repository.display().to_string());
    Ok(run_tool("createrepo_c", arguments, recipe, workspace, &mut |_| {})?)
}

fn make_disk(root: &Path, target: &Path, recipe: &str, workspace: &Path) -> Result<(), ReleaseError> {
    let mut seen = std::collections::HashSet::new();
    let mut bytes = 0;
    for entry in walkdir::WalkDir::new(root) {
        use std::os::unix::fs::MetadataExt as _;
        let data = entry.map_err(std::io::Error::from)?.metadata().map_err(std::io::Error::from)?;
        if seen.insert(data.ino()) {
            bytes += data.blocks() * 512;
        }
    }
    // A tenth and 16 MiB for what the file system keeps of itself. Without a journal: nobody writes to it.
    let size = Size::bytes(bytes + bytes / 10 + (16 << 20));
    let kibibytes = format!("{}k", size.as_bytes() / 1024);
    let flags =
        ["-q", "-t", "ext4", "-m", "0", "-L", "repositories", "-O", "^has_journal", "-E", "root_owner=0:0", "-d"];
    let mut arguments: Vec<String> = flags.map(ToOwned::to_owned).to_vec();
    arguments.extend([root.display().to_string(), target.display().to_string(), kibibytes]);
    Ok(run_tool("mke2fs", arguments, recipe, workspace, &mut |_| {})?)
}
