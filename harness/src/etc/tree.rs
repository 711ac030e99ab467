//! The directory with somebody's configuration.

use super::mapping::{Dress, FILE, Mapping};
use super::places;
use super::substitute::{Facts, substitute};
use crate::diagnostic::FileDiagnostics;
use crate::secrets::find;
use miette::Diagnostic;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// Larger files are no configuration.
const LARGEST: u64 = 4 << 20;

/// Files of PAM that decide about mail: where a server has a `pam.d`, and not these, it has lost them.
const SERVICES: [&str; 2] = ["pam.d/imap", "pam.d/smtp"];

/// Why a directory cannot be laid over a lab's.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum EtcError {
    /// It cannot be read.
    #[error("failed to read the configuration")]
    Read(#[from] std::io::Error),
    /// What cannot be laid over anything.
    #[error("{}: {reason}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Its `rehearsal.toml` is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Mapping(#[from] FileDiagnostics),
}

/// A file of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFile {
    /// Its path below `/etc`.
    pub path: String,
    content: Vec<u8>,
}

/// What a report may show of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Its text, with a mask for each secret.
    Text(String),
    /// Nothing; why.
    Withheld(&'static str),
}

/// A file as it will lie on a machine.
#[derive(Clone, PartialEq, Eq)]
pub struct LaidFile {
    /// Its path below `/etc`.
    pub path: String,
    /// Its content.
    pub content: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
    /// Its owner.
    pub owner: String,
    /// Its group.
    pub group: String,
}

impl std::fmt::Debug for LaidFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LaidFile({}, {:o}, {}:{})", self.path, self.mode, self.owner, self.group)
    }
}

/// Somebody's configuration.
#[derive(Debug, Clone)]
pub struct OwnEtc {
    directory: PathBuf,
    files: Vec<OwnFile>,
    mapping: Mapping,
    digest: String,
}

impl OwnEtc {
    /// Reads the directory.
    pub fn load(directory: &Path) -> Result<Self, EtcError> {
        let mapping = Mapping::load(directory)?;
        let mut files = Vec::new();
        let mut digest = Sha256::new();
        digest.update(serde_json::to_vec(&mapping).map_err(std::io::Error::from)?);
        for entry in walkdir::WalkDir::new(directory).sort_by_file_name().min_depth(1) {
            let entry = entry.map_err(std::io::Error::from)?;
            let path = entry.path();
            let wrong = |reason: &str| EtcError::File { path: path.to_owned(), reason: reason.to_owned() };
            if entry.file_type().is_dir() {
                continue;
            }
            let below = path.strip_prefix(directory).map_err(std::io::Error::other)?;
            let below = below.to_str().ok_or_else(|| wrong("its name is no UTF-8"))?.to_owned();
            if below == FILE {
                continue;
            }
            if !entry.file_type().is_file() {
                return Err(wrong("it is no regular file; of a link, copy what it points to"));
            }
            if entry.metadata().map_err(std::io::Error::from)?.len() > LARGEST {
                return Err(wrong("it is larger than 4 MiB, which no configuration is"));
            }
            let content = fs_err::read(path)?;
            digest.update(format!("{below}\0{}\0", content.len()));
            digest.update(&content);
            files.push(OwnFile { path: below, content });
        }
        // What a server does not have is a configuration, too.
        if files.is_empty() && mapping.absent.is_empty() {
            let reason =
                "there is no file in it: it must be like /etc, with pam.d/, sssd/, postfix/ and so on".to_owned();
            return Err(EtcError::File { path: directory.to_owned(), reason });
        }
        let unknown = mapping.files.keys().find(|path| !files.iter().any(|file| file.path == **path));
        if let Some(path) = unknown {
            let reason = format!("[files] names {path}, which is not there");
            return Err(EtcError::File { path: directory.join(FILE), reason });
        }
        let digest = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { directory: directory.to_owned(), files, mapping, digest })
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What tells it apart from every other configuration.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The paths of its files below `/etc`.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.path.as_str())
    }

    /// The content of a file, by its path below `/etc`.
    pub(super) fn content(&self, path: &str) -> Option<&[u8]> {
        self.files.iter().find(|file| file.path == path).map(|file| file.content.as_slice())
    }

    /// What a report may show of a file.
    pub(super) fn shown(&self, path: &str) -> Shown {
        let Some(content) = self.content(path) else { return Shown::Text(String::new()) };
        if !self.may_show(path) {
            return Shown::Withheld("its format is not known: `show` in rehearsal.toml can name it");
        }
        // Umlauts of an old encoding are no reason to show nothing.
        let text = String::from_utf8_lossy(content);
        match find::shown(path, text.as_bytes()) {
            Some(text) => Shown::Text(text),
            None => Shown::Withheld("it is a secret, or no text"),
        }
    }

    fn may_show(&self, path: &str) -> bool {
        find::is_known(path) || self.mapping.show.iter().any(|shown| shown == path)
    }

    /// Passwords in its files.
    #[must_use]
    pub fn secrets(&self) -> Vec<SecretString> {
        let of_file = |file: &OwnFile| find::secrets_in(&file.path, &String::from_utf8_lossy(&file.content));
        self.files.iter().flat_map(of_file).collect()
    }

    /// Paths below `/etc` that the server does not have.
    #[must_use]
    pub fn absent(&self) -> Vec<String> {
        let has_pam = self.paths().any(|path| path.starts_with("pam.d/"));
        let lost = SERVICES.into_iter().filter(|service| has_pam && !self.paths().any(|path| path == *service));
        let mut absent: Vec<_> = lost.map(str::to_owned).chain(self.mapping.absent.iter().cloned()).collect();
        // What another distribution has elsewhere is absent where the lab has it.
        let elsewhere: Vec<_> = absent.iter().filter_map(|path| places::lab_place(path)).collect();
        absent.extend(elsewhere.into_iter().filter(|place| !self.paths().any(|path| path == place)));
        absent.sort_unstable();
        absent.dedup();
        absent
    }

    /// Its files as they will lie on a lab's machine, and for each what was put in the place of something else.
    #[must_use]
    pub fn laid(&self, facts: &Facts) -> Vec<(LaidFile, Vec<String>)> {
        let own = self.files.iter().map(|file| self.laid_file(file, facts));
        own.chain(self.elsewhere().map(|(file, from)| {
            let (laid, mut done) = self.laid_file(&file, facts);
            done.push(format!("{from}: read by nobody here, so what it says is in {}, too", laid.path));
            (laid, done)
        }))
        .collect()
    }

    /// What files of other distributions' places say, where a lab reads it, and which they are; the directory's own come first.
    fn elsewhere(&self) -> impl Iterator<Item = (OwnFile, &str)> {
        self.files.iter().filter_map(|file| {
            let path = places::lab_place(&file.path).filter(|place| !self.paths().any(|path| path == place))?;
            Some((OwnFile { path, content: places::translated(&file.path, &file.content) }, file.path.as_str()))
        })
    }

    fn laid_file(&self, OwnFile { path, content }: &OwnFile, facts: &Facts) -> (LaidFile, Vec<String>) {
        let (content, done) = match std::str::from_utf8(content) {
            Ok(text) if !text.contains('\0') => {
                let (text, done) = substitute(text, &self.mapping, facts);
                (text.into_bytes(), done)
            }
            _ => (content.clone(), Vec::new()),
        };
        let given = self.mapping.files.get(path);
        let usual = usual_dress(path, find::is_private(path, &content) || !self.may_show(path));
        let word = |choose: fn(&Dress) -> &Option<String>, usual: &str| {
            given.and_then(|dress| choose(dress).clone()).unwrap_or_else(|| usual.to_owned())
        };
        let mode = word(|dress| &dress.mode, usual.0);
        let file = LaidFile {
            path: path.clone(),
            content,
            mode: u32::from_str_radix(&mode, 8).unwrap_or(0o600),
            owner: word(|dress| &dress.owner, "root"),
            group: word(|dress| &dress.group, usual.1),
        };
        (file, done)
    }
}

/// Mode and group of a file of which nothing is said. A private one is for root, and for the group of the daemon that reads it
/// after it gave root's rights up.
fn usual_dress(path: &str, is_private: bool) -> (&'static str, &'static str) {
    // Ordinary users run programs of postfix that read these.
    const FOR_ALL: [&str; 4] = ["postfix/main.cf", "postfix/master.cf", "passwd", "group"];
    let is_key = Path::new(path).extension().is_some_and(|extension| extension == "key");
    if FOR_ALL.contains(&path) {
        ("0644", "root")
    } else if is_key || (is_private && matches!(path, "imapd.conf" | "cyrus.conf")) {
        ("0640", "mail")
    } else if path.starts_with("sssd/") || path.ends_with("passwd") || path == "saslauthd.conf" {
        ("0600", "root")
    } else if is_private && path.starts_with("postfix/") {
        ("0640", "postfix")
    } else if is_private {
        ("0600", "root")
    } else {
        ("0644", "root")
    }
}

/// Reads anything as two configurations: parts between NUL bytes, the first of which is their `rehearsal.toml`; each other begins with
/// the line of its path, and belongs to both, but for the last one.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut parts = bytes.split(|byte| *byte == 0);
    let mapping = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let mapping = Mapping::parse(Path::new(FILE), &mapping).unwrap_or_default();
    let file = |part: &[u8]| {
        let end = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
        let path = String::from_utf8_lossy(&part[..end]).into_owned();
        OwnFile { path, content: part.get(end + 1..).unwrap_or_default().to_vec() }
    };
    let files: Vec<_> = parts.map(file).collect();
    let directory = PathBuf::from("/nowhere");
    let first = OwnEtc { directory, files, mapping, digest: String::new() };
    let mut second = first.clone();
    second.files.pop();
    let facts =
        [(super::mapping::Fact::BindPassword, "lab".to_owned()), (super::mapping::Fact::Domain, "lan.test".to_owned())];
    let _ = first.laid(&facts.into());
    let _ = (first.secrets(), first.absent(), super::services::readers(first.paths()));
    let _ = super::file_differences(&first, &second);
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        directory
    }

    #[test]
    fn a_directory_becomes_files_of_a_lab() {
        let own = directory(&[
            ("sssd/sssd.conf", "ldap_default_authtok = tulip\n"),
            ("pam.d/imap", "auth required pam_sss.so\n"),
            ("rehearsal.toml", "absent = ['imapd.conf']\n[files]\n'pam.d/imap' = { mode = '0600', owner = 'cyrus' }\n"),
        ]);
        let own = OwnEtc::load(own.path()).unwrap();
        assert_eq!(own.paths().collect::<Vec<_>>(), ["pam.d/imap", "sssd/sssd.conf"]);
        assert_eq!(own.absent(), ["imapd.conf", "pam.d/smtp"]);
        assert_eq!(own.secrets()[0].expose_secret(), "tulip");
        let facts = [(super::super::Fact::BindPassword, "inlab".to_owned())].into();
        let laid = own.laid(&facts);
        assert_eq!((laid[0].0.mode, laid[0].0.owner.as_str()), (0o600, "cyrus"));
        assert_eq!(
            (laid[1].0.mode, laid[1].0.content.as_slice()),
            (0o600, b"ldap_default_authtok = inlab\n".as_slice())
        );
        assert!(!format!("{:?}", laid[1]).contains("inlab"));
    }

    /// Modes and groups of files, by their path and text.
    #[rstest::rstest]
    #[case::harmless("nsswitch.conf", "passwd: files sss\n", "644 root")]
    #[case::with_a_password("imapd.conf", "sasl_sql_passwd: tulip\n", "640 mail")]
    #[case::without("imapd.conf", "admins: cyrus\n", "644 root")]
    #[case::a_login_of_postfix("postfix/relay", "[a.example.org] me:tulip-9\n", "640 postfix")]
    #[case::of_ldap("ldap.conf", "bindpw x\n", "600 root")]
    #[case::unknown("vendor/licence", "x\n", "600 root")]
    #[case::asked_for("vendor/shown", "x\n", "644 root")]
    #[case::read_by_all("postfix/main.cf", "x_password = tulip\n", "644 root")]
    #[case::a_key_in_a_certificate("ssl/own.pem", "-----BEGIN PRIVATE KEY-----\n", "600 root")]
    fn a_file_with_a_secret_is_private_in_the_guest(#[case] path: &str, #[case] text: &str, #[case] expected: &str) {
        let own = directory(&[(path, text), ("rehearsal.toml", "show = ['vendor/shown']\n")]);
        let laid = OwnEtc::load(own.path()).unwrap().laid(&[].into());
        assert_eq!(format!("{:o} {}", laid[0].0.mode, laid[0].0.group), expected);
    }

    #[test]
    fn a_pipe_is_no_file_of_a_mapping() {
        let own = directory(&[("imapd.conf", "x: y\n")]);
        nix::unistd::mkfifo(&own.path().join(FILE), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = OwnEtc::load(own.path()).unwrap_err();
        let words = format!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
        assert!(words.contains("rehearsal.toml") && words.contains("no regular file"), "{words}");
    }

    #[test]
    fn what_suse_has_elsewhere_is_laid_where_the_lab_reads_it() {
        let own = directory(&[
            ("sysconfig/saslauthd", "SASLAUTHD_AUTHMECH=shadow\n"),
            ("sasl2/smtpd.conf", "mech_list: plain\n"),
        ]);
        let laid = OwnEtc::load(own.path()).unwrap().laid(&[].into());
        let paths: Vec<_> = laid.iter().map(|(file, _)| file.path.as_str()).collect();
        assert_eq!(paths, ["sasl2/smtpd.conf", "sysconfig/saslauthd", "postfix/sasl/smtpd.conf", "default/saslauthd"]);
        assert!(String::from_utf8_lossy(&laid[3].0.content).contains("MECHANISMS=\"shadow\""));
        assert_eq!(
            laid[3].1,
            ["sysconfig/saslauthd: read by nobody here, so what it says is in default/saslauthd, too"]
        );
    }

    #[test]
    fn a_file_of_the_labs_own_place_is_not_replaced() {
        let own = directory(&[
            ("sysconfig/saslauthd", "SASLAUTHD_AUTHMECH=shadow\n"),
            ("default/saslauthd", "MECHANISMS=pam\n"),
        ]);
        let laid = OwnEtc::load(own.path()).unwrap().laid(&[].into());
        assert_eq!(laid.len(), 2);
    }

    #[test]
    fn a_directory_may_say_only_what_is_absent() {
        let own = directory(&[("rehearsal.toml", "absent = ['imapd.conf', 'sasl2/smtpd.conf']\n")]);
        let own = OwnEtc::load(own.path()).unwrap();
        assert_eq!(own.absent(), ["imapd.conf", "postfix/sasl/smtpd.conf", "sasl2/smtpd.conf"]);
        assert!(own.laid(&[].into()).is_empty());
    }

    #[test]
    fn another_content_is_another_configuration() {
        let digest = |text: &str| OwnEtc::load(directory(&[("pam.d/imap", text)]).path()).unwrap().digest().to_owned();
        assert_eq!(digest("a"), digest("a"));
        assert_ne!(digest("a"), digest("b"));
    }

    #[rstest::rstest]
    #[case::empty(&[("rehearsal.toml", "")], "there is no file in it")]
    #[case::unknown_file(&[("a", "x"), ("rehearsal.toml", "[files]\n'b' = { mode = '0600' }\n")], "[files] names b")]
    #[case::mapping(&[("a", "x"), ("rehearsal.toml", "[replace]\n'b' = 'c'\n")], "one mistake in")]
    fn bad_directories_are_refused(#[case] files: &[(&str, &str)], #[case] words: &str) {
        let error = OwnEtc::load(directory(files).path()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
