//! What an image is made from, and the name that follows.

use super::apt_cache::CachePolicy;
use super::error::ImageError;
use super::plan::{Plan, Wanted};
use super::progress::Progress;
use super::recipe::{Catalogue, Foreign, Recipe, RecipeError, Source};
use super::tool;
use crate::cache::{Cache, ContentKey, EntryName};
use std::io;
use std::path::Path;

/// Changes when the builder makes something else of the same ingredients.
const FORMAT: &str = "2";

/// The recipe and those that it builds on, the bottom first.
struct Chain<'a> {
    recipes: Vec<&'a Recipe>,
    suite: &'a str,
    packages: Vec<String>,
}

impl<'a> Chain<'a> {
    fn of(catalogue: &'a Catalogue, recipe: &'a Recipe) -> Result<Self, RecipeError> {
        let mut recipes = vec![recipe];
        while let Some(Source::Base(base)) = recipes.last().map(|recipe| &recipe.source) {
            let base = catalogue.get(base)?;
            if recipes.iter().any(|recipe| recipe.name == base.name) {
                break;
            }
            recipes.push(base);
        }
        recipes.reverse();
        let Source::Suite(suite) = &recipes[0].source else {
            return Err(RecipeError::Baseless { name: recipe.name.clone() });
        };
        let packages = recipes.iter().flat_map(|recipe| recipe.packages.clone()).collect();
        Ok(Self { recipes, suite, packages })
    }

    fn wanted(&self, recipe: &'a Recipe) -> Wanted<'_> {
        Wanted { recipe: &recipe.name, suite: self.suite, packages: &self.packages }
    }

    fn key(&self, plan: &Plan) -> Result<ContentKey, ImageError> {
        let mut ingredients = vec![FORMAT.to_owned(), tool::version("mmdebstrap", "--version")];
        ingredients.extend(disk_makers());
        ingredients.extend(plan.packages.iter().map(|(name, version)| format!("{name}={version}")));
        for recipe in &self.recipes {
            let mut own = (*recipe).clone();
            // Where the project lies on this host does not change an image; what the files say does.
            if let Some(files) = own.files.take() {
                ingredients.extend(contents(&files)?);
            }
            ingredients.push(serde_json::to_string(&own).map_err(io::Error::from)?);
        }
        Ok(ContentKey::of(ingredients.iter().map(String::as_bytes)))
    }
}

/// The versions of what makes disks.
pub(super) fn disk_makers() -> [String; 2] {
    [("mke2fs", "-V"), ("qemu-img", "--version")].map(|(program, flag)| tool::version(program, flag))
}

/// The Debian release that a recipe, or the lowest one that it builds on, is made of.
pub(super) fn suite<'a>(catalogue: &'a Catalogue, recipe: &'a Recipe) -> Result<&'a str, RecipeError> {
    Ok(Chain::of(catalogue, recipe)?.suite)
}

/// The files below a directory: names, and what they hold.
pub(super) fn contents(directory: &Path) -> Result<Vec<String>, ImageError> {
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

/// The key of a recipe that is installed from packages, and its plan.
pub(super) fn installed(
    catalogue: &Catalogue,
    recipe: &Recipe,
    cache: &Cache,
    freshness: CachePolicy,
    progress: &mut dyn FnMut(Progress),
) -> Result<(ContentKey, Plan), ImageError> {
    let chain = Chain::of(catalogue, recipe)?;
    let plan = chain.wanted(recipe).resolve(cache, freshness, progress)?;
    Ok((chain.key(&plan)?, plan))
}

/// The same by the last plan, however old it is, without a question to the archive: none, if there is no plan.
pub(super) fn installed_as_planned(
    catalogue: &Catalogue,
    recipe: &Recipe,
    cache: &Cache,
) -> Result<Option<ContentKey>, ImageError> {
    let chain = Chain::of(catalogue, recipe)?;
    chain.wanted(recipe).kept(cache).map(|plan| chain.key(&plan)).transpose()
}

/// The key of a recipe for a disk that somebody else made.
pub(super) fn foreign(recipe: &Recipe) -> Result<ContentKey, ImageError> {
    let mut own = recipe.clone();
    // Where a file comes from does not change an image; its digest says what it is.
    if let Source::Disk(Foreign { disk, kernel, initrd }) = &mut own.source {
        for download in [Some(disk), kernel.as_mut(), initrd.as_mut()].into_iter().flatten() {
            (download.path, download.url) = (None, None);
        }
    }
    let text = serde_json::to_string(&own).map_err(io::Error::from)?;
    Ok(ContentKey::of([FORMAT.as_bytes(), text.as_bytes()]))
}

/// What the entry with the disk of a recipe is called.
pub(super) fn disk_name(recipe: &Recipe, key: &ContentKey) -> EntryName {
    EntryName::new(&recipe.name, key)
}

/// What the entry with the tree of a recipe is called. A recipe that can boot has a disk by its own name.
pub(super) fn tree_name(recipe: &Recipe, key: &ContentKey) -> EntryName {
    let name = if recipe.is_bootable() { format!("{}.tree", recipe.name) } else { recipe.name.clone() };
    EntryName::new(&name, key)
}
