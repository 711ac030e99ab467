//! What is installed on a system, and what really lies on its disk: read from what the collector printed there.

use super::disk::OnDisk;
use super::entry::{Algorithm, Digest, FileEntry};
use super::scriptlet::{self, Scriptlet};
use serde::Deserialize;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The shell script that prints a dump. It is for the system whose upgrade is planned, installs nothing, and needs only what
/// every system with rpm has.
pub const COLLECTOR: &str = include_str!("collector.sh");

const FORMAT: &str = "rehearsal-system";
const VERSION: u32 = 1;

/// A dump of ten thousand packages has less.
const LARGEST: u64 = 512 << 20;

/// How to get a dump, for errors.
const CURE: &str = "make it anew: cargo xtask predict --print-collector | ssh root@SERVER sh > dump.json";

/// Why a dump cannot be used.
#[derive(Debug, Error)]
pub enum DumpError {
    /// The file cannot be read.
    #[error("failed to read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what the collector prints, or ends too early.
    #[error("{} is not a whole dump of a system ({source}); {CURE}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where, and what was expected.
        source: serde_json::Error,
    },
    /// The file is of another version of the collector.
    #[error("{} is a dump of version {found}, and this program reads version {VERSION}; {CURE}", path.display())]
    OtherVersion {
        /// Which.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// It is JSON of something else.
    #[error("{} is no dump of a system: it says that it is {found:?}; {CURE}", path.display())]
    OtherFormat {
        /// Which.
        path: PathBuf,
        /// What it calls itself.
        found: String,
    },
    /// The collector could not read the database of packages.
    #[error("{}: on that system, {reason}; see `rpm -qa` there, then {CURE}", path.display())]
    Incomplete {
        /// Which.
        path: PathBuf,
        /// What failed.
        reason: String,
    },
    /// No package was installed.
    #[error("{} holds no installed package: is the system one with rpm? Then {CURE}", path.display())]
    NoPackages {
        /// Which.
        path: PathBuf,
    },
}

/// A system before its upgrade.
#[derive(Debug)]
pub struct System {
    /// What `rpm --version` said there.
    pub rpm: String,
    /// The installed packages, in the order of rpm's answer.
    pub packages: Vec<Installed>,
    /// What lies in `/etc`, and at every path that an installed package has as configuration; what is not in it is missing.
    pub disk: HashMap<String, OnDisk>,
    /// Directories of which everything is in `disk`: `/etc`, and those in which vendors put configuration.
    pub covered: Vec<String>,
}

impl Default for System {
    fn default() -> Self {
        Self { rpm: String::new(), packages: Vec::new(), disk: HashMap::new(), covered: etc() }
    }
}

/// What a dump covers if it does not say so.
fn etc() -> Vec<String> {
    vec!["/etc".into()]
}

/// An installed package.
#[derive(Debug)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// Its version as `epoch:version-release`, without the epoch if that is 0.
    pub evr: String,
    /// Its architecture.
    pub arch: String,
    /// Its files in `/etc`, and its configuration files elsewhere.
    pub files: Vec<(String, FileEntry)>,
    /// What it ran when it came, and runs when it goes.
    pub(super) scripts: Vec<Scriptlet>,
}

impl Installed {
    /// Name and version, for people.
    pub fn label(&self) -> String {
        format!("{}-{}", self.name, self.evr)
    }
}

impl System {
    /// Reads a dump.
    pub fn read(path: &Path) -> Result<Self, DumpError> {
        let unreadable = |source| DumpError::Unreadable { path: path.to_owned(), source };
        let bytes = crate::bounded::read(path, LARGEST).map_err(unreadable)?;
        // Old names on disk need not be UTF-8, and JSON must be.
        Self::parse(&String::from_utf8_lossy(&bytes), path)
    }

    /// Reads a dump that is in memory; `path` is what errors call it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, DumpError> {
        let path = || path.to_owned();
        let malformed = |source| DumpError::Malformed { path: path(), source };
        // First what it is: a dump of another version may differ in anything else.
        let kind: Kind = serde_json::from_str(text).map_err(malformed)?;
        match kind {
            Kind { format, .. } if format != FORMAT => {
                return Err(DumpError::OtherFormat { path: path(), found: format });
            }
            Kind { version, .. } if version != VERSION => {
                return Err(DumpError::OtherVersion { path: path(), found: version });
            }
            Kind { .. } => {}
        }
        let dump: Dump = serde_json::from_str(text).map_err(malformed)?;
        if let Some(reason) = dump.failed {
            return Err(DumpError::Incomplete { path: path(), reason });
        }
        if dump.packages.is_empty() {
            return Err(DumpError::NoPackages { path: path() });
        }
        Ok(Self {
            rpm: dump.rpm,
            packages: dump.packages.into_iter().map(Installed::from).collect(),
            disk: dump.disk.into_iter().map(|place| (place.path.clone(), OnDisk::from(place))).collect(),
            covered: dump.covers.unwrap_or_else(etc),
        })
    }

    /// Whether the dump would have what lies at a path.
    pub fn covers(&self, path: &str) -> bool {
        self.covered.iter().any(|place| path.strip_prefix(place.as_str()).is_some_and(|rest| rest.starts_with('/')))
    }

    /// What lies at a path.
    pub fn on_disk(&self, path: &str) -> &OnDisk {
        self.disk.get(path).unwrap_or(&OnDisk::Missing)
    }
}

#[derive(Deserialize)]
struct Kind {
    format: String,
    version: u32,
}

#[derive(Deserialize)]
struct Dump {
    rpm: String,
    packages: Vec<DumpedPackage>,
    disk: Vec<DumpedPlace>,
    failed: Option<String>,
    covers: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct DumpedPackage {
    name: String,
    epoch: u32,
    version: String,
    release: String,
    arch: String,
    algorithm: u32,
    files: Vec<DumpedFile>,
    scripts: Vec<DumpedScript>,
}

#[derive(Deserialize)]
struct DumpedFile {
    path: String,
    flags: u32,
    mode: u32,
    state: i32,
    digest: String,
    link: String,
}

#[derive(Deserialize)]
struct DumpedScript {
    kind: String,
    program: Option<String>,
    text: String,
}

#[derive(Deserialize)]
struct DumpedPlace {
    path: String,
    r#type: String,
    link: Option<String>,
    md5: Option<String>,
    sha256: Option<String>,
}

impl From<DumpedPackage> for Installed {
    fn from(package: DumpedPackage) -> Self {
        let algorithm = Algorithm::from_tag(Some(package.algorithm));
        let epoch = if package.epoch == 0 { String::new() } else { format!("{}:", package.epoch) };
        let entry = |file: DumpedFile| {
            let entry = FileEntry::from_tags(file.flags, file.mode, algorithm, &file.digest, &file.link);
            (file.path, FileEntry { present: file.state == 0, ..entry })
        };
        Self {
            name: package.name,
            evr: format!("{epoch}{}-{}", package.version, package.release),
            arch: package.arch,
            files: package.files.into_iter().map(entry).collect(),
            scripts: package.scripts.into_iter().map(Scriptlet::from).collect(),
        }
    }
}

impl From<DumpedScript> for Scriptlet {
    fn from(script: DumpedScript) -> Self {
        let program = script.program.filter(|program| !program.is_empty() && program != "(none)");
        Self { kind: scriptlet::Kind::named(&script.kind), program, text: script.text }
    }
}

impl From<DumpedPlace> for OnDisk {
    fn from(place: DumpedPlace) -> Self {
        // The letters of find's %y.
        match place.r#type.as_str() {
            "f" => {
                let digest = |algorithm, hex: Option<String>| hex.map(|hex| Digest { algorithm, hex });
                let md5 = digest(Algorithm::Md5, place.md5);
                Self::Regular(md5.into_iter().chain(digest(Algorithm::Sha256, place.sha256)).collect())
            }
            "l" => Self::Link(place.link.unwrap_or_default()),
            "d" => Self::Directory,
            _ => Self::Special,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::entry::{Care, Content};
    use rstest::rstest;

    const DUMP: &str = r#"{"format":"rehearsal-system","version":1,"rpm":"RPM version 4.11.2","packages":[
{"name":"cyrus-imapd","epoch":1,"version":"2.4.18","release":"3","arch":"x86_64","algorithm":0,"files":[
{"path":"/etc/pam.d/imap","flags":1,"mode":33188,"state":0,"digest":"AA","link":""},
{"path":"/etc/imapd.conf","flags":17,"mode":33188,"state":1,"digest":"bb","link":""}],
"scripts":[{"kind":"%postun","text":"rm -f /etc/x"}]}],
"disk":[{"path":"/etc","type":"d"},{"path":"/etc/pam.d/imap","type":"f","md5":"aa","sha256":"cc"},
{"path":"/etc/link","type":"l","link":"imapd.conf"}]}"#;

    fn parse(text: &str) -> Result<System, DumpError> {
        System::parse(text, Path::new("mail.json"))
    }

    #[test]
    fn a_dump_is_read() {
        let system = parse(DUMP).unwrap();
        let package = &system.packages[0];
        assert_eq!(package.label(), "cyrus-imapd-1:2.4.18-3");
        let [(path, entry), (_, replaced)] = &package.files[..] else { panic!("{:?}", package.files) };
        assert_eq!(path, "/etc/pam.d/imap");
        assert_eq!(entry.care, Care::Config);
        assert_eq!(entry.content, Content::Regular(Some(Digest { algorithm: Algorithm::Md5, hex: "aa".into() })));
        assert!(entry.present && !replaced.present);
        assert!(system.on_disk("/etc/pam.d/imap").equals(&entry.content));
        assert_eq!(system.on_disk("/etc/link"), &OnDisk::Link("imapd.conf".into()));
        assert_eq!(system.on_disk("/etc/imapd.conf"), &OnDisk::Missing);
        assert!(
            system.covers("/etc/imapd.conf") && !system.covers("/usr/etc/imapd.conf") && !system.covers("/etcetera")
        );
        let covers = DUMP.replace("\"disk\"", "\"covers\":[\"/etc\",\"/usr/etc\"],\"disk\"");
        assert!(parse(&covers).unwrap().covers("/usr/etc/imapd.conf"));
    }

    #[rstest]
    #[case::cut_short(&DUMP[..DUMP.len() - 40], "not a whole dump")]
    #[case::empty("", "not a whole dump")]
    #[case::words("bash: rpm: command not found", "not a whole dump")]
    #[case::other_version(r#"{"format":"rehearsal-system","version":2,"news":[]}"#, "of version 2")]
    #[case::other_format(r#"{"format":"sbom","version":1}"#, "it says that it is \"sbom\"")]
    #[case::failed(
        r#"{"format":"rehearsal-system","version":1,"rpm":"","packages":[],"disk":[],"failed":"rpm -qa failed"}"#,
        "rpm -qa failed"
    )]
    #[case::no_packages(
        r#"{"format":"rehearsal-system","version":1,"rpm":"","packages":[],"disk":[]}"#,
        "holds no installed package"
    )]
    fn a_bad_dump_is_named_with_its_cure(#[case] text: &str, #[case] expected: &str) {
        let error = parse(text).unwrap_err().to_string();
        assert!(
            error.contains("mail.json") && error.contains(expected) && error.contains("--print-collector"),
            "{error}"
        );
    }
}
