//! Recipes of images, as files.

use crate::diagnostic::{Diagnostic, FileDiagnostic};
use crate::image::rpm_image::Releases;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What an image consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recipe {
    /// Its name: the file's.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// What it starts from.
    pub source: Source,
    /// Packages to install, without their dependencies; recommendations are not followed.
    pub packages: Vec<String>,
    /// Answers for debconf, as debconf-set-selections(1) reads them.
    pub debconf: Vec<String>,
    /// A directory whose content is copied over the tree.
    pub files: Option<PathBuf>,
    /// Units that are masked.
    pub mask: Vec<String>,
    /// Units that are installed, and not started at boot.
    pub disable: Vec<String>,
    /// Shell commands that are run in the tree when everything is installed.
    pub run: Vec<String>,
    /// The kernel's command line.
    pub kernel_parameters: String,
    /// Size of the disk.
    pub size_mib: u32,
    /// Whether its file system has a journal: for machines that must survive a power cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub journal: bool,
}

/// What a recipe starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Source {
    /// Nothing but the archive of a Debian release.
    Suite(String),
    /// The tree of another recipe.
    Base(String),
    /// The tree of an rpm release, made of Debian's packages.
    Release(String),
    /// A disk that somebody else made.
    Disk(Foreign),
}

/// A disk that somebody else made: a cloud image with cloud-init.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Foreign {
    /// The disk, qcow2.
    pub disk: Download,
    /// The kernel; without it the disk boots by its own boot loader.
    pub kernel: Option<Download>,
    /// The initial RAM disk.
    pub initrd: Option<Download>,
}

/// A file by its place and its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Download {
    /// A path on this host, relative to the recipe; or
    pub path: Option<PathBuf>,
    /// a URL: https, or a file of this host.
    pub url: Option<String>,
    /// The SHA-256 of the content, in hexadecimal digits.
    pub sha256: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    summary: String,
    suite: Option<String>,
    base: Option<String>,
    release: Option<String>,
    from: Option<Foreign>,
    #[serde(default)]
    packages: Vec<String>,
    #[serde(default)]
    debconf: Vec<String>,
    files: Option<PathBuf>,
    #[serde(default)]
    mask: Vec<String>,
    #[serde(default)]
    disable: Vec<String>,
    #[serde(default)]
    run: Vec<String>,
    #[serde(default)]
    kernel_parameters: String,
    #[serde(default = "default_size")]
    size_mib: u32,
    #[serde(default)]
    journal: bool,
}

fn default_size() -> u32 {
    4096
}

/// What is wrong with the recipes.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum RecipeError {
    /// A file or directory cannot be read.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// A recipe is not what it must be.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Content(#[from] FileDiagnostic),
    /// There is no such recipe.
    #[error("there is no image recipe `{name}`; there are: {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A recipe has no disk.
    #[error("image recipe `{name}` is only built upon: no machine boots from it")]
    NotBootable {
        /// The recipe.
        name: String,
    },
    /// A recipe is of a release, and nobody knows releases.
    #[error("image recipe `{name}` is of release `{release}`, and releases are not known here")]
    NoReleases {
        /// The recipe.
        name: String,
        /// The release.
        release: String,
    },
    /// A recipe cannot be installed on what it names.
    #[error("image recipe `{name}` stands on no release: its `base` leads to a foreign disk, or back to itself")]
    Baseless {
        /// The recipe.
        name: String,
    },
}

/// All recipes of a directory.
#[derive(Debug, Clone)]
pub struct Catalogue {
    recipes: BTreeMap<String, Recipe>,
    releases: Option<Arc<dyn Releases>>,
}

impl Catalogue {
    /// Reads every `*.toml` of `directory`.
    pub fn load(directory: &Path) -> Result<Self, RecipeError> {
        let mut recipes = BTreeMap::new();
        for entry in fs_err::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let recipe = parse(&path, &crate::bounded::read_text(&path, crate::diagnostic::LARGEST)?)?;
                recipes.insert(recipe.name.clone(), recipe);
            }
        }
        let catalogue = Self { recipes, releases: None };
        for recipe in catalogue.recipes.values() {
            if let Source::Base(base) = &recipe.source {
                catalogue.get(base)?;
            }
        }
        Ok(catalogue)
    }

    /// The same, with somebody who knows the releases that recipes name.
    #[must_use]
    pub fn with_releases(self, releases: Arc<dyn Releases>) -> Self {
        Self { releases: Some(releases), ..self }
    }

    pub(super) fn releases(&self) -> Option<Arc<dyn Releases>> {
        self.releases.clone()
    }

    /// The recipe of that name.
    pub fn get(&self, name: &str) -> Result<&Recipe, RecipeError> {
        let known = || self.recipes.keys().cloned().collect();
        self.recipes.get(name).ok_or_else(|| RecipeError::Unknown { name: name.to_owned(), known: known() })
    }

    /// All recipes, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Recipe> {
        self.recipes.values()
    }

    /// All recipes that a machine can boot, by name.
    pub fn bootable(&self) -> impl Iterator<Item = &Recipe> {
        self.recipes.values().filter(|recipe| recipe.is_bootable())
    }
}

impl Recipe {
    /// Whether a disk is made of it; others are only built upon.
    #[must_use]
    pub fn is_bootable(&self) -> bool {
        !matches!(self.source, Source::Suite(_))
    }
}

fn parse(path: &Path, text: &str) -> Result<Recipe, RecipeError> {
    parse_text(path, text).map_err(|diagnostic| diagnostic.in_file(path, text).into())
}

fn parse_text(path: &Path, text: &str) -> Result<Recipe, Diagnostic> {
    let file: File = toml::from_str(text)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    let source = match (file.suite, file.base, file.release, file.from) {
        (Some(suite), None, None, None) => Source::Suite(suite),
        (None, Some(base), None, None) => Source::Base(base),
        (None, None, Some(release), None) => Source::Release(release),
        (None, None, None, Some(from)) => {
            Source::Disk(resolved(from, directory).map_err(|message| Diagnostic::new(message, None))?)
        }
        _ => return Err(Diagnostic::new("a recipe needs one of `suite`, `base`, `release` and `[from]`", None)),
    };
    if matches!(source, Source::Release(_)) && !(file.packages.is_empty() && file.debconf.is_empty()) {
        return Err(Diagnostic::new(
            "what is in a release is said in its definition: no `packages`, no `debconf`",
            None,
        ));
    }
    if matches!(source, Source::Disk(_)) && !(file.packages.is_empty() && file.files.is_none()) {
        return Err(Diagnostic::new("a foreign disk is taken as it is: no `packages`, no `files`", None));
    }
    Ok(Recipe {
        name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        summary: file.summary,
        source,
        packages: file.packages,
        debconf: file.debconf,
        files: file.files.map(|files| directory.join(files)),
        mask: file.mask,
        disable: file.disable,
        run: file.run,
        kernel_parameters: file.kernel_parameters,
        size_mib: file.size_mib,
        journal: file.journal,
    })
}

fn resolved(mut from: Foreign, directory: &Path) -> Result<Foreign, String> {
    for download in [Some(&mut from.disk), from.kernel.as_mut(), from.initrd.as_mut()].into_iter().flatten() {
        if download.path.is_some() == download.url.is_some() {
            return Err("a file of `[from]` needs one of `path` and `url`".into());
        }
        if let Some(url) = &download.url
            && !["https://", "file://"].iter().any(|scheme| url.starts_with(scheme))
        {
            return Err(format!(
                "`{url}` is fetched by no safe way: a URL begins with `https://`, or `file://` for this host"
            ));
        }
        if download.sha256.len() != 64 || !download.sha256.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(format!("`{}` is no SHA-256: it has 64 hexadecimal digits", download.sha256));
        }
        download.path = download.path.take().map(|path| directory.join(path));
    }
    Ok(from)
}

/// Reads anything as a recipe.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(text: &str) {
    let _ = parse(Path::new("images/fuzzed.toml"), text).map_err(|error| error.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let error = parse(Path::new("images/x.toml"), text).unwrap_err();
        crate::diagnostic::plain_text(&error)
    }

    #[rstest::rstest]
    #[case::unknown_key("summary = \"x\"\nsuit = \"bookworm\"\n", "unknown field `suit`", "line 2")]
    #[case::wrong_type("summary = \"x\"\nsuite = \"bookworm\"\npackages = \"a\"\n", "invalid type", "line 3")]
    #[case::no_source("summary = \"x\"\n", "one of `suite`, `base`, `release` and `[from]`", "")]
    #[case::two_sources(
        "summary = \"x\"\nsuite = \"a\"\nbase = \"b\"\n",
        "one of `suite`, `base`, `release` and `[from]`",
        ""
    )]
    #[case::unsafe_url(
        "summary = \"x\"\n[from.disk]\nurl = \"http://mirror.test/a\"\nsha256 = \"12\"\n",
        "`http://mirror.test/a` is fetched by no safe way",
        ""
    )]
    #[case::bad_digest("summary = \"x\"\n[from.disk]\npath = \"a\"\nsha256 = \"12\"\n", "is no SHA-256", "")]
    fn mistakes_are_named(#[case] text: &str, #[case] words: &str, #[case] place: &str) {
        let message = message(text);
        assert!(message.contains(words) && message.contains(place), "{message}");
    }

    #[test]
    fn the_projects_own_recipes_are_good() {
        let catalogue = Catalogue::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../images")).unwrap();
        let names: Vec<_> = catalogue.bootable().map(|recipe| recipe.name.as_str()).collect();
        assert_eq!(
            names,
            ["directory", "guarded-mail", "leap-mail", "mail", "nested-mail", "outside", "virthost", "workstation"]
        );
        let error = catalogue.get("mial").unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no image recipe `mial`; there are: base, directory, guarded-mail, leap-mail, mail, nested-mail, outside, virthost, workstation"
        );
    }
}
