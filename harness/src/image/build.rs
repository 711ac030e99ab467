//! From a recipe to an image in the cache.

use super::error::ImageError;
use super::plan::{self, Plan};
use super::progress::Progress;
use super::recipe::{Catalogue, Foreign, Recipe, RecipeError, Source};
use super::tool;
use crate::cache::{self, Cache, ContentKey, EntryName, InUse, Kind, Size};
use crate::host::workspace::Workspace;
use crate::image::apt_cache::CachePolicy;
use crate::image::external;
use crate::image::key_inputs::{self, disk_name, tree_name};
use crate::machine::Boot;
use crate::qcow2::Header;
use crate::shell::{quoted, quoted_all, quoted_path};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is installed nowhere: nobody reads it in a guest.
pub(crate) const LEFT_OUT: [&str; 4] =
    ["/usr/share/man/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*"];

/// The file in a workspace with what dpkg has in the tree that was made there.
const INSTALLED: &str = "installed";

/// A finished image. While it, or a clone, lives, nobody removes its files.
#[derive(Debug, Clone)]
pub struct Image {
    /// The recipe's name.
    pub name: String,
    /// Its content.
    pub key: ContentKey,
    /// Where it is.
    pub directory: PathBuf,
    /// The disk, qcow2, never to be written.
    pub disk: PathBuf,
    /// How it starts.
    pub boot: Boot,
    _in_use: Arc<InUse>,
}

/// Hands back the image of a recipe, building it first if it is not in the cache; what the cache then holds too much
/// goes. Blocks.
pub fn ensure(
    catalogue: &Catalogue,
    name: &str,
    cache: &Cache,
    refresh: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Image, ImageError> {
    let recipe = catalogue.get(name)?;
    let (key, in_use) =
        Site::work(catalogue, cache, CachePolicy::asked_for(refresh), progress, |site| match &recipe.source {
            Source::Disk(files) => site.foreign_disk(recipe, files),
            Source::Base(_) => site.not_overtaken(|site| site.disk(recipe)),
            Source::Release(release) => site.release_disk(recipe, release),
            Source::Suite(_) => Err(RecipeError::NotBootable { name: name.to_owned() }.into()),
        })?;
    image(recipe, key, in_use)
}

/// Hands back the tree that a recipe builds on, if it builds on one, building it first if it is not in the cache. Blocks.
pub fn ensure_base(
    catalogue: &Catalogue,
    name: &str,
    cache: &Cache,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<InUse>, ImageError> {
    let recipe = catalogue.get(name)?;
    let base = Site::work(catalogue, cache, CachePolicy::Day, progress, |site| {
        site.not_overtaken(|site| site.base_tree(recipe, site.freshness))
    })?;
    Ok(base.map(|base| base.in_use))
}

/// An image in the cache, once its disk was looked at: it may have been imported.
fn image(recipe: &Recipe, key: ContentKey, in_use: InUse) -> Result<Image, ImageError> {
    let place = in_use.place().to_owned();
    let optional = |file: &str| Some(place.join(file)).filter(|path| path.exists());
    let boot = optional("vmlinuz").map_or(Boot::Disk, |kernel| Boot::Direct {
        kernel,
        initrd: optional("initrd.img"),
        parameters: recipe.kernel_parameters.clone(),
    });
    let disk = place.join("disk.qcow2");
    Header::of_whole(&disk).map_err(|source| ImageError::Planted { disk: disk.clone(), source })?;
    Ok(Image { name: recipe.name.clone(), key, disk, directory: place, boot, _in_use: Arc::new(in_use) })
}

/// Where one image and all that it stands on is built.
pub(super) struct Site<'a> {
    pub(super) catalogue: &'a Catalogue,
    cache: &'a Cache,
    /// How old an answer may be by which something is looked for in the cache.
    freshness: CachePolicy,
    /// The same for what is installed.
    to_fetch: CachePolicy,
    pub(super) progress: &'a mut dyn FnMut(Progress),
    /// What the entry that is being built takes while it is built, if that is known.
    needed: Option<Size>,
    /// Whether anything was built.
    built: bool,
    /// Whether the archive did not answer when it was asked.
    silent: bool,
}

impl<'a> Site<'a> {
    /// Does some work in a cache that is swept before, and does not exceed its upper bound afterwards.
    fn work<T>(
        catalogue: &'a Catalogue,
        cache: &'a Cache,
        freshness: CachePolicy,
        progress: &'a mut dyn FnMut(Progress),
        work: impl FnOnce(&mut Self) -> Result<T, ImageError>,
    ) -> Result<T, ImageError> {
        let limit = cache::limit()?;
        cache.sweep()?;
        let mut site = Self {
            catalogue,
            cache,
            freshness,
            to_fetch: CachePolicy::ToFetch,
            progress,
            needed: None,
            built: false,
            silent: false,
        };
        let made = work(&mut site).map_err(|error| error.about_space(&cache.building(), site.needed))?;
        if site.built {
            for gone in cache.shrink(limit)?.removed {
                (site.progress)(Progress::Evicted { name: gone.name, size: gone.size });
            }
        }
        Ok(made)
    }

    /// Does some work, and once more with the versions of now if the archive got others meanwhile: what an image is called says which
    /// versions are in it.
    fn not_overtaken<T>(&mut self, work: impl Fn(&mut Self) -> Result<T, ImageError>) -> Result<T, ImageError> {
        match work(self) {
            Err(ImageError::Overtaken { packages, .. }) => {
                (self.progress)(Progress::Overtaken { packages });
                (self.freshness, self.to_fetch) = (CachePolicy::Now, CachePolicy::Now);
                work(self)
            }
            done => done,
        }
    }

    /// The disk of a recipe that is installed from packages.
    fn disk(&mut self, recipe: &Recipe) -> Result<(ContentKey, InUse), ImageError> {
        let (key, plan) = self.ingredients(recipe, self.freshness, disk_name)?;
        let in_use = self.provide(&disk_name(recipe, &key), |site, workspace, new| {
            // The tree, the raw disk with the same content, and the image of it.
            site.want_room(&plan, 3)?;
            let base = site.base_tree(recipe, site.to_fetch)?;
            site.want_room(&plan, 3)?;
            site.build_disk(recipe, &plan, base.as_ref(), workspace, new)
        })?;
        Ok((key, in_use))
    }

    /// The tree that a recipe builds on. Versions in it are not changed by what is installed over it: they must be those of
    /// the same time.
    fn base_tree(&mut self, recipe: &Recipe, freshness: CachePolicy) -> Result<Option<Base>, ImageError> {
        let Source::Base(base) = &recipe.source else { return Ok(None) };
        let recipe = self.catalogue.get(base)?;
        let (key, plan) = self.ingredients(recipe, freshness, tree_name)?;
        let in_use = self.provide(&tree_name(recipe, &key), |site, workspace, new| {
            // The tree, and the archive of it.
            site.want_room(&plan, 2)?;
            let below = site.base_tree(recipe, site.to_fetch)?;
            site.install(recipe, &plan, below.as_ref(), "tar", &new.join("tree.tar"), workspace)?;
            Ok(())
        })?;
        Ok(Some(Base { in_use, packages: plan.packages.len() }))
    }

    /// A disk that somebody else made.
    fn foreign_disk(&mut self, recipe: &Recipe, files: &Foreign) -> Result<(ContentKey, InUse), ImageError> {
        let key = key_inputs::foreign(recipe)?;
        let in_use = self.provide(&disk_name(recipe, &key), |site, workspace, new| {
            site.needed = external::size(files);
            let mut fetching = |what: &str| (site.progress)(Progress::Fetching(what.to_owned()));
            external::fetch(recipe, files, new, workspace.path(), &mut fetching)
        })?;
        Ok((key, in_use))
    }

    /// The key and the plan of a recipe: those of an entry of the cache, or of what the archive has now.
    fn ingredients(
        &mut self,
        recipe: &Recipe,
        freshness: CachePolicy,
        name: fn(&Recipe, &ContentKey) -> EntryName,
    ) -> Result<(ContentKey, Plan), ImageError> {
        let (key, plan) = self.planned(recipe, freshness)?;
        if self.cache.place(Kind::Image, &name(recipe, &key)).exists() {
            return Ok((key, plan));
        }
        self.planned(recipe, CachePolicy::ToFetch)
    }

    /// An archive that does not answer is asked only once: to wait for it takes long.
    fn planned(&mut self, recipe: &Recipe, freshness: CachePolicy) -> Result<(ContentKey, Plan), ImageError> {
        let Self { catalogue, cache, progress, silent, .. } = self;
        let freshness = if *silent { CachePolicy::Any } else { freshness };
        key_inputs::installed(catalogue, recipe, cache, freshness, &mut |event| {
            *silent |= event == Progress::OldPlan;
            progress(event);
        })
    }

    /// An entry of the cache. If it is missing, `make` makes it in a directory, and it is published: whole, or not at all.
    pub(super) fn provide(
        &mut self,
        entry: &EntryName,
        make: impl FnOnce(&mut Self, &Workspace, &Path) -> Result<(), ImageError>,
    ) -> Result<InUse, ImageError> {
        let waiting = |site: &mut Self| (site.progress)(Progress::Waiting);
        let provided = self.cache.provide((Kind::Image, entry), self, waiting, make)?;
        self.built |= provided.was_missing;
        Ok(provided.in_use)
    }

    /// Refuses to begin what will not fit: the installed packages so many times, and what is downloaded for them.
    fn want_room(&mut self, plan: &Plan, times: u64) -> Result<(), ImageError> {
        let needed = Size::bytes(plan.installed.as_bytes() * times + plan.download.as_bytes());
        self.needed = Some(needed);
        let place = self.cache.building();
        if Size::free_at(&place)? < needed { Err(ImageError::full(&place, Some(needed))) } else { Ok(()) }
    }

    fn build_disk(
        &mut self,
        recipe: &Recipe,
        plan: &Plan,
        base: Option<&Base>,
        workspace: &Workspace,
        new: &Path,
    ) -> Result<(), ImageError> {
        let tree = workspace.path().join("tree");
        let packages = self.install(recipe, plan, base, "directory", &tree, workspace)?;
        (self.progress)(Progress::Disk);
        let manifest = serde_json::json!({ "recipe": recipe, "packages": packages });
        make_disk(recipe, &tree, &manifest, workspace.path(), new)
    }

    /// Installs what is planned, and says which versions dpkg has then.
    fn install(
        &mut self,
        recipe: &Recipe,
        plan: &Plan,
        base: Option<&Base>,
        format: &str,
        target: &Path,
        workspace: &Workspace,
    ) -> Result<BTreeMap<String, String>, ImageError> {
        let packages = plan.packages.len();
        (self.progress)(Progress::Installing { recipe: recipe.name.clone(), packages });
        let all = packages.saturating_sub(base.map_or(0, |base| base.packages));
        let mut done = 0;
        let mut watch = |line: &str| {
            // dpkg's word for a package that is unpacked and configured.
            if line.starts_with("Setting up ") && done < all {
                done += 1;
                if done * 10 / all != (done - 1) * 10 / all {
                    (self.progress)(Progress::Installed { recipe: recipe.name.clone(), done, all });
                }
            }
        };
        let tree = base.map(|base| base.in_use.place().join("tree.tar"));
        let suite = key_inputs::suite(self.catalogue, recipe)?;
        install(recipe, suite, tree.as_deref(), format, target, workspace.path(), &mut watch)?;
        let installed = plan::installed(&fs_err::read_to_string(workspace.path().join(INSTALLED))?);
        let packages = plan.overtaken(&installed);
        if packages.is_empty() {
            Ok(installed)
        } else {
            Err(ImageError::Overtaken { recipe: recipe.name.clone(), packages })
        }
    }
}

/// The files of an image with this tree: kernel, initial RAM disk, disk, manifest.
pub(super) fn make_disk(
    recipe: &Recipe,
    tree: &Path,
    manifest: &serde_json::Value,
    workspace: &Path,
    new: &Path,
) -> Result<(), ImageError> {
    let raw = workspace.join("disk.raw");
    copy_newest(tree, "vmlinuz-", &new.join("vmlinuz"), recipe)?;
    copy_newest(tree, "initrd.img-", &new.join("initrd.img"), recipe)?;
    let size = format!("{}M", recipe.size_mib);
    // Mostly without a journal: a lab's disk is thrown away, and after a crash its lab is, too, unless the crash is what is tried.
    let journal = if recipe.journal { "has_journal" } else { "^has_journal" };
    let make = ["-q", "-t", "ext4", "-L", "root", "-O", journal, "-E", "root_owner=0:0", "-d"].map(Into::into);
    let make = make.into_iter().chain([tree.as_os_str(), raw.as_os_str(), size.as_ref()].map(ToOwned::to_owned));
    tool::run("mke2fs", make.collect::<Vec<OsString>>(), &recipe.name, workspace, &mut |_| {})?;
    let disk = new.join("disk.qcow2");
    let convert = ["convert".as_ref(), "-O".as_ref(), "qcow2".as_ref(), raw.as_os_str(), disk.as_os_str()];
    tool::run("qemu-img", convert, &recipe.name, workspace, &mut |_| {})?;
    fs_err::write(new.join("manifest.json"), serde_json::to_vec_pretty(manifest).map_err(io::Error::from)?)?;
    Ok(())
}

/// What a recipe builds on: an entry with a tree, as a tar file.
struct Base {
    in_use: InUse,
    /// How many packages are in it.
    packages: usize,
}

/// Runs mmdebstrap; in a tree of its own for every recipe, copied from its base.
fn install(
    recipe: &Recipe,
    suite: &str,
    base: Option<&Path>,
    format: &str,
    target: &Path,
    workspace: &Path,
    watch: &mut dyn FnMut(&str),
) -> Result<(), ImageError> {
    let mut arguments =
        vec!["--verbose".to_owned(), format!("--format={format}"), "--aptopt=APT::Install-Recommends \"false\"".into()];
    arguments.extend(LEFT_OUT.map(|paths| format!("--dpkgopt=path-exclude={paths}")));
    match (&recipe.source, base) {
        (Source::Suite(_), _) => arguments.push("--variant=minbase".into()),
        (_, Some(tree)) => {
            arguments.extend(["--variant=custom".into(), "--skip=check/empty".into()]);
            arguments.push(format!("--setup-hook=tar --extract --directory \"$1\" --file {}", quoted_path(tree)?));
        }
        (_, None) => return Err(ImageError::NoKernel(recipe.name.clone())),
    }
    if !recipe.packages.is_empty() {
        arguments.push(format!("--include={}", recipe.packages.join(",")));
    }
    if let Some(files) = &recipe.files {
        // Before packages are configured: what they read must be there.
        let hook = if base.is_some() { "setup-hook" } else { "essential-hook" };
        let files = std::path::absolute(files)?;
        arguments.push(format!("--{hook}=cp --recursive --no-preserve=ownership {}/. \"$1\"", quoted_path(&files)?));
    }
    for answer in &recipe.debconf {
        let answer = quoted(answer);
        arguments.push(format!("--essential-hook=printf '%s\\n' {answer} | chroot \"$1\" debconf-set-selections"));
    }
    for (verb, units) in [("mask", &recipe.mask), ("disable", &recipe.disable)] {
        if !units.is_empty() {
            arguments.push(format!("--customize-hook=chroot \"$1\" systemctl --quiet {verb} -- {}", quoted_all(units)));
        }
    }
    for command in &recipe.run {
        arguments.push(format!("--customize-hook=chroot \"$1\" /bin/sh -e -c {}", quoted(command)));
    }
    let list = "chroot \"$1\" dpkg-query --show --showformat '${Package} ${Version}\\n'";
    arguments.push(format!("--customize-hook={list} > {}", quoted_path(&workspace.join(INSTALLED))?));
    if base.is_some() {
        // mmdebstrap lends the host's name and resolver to the tree: nothing of this host stays in an image.
        arguments.push("--customize-hook=echo localhost > \"$1/etc/hostname\" && : > \"$1/etc/resolv.conf\"".into());
    }
    let mut arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    arguments.extend([suite.into(), target.into()]);
    arguments.extend(plan::mirror().map(Into::into));
    tool::run("mmdebstrap", arguments, &recipe.name, workspace, watch)
}

fn copy_newest(tree: &Path, prefix: &str, target: &Path, recipe: &Recipe) -> Result<(), ImageError> {
    let mut found: Vec<_> = fs_err::read_dir(tree.join("boot"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    found.sort();
    let newest = found.pop().ok_or_else(|| ImageError::NoKernel(recipe.name.clone()))?;
    fs_err::copy(newest, target)?;
    Ok(())
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
