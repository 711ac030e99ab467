//! Releases: whole rpm distributions that are made of Debian's packages, as an openSUSE Leap of its time would be.
//!
//! A [`Definition`] names a Debian release and the packages that are wanted. From there:
//!
//! 1. apt resolves them and fetches the closure, with the archive's signatures (`debs`);
//! 2. mmdebstrap installs it in a tree once, to see what maintainer scripts make of it (`tree`);
//! 3. each package is read (`deb`), its relations are told in rpm's terms (`translate`), it is changed by
//!    [`Overlay`]s, and written as an rpm (`write`, `spec`), on all cores;
//! 4. repositories are indexed and put on a disk (`repository`).
//!
//! Each step is an entry of the cache, [`Kind::Release`](crate::cache::Kind::Release): `NAME.debs`, `NAME.tree`, `NAME`, `NAME.disk`. A step whose
//! ingredients are the same does nothing, and of changed ingredients only the packages that changed are fetched and made.
//!
//! **For a builder of an image**: [`ensure`] hands back a [`Release`]. [`Release::tree`] is Debian's tree of it, configured by
//! Debian's scripts, and [`Release::rpms`] are the packages to be entered into rpm's database of that tree (`rpm --root R
//! --dbpath /var/lib/rpm -U --justdb --nodeps --noscripts --force`). [`Release::added`] is a tar file of what all packages have
//! beyond the tree: the helper's scripts and marks. The packages of [`Release::changed`] differ in other files, too, and are
//! installed over the tree for real (`-U --replacepkgs --force --nodeps --noscripts`). dpkg's own data can go then, except
//! /var/lib/dpkg/alternatives. [`media`] hands back the disk with the repositories of the next release, [`Media::disk`];
//! [`Media::repository`] and [`Media::before`] say where a variant's packages are on it.
//!
//! The payloads of the rpms are packed by zstd at level 1. Under emulation every byte that is read and digested costs, and
//! zstd unpacks faster than rpm digests what it saves: an `rpm -U` of 94 MB in 2368 files took 5.2 s of a processor under
//! QEMU's user emulation, 7.8 s without compression and 6.4 s with gzip. Level 19 was no faster, and takes minutes to make.
//!
//! This room knows package archives and the cache. It knows neither guests nor scenarios.

mod added;
mod ar;
mod assemble;
mod bench;
mod control;
mod convert;
mod deb;
mod debs;
mod definition;
mod error;
mod for_images;
mod overlay;
pub mod package;
mod relation;
mod repository;
mod site;
mod spec;
mod translate;
mod tree;
mod version;
mod write;

use crate::cache::{Cache, ContentKey, EntryName, InUse};
use crate::plain_path::PlainPath;
use convert::{Shelf, Workshop};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

pub use bench::{Bench, Writer};
#[cfg(any(test, fuzzing))]
pub(crate) use deb::fuzz;
pub use definition::{Definition, Definitions};
pub use error::ReleaseError;
pub use for_images::Archive;
pub use overlay::{Change, Changes, Digests, NewContent, Overlay};
pub use repository::Media;
pub use site::Progress;

const MANIFEST: &str = "manifest.json";

/// The folder of the packages that are the same in all variants, and those that variants replace.
const BASE: &str = "rpms";

/// A finished release. While it lives, nobody removes its files.
#[derive(Debug)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// Its content.
    pub key: ContentKey,
    /// Its packages.
    pub manifest: Manifest,
    in_use: InUse,
    harvest: tree::Harvest,
}

/// What a release consists of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its packages.
    pub packages: Vec<Made>,
    /// The packages that a variant has instead.
    pub variants: BTreeMap<String, Vec<Made>>,
}

impl Manifest {
    /// All packages, those of variants too.
    pub fn all(&self) -> impl Iterator<Item = &Made> {
        self.packages.iter().chain(self.variants.values().flatten())
    }
}

/// An rpm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// The package.
    pub name: String,
    /// Its version.
    pub evr: String,
    /// Its file, below the release's directory.
    pub file: PlainPath,
    /// Of all that it is made of.
    pub key: String,
    /// Whether an overlay changed its files.
    pub changed: bool,
    /// Whether rpmbuild wrote it.
    pub by_rpmbuild: bool,
}

/// Hands back a release, building it first if it is not in the cache; what the cache then holds too much goes. Blocks.
pub fn ensure(
    definition: &Definition,
    cache: &Cache,
    refresh: bool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Release, ReleaseError> {
    site::Site::work(cache, progress, |site| release(site, definition, refresh))
}

/// Hands back the disk with the repositories that an upgrade from `old` to `new` takes, building all of it first if it is not
/// in the cache. Blocks.
pub fn media(
    old: &Definition,
    new: &Definition,
    cache: &Cache,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Media, ReleaseError> {
    site::Site::work(cache, progress, |site| {
        let (before, after) = (release(site, old, false)?, release(site, new, false)?);
        let debs = debs::ensure(site, new, false)?;
        repository::ensure(site, (old, new), (&before, &after), &debs)
    })
}

fn release(site: &site::Site, definition: &Definition, refresh: bool) -> Result<Release, ReleaseError> {
    let debs = debs::ensure(site, definition, refresh)?;
    let harvest = tree::ensure(site, definition, &debs)?;
    let workshop = Workshop::open(definition, &debs, &harvest)?;
    let base = workshop.base()?;
    let variants =
        definition.variants.iter().map(|variant| Ok((variant.name.clone(), workshop.variant(&base, variant)?)));
    let variants = variants.collect::<Result<Vec<_>, ReleaseError>>()?;
    let keys = base.iter().chain(variants.iter().flat_map(|(_, orders)| orders)).map(convert::Order::key);
    let names = variants.iter().map(|(name, _)| name.as_str());
    let key = ContentKey::of(keys.chain(names).map(str::as_bytes));
    let entry = EntryName::new(&definition.name, &key);
    let in_use = site.provide(&entry, |workspace, new| {
        let shelf = Shelf::of(site)?;
        let make = |orders: &[convert::Order], folder: &str| {
            convert::make(site, &workshop, orders, &shelf, (new, folder), workspace.path())
        };
        let mut manifest = Manifest { packages: make(&base, BASE)?, variants: BTreeMap::new() };
        for (name, orders) in &variants {
            manifest.variants.insert(name.clone(), make(orders, &format!("variants/{name}"))?);
        }
        added::collect(new, &manifest.packages)?;
        fs_err::write(new.join(MANIFEST), serde_json::to_vec_pretty(&manifest).map_err(io::Error::from)?)?;
        Ok(())
    })?;
    let manifest = serde_json::from_slice(&fs_err::read(in_use.place().join(MANIFEST))?).map_err(io::Error::from)?;
    drop((base, variants));
    drop(workshop);
    Ok(Release { name: definition.name.clone(), key, manifest, in_use, harvest })
}

impl Release {
    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.in_use.place()
    }

    /// Debian's tree of it, configured by Debian's own scripts: a tar file.
    #[must_use]
    pub fn tree(&self) -> PathBuf {
        self.harvest.tree()
    }

    /// What nobody may remove while its files are used.
    fn into_held(self) -> Vec<InUse> {
        vec![self.in_use, self.harvest.into_in_use()]
    }

    /// What all its packages have beyond the tree, for their scriptlets: a tar file.
    #[must_use]
    pub fn added(&self) -> PathBuf {
        self.in_use.place().join(added::FILE)
    }

    /// The files of its packages: those of a variant, or of none.
    #[must_use]
    pub fn rpms(&self, variant: Option<&str>) -> Vec<PathBuf> {
        let own = variant.and_then(|variant| self.manifest.variants.get(variant)).map_or(&[][..], Vec::as_slice);
        let is_replaced = |made: &&Made| !own.iter().any(|other| other.name == made.name);
        let all = self.manifest.packages.iter().filter(is_replaced).chain(own);
        all.map(|made| made.file.below(self.in_use.place())).collect()
    }

    /// The files of those packages that a variant replaces.
    #[must_use]
    pub fn rpms_of_variant(&self, variant: &str) -> Vec<PathBuf> {
        let own = self.manifest.variants.get(variant).into_iter().flatten();
        own.map(|made| made.file.below(self.in_use.place())).collect()
    }

    /// Those of its packages (of no variant) whose files differ from what Debian's have, or that Debian does not have.
    #[must_use]
    pub fn changed(&self) -> Vec<PathBuf> {
        let changed = self.manifest.packages.iter().filter(|made| made.changed);
        changed.map(|made| made.file.below(self.in_use.place())).collect()
    }
}
