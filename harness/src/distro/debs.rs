//! The Debian packages of a release: which ones, as apt resolves them, and the files themselves.
//!
//! apt checks the archive's signatures, and names each package with its SHA-256. A file that any kept set of packages has is
//! not fetched again.

use super::definition::Definition;
use super::error::ReleaseError;
use super::site::{Progress, Site};
use crate::cache::{ContentKey, EntryName, InUse, Kind, Size};
use crate::host::workspace::Workspace;
use crate::image::{Answer, CachePolicy, mirror, run_tool};
use crate::plain_path::PlainPath;
use crate::shell::{quoted_all, quoted_path};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The list of an entry with packages.
const INDEX: &str = "index.json";

/// A package as apt names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    /// The file's name.
    pub(super) file: PlainPath,
    /// Of the file's content, in hexadecimal digits.
    pub(super) sha256: String,
    /// Of the file.
    pub(super) size: Size,
}

/// The packages of a release, fetched.
#[derive(Debug)]
pub(super) struct Debs {
    in_use: InUse,
    pub(super) listed: Vec<Listed>,
}

impl Debs {
    /// Where they are.
    pub(super) fn place(&self) -> &Path {
        self.in_use.place()
    }
}

/// Hands back the packages of a release; fetches what no entry of the cache has.
pub(super) fn ensure(site: &Site, definition: &Definition, refresh: bool) -> Result<Debs, ReleaseError> {
    let mut listed = plan(site, definition, CachePolicy::asked_for(refresh))?;
    let mut name = name(definition, &listed);
    if !site.cache.place(Kind::Release, &name).exists() {
        listed = plan(site, definition, CachePolicy::ToFetch)?;
        name = self::name(definition, &listed);
    }
    let in_use = site.provide(&name, |workspace, new| {
        let count = reuse(site, &listed, new)?;
        if count < listed.len() {
            let bytes: Size = listed.iter().filter(|one| !one.file.below(new).exists()).map(|one| one.size).sum();
            site.want_room(bytes)?;
            site.tell(Progress::Fetching { packages: listed.len() - count, size: bytes });
            fetch(definition, new, workspace)?;
        }
        for one in &listed {
            check(&one.file.below(new), one)?;
        }
        fs_err::write(new.join(INDEX), serde_json::to_vec_pretty(&listed).map_err(io::Error::from)?)?;
        Ok(())
    })?;
    Ok(Debs { in_use, listed })
}

/// What the entry with these packages is called.
fn name(definition: &Definition, listed: &[Listed]) -> EntryName {
    let key = ContentKey::of(listed.iter().map(|one| one.sha256.as_bytes()));
    EntryName::new(&format!("{}.debs", definition.name), &key)
}

/// What apt answers, or has answered.
fn plan(site: &Site, definition: &Definition, freshness: CachePolicy) -> Result<Vec<Listed>, ReleaseError> {
    let ask = || {
        site.tell(Progress::Planning);
        ask(site, definition)
    };
    let answer = Answer::to(site.cache, &definition.suite, &definition.packages, "release");
    answer.get(freshness, ask, || site.tell(Progress::OldPlan))
}

fn ask(site: &Site, definition: &Definition) -> Result<Vec<Listed>, ReleaseError> {
    let workspace = Workspace::create(&site.cache.building(), "plan")?;
    let answer = workspace.path().join("answer");
    let action = format!("-o Acquire::ForceHash=SHA256 --print-uris > {}", quoted_path(&answer)?);
    with_apt(definition, &action, workspace.path())?;
    parse(&fs_err::read_to_string(answer)?)
}

/// Has apt fetch what is missing in the directory `target`, which it fills as its cache.
fn fetch(definition: &Definition, target: &Path, workspace: &Workspace) -> Result<(), ReleaseError> {
    fs_err::create_dir(target.join("partial"))?;
    let action = format!("-o Dir::Cache::archives={} --download-only", quoted_path(target)?);
    with_apt(definition, &action, workspace.path())?;
    for extra in ["partial", "lock"].map(|name| target.join(name)) {
        if extra.is_dir() {
            fs_err::remove_dir_all(&extra)?;
        } else if extra.exists() {
            fs_err::remove_file(&extra)?;
        }
    }
    Ok(())
}

/// mmdebstrap sets up apt for the suite, with its signatures and without any package, and hands it to a hook.
fn with_apt(definition: &Definition, action: &str, workspace: &Path) -> Result<(), ReleaseError> {
    let hook = format!(
        "export APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\"; apt-get --yes --no-install-recommends install '?essential' {} {action}",
        quoted_all(&definition.packages),
    );
    let mut arguments = vec!["--variant=custom".to_owned(), "--format=null".into(), format!("--customize-hook={hook}")];
    arguments.extend([definition.suite.clone(), "-".into()]);
    arguments.extend(mirror());
    Ok(run_tool("mmdebstrap", arguments, &definition.recipe(), workspace, &mut |_| {})?)
}

/// Reads the lines `'URI' file size SHA256:digits` of apt-get(8), `--print-uris`.
fn parse(text: &str) -> Result<Vec<Listed>, ReleaseError> {
    let package = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (file, size) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
        let sha256 = words.next()?.strip_prefix("SHA256:")?.to_owned();
        let is_package = !file.contains('/') && Path::new(&file).extension() == Some("deb".as_ref());
        let file = PlainPath::try_from(file).ok().filter(|_| is_package)?;
        Some(Listed { file, sha256, size: Size::bytes(size) })
    };
    let lines = text.lines().filter(|line| line.starts_with('\''));
    lines.map(|line| package(line).ok_or_else(|| ReleaseError::Answer { line: line.to_owned() })).collect()
}

/// Links into `new` what other entries have of the same content, and says how many that were.
fn reuse(site: &Site, listed: &[Listed], new: &Path) -> Result<usize, ReleaseError> {
    let mut known: HashMap<String, PathBuf> = HashMap::new();
    let mut held = Vec::new();
    for entry in site.cache.list(Kind::Release)? {
        let Some(in_use) = site.cache.open(Kind::Release, &entry.name)? else { continue };
        let Ok(text) = std::fs::read(in_use.place().join(INDEX)) else { continue };
        let index: Vec<Listed> = serde_json::from_slice(&text).unwrap_or_default();
        known.extend(index.into_iter().map(|one| (one.sha256, one.file.below(in_use.place()))));
        held.push(in_use);
    }
    let mut count = 0;
    for one in listed {
        if let Some(path) = known.get(&one.sha256) {
            fs_err::hard_link(path, one.file.below(new))?;
            count += 1;
        }
    }
    Ok(count)
}

fn check(path: &Path, wanted: &Listed) -> Result<(), ReleaseError> {
    if !path.exists() {
        return Err(ReleaseError::NotFetched { file: wanted.file.to_string() });
    }
    let mut hash = Sha256::new();
    let (mut file, mut buffer) = (fs_err::File::open(path)?, vec![0; 1 << 16]);
    while let length @ 1.. = file.read(&mut buffer)? {
        hash.update(&buffer[..length]);
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == wanted.sha256 {
        return Ok(());
    }
    Err(ReleaseError::Digest { file: wanted.file.to_string(), found, wanted: wanted.sha256.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(name: &str) -> PlainPath {
        name.to_owned().try_into().unwrap()
    }

    #[test]
    fn apts_answer_is_read() {
        let answer = "Reading package lists...\n\
            'http://mirror.test/a_1%2b2_all.deb' a_1+2_all.deb 5616 SHA256:00ff\nNeed to get 5616 B\n";
        let expected = Listed { file: plain("a_1+2_all.deb"), sha256: "00ff".into(), size: Size::bytes(5616) };
        assert_eq!(parse(answer).unwrap(), [expected]);
    }

    #[rstest::rstest]
    #[case::another_digest("'http://mirror.test/a_1_all.deb' a_1_all.deb 5616 MD5Sum:00ff")]
    #[case::a_way_out("'http://mirror.test/a_1_all.deb' ../a_1_all.deb 5616 SHA256:00ff")]
    #[case::cut("'http://mirror.test/a_1_all.deb' a_1_all.deb")]
    fn other_words_are_an_error(#[case] line: &str) {
        assert!(parse(line).unwrap_err().to_string().contains(line));
    }

    #[test]
    fn a_file_of_another_content_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.deb");
        std::fs::write(&file, "").unwrap();
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let listed = |sha256: &str| Listed { file: plain("a.deb"), sha256: sha256.into(), size: Size::bytes(0) };
        check(&file, &listed(of_nothing)).unwrap();
        let error = check(&file, &listed(&"0".repeat(64))).unwrap_err().to_string();
        assert!(error.contains(of_nothing), "{error}");
    }
}
