//! Images of rpm distributions: their trees come from somebody who knows releases, and are entered in rpm's database here.

use super::build::{Site, make_disk};
use super::error::ImageError;
use super::key_inputs::{contents, disk_makers, disk_name};
use super::progress::Progress;
use super::recipe::{Recipe, RecipeError};
use super::tool;
use crate::cache::{ContentKey, InUse};
use crate::shell::{quoted, quoted_all, quoted_path};
use serde_json::json;
use std::error::Error;
use std::ffi::OsStr;
use std::fmt::{Debug, Write as _};
use std::io;
use std::path::{Path, PathBuf};

/// Changes when the same ingredients give another image.
const FORMAT: &str = "1";

/// Knows releases: whoever builds images of them gives one of these to the [`Catalogue`](super::Catalogue).
pub trait Releases: Debug + Send + Sync {
    /// The tree of a release and its packages, made first if the cache does not have them.
    fn tree(&self, release: &str, say: &(dyn Fn(String) + Sync)) -> Result<ReleaseTree, Box<dyn Error + Send + Sync>>;
}

/// A release, as far as an image needs it.
#[derive(Debug)]
pub struct ReleaseTree {
    /// All that it is made of.
    pub key: ContentKey,
    /// Its tree, as dpkg has left it: a tar file.
    pub tree: PathBuf,
    /// What its packages have beyond the tree: a tar file.
    pub added: PathBuf,
    /// Its packages.
    pub packages: Vec<PathBuf>,
    /// Those of them that say something else than what lies in the tree.
    pub changed: Vec<PathBuf>,
    /// While they live, nobody removes the files.
    pub held: Vec<InUse>,
}

const UNPACK: &str = "set -e
mkdir \"$1\" && tar --extract --numeric-owner --directory \"$1\" --file \"$2\"
tar --extract --numeric-owner --directory \"$1\" --file \"$4\"
mkdir -p \"$1/var/tmp/packages\" && cp --recursive --dereference \"$3\"/. \"$1/var/tmp/packages\"
mount -t proc proc \"$1/proc\" && mount --bind /dev \"$1/dev\"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
";

/// Makes a tree that dpkg has installed one that rpm has installed: every package is entered in rpm's database, those that
/// differ from what lies in the tree are installed over it, and dpkg's database goes, except update-alternatives' own. Of a file that is configuration, the
/// package's is what counts: what a maintainer script wrote there goes first, or rpm would take it for an administrator's.
const ENTER: &str = "cd /var/tmp/packages
mkdir -p /var/lib/rpm /etc/rpm; echo '%_dbpath /var/lib/rpm' > /etc/rpm/macros
rpm -U --justdb --nodeps --noscripts --force all/*.rpm
rpm -qp --configfiles changed/*.rpm | grep '^/' | grep -vx /etc/rpm/macros | xargs -r rm -f
rpm -U --nodeps --noscripts --force changed/*.rpm
find /var/lib/dpkg -mindepth 1 -maxdepth 1 ! -name alternatives -exec rm -rf {} +
rm -rf /var/tmp/packages /var/cache/apt /var/lib/apt /etc/apt/sources.list /etc/apt/sources.list.d";

impl Site<'_> {
    /// The disk of a recipe that is an rpm release.
    pub(super) fn release_disk(&mut self, recipe: &Recipe, release: &str) -> Result<(ContentKey, InUse), ImageError> {
        let unknown = || RecipeError::NoReleases { name: recipe.name.clone(), release: release.to_owned() };
        let releases = self.catalogue.releases().ok_or_else(unknown)?;
        let (say, said) = std::sync::mpsc::channel();
        let made = std::thread::scope(|scope| {
            let making = scope.spawn(move || releases.tree(release, &|words| drop(say.send(words))));
            for words in &said {
                (self.progress)(Progress::Release(words));
            }
            making.join()
        });
        let made = made.unwrap_or_else(|_| Err("the thread that makes it panicked".into()));
        let tree = made.map_err(|source| ImageError::Release { release: release.to_owned(), source })?;
        let key = key(recipe, &tree)?;
        let in_use = self.provide(&disk_name(recipe, &key), |site, workspace, new| {
            (site.progress)(Progress::Installing { recipe: recipe.name.clone(), packages: tree.packages.len() });
            let there = workspace.path().join("tree");
            let packages = workspace.path().join("packages");
            link_all(&tree.packages, &packages.join("all"))?;
            link_all(&tree.changed, &packages.join("changed"))?;
            let script = script(recipe)?;
            let arguments = ["-c", &script, "sh"].map(AsRef::<OsStr>::as_ref).into_iter();
            let files = [there.as_os_str(), tree.tree.as_os_str(), packages.as_os_str(), tree.added.as_os_str()];
            let arguments = arguments.chain(files);
            tool::run("sh", arguments, &recipe.name, workspace.path(), &mut |_| {})?;
            (site.progress)(Progress::Disk);
            let names: Vec<_> = tree.packages.iter().filter_map(|path| path.file_name()?.to_str()).collect();
            make_disk(recipe, &there, &json!({ "recipe": recipe, "packages": names }), workspace.path(), new)
        })?;
        Ok((key, in_use))
    }
}

/// Makes the tree `$1` of the tar files `$2` and `$4` and the packages in `$3`, as the recipe says. The mounts are in a namespace that
/// ends with the script.
fn script(recipe: &Recipe) -> io::Result<String> {
    let mut script = String::from(UNPACK);
    if let Some(files) = &recipe.files {
        let files = std::path::absolute(files)?;
        let _ = writeln!(script, "cp --recursive --no-preserve=ownership {}/. \"$1\"", quoted_path(&files)?);
    }
    let mut inside = |command: &str| {
        let _ = writeln!(script, "chroot \"$1\" /bin/sh -e -c {}", quoted(command));
    };
    inside(ENTER);
    for (verb, units) in [("mask", &recipe.mask), ("disable", &recipe.disable)] {
        if !units.is_empty() {
            inside(&format!("systemctl --quiet {verb} -- {}", quoted_all(units)));
        }
    }
    for command in &recipe.run {
        inside(command);
    }
    // Nothing of this host stays in an image.
    script.push_str("echo localhost > \"$1/etc/hostname\" && : > \"$1/etc/resolv.conf\"\n");
    Ok(script)
}

fn key(recipe: &Recipe, tree: &ReleaseTree) -> Result<ContentKey, ImageError> {
    let mut ingredients = vec![FORMAT.to_owned(), ENTER.to_owned(), tree.key.to_string()];
    ingredients.extend(disk_makers());
    let mut own = recipe.clone();
    if let Some(files) = own.files.take() {
        ingredients.extend(contents(&files)?);
    }
    ingredients.push(serde_json::to_string(&own).map_err(io::Error::from)?);
    Ok(ContentKey::of(ingredients.iter().map(String::as_bytes)))
}

fn link_all(files: &[PathBuf], directory: &Path) -> io::Result<()> {
    fs_err::create_dir_all(directory)?;
    for file in files {
        let name = file.file_name().ok_or_else(|| io::Error::other(format!("{} is no file", file.display())))?;
        fs_err::os::unix::fs::symlink(std::path::absolute(file)?, directory.join(name))?;
    }
    Ok(())
}
