//! From Debian packages to rpms, in parallel; what an earlier release has of the same is linked.

use super::assemble::{self, Ingredients};
use super::deb::Deb;
use super::debs::Debs;
use super::definition::Definition;
use super::error::ReleaseError;
use super::overlay::Changes;
use super::package::{Package, Relations};
use super::site::{Progress, Site};
use super::translate::Members;
use super::tree::Harvest;
use super::{MANIFEST, Made, Manifest, write};
use crate::cache::{ContentKey, Kind};
use crate::plain_path::PlainPath;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Changes when the same ingredients become another rpm.
const FORMAT: &str = "2";

/// One package to be made.
pub(super) struct Order<'a> {
    pub(super) name: String,
    source: Option<(&'a Deb, PathBuf, &'a str)>,
    relations: Relations,
    pub(super) changes: Changes,
    /// The overlay that is named if it does not fit.
    overlay: String,
    with_scripts: bool,
    version: &'a str,
    /// Of all that it is made of.
    key: String,
}

impl Order<'_> {
    /// Of all that it is made of.
    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

/// All that packages of one release are made of, read once.
pub(super) struct Workshop<'a> {
    definition: &'a Definition,
    harvest: &'a Harvest,
    /// By package: what the control part says, where the file is, and its digest.
    debs: BTreeMap<String, (Deb, PathBuf, String)>,
    members: Members,
}

impl<'a> Workshop<'a> {
    pub(super) fn open(definition: &'a Definition, debs: &Debs, harvest: &'a Harvest) -> Result<Self, ReleaseError> {
        let opened = in_parallel(&debs.listed, |one| {
            let path = one.file.below(debs.place());
            Ok((Deb::open(&path)?, path, one.sha256.clone()))
        })?;
        let members = Members::of(opened.iter().map(|(deb, ..)| &deb.control));
        let debs = opened.into_iter().map(|one| (one.0.control.package.clone(), one)).collect();
        Ok(Self { definition, harvest, debs, members })
    }

    /// All packages of the release, with the changes that every variant has.
    pub(super) fn base(&self) -> Result<Vec<Order<'_>>, ReleaseError> {
        let mut changes: BTreeMap<&str, (Changes, &str)> = BTreeMap::new();
        for overlay in &self.definition.overlays {
            for (package, added) in &overlay.packages {
                let (all, name) = changes.entry(package).or_default();
                all.add(added.clone());
                *name = &overlay.name;
            }
        }
        let mut orders = Vec::new();
        for name in self.debs.keys() {
            let (changes, overlay) = changes.remove(name.as_str()).unwrap_or_default();
            orders.push(self.order(name, changes, overlay)?);
        }
        for (name, (changes, overlay)) in changes {
            orders.push(self.order(name, changes, overlay)?);
        }
        Ok(orders)
    }

    /// The packages that a variant changes: the base's changes, and its own.
    pub(super) fn variant(&self, base: &[Order], variant: &super::Overlay) -> Result<Vec<Order<'_>>, ReleaseError> {
        let own = variant.packages.iter().map(|(name, own)| {
            let mut changes =
                base.iter().find(|order| order.name == *name).map(|order| order.changes.clone()).unwrap_or_default();
            changes.add(own.clone());
            self.order(name, changes, &variant.name)
        });
        own.collect()
    }

    fn order(&self, name: &str, changes: Changes, overlay: &str) -> Result<Order<'_>, ReleaseError> {
        let source = self.debs.get(name);
        let unknown = || ReleaseError::Overlay { overlay: overlay.to_owned(), what: format!("package {name}") };
        if source.is_none() && changes.create.is_none() {
            return Err(unknown());
        }
        let relations = source.map(|(deb, ..)| self.members.translate(&deb.control)).unwrap_or_default();
        let with_scripts = !self.definition.leaves_out_scripts_of(name);
        let made = self.harvest.of(name);
        let mut ingredients = vec![FORMAT.to_owned(), self.definition.version.clone(), with_scripts.to_string()];
        ingredients.push(source.map(|(_, _, sha256)| sha256.clone()).unwrap_or_default());
        for part in [json(&relations)?, json(&changes)?, json(&made)?] {
            ingredients.push(part);
        }
        if !made.bytecode.is_empty() {
            ingredients.push(self.harvest.key.clone());
        }
        Ok(Order {
            name: name.to_owned(),
            source: source.map(|(deb, path, sha256)| (deb, path.clone(), sha256.as_str())),
            relations,
            changes,
            overlay: overlay.to_owned(),
            with_scripts,
            version: &self.definition.version,
            key: ContentKey::of(ingredients.iter().map(String::as_bytes)).to_string(),
        })
    }

    /// What goes into the rpm of an order.
    pub(super) fn package(&self, order: &Order) -> Result<Package, ReleaseError> {
        match &order.source {
            None => {
                let summary = order.changes.create.as_deref().unwrap_or(&order.name);
                assemble::created(&order.name, summary, order.version, &order.changes, &order.overlay)
            }
            Some((deb, file, _)) => assemble::package(Ingredients {
                deb,
                file,
                relations: order.relations.clone(),
                changes: &order.changes,
                harvest: self.harvest,
                with_scripts: order.with_scripts,
                overlay: &order.overlay,
            }),
        }
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, ReleaseError> {
    Ok(serde_json::to_string(value).map_err(io::Error::from)?)
}

/// Rpms that entries of the cache have, by what they were made of.
pub(super) struct Shelf {
    known: HashMap<String, (PathBuf, Made)>,
    _held: Vec<crate::cache::InUse>,
}

impl Shelf {
    pub(super) fn of(site: &Site) -> Result<Self, ReleaseError> {
        let (mut known, mut held) = (HashMap::new(), Vec::new());
        for entry in site.cache.list(Kind::Release)? {
            let Some(in_use) = site.cache.open(Kind::Release, &entry.name)? else { continue };
            let Ok(text) = std::fs::read(in_use.place().join(MANIFEST)) else { continue };
            let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) else { continue };
            for made in manifest.packages.into_iter().chain(manifest.variants.into_values().flatten()) {
                known.insert(made.key.clone(), (made.file.below(in_use.place()), made));
            }
            held.push(in_use);
        }
        Ok(Self { known, _held: held })
    }
}

/// Makes the rpms of these orders in the directory `folder` below `new`; says what was made.
pub(super) fn make(
    site: &Site,
    workshop: &Workshop,
    orders: &[Order],
    shelf: &Shelf,
    (new, folder): (&Path, &str),
    workspace: &Path,
) -> Result<Vec<Made>, ReleaseError> {
    fs_err::create_dir_all(new.join(folder))?;
    let kept = orders.iter().filter(|order| shelf.known.contains_key(&order.key)).count();
    site.tell(Progress::Converting { packages: orders.len(), kept });
    let mut made = in_parallel(orders, |order| {
        if let Some((path, known)) = shelf.known.get(&order.key) {
            let file = plain(format!("{folder}/{}", known.file.file_name()))?;
            fs_err::hard_link(path, file.below(new))?;
            return Ok(Made { file, ..known.clone() });
        }
        let package = workshop.package(order)?;
        let file = plain(format!("{folder}/{}", package.file_name()))?;
        let by_rpmbuild = write::write(&package, &file.below(new), workspace)?;
        let changed = !order.changes.files.is_empty() || !order.changes.drop.is_empty();
        let evr = package.evr.to_string();
        Ok(Made { name: package.name, evr, file, key: order.key.clone(), changed, by_rpmbuild })
    })?;
    made.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(made)
}

fn plain(path: String) -> io::Result<PlainPath> {
    PlainPath::try_from(path).map_err(io::Error::other)
}

/// Does the same to all items, on all cores, and hands back the results in their order; the first error ends it. The
/// largest first would be better still, but the items do not tell.
pub(super) fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, ReleaseError> + Sync,
) -> Result<Vec<R>, ReleaseError> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(items.len())));
    std::thread::scope(|scope| {
        let worker = || -> Result<(), ReleaseError> {
            while let Some((index, item)) =
                Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, items.get(index)?)))
            {
                let result = work(item).inspect_err(|_| next.store(items.len(), Ordering::Relaxed))?;
                done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, result));
            }
            Ok(())
        };
        let workers: Vec<_> = (0..threads.min(items.len())).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
