//! The collector's text, read.

use crate::secrets::find;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The first words of the text, with the number of its format.
const HEAD: &str = "@rehearsal-evidence 1 ";

/// Why a text is no evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// It is something else.
    #[error("it does not begin with `@rehearsal-evidence 1`: make it with `cargo xtask diagnose --print-collector`")]
    Head,
    /// A line has neither mark.
    #[error("line {0} begins neither with @ nor with |")]
    Line(usize),
    /// Its end is missing.
    #[error("it ends too early, as if the collector had been stopped")]
    End,
}

/// A file, its dress, and its text without passwords.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct File {
    /// Permissions, in octal digits.
    pub(super) mode: String,
    pub(super) owner: String,
    pub(super) group: String,
    pub(super) text: String,
}

/// The state of a unit of systemd.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) active: String,
    pub(super) result: String,
    pub(super) enabled: String,
}

/// saslauthd's socket, or the directory that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) path: String,
    /// As `find -printf %y` has it: `s` for a socket, `d` for a directory.
    pub(super) kind: String,
    pub(super) mode: String,
    pub(super) group: String,
}

/// What a question to the directory came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// Whom was asked: host and port.
    pub(super) place: String,
    /// The exit status of the program that asked.
    pub(super) status: i32,
    pub(super) lines: Vec<String>,
}

/// A wait on that machine, by its clock, in whole seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What was waited for: a noun phrase.
    pub what: String,
    /// How long.
    pub lasted: Duration,
    /// How long it might have been.
    pub allowed: Duration,
}

/// A server of sssd's, and what it answered. Who did not answer one question was not asked the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Server {
    /// Its address in sssd.conf. Empty in what an older collector wrote, which asked the first server only.
    pub(super) uri: String,
    /// Whether its name has an address: what getent says.
    pub(super) name: Option<Answer>,
    pub(super) connect: Option<Answer>,
    /// What openssl says of its certificate.
    pub(super) tls: Option<Answer>,
    pub(super) entry: Option<Answer>,
}

impl Server {
    /// How it is called in what is shown.
    pub(super) fn place(&self) -> &str {
        let answers = [&self.connect, &self.name];
        let place = answers.into_iter().flatten().map(|answer| answer.place.as_str()).next();
        if self.uri.is_empty() { place.unwrap_or("the directory") } else { &self.uri }
    }
}

/// What was found on one machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Its short and its full name, as far as it knows them.
    pub(super) names: Vec<String>,
    /// The user that was asked for.
    pub(super) user: String,
    /// The machine's clock: seconds since 1970.
    pub(super) now: i64,
    pub(super) files: BTreeMap<String, File>,
    /// Files that the configuration names and that are not there.
    pub(super) absent: BTreeSet<String>,
    pub(super) units: BTreeMap<String, Unit>,
    /// The arguments of each running saslauthd.
    pub(super) saslauthd: Vec<Vec<String>>,
    pub(super) sockets: Vec<Socket>,
    /// Groups by account.
    pub(super) groups: BTreeMap<String, Vec<String>>,
    /// postfix' services (`postconf -M`).
    pub(super) master: Vec<String>,
    /// Whether the user is in the machine's own passwd.
    pub(super) is_local: bool,
    /// cyrus' list of denials.
    pub(super) denied: Vec<String>,
    /// Settings of postfix (`postconf`).
    pub(super) postconf: BTreeMap<String, String>,
    /// Versions of programs.
    pub(super) versions: BTreeMap<String, String>,
    /// PAM's modules that are installed, if the collector looked.
    pub(super) modules: Option<BTreeSet<String>>,
    /// The directory's servers, in the order in which sssd asks them.
    pub(super) servers: Vec<Server>,
    /// Whether the directory finds the user with sssd's access filter, if it was asked.
    pub(super) admitted: Option<bool>,
    pub(super) log: Vec<String>,
    pub(super) sssd_log: Vec<String>,
    /// The last lines of units that do not run, however old.
    pub(super) last_words: BTreeMap<String, Vec<String>>,
    pub(super) waits: Vec<Wait>,
}

impl Evidence {
    /// Reads the collector's text.
    pub fn read(text: &str) -> Result<Self, EvidenceError> {
        let head = text.lines().next().and_then(|line| line.strip_prefix(HEAD)).ok_or(EvidenceError::Head)?;
        let mut evidence = Self { names: words(head), ..Self::default() };
        let mut section = Vec::new();
        let mut lines: Vec<String> = Vec::new();
        let mut ended = false;
        for (number, line) in text.lines().enumerate().skip(1) {
            if let Some(text) = line.strip_prefix('|') {
                lines.push(text.to_owned());
            } else if let Some(head) = line.strip_prefix('@') {
                evidence.take(&section, std::mem::take(&mut lines));
                section = words(head);
                ended = head == "end";
            } else if !line.is_empty() {
                return Err(EvidenceError::Line(number + 1));
            }
        }
        if ended { Ok(evidence) } else { Err(EvidenceError::End) }
    }

    /// The user that the collector was told.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The waits on that machine that ended with what they waited for.
    pub fn waits(&self) -> impl Iterator<Item = &Wait> {
        self.waits.iter().filter(|wait| wait.lasted < wait.allowed)
    }

    /// Whether a directory runs there.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.units.contains_key("slapd")
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> &str {
        self.names.first().map_or("?", String::as_str)
    }

    fn take(&mut self, section: &[String], lines: Vec<String>) {
        let words: Vec<_> = section.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["user", user] => (*user).clone_into(&mut self.user),
            ["now", now] => self.now = now.parse().unwrap_or_default(),
            ["file", path, mode, owner, group] => {
                let [mode, owner, group] = [mode, owner, group].map(|word| (*word).to_owned());
                let file = File { mode, owner, group, text: find::masked(path, &lines.join("\n")) };
                self.files.insert((*path).to_owned(), file);
            }
            ["absent", path] => {
                self.absent.insert((*path).to_owned());
            }
            ["units"] => self.units = units(&lines),
            ["saslauthd"] => self.saslauthd.push(lines),
            ["socket", path, kind, mode, _owner, group] => self.sockets.push(Socket {
                path: (*path).into(),
                kind: (*kind).into(),
                mode: (*mode).into(),
                group: (*group).into(),
            }),
            ["groups", account, groups @ ..] => {
                self.groups.insert((*account).into(), groups.iter().map(|group| (*group).into()).collect());
            }
            ["master"] => self.master = lines,
            ["local"] => self.is_local = true,
            ["denied"] => self.denied = lines,
            ["postconf"] => self.postconf = pairs(&lines, '='),
            ["versions"] => self.versions = pairs(&lines, ' '),
            ["pam-modules"] => self.modules = Some(lines.iter().map(|line| line.trim().to_owned()).collect()),
            ["server", uri] => self.servers.push(Server { uri: (*uri).into(), ..Server::default() }),
            ["name", host, status] => {
                self.server().name = Some(Answer { place: (*host).into(), status: number(status), lines });
            }
            ["connect", host, port, status] => {
                self.server().connect = Some(Answer { place: format!("{host}:{port}"), status: number(status), lines });
            }
            // An older collector says no status.
            ["tls", status @ ..] => {
                let status = status.first().map_or(0, |word| number(word));
                self.server().tls = Some(Answer { status, lines, ..Answer::default() });
            }
            ["entry", status] => {
                self.server().entry = Some(Answer { status: number(status), lines, ..Answer::default() });
            }
            ["access", status] => {
                let finds = lines.iter().any(|line| line.starts_with("dn:"));
                self.admitted = (number(status) == 0).then_some(finds);
            }
            ["log"] => self.log = masked(&lines),
            ["sssd-log"] => self.sssd_log = masked(&lines),
            ["last-words", unit] => {
                self.last_words.insert((*unit).to_owned(), masked(&lines));
            }
            ["waited", seconds, allowed, what @ ..] => {
                let [lasted, allowed] = [seconds, allowed].map(|word| Duration::from_secs(word.parse().unwrap_or(0)));
                self.waits.push(Wait { what: what.join(" "), lasted, allowed });
            }
            // A newer collector may tell more.
            _ => {}
        }
    }

    /// The server that is being read.
    fn server(&mut self) -> &mut Server {
        if self.servers.is_empty() {
            self.servers.push(Server::default());
        }
        let last = self.servers.len() - 1;
        &mut self.servers[last]
    }

    /// The value of an option of saslauthd's command line, in any of its processes.
    pub(super) fn saslauthd_option(&self, option: &str) -> Option<&str> {
        self.saslauthd.iter().find_map(|words| {
            let at = words.iter().position(|word| word.starts_with(option))?;
            let own = words[at].strip_prefix(option)?;
            if own.is_empty() { words.get(at + 1).map(String::as_str) } else { Some(own) }
        })
    }

    /// Whether saslauthd runs with this flag.
    pub(super) fn has_saslauthd_flag(&self, flag: char) -> bool {
        let is_flags = |word: &&String| word.starts_with('-') && !word[1..].starts_with(['a', 'm', 'n', 'O', 's', 't']);
        self.saslauthd.iter().flatten().filter(is_flags).any(|word| word[1..].contains(flag))
    }

    /// The number of a version of a program, such as 2.10 as (2, 10).
    pub(super) fn version(&self, program: &str) -> Option<(u32, u32)> {
        let text = self.versions.get(program)?;
        let start = text.find(|sign: char| sign.is_ascii_digit())?;
        let mut parts = text[start..].split(|sign: char| !sign.is_ascii_digit()).map(str::parse);
        Some((parts.next()?.ok()?, parts.next().and_then(Result::ok).unwrap_or(0)))
    }

    /// The text of a file.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(|file| file.text.as_str())
    }

    /// sssd's own file.
    pub(super) fn sssd_conf(&self) -> Option<&File> {
        self.files.get("/etc/sssd/sssd.conf")
    }

    /// The value of a key of sssd's: the last one that is not of a domain that is switched off.
    pub(super) fn sssd(&self, key: &str) -> Option<&str> {
        let of = |key: &'static str| self.sssd_settings().filter(move |(_, name, _)| *name == key).last();
        let domains: Option<Vec<&str>> = of("domains").map(|(_, _, value)| value.split(',').map(str::trim).collect());
        let is_on = |section: &str| {
            let domain = section.strip_prefix("domain/");
            domain.zip(domains.as_ref()).is_none_or(|(domain, domains)| domains.contains(&domain))
        };
        let found = self.sssd_settings().filter(|(section, name, _)| *name == key && is_on(section)).last();
        found.map(|(_, _, value)| value)
    }

    /// Section, name and value of all that sssd's files set.
    fn sssd_settings(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let own = self.files.iter().filter(|(path, _)| path.starts_with("/etc/sssd/"));
        own.flat_map(|(_, file)| {
            let mut section = "";
            file.text.lines().filter_map(move |line| {
                let line = line.trim();
                if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                    section = name.trim();
                }
                let (name, value) = line.split_once('=').filter(|_| !line.starts_with(['#', ';', '[']))?;
                Some((section, name.trim(), value.trim()))
            })
        })
    }

    /// The state of a unit.
    pub(super) fn unit(&self, name: &str) -> Option<&Unit> {
        self.units.get(name)
    }
}

fn masked(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| find::masked_words(line)).collect()
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// A status that is no number stands for none.
fn number(word: &str) -> i32 {
    word.parse().unwrap_or(-1)
}

/// Reads lines of a name and a value.
fn pairs(lines: &[String], between: char) -> BTreeMap<String, String> {
    let split = lines.iter().filter_map(|line| line.trim().split_once(between));
    split.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

/// Reads what `systemctl show` says of several units: an empty line stands between two.
fn units(lines: &[String]) -> BTreeMap<String, Unit> {
    let mut units = BTreeMap::new();
    for block in lines.split(String::is_empty) {
        let value = |key: &str| {
            let found = block.iter().filter_map(|line| line.split_once('=')).find(|(name, _)| *name == key);
            found.map_or_else(String::new, |(_, value)| value.to_owned())
        };
        let id = value("Id");
        if value("LoadState") != "loaded" {
            continue;
        }
        let unit = Unit { active: value("ActiveState"), result: value("Result"), enabled: value("UnitFileState") };
        units.insert(id.strip_suffix(".service").unwrap_or(&id).to_owned(), unit);
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "@rehearsal-evidence 1 mail mail.lan.test\n@user alice\n@now 1764000000\n@file /etc/pam.d/imap 644 root root\n|auth required pam_sss.so\n@file /etc/pam.d/smtp 644 root root\n@units\n|Id=sssd.service\n|LoadState=loaded\n|ActiveState=failed\n|Result=exit-code\n|\n|Id=cyrus.service\n|LoadState=not-found\n@connect directory.lan.test 636 124\n|\n@waited 15 15 a connection\n@waited 3 15 the answer\n@future words\n|x\n@end\n";

    #[test]
    fn the_sections_are_put_in_their_places() {
        let evidence = Evidence::read(TEXT).unwrap();
        assert_eq!((evidence.machine(), evidence.user(), evidence.now), ("mail", "alice", 1_764_000_000));
        assert_eq!(evidence.text("/etc/pam.d/smtp"), Some(""));
        assert_eq!(evidence.text("/etc/pam.d/imap"), Some("auth required pam_sss.so"));
        assert_eq!(evidence.unit("sssd").unwrap().active, "failed");
        assert!(evidence.unit("cyrus").is_none());
        let waits: Vec<_> = evidence.waits().map(|wait| (wait.what.as_str(), wait.lasted.as_secs())).collect();
        assert_eq!(waits, [("the answer", 3)]);
        assert_eq!(evidence.servers[0].connect.as_ref().unwrap().status, 124);
    }

    #[test]
    fn each_server_has_its_own_answers() {
        let text = "@rehearsal-evidence 1 post\n@server ldaps://a.test\n@name a.test 2\n@server ldaps://b.test\n@name b.test 0\n\
                    @connect b.test 636 0\n@saslauthd\n|/usr/sbin/saslauthd\n|-m\n|/run/x\n|-apam\n|-rc\n@versions\n|sssd 2.10.1-2\n@end\n";
        let evidence = Evidence::read(text).unwrap();
        let found: Vec<_> = evidence.servers.iter().map(|server| (server.place(), server.connect.is_some())).collect();
        assert_eq!(found, [("ldaps://a.test", false), ("ldaps://b.test", true)]);
        assert_eq!((evidence.saslauthd_option("-m"), evidence.saslauthd_option("-a")), (Some("/run/x"), Some("pam")));
        assert!(
            evidence.has_saslauthd_flag('r') && evidence.has_saslauthd_flag('c') && !evidence.has_saslauthd_flag('d')
        );
        assert_eq!((evidence.version("sssd"), evidence.version("postfix")), (Some((2, 10)), None));
    }

    #[test]
    fn the_collector_prints_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let text = "ldap_default_authtok = tulip\nldap_default_authtok_type = password\n  ldap_bind_pw: tulip\nsasl_sql_passwd: tulip\n\
                    auth required pam_mysql.so user=x passwd=tulip\npassword required pam_unix.so\n-----BEGIN PRIVATE KEY-----\n\
                    tulip\n-----END PRIVATE KEY-----\nlast\n";
        std::fs::write(&path, text).unwrap();
        // All but the last line, which begins to collect.
        let functions = super::super::COLLECTOR.trim_end().rsplit_once('\n').unwrap().0;
        let script = format!("{functions}\nprintf '@file x\\n{}\\n' | texts", path.display());
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r"
        @file x
        |ldap_default_authtok = ******
        |ldap_default_authtok_type = password
        |  ldap_bind_pw= ******
        |sasl_sql_passwd= ******
        |auth required pam_mysql.so user=x passwd=******
        |password required pam_unix.so
        |******
        |******
        |******
        |last
        ");
    }

    /// What a shell prints that has the collector's functions, and `sssd.conf`.
    fn collector(conf: &str, commands: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sssd.conf");
        std::fs::write(&path, conf).unwrap();
        let functions = super::super::COLLECTOR.trim_end().rsplit_once('\n').unwrap().0;
        let script = format!("{functions}\nhas() {{ false; }}\npatience=1 sssd_files={}\n{commands}", path.display());
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_collector_asks_the_servers_of_the_domains_that_are_on() {
        let conf = "[sssd]\ndomains = new, newer\n[domain/new]\n# ldap_uri = ldaps://no.test\nldap_uri = _srv_, ldaps://a.test,ldaps://b.test\n\
                    ldap_backup_uri = ldaps://c.test ldaps://a.test\nldap_default_authtok = tulip = red\n[domain/old]\nldap_uri = ldaps://old.test\n";
        let printed = collector(conf, "servers; password; echo; setting nothing");
        assert_eq!(printed, "ldaps://a.test\nldaps://b.test\nldaps://c.test\ntulip = red\n");
    }

    #[test]
    fn the_collector_does_not_send_an_obfuscated_password() {
        let conf = "[domain/new]\nldap_default_authtok_type = obfuscated_password\nldap_default_authtok = AAAQ\n";
        assert_eq!(collector(conf, "password || echo failed"), "failed\n");
    }

    #[test]
    fn what_a_domain_says_that_is_switched_off_does_not_count() {
        let conf = "[sssd]\n|domains = new\n|[domain/new]\n|ldap_uri = ldaps://new.test\n|# ldap_uri = x\n|[domain/old]\n|ldap_uri = ldaps://old.test";
        let text = format!("@rehearsal-evidence 1 post\n@file /etc/sssd/sssd.conf 600 root root\n|{conf}\n@end\n");
        assert_eq!(Evidence::read(&text).unwrap().sssd("ldap_uri"), Some("ldaps://new.test"));
        let text = text.replace("domains = new", "services = pam");
        assert_eq!(Evidence::read(&text).unwrap().sssd("ldap_uri"), Some("ldaps://old.test"));
    }

    #[rstest::rstest]
    #[case::something_else("hello\n", EvidenceError::Head)]
    #[case::cut(&TEXT[..TEXT.len() - 5], EvidenceError::End)]
    #[case::broken("@rehearsal-evidence 1 mail\nfree text\n@end\n", EvidenceError::Line(2))]
    fn other_texts_are_refused(#[case] text: &str, #[case] expected: EvidenceError) {
        assert_eq!(Evidence::read(text), Err(expected));
    }
}
