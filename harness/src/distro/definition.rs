//! Definitions of releases, as files.

use super::error::ReleaseError;
use super::overlay::Overlay;
use crate::diagnostic::Diagnostic;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What a release consists of.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name: the file's.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// The Debian release whose packages it is made of.
    pub suite: String,
    /// What it calls itself: `VERSION_ID`.
    pub version: String,
    /// The packages that are wanted; what they need comes with them.
    pub packages: Vec<String>,
    /// Answers for debconf while a tree of the release is installed.
    pub debconf: Vec<String>,
    /// Packages whose maintainer scripts have nothing to do here; a `*` at the end stands for anything.
    pub without_scripts: Vec<String>,
    /// The release before it, which is upgraded to this one.
    pub upgrades: Option<String>,
    /// What is changed in the packages, in this order.
    pub overlays: Vec<Overlay>,
    /// What can be changed in addition, one at a time.
    pub variants: Vec<Overlay>,
    /// Repositories that are not as they should be.
    pub damaged: Vec<Damaged>,
}

/// A repository with something wrong, for upgrades that must fail and say why.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Damaged {
    /// Its name, beside those of the variants.
    pub name: String,
    /// The variant that it is made from.
    pub variant: String,
    /// A package that it lacks, as if the distributor had forgotten it: its metadata do not know it either.
    pub lacks: Option<String>,
    /// A package whose file ends half-way, as after a mirror that was interrupted.
    pub cut: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    summary: String,
    suite: String,
    version: String,
    packages: Vec<String>,
    #[serde(default)]
    debconf: Vec<String>,
    #[serde(default)]
    without_scripts: Vec<String>,
    upgrades: Option<String>,
    #[serde(default)]
    overlays: Vec<toml::Spanned<String>>,
    #[serde(default)]
    variants: Vec<toml::Spanned<String>>,
    #[serde(default)]
    damaged: Vec<toml::Spanned<Damaged>>,
}

/// All releases of a project.
#[derive(Debug, Clone)]
pub struct Definitions {
    definitions: BTreeMap<String, Definition>,
}

impl Definitions {
    /// Reads every `releases/*.toml` below `images`, with the overlays that they name, from `overlays/`.
    pub fn load(images: &Path) -> Result<Self, ReleaseError> {
        let mut definitions = BTreeMap::new();
        for entry in fs_err::read_dir(images.join("releases"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let definition = load(&path, &images.join("overlays"))?;
                definitions.insert(definition.name.clone(), definition);
            }
        }
        Ok(Self { definitions })
    }

    /// The release of that name.
    pub fn get(&self, name: &str) -> Result<&Definition, ReleaseError> {
        let known = || self.definitions.keys().cloned().collect();
        self.definitions.get(name).ok_or_else(|| ReleaseError::Unknown { name: name.to_owned(), known: known() })
    }

    /// All releases, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.definitions.values()
    }
}

fn load(path: &Path, overlays: &Path) -> Result<Definition, ReleaseError> {
    let text = crate::bounded::read_text(path, crate::diagnostic::LARGEST)?;
    let written: Written = toml::from_str(&text).map_err(|error| Diagnostic::from(error).in_file(path, &text))?;
    let load_all = |names: &[toml::Spanned<String>]| -> Result<Vec<Overlay>, ReleaseError> {
        let load_one = |name: &toml::Spanned<String>| {
            let file = overlays.join(format!("{}.toml", name.get_ref()));
            if !file.exists() {
                let diagnostic = Diagnostic::new(format!("there is no overlay `{}`", name.get_ref()), name.span());
                return Err(diagnostic
                    .with_help(format!("overlays are files in {}", overlays.display()))
                    .in_file(path, &text)
                    .into());
            }
            Overlay::load(&file, &written.version)
        };
        names.iter().map(load_one).collect()
    };
    let (overlays, variants) = (load_all(&written.overlays)?, load_all(&written.variants)?);
    for damaged in &written.damaged {
        let Damaged { variant, .. } = damaged.get_ref();
        if !variants.iter().any(|known| known.name == *variant) {
            let diagnostic = Diagnostic::new(format!("there is no variant `{variant}`"), damaged.span());
            return Err(diagnostic.in_file(path, &text).into());
        }
    }
    Ok(Definition {
        name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        summary: written.summary,
        suite: written.suite,
        version: written.version,
        packages: written.packages,
        debconf: written.debconf,
        without_scripts: written.without_scripts,
        upgrades: written.upgrades,
        overlays,
        variants,
        damaged: written.damaged.into_iter().map(toml::Spanned::into_inner).collect(),
    })
}

impl Definition {
    /// How messages name it: its file, without the ending.
    pub(super) fn recipe(&self) -> String {
        format!("releases/{}", self.name)
    }

    /// Whether the maintainer scripts of a package have nothing to do.
    pub(super) fn leaves_out_scripts_of(&self, package: &str) -> bool {
        self.without_scripts.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => package.starts_with(start),
            None => package == pattern,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn message(definition: &str, overlay: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        for (file, text) in [("releases/x.toml", definition), ("overlays/o.toml", overlay)] {
            let path = directory.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        crate::diagnostic::plain_text(&Definitions::load(directory.path()).unwrap_err())
    }

    const DEFINITION: &str =
        "summary = \"x\"\nsuite = \"bookworm\"\nversion = \"1\"\npackages = []\noverlays = [\"o\"]\n";

    #[rstest]
    #[case::unknown_key(&format!("{DEFINITION}packges = []"), "", "unknown field `packges`", "line 6")]
    #[case::no_such_overlay(&DEFINITION.replace("\"o\"", "\"p\""), "", "there is no overlay `p`", "line 5")]
    #[case::in_an_overlay(DEFINITION, "summary = \"x\"\n[package.a]\ndorp = []\n", "unknown field `dorp`", "line 3")]
    #[case::two_contents(
        DEFINITION,
        "summary = \"x\"\n[package.a.files]\n\"/a\" = { content = \"a\", link = \"b\" }\n",
        "a file is one of",
        "line 3"
    )]
    #[case::no_path(DEFINITION, "summary = \"x\"\n[package.a.files]\n\"a\" = {}\n", "`a` is no path", "line 3")]
    #[case::no_mode(
        DEFINITION,
        "summary = \"x\"\n[package.a.files]\n\"/a\" = { mode = \"9\" }\n",
        "`9` is no mode",
        "line 3"
    )]
    #[case::no_source(
        DEFINITION,
        "summary = \"x\"\n[package.a.files]\n\"/a\" = { source = \"b\" }\n",
        "No such file",
        "line 3"
    )]
    fn mistakes_are_named(#[case] definition: &str, #[case] overlay: &str, #[case] words: &str, #[case] place: &str) {
        let message = message(definition, overlay);
        assert!(message.contains(words) && message.contains(place), "{message}");
    }

    #[test]
    fn the_projects_own_releases_are_a_pair() {
        let definitions = Definitions::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../images")).unwrap();
        let names: Vec<_> = definitions.iter().map(|definition| definition.name.as_str()).collect();
        assert_eq!(names, ["leap-15.0-like", "leap-42.3-like"]);
        let new = definitions.get("leap-15.0-like").unwrap();
        let old = definitions.get(new.upgrades.as_deref().unwrap()).unwrap();
        let variants = |definition: &Definition| -> Vec<String> {
            definition.variants.iter().map(|variant| variant.name.clone()).collect()
        };
        assert_eq!(variants(old), variants(new));
        assert_eq!(old.packages, new.packages);
        assert!(new.leaves_out_scripts_of("python3-yaml") && !new.leaves_out_scripts_of("postfix"));
        let error = definitions.get("leap-42").unwrap_err().to_string();
        assert_eq!(error, "there is no release `leap-42`; there are: leap-15.0-like, leap-42.3-like");
    }
}
