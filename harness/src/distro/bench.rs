//! The same packages made by either writer, to be compared.

use super::convert::{Workshop, in_parallel};
use super::site::{Progress, Site};
use super::{Definition, ReleaseError, debs, spec, tree, write};
use crate::cache::Cache;
use std::path::Path;

/// Who writes rpms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// As releases are built: the `rpm` crate, and rpmbuild for what that cannot say.
    Rehearsal,
    /// rpmbuild, for all of them, with specs of the same model.
    Rpmbuild,
}

/// All that is needed to make the packages of a release again and again.
#[derive(Debug)]
pub struct Bench<'a> {
    definition: &'a Definition,
    debs: debs::Debs,
    harvest: tree::Harvest,
}

impl<'a> Bench<'a> {
    /// Fetches the packages and installs the tree, if the cache does not have them.
    pub fn open(
        definition: &'a Definition,
        cache: &Cache,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Self, ReleaseError> {
        Site::work(cache, progress, |site| {
            let debs = debs::ensure(site, definition, false)?;
            let harvest = tree::ensure(site, definition, &debs)?;
            Ok(Self { definition, debs, harvest })
        })
    }

    /// Makes all packages of the release, of no variant, in a directory: reads Debian's, changes and writes them, on all
    /// cores. Says how many there were.
    pub fn make_all(&self, writer: Writer, target: &Path) -> Result<usize, ReleaseError> {
        let workshop = Workshop::open(self.definition, &self.debs, &self.harvest)?;
        let orders = workshop.base()?;
        let made = in_parallel(&orders, |order| {
            let package = workshop.package(order)?;
            let file = target.join(package.file_name());
            match writer {
                Writer::Rehearsal => write::write(&package, &file, target).map(drop),
                Writer::Rpmbuild => spec::write(&package, &file, target),
            }
        })?;
        Ok(made.len())
    }
}
