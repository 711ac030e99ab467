//! Overlays: what a distributor changes in packages, as files.
//!
//! An overlay has changes for all releases (`[package.NAME]`) and for one (`[release."15.0".package.NAME]`); the latter win,
//! path by path.

use super::error::ReleaseError;
use crate::diagnostic::Diagnostic;
use crate::predict::entry::Care;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What is changed in the packages of one release.
#[derive(Debug, Clone)]
pub struct Overlay {
    /// Its name: the file's.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// Changes by package.
    pub packages: BTreeMap<String, Changes>,
}

/// What is changed in one package.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Changes {
    /// The package is not Debian's: it is made of these changes alone, and this is its summary.
    pub create: Option<String>,
    /// How digests of its files are made, if not the usual way.
    pub digests: Option<Digests>,
    /// Files that are added or changed, by path.
    pub files: BTreeMap<String, Change>,
    /// Paths that the package no longer has.
    pub drop: Vec<String>,
    /// Those of them that an overlay before had added or changed.
    pub withdrawn: Vec<String>,
    /// Further names of the package.
    pub provides: Vec<String>,
    /// What it needs beyond Debian's requirements.
    pub requires: Vec<String>,
    /// Shell commands for the end of `%post`.
    pub post: Option<String>,
    /// Shell commands for `%posttrans`.
    pub posttrans: Option<String>,
}

/// Digests of files, by the names that rpm's macros have for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Digests {
    /// What rpm before 4.14 made.
    Md5,
    /// What later ones make.
    Sha256,
}

/// What is changed in one file.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// What it is; none: what it was.
    pub content: Option<NewContent>,
    /// How rpm treats changes of it; none: as before, or not at all for a new one.
    #[serde(serialize_with = "care_name")]
    pub care: Option<Care>,
    /// Its permissions; none: as before, or 0644 and 0755.
    pub mode: Option<u16>,
}

/// What a file is.
#[derive(Debug, Clone, Serialize)]
pub enum NewContent {
    /// This text.
    Text(String),
    /// The same as another file of the package.
    Like(String),
    /// A link to this target.
    Link(String),
    /// A directory.
    Directory,
}

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn care_name<S: serde::Serializer>(care: &Option<Care>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{care:?}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    summary: String,
    #[serde(default)]
    package: BTreeMap<String, WrittenChanges>,
    #[serde(default)]
    release: BTreeMap<String, OfRelease>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfRelease {
    package: BTreeMap<String, WrittenChanges>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenChanges {
    create: Option<String>,
    digests: Option<Digests>,
    #[serde(default)]
    files: BTreeMap<toml::Spanned<String>, WrittenFile>,
    #[serde(default)]
    drop: Vec<String>,
    #[serde(default)]
    provides: Vec<String>,
    #[serde(default)]
    requires: Vec<String>,
    post: Option<String>,
    posttrans: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    /// The text; or
    content: Option<String>,
    /// a file below `files/`, beside the overlay; or
    source: Option<String>,
    /// a path in the same package; or
    like: Option<String>,
    /// the target of a link; or
    link: Option<String>,
    /// true: it is a directory.
    #[serde(default)]
    directory: bool,
    care: Option<WrittenCare>,
    mode: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenCare {
    Plain,
    Config,
    NoReplace,
}

impl Overlay {
    /// Reads the overlay in `path`, as far as it is for the release `version`.
    pub fn load(path: &Path, version: &str) -> Result<Self, ReleaseError> {
        let text = crate::bounded::read_text(path, crate::diagnostic::LARGEST)?;
        let files = path.parent().unwrap_or(Path::new(".")).join("files");
        parse(&text, path, &files, version).map_err(|diagnostic| diagnostic.in_file(path, &text).into())
    }
}

fn parse(text: &str, path: &Path, files: &Path, version: &str) -> Result<Overlay, Diagnostic> {
    let mut written: Written = toml::from_str(text)?;
    let mut packages: BTreeMap<String, Changes> = BTreeMap::new();
    let own = written.release.remove(version).map(|release| release.package).unwrap_or_default();
    for (name, changes) in written.package.into_iter().chain(own) {
        let changes = read(changes, files, version)?;
        packages.entry(name).or_default().add(changes);
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Overlay { name, summary: written.summary, packages })
}

fn read(written: WrittenChanges, files: &Path, version: &str) -> Result<Changes, Diagnostic> {
    let filled = |text: String| text.replace("@VERSION@", version);
    let mut changes = Changes {
        create: written.create,
        digests: written.digests,
        drop: written.drop,
        provides: written.provides,
        requires: written.requires,
        post: written.post,
        posttrans: written.posttrans,
        ..Changes::default()
    };
    for (path, file) in written.files {
        let diagnostic = |message: String| Diagnostic::new(message, path.span());
        if !path.get_ref().starts_with('/') {
            return Err(diagnostic(format!("`{}` is no path from the root", path.get_ref())));
        }
        let from_source = |source: String| {
            let place = files.join(source);
            fs_err::read_to_string(place).map_err(|error| diagnostic(error.to_string()))
        };
        let text = file.content.map(Ok).or_else(|| file.source.map(from_source)).transpose()?;
        let ways = [
            text.map(|text| NewContent::Text(filled(text))),
            file.like.map(NewContent::Like),
            file.link.map(NewContent::Link),
            file.directory.then_some(NewContent::Directory),
        ];
        let mut ways: Vec<_> = ways.into_iter().flatten().collect();
        if ways.len() > 1 {
            return Err(diagnostic("a file is one of `content` or `source`, `like`, `link` and `directory`".into()));
        }
        let mode =
            file.mode.map(|mode| u16::from_str_radix(&mode, 8).map_err(|_| diagnostic(format!("`{mode}` is no mode"))));
        let care = file.care.map(|care| match care {
            WrittenCare::Plain => Care::None,
            WrittenCare::Config => Care::Config,
            WrittenCare::NoReplace => Care::NoReplace,
        });
        changes.files.insert(path.into_inner(), Change { content: ways.pop(), care, mode: mode.transpose()? });
    }
    Ok(changes)
}

impl Changes {
    /// Adds later changes to these; they win. Of a file that both change, the later content, care and mode win each by itself.
    pub fn add(&mut self, later: Self) {
        self.create = later.create.or(self.create.take());
        self.digests = later.digests.or(self.digests);
        // Who drops a path after it was added means that it is not there, and the other way round.
        let withdrawn = later.drop.iter().filter(|path| self.files.remove(*path).is_some()).cloned();
        self.withdrawn.extend(withdrawn);
        self.drop.retain(|path| !later.files.contains_key(path));
        for (path, change) in later.files {
            let file = self.files.entry(path).or_insert(Change { content: None, care: None, mode: None });
            file.content = change.content.or(file.content.take());
            file.care = change.care.or(file.care);
            file.mode = change.mode.or(file.mode);
        }
        self.drop.extend(later.drop);
        self.provides.extend(later.provides);
        self.requires.extend(later.requires);
        for (mine, new) in [(&mut self.post, later.post), (&mut self.posttrans, later.posttrans)] {
            *mine = match (mine.take(), new) {
                (Some(mine), Some(new)) => Some(format!("{mine}\n{new}")),
                (mine, new) => new.or(mine),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
summary = "x"
[package.a]
post = "one"
files."/etc/a" = { content = "@VERSION@", care = "config" }
files."/etc/b" = { content = "b" }
[release."2".package.a]
drop = ["/etc/b", "/etc/c"]
post = "two"
files."/etc/a" = { care = "noreplace", mode = "0600" }
[release."3".package.b]
drop = ["/etc/c"]
"#;

    fn changes(version: &str) -> BTreeMap<String, Changes> {
        parse(TEXT, Path::new("o.toml"), Path::new("files"), version).unwrap().packages
    }

    #[test]
    fn a_release_has_what_is_said_of_all_and_of_it() {
        assert_eq!(changes("1").keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(changes("3").keys().collect::<Vec<_>>(), ["a", "b"]);
        let one = &changes("1")["a"];
        assert!(matches!(&one.files["/etc/a"].content, Some(NewContent::Text(text)) if text == "1"));
        assert_eq!((one.files["/etc/a"].care, one.drop.len()), (Some(Care::Config), 0));
    }

    #[test]
    fn what_is_said_later_wins_and_the_rest_stays() {
        let two = &changes("2")["a"];
        let file = &two.files["/etc/a"];
        assert!(matches!(&file.content, Some(NewContent::Text(text)) if text == "2"));
        assert_eq!((file.care, file.mode), (Some(Care::NoReplace), Some(0o600)));
        assert!(!two.files.contains_key("/etc/b"));
        assert_eq!(
            (&two.drop[..], &two.withdrawn[..]),
            (&["/etc/b".to_owned(), "/etc/c".to_owned()][..], &["/etc/b".to_owned()][..])
        );
        assert_eq!(two.post.as_deref(), Some("one\ntwo"));
    }
}
