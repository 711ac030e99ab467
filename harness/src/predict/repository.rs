//! The packages that will come: the headers of all rpms below a directory.

use super::entry::{Algorithm, FileEntry};
use super::header::{Header, HeaderError, Tag};
use super::repodata::{self, RepodataError};
use super::scriptlet::{Kind, Scriptlet};
use rpm_version::rpm_evr_compare;
use std::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{self, AtomicUsize};
use std::thread;
use thiserror::Error;

/// Why a directory cannot be used as a repository.
#[derive(Debug, Error)]
pub enum RepositoryError {
    /// The directory cannot be read.
    #[error("failed to read {}: {source}; name the directory that the packages were mirrored to", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No package is in it.
    #[error(
        "there is no .rpm file below {}; name the directory that the packages were mirrored to (`zypper dup --download-only` \
         keeps them below /var/cache/zypp/packages)",
        path.display()
    )]
    Empty {
        /// Where.
        path: PathBuf,
    },
    /// A package cannot be used.
    #[error("{}: {source}; fetch it again, or remove it if it does not belong there", path.display())]
    Package {
        /// Which.
        path: PathBuf,
        /// Why.
        source: HeaderError,
    },
    /// The repository's own list cannot be used.
    #[error(transparent)]
    Repodata(#[from] RepodataError),
}

/// A relation to a package by name, and by version if one is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    name: String,
    flags: u32,
    version: String,
}

/// Bits of `OBSOLETEFLAGS` and its like (`rpmsenseFlags` in rpmds.h).
const LESS: u32 = 1 << 1;
const GREATER: u32 = 1 << 2;
const EQUAL: u32 = 1 << 3;

impl Relation {
    /// The name of the package that is meant.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether a package of this name and version is meant. Like rpm, it compares releases only if the relation names one.
    pub(super) fn matches(&self, name: &str, evr: &str) -> bool {
        if self.name != name {
            return false;
        }
        if self.version.is_empty() {
            return true;
        }
        let evr =
            if self.version.contains('-') { evr } else { evr.rsplit_once('-').map_or(evr, |(version, _)| version) };
        match rpm_evr_compare(evr, &self.version) {
            Ordering::Less => self.flags & LESS != 0,
            Ordering::Equal => self.flags & EQUAL != 0,
            Ordering::Greater => self.flags & GREATER != 0,
        }
    }
}

/// A package that may come.
#[derive(Debug, Default)]
pub struct Coming {
    /// Its name.
    pub name: String,
    /// Its version as `epoch:version-release`, without the epoch if that is 0.
    pub evr: String,
    /// Its architecture.
    pub arch: String,
    /// The paths asked for, with what it puts there.
    pub files: Vec<(String, FileEntry)>,
    pub(super) provides: Vec<String>,
    pub(super) requires: Vec<String>,
    pub(super) obsoletes: Vec<Relation>,
    pub(super) conflicts: Vec<Relation>,
    /// What it runs when it comes.
    pub(super) scripts: Vec<Scriptlet>,
}

/// The relation to every version of a package.
#[cfg(test)]
pub(super) fn any(name: &str) -> Relation {
    Relation { name: name.to_owned(), flags: 0, version: String::new() }
}

/// All packages of a directory.
#[derive(Debug)]
pub struct Repository {
    /// The newest of each name and architecture.
    pub packages: Vec<Coming>,
}

impl Repository {
    /// Reads all packages below `directory`, and keeps those of their files that `wanted` says yes to: it is given the
    /// directory with a slash at its end, the name in it, and the file's flags.
    ///
    /// If the directory has repository metadata, every package that this promises must be there: a prediction from half of a
    /// mirror would call packages dropped that are only not here.
    pub fn read(directory: &Path, wanted: impl Fn(&str, &str, u32) -> bool + Sync) -> Result<Self, RepositoryError> {
        let paths = package_files(directory)?;
        repodata::check_complete(directory)?;
        if paths.is_empty() {
            return Err(RepositoryError::Empty { path: directory.to_owned() });
        }
        let mut packages = read_all(&paths, &wanted)?;
        packages.sort_by(|a, b| {
            let names = (&a.name, &a.arch).cmp(&(&b.name, &b.arch));
            names.then_with(|| rpm_evr_compare(&b.evr, &a.evr))
        });
        packages.dedup_by(|older, newer| (&older.name, &older.arch) == (&newer.name, &newer.arch));
        Ok(Self { packages })
    }
}

/// The rpm files below a directory, in order.
fn package_files(directory: &Path) -> Result<Vec<PathBuf>, RepositoryError> {
    let mut paths = Vec::new();
    for entry in walkdir::WalkDir::new(directory).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| RepositoryError::Unreadable {
            path: error.path().unwrap_or(directory).to_owned(),
            source: error.into_io_error().unwrap_or_else(|| io::Error::other("links lead back to where they are")),
        })?;
        let is_package = entry.path().extension().is_some_and(|extension| extension == "rpm");
        if is_package && entry.file_type().is_file() {
            paths.push(entry.into_path());
        }
    }
    Ok(paths)
}

/// Reads packages on all processors; the error is that of the first file by name that has one.
fn read_all(
    paths: &[PathBuf],
    wanted: &(impl Fn(&str, &str, u32) -> bool + Sync),
) -> Result<Vec<Coming>, RepositoryError> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(path) = paths.get(next.fetch_add(1, atomic::Ordering::Relaxed)) {
            let package = Header::open(path).and_then(|header| Coming::from_header(&header, wanted));
            done.push((path, package));
        }
        done
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("reading a header does not panic")).collect()
    });
    results.sort_by_key(|(path, _)| *path);
    let mut packages = Vec::with_capacity(results.len());
    for (path, package) in results {
        packages.extend(package.map_err(|source| RepositoryError::Package { path: path.clone(), source })?);
    }
    Ok(packages)
}

impl Coming {
    /// Reads a package; none if it is a source package, which nobody installs.
    fn from_header(
        header: &Header,
        wanted: &(impl Fn(&str, &str, u32) -> bool + Sync),
    ) -> Result<Option<Self>, HeaderError> {
        if !header.has(Tag::SourceRpm) {
            return Ok(None);
        }
        let name = header.string(Tag::Name)?;
        if name.is_empty() {
            return Err(HeaderError::Damaged("the package has no name"));
        }
        let epoch = header.number(Tag::Epoch)?.filter(|epoch| *epoch != 0).map(|epoch| format!("{epoch}:"));
        let (version, release) = (header.string(Tag::Version)?, header.string(Tag::Release)?);
        let algorithm = Algorithm::from_tag(header.number(Tag::FileDigestAlgorithm)?);
        Ok(Some(Self {
            name,
            evr: format!("{}{version}-{release}", epoch.unwrap_or_default()),
            arch: header.string(Tag::Arch)?,
            files: files(header, algorithm, wanted)?,
            provides: header.strings(Tag::ProvideName)?,
            requires: header.strings(Tag::RequireName)?,
            obsoletes: relations(header, Tag::ObsoleteName, Tag::ObsoleteFlags, Tag::ObsoleteVersion)?,
            conflicts: relations(header, Tag::ConflictName, Tag::ConflictFlags, Tag::ConflictVersion)?,
            scripts: scripts(header)?,
        }))
    }

    /// Name and version, for people.
    pub fn label(&self) -> String {
        format!("{}-{}", self.name, self.evr)
    }
}

fn files(
    header: &Header,
    algorithm: Algorithm,
    wanted: &(impl Fn(&str, &str, u32) -> bool + Sync),
) -> Result<Vec<(String, FileEntry)>, HeaderError> {
    let flags = header.numbers(Tag::FileFlags)?;
    let modes = header.numbers(Tag::FileModes)?;
    let names = Names::read(header)?;
    if names.len() == 0 {
        return Ok(Vec::new());
    }
    if flags.len() != names.len() || modes.len() != names.len() {
        return Err(HeaderError::Damaged("its lists of files differ in length"));
    }
    let narrow = |number: u64| u32::try_from(number).unwrap_or(0);
    let chosen: Vec<usize> = (0..names.len())
        .filter(|index| names.get(*index).is_some_and(|(place, name)| wanted(place, name, narrow(flags[*index]))))
        .collect();
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let (digests, links) = (header.strings(Tag::FileDigests)?, header.strings(Tag::FileLinks)?);
    let text = |all: &[String], index: usize| all.get(index).cloned().unwrap_or_default();
    Ok(chosen
        .into_iter()
        .filter_map(|index| {
            let (place, name) = names.get(index)?;
            let (digest, link) = (text(&digests, index), text(&links, index));
            let entry = FileEntry::from_tags(narrow(flags[index]), narrow(modes[index]), algorithm, &digest, &link);
            Some((format!("{place}{name}"), entry))
        })
        .collect())
}

/// The longest directory that the kernel can open (`PATH_MAX`): longer ones are no paths.
const LONGEST_DIRECTORY: usize = 4096;

/// Directory (with a slash at its end) and name of every file: in three lists, or as whole paths in very old packages.
enum Names {
    Whole(Vec<String>),
    Apart { directories: Vec<String>, indexes: Vec<usize>, names: Vec<String> },
}

impl Names {
    fn read(header: &Header) -> Result<Self, HeaderError> {
        if header.has(Tag::OldFileNames) {
            let mut paths = header.strings(Tag::OldFileNames)?;
            paths.retain(|path| path.contains('/'));
            return Ok(Self::Whole(paths));
        }
        let directories = header.strings(Tag::DirNames)?;
        if directories.iter().any(|directory| directory.len() > LONGEST_DIRECTORY) {
            return Err(HeaderError::Damaged("a directory has a name longer than any path"));
        }
        let indexes = header.numbers(Tag::DirIndexes)?;
        let names = header.strings(Tag::BaseNames)?;
        if names.len() != indexes.len() {
            return Err(HeaderError::Damaged("its lists of names differ in length"));
        }
        let known = |index: u64| usize::try_from(index).ok().filter(|index| *index < directories.len());
        let indexes: Option<Vec<usize>> = indexes.into_iter().map(known).collect();
        let indexes = indexes.ok_or(HeaderError::Damaged("a file is in no directory"))?;
        Ok(Self::Apart { directories, indexes, names })
    }

    fn len(&self) -> usize {
        match self {
            Self::Whole(paths) => paths.len(),
            Self::Apart { names, .. } => names.len(),
        }
    }

    fn get(&self, index: usize) -> Option<(&str, &str)> {
        match self {
            Self::Whole(paths) => {
                let path = paths.get(index)?;
                Some(path.split_at(path.rfind('/')? + 1))
            }
            Self::Apart { directories, indexes, names } => {
                Some((directories.get(*indexes.get(index)?)?, names.get(index)?))
            }
        }
    }
}

fn relations(header: &Header, names: Tag, flags: Tag, versions: Tag) -> Result<Vec<Relation>, HeaderError> {
    let names = header.strings(names)?;
    let (flags, versions) = (header.numbers(flags)?, header.strings(versions)?);
    Ok(names
        .into_iter()
        .enumerate()
        .map(|(index, name)| Relation {
            name,
            flags: flags.get(index).and_then(|flags| u32::try_from(*flags).ok()).unwrap_or(0),
            version: versions.get(index).cloned().unwrap_or_default(),
        })
        .collect())
}

/// What a package runs when it comes.
fn scripts(header: &Header) -> Result<Vec<Scriptlet>, HeaderError> {
    const KINDS: [(Kind, Tag, Tag); 4] = [
        (Kind::PreTrans, Tag::PreTrans, Tag::PreTransProgram),
        (Kind::Pre, Tag::PreIn, Tag::PreInProgram),
        (Kind::Post, Tag::PostIn, Tag::PostInProgram),
        (Kind::PostTrans, Tag::PostTrans, Tag::PostTransProgram),
    ];
    let mut scripts = Vec::new();
    for (kind, text, program) in KINDS {
        let program = Some(header.strings(program)?.join(" ")).filter(|program| !program.is_empty());
        scripts.extend(header.strings(text)?.into_iter().map(|text| Scriptlet {
            kind,
            program: program.clone(),
            text,
        }));
    }
    let programs = header.strings(Tag::TriggerProgram)?;
    for (index, text) in header.strings(Tag::TriggerScripts)?.into_iter().enumerate() {
        scripts.push(Scriptlet { kind: Kind::Trigger, program: programs.get(index).cloned(), text });
    }
    Ok(scripts)
}

/// Takes all out of a header that is ever taken.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(header: &Header) {
    let _ = Coming::from_header(header, &|_, _, _| true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::header::tests::Writer;
    use rstest::rstest;

    #[rstest]
    #[case::any("", 0, true)]
    #[case::below("2", LESS, true)]
    #[case::not_below("1.0", LESS, false)]
    #[case::up_to("1.0", LESS | EQUAL, true)]
    #[case::release_of_no_weight("1.0", EQUAL, true)]
    #[case::release("1.0-1", EQUAL, true)]
    #[case::other_release("1.0-2", EQUAL, false)]
    #[case::epoch("1:0.1", LESS, true)]
    fn relations_compare_versions(#[case] version: &str, #[case] flags: u32, #[case] expected: bool) {
        let relation = Relation { name: "imap".into(), flags, version: version.into() };
        assert_eq!(relation.matches("imap", "1.0-1"), expected);
        assert!(!relation.matches("imapd", "1.0-1"));
    }

    fn package(name: &str, version: &str) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.strings(Tag::Name, &[name]);
        writer.strings(Tag::Version, &[version]);
        writer.strings(Tag::Release, &["1"]);
        writer.strings(Tag::Arch, &["noarch"]);
        writer.strings(Tag::SourceRpm, &["x.src.rpm"]);
        writer.strings(Tag::BaseNames, &["imap", "imapd"]);
        writer.strings(Tag::DirNames, &["/etc/pam.d/", "/usr/lib/"]);
        writer.numbers(Tag::DirIndexes, &[0, 1]);
        writer.numbers(Tag::FileFlags, &[1, 0]);
        writer.numbers(Tag::FileModes, &[0o100_644, 0o100_755]);
        writer.strings(Tag::FileDigests, &["AB", "cd"]);
        writer.strings(Tag::FileLinks, &["", ""]);
        writer.package()
    }

    #[test]
    fn the_newest_of_each_name_is_read_with_the_files_that_are_wanted() {
        let place = tempfile::tempdir().unwrap();
        fs_err::create_dir(place.path().join("noarch")).unwrap();
        fs_err::write(place.path().join("noarch/a.rpm"), package("cyrus-imapd", "2.4.9")).unwrap();
        fs_err::write(place.path().join("b.rpm"), package("cyrus-imapd", "2.4.18")).unwrap();
        let repository = Repository::read(place.path(), |directory, _, _| directory.starts_with("/etc/")).unwrap();
        assert_eq!(repository.packages.len(), 1);
        let package = &repository.packages[0];
        assert_eq!(package.label(), "cyrus-imapd-2.4.18-1");
        let expected = FileEntry::from_tags(1, 0o100_644, Algorithm::Md5, "ab", "");
        assert_eq!(package.files, [("/etc/pam.d/imap".to_owned(), expected)]);
    }

    #[rstest]
    #[case::no_package(b"<html>".to_vec(), "it is not an rpm package")]
    #[case::cut_short(package("a", "1")[..400].to_vec(), "it is cut short")]
    fn what_is_no_package_is_named(#[case] content: Vec<u8>, #[case] expected: &str) {
        let place = tempfile::tempdir().unwrap();
        fs_err::write(place.path().join("good.rpm"), package("good", "1")).unwrap();
        fs_err::write(place.path().join("bad.rpm"), content).unwrap();
        let error = Repository::read(place.path(), |_, _, _| true).unwrap_err().to_string();
        assert!(error.contains("bad.rpm") && error.contains(expected) && error.contains("fetch it again"), "{error}");
    }

    #[test]
    fn an_empty_directory_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        assert!(matches!(Repository::read(place.path(), |_, _, _| true), Err(RepositoryError::Empty { .. })));
        let missing = place.path().join("missing");
        assert!(matches!(Repository::read(&missing, |_, _, _| true), Err(RepositoryError::Unreadable { .. })));
    }
}
