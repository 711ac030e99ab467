//! From a recipe to an image in the cache.

use super::plan::{self, Plan};
use super::recipe::{Catalogue, Download, Foreign, Recipe, RecipeError, Source};
use super::tool;
use crate::cache::{Cache, Claim, ContentKey, EntryName, InUse, Kind};
use crate::host::workspace::Workspace;
use crate::machine::{Boot, quoted};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Changes when the builder makes something else of the same ingredients.
const FORMAT: &str = "2";

/// What is installed nowhere: nobody reads it in a guest.
const LEFT_OUT: [&str; 4] = ["/usr/share/man/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*"];

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The recipes are wrong.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A file could not be read or written.
    #[error("failed to build the image")]
    File(#[from] io::Error),
    /// A program could not be run.
    #[error("failed to run {program}; `cargo xtask setup` installs it")]
    Tool {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed ({status}); its output ends:\n{tail}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// The end of its output.
        tail: String,
    },
    /// A file is not the one that the recipe means.
    #[error("{what} has SHA-256 {found}, and the recipe says {wanted}")]
    Digest {
        /// Its path or URL.
        what: String,
        /// What it has.
        found: String,
        /// What it should have.
        wanted: String,
    },
    /// The tree has no kernel.
    #[error("the tree of `{0}` has no kernel and initial RAM disk in /boot")]
    NoKernel(String),
}

/// What happens during [`ensure`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// apt resolves the packages.
    Planning,
    /// apt could not; the last resolution is used.
    OldPlan,
    /// Somebody else builds the same.
    Waiting,
    /// A tree is made.
    Installing {
        /// The recipe.
        recipe: String,
        /// How many packages are in the plan.
        packages: usize,
    },
    /// The disk is made.
    Disk,
    /// A foreign file is fetched and checked.
    Fetching(String),
}

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

/// Hands back the image of a recipe, building it first if it is not in the cache. Blocks.
pub fn ensure(
    catalogue: &Catalogue,
    name: &str,
    cache: &Cache,
    refresh: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Image, ImageError> {
    Workspace::sweep(&cache.building())?;
    let recipe = catalogue.get(name)?;
    if let Source::Disk(foreign) = &recipe.source {
        return foreign_disk(recipe, foreign, cache, progress);
    }
    let (key, plan) = key(catalogue, recipe, cache, refresh, progress)?;
    let entry = EntryName::new(name, &key);
    if let Some(in_use) = cache.open(Kind::Image, &entry)? {
        return Ok(image(recipe, key, in_use));
    }
    let claim = cache.claim(Kind::Image, &entry, || progress(Progress::Waiting))?;
    if !claim.exists() {
        let base = base_tree(catalogue, recipe, cache, refresh, progress)?;
        build(recipe, suite(catalogue, recipe)?, &plan, base.as_ref(), cache, &claim, progress)?;
    }
    Ok(image(recipe, key, claim.into_use()?))
}

fn image(recipe: &Recipe, key: ContentKey, in_use: InUse) -> Image {
    let place = in_use.place().to_owned();
    let optional = |file: &str| Some(place.join(file)).filter(|path| path.exists());
    let boot = optional("vmlinuz").map_or(Boot::Disk, |kernel| Boot::Direct {
        kernel,
        initrd: optional("initrd.img"),
        parameters: recipe.kernel_parameters.clone(),
    });
    Image {
        name: recipe.name.clone(),
        key,
        disk: place.join("disk.qcow2"),
        directory: place,
        boot,
        _in_use: Arc::new(in_use),
    }
}

/// The recipe and those that it builds on, the bottom first.
fn chain<'a>(catalogue: &'a Catalogue, recipe: &'a Recipe) -> Result<Vec<&'a Recipe>, RecipeError> {
    let mut chain = vec![recipe];
    while let Some(Source::Base(base)) = chain.last().map(|recipe| &recipe.source) {
        let base = catalogue.get(base)?;
        if chain.iter().any(|recipe| recipe.name == base.name) {
            break;
        }
        chain.push(base);
    }
    chain.reverse();
    Ok(chain)
}

/// The release that the recipe, or the one that it builds on, is made of.
fn suite<'a>(catalogue: &'a Catalogue, recipe: &'a Recipe) -> Result<&'a str, RecipeError> {
    let suite = chain(catalogue, recipe)?.into_iter().find_map(|recipe| match &recipe.source {
        Source::Suite(suite) => Some(suite.as_str()),
        _ => None,
    });
    Ok(suite.unwrap_or_default())
}

fn key(
    catalogue: &Catalogue,
    recipe: &Recipe,
    cache: &Cache,
    refresh: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<(ContentKey, Plan), ImageError> {
    let chain = chain(catalogue, recipe)?;
    let packages: Vec<_> = chain.iter().flat_map(|recipe| recipe.packages.clone()).collect();
    let plan = plan::resolve(suite(catalogue, recipe)?, &packages, cache, refresh, progress)?;
    let mut ingredients = vec![FORMAT.to_owned()];
    ingredients.extend(
        [("mmdebstrap", "--version"), ("mke2fs", "-V"), ("qemu-img", "--version")]
            .map(|(program, flag)| tool::version(program, flag)),
    );
    ingredients.extend(plan.iter().map(|(name, version)| format!("{name}={version}")));
    for recipe in chain {
        let mut own = recipe.clone();
        // Where the project lies on this host does not change an image; what the files say does.
        if let Some(files) = own.files.take() {
            ingredients.extend(contents(&files)?);
        }
        ingredients.push(serde_json::to_string(&own).map_err(|error| ImageError::File(error.into()))?);
    }
    Ok((ContentKey::of(ingredients.iter().map(String::as_bytes)), plan))
}

fn contents(directory: &Path) -> Result<Vec<String>, ImageError> {
    let mut contents = Vec::new();
    for entry in walkdir::WalkDir::new(directory).sort_by_file_name().min_depth(1) {
        let entry = entry.map_err(io::Error::from)?;
        let below = entry.path().strip_prefix(directory).map_err(io::Error::other)?;
        contents.push(below.display().to_string());
        if entry.file_type().is_file() {
            contents.push(fs_err::read_to_string(entry.path())?);
        }
    }
    Ok(contents)
}

/// The entry with the tree that `recipe` builds on, as a tar file.
fn base_tree(
    catalogue: &Catalogue,
    recipe: &Recipe,
    cache: &Cache,
    refresh: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<InUse>, ImageError> {
    let Source::Base(base) = &recipe.source else { return Ok(None) };
    let base = catalogue.get(base)?;
    let (key, plan) = key(catalogue, base, cache, refresh, progress)?;
    let entry = EntryName::new(&base.name, &key);
    if let Some(in_use) = cache.open(Kind::Image, &entry)? {
        return Ok(Some(in_use));
    }
    let claim = cache.claim(Kind::Image, &entry, || progress(Progress::Waiting))?;
    if !claim.exists() {
        progress(Progress::Installing { recipe: base.name.clone(), packages: plan.len() });
        let below = base_tree(catalogue, base, cache, refresh, progress)?;
        let workspace = Workspace::create(&cache.building(), &base.name)?;
        let new = workspace.path().join("new");
        fs_err::create_dir(&new)?;
        let below = below.as_ref().map(tree_of);
        install(base, suite(catalogue, base)?, below.as_deref(), "tar", &new.join("tree.tar"), workspace.path())?;
        claim.publish(&new)?;
    }
    Ok(Some(claim.into_use()?))
}

fn tree_of(base: &InUse) -> PathBuf {
    base.place().join("tree.tar")
}

fn build(
    recipe: &Recipe,
    suite: &str,
    plan: &Plan,
    base: Option<&InUse>,
    cache: &Cache,
    claim: &Claim,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ImageError> {
    progress(Progress::Installing { recipe: recipe.name.clone(), packages: plan.len() });
    let workspace = Workspace::create(&cache.building(), &recipe.name)?;
    let (tree, new, log) = (workspace.path().join("tree"), workspace.path().join("new"), workspace.path().join("log"));
    fs_err::create_dir(&new)?;
    install(recipe, suite, base.map(tree_of).as_deref(), "directory", &tree, workspace.path())?;
    copy_newest(&tree, "vmlinuz-", &new.join("vmlinuz"), recipe)?;
    copy_newest(&tree, "initrd.img-", &new.join("initrd.img"), recipe)?;
    progress(Progress::Disk);
    let raw = workspace.path().join("disk.raw");
    let size = format!("{}M", recipe.size_mib);
    // Without a journal: a lab's disk is thrown away, and after a crash its lab is, too.
    let make = ["-q", "-t", "ext4", "-L", "root", "-O", "^has_journal", "-E", "root_owner=0:0", "-d"].map(Into::into);
    let make = make.into_iter().chain([tree.as_os_str(), raw.as_os_str(), size.as_ref()].map(ToOwned::to_owned));
    tool::run("mke2fs", make.collect::<Vec<std::ffi::OsString>>(), workspace.path(), &log)?;
    let disk = new.join("disk.qcow2");
    let convert = ["convert".as_ref(), "-O".as_ref(), "qcow2".as_ref(), raw.as_os_str(), disk.as_os_str()];
    tool::run("qemu-img", convert, workspace.path(), &log)?;
    let manifest = serde_json::json!({ "recipe": recipe, "packages": plan });
    fs_err::write(new.join("manifest.json"), serde_json::to_vec_pretty(&manifest).map_err(io::Error::from)?)?;
    claim.publish(&new)?;
    Ok(())
}

/// Runs mmdebstrap; in a tree of its own for every recipe, copied from its base.
fn install(
    recipe: &Recipe,
    suite: &str,
    base: Option<&Path>,
    format: &str,
    target: &Path,
    workspace: &Path,
) -> Result<(), ImageError> {
    let mut arguments = vec![format!("--format={format}"), "--aptopt=APT::Install-Recommends \"false\"".into()];
    arguments.extend(LEFT_OUT.map(|paths| format!("--dpkgopt=path-exclude={paths}")));
    match (&recipe.source, base) {
        (Source::Suite(_), _) => arguments.push("--variant=minbase".into()),
        (_, Some(tree)) => {
            arguments.extend(["--variant=custom".into(), "--skip=check/empty".into()]);
            arguments.push(format!("--setup-hook=tar --extract --directory \"$1\" --file {}", tree.display()));
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
        arguments.push(format!("--{hook}=cp --recursive --no-preserve=ownership {}/. \"$1\"", files.display()));
    }
    for answer in &recipe.debconf {
        arguments.push(format!("--essential-hook=echo '{answer}' | chroot \"$1\" debconf-set-selections"));
    }
    for (verb, units) in [("mask", &recipe.mask), ("disable", &recipe.disable)] {
        if !units.is_empty() {
            arguments.push(format!("--customize-hook=chroot \"$1\" systemctl --quiet {verb} {}", units.join(" ")));
        }
    }
    for command in &recipe.run {
        let command = quoted(command);
        arguments.push(format!("--customize-hook=chroot \"$1\" /bin/sh -e -c {command}"));
    }
    if base.is_some() {
        // mmdebstrap lends the host's name and resolver to the tree: nothing of this host stays in an image.
        arguments.push("--customize-hook=echo localhost > \"$1/etc/hostname\" && : > \"$1/etc/resolv.conf\"".into());
    }
    arguments.extend([suite.to_owned(), target.display().to_string()]);
    arguments.extend(plan::mirror());
    tool::run("mmdebstrap", arguments, workspace, &workspace.join("log"))
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

fn foreign_disk(
    recipe: &Recipe,
    foreign: &Foreign,
    cache: &Cache,
    progress: &mut dyn FnMut(Progress),
) -> Result<Image, ImageError> {
    let text = serde_json::to_string(recipe).map_err(|error| ImageError::File(error.into()))?;
    let key = ContentKey::of([FORMAT.as_bytes(), text.as_bytes()]);
    let entry = EntryName::new(&recipe.name, &key);
    if let Some(in_use) = cache.open(Kind::Image, &entry)? {
        return Ok(image(recipe, key, in_use));
    }
    let claim = cache.claim(Kind::Image, &entry, || progress(Progress::Waiting))?;
    if !claim.exists() {
        let workspace = Workspace::create(&cache.building(), &recipe.name)?;
        let new = workspace.path().join("new");
        fs_err::create_dir(&new)?;
        let files = [
            (Some(&foreign.disk), "disk.qcow2"),
            (foreign.kernel.as_ref(), "vmlinuz"),
            (foreign.initrd.as_ref(), "initrd.img"),
        ];
        for (download, name) in files {
            if let Some(download) = download {
                fetch(download, &new.join(name), workspace.path(), progress)?;
            }
        }
        claim.publish(&new)?;
    }
    Ok(image(recipe, key, claim.into_use()?))
}

fn fetch(
    download: &Download,
    target: &Path,
    workspace: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ImageError> {
    let what =
        download.url.clone().unwrap_or_else(|| download.path.as_deref().unwrap_or(Path::new("")).display().to_string());
    progress(Progress::Fetching(what.clone()));
    match (&download.path, &download.url) {
        (Some(path), _) => drop(fs_err::copy(path, target)?),
        (None, Some(url)) => {
            let arguments =
                ["--fail", "--silent", "--show-error", "--location", "--output"].map(AsRef::<std::ffi::OsStr>::as_ref);
            let arguments = arguments.into_iter().chain([target.as_os_str(), "--".as_ref(), url.as_ref()]);
            tool::run("curl", arguments, workspace, &workspace.join("log"))?;
        }
        (None, None) => {}
    }
    let found = digest(target)?;
    let wanted = download.sha256.to_ascii_lowercase();
    if found == wanted { Ok(()) } else { Err(ImageError::Digest { what, found, wanted }) }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(directory: &Path, digest: &str) -> Catalogue {
        std::fs::create_dir_all(directory.join("recipes")).unwrap();
        std::fs::write(directory.join("cloud.qcow2"), "a disk").unwrap();
        let text = format!("summary = \"x\"\n[from.disk]\npath = \"../cloud.qcow2\"\nsha256 = \"{digest}\"\n");
        std::fs::write(directory.join("recipes/cloud.toml"), text).unwrap();
        Catalogue::load(&directory.join("recipes")).unwrap()
    }

    fn digest_of(bytes: &[u8]) -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_foreign_disk_is_taken_once_and_boots_by_itself() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("cache")).unwrap();
        let catalogue = foreign(directory.path(), &digest_of(b"a disk"));
        let mut events = Vec::new();
        let image = ensure(&catalogue, "cloud", &cache, false, &mut |event| events.push(event)).unwrap();
        assert_eq!(std::fs::read(&image.disk).unwrap(), b"a disk");
        assert_eq!(image.boot, Boot::Disk);
        assert_eq!(events.len(), 1);
        ensure(&catalogue, "cloud", &cache, false, &mut |event| panic!("{event:?} for an image that is there"))
            .unwrap();
    }

    #[test]
    fn a_wrong_digest_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("cache")).unwrap();
        let catalogue = foreign(directory.path(), &digest_of(b"another disk"));
        let error = ensure(&catalogue, "cloud", &cache, false, &mut |_| {}).unwrap_err();
        assert!(matches!(error, ImageError::Digest { .. }), "{error}");
        assert!(cache.list(Kind::Image).unwrap().is_empty());
        let left: Vec<_> = std::fs::read_dir(cache.building())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().is_dir())
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
