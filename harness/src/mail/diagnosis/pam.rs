//! What PAM does for a service, from its files: which modules a phase calls, in which order, and what comes of them.
//!
//! Source: pam.conf(5), pam(8) and `pam_handlers.c` of Linux-PAM. A service without a file, and a phase without an entry in it,
//! are those of `other`.

mod walk;

use super::evidence::Evidence;
use std::collections::BTreeSet;
pub(super) use walk::Walk;

/// Directories in the order in which PAM looks for a service's file: the administrator's, the distribution's, the vendor's.
const DIRECTORIES: [&str; 3] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"];

/// How deep includes are followed: a file that includes itself must end.
const DEPTH: usize = 8;

/// A service's own file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnFile<'a> {
    /// There is none.
    Missing,
    /// It has no entry of the phases that a login has.
    Empty(&'a str),
    /// It has entries.
    Says(&'a str),
}

/// A line of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    /// A module is called.
    Call {
        /// `required`, or the words between brackets.
        control: &'a str,
        /// Its name, without directories.
        module: &'a str,
        /// The file that names it.
        file: &'a str,
        /// Whether it may be missing (`-auth`).
        optional: bool,
    },
    /// A stack of its own.
    Substack(Vec<Self>),
    /// A file that is included and is not there. PAM fails where it stands.
    Missing {
        /// Its name.
        name: &'a str,
        /// The file that includes it.
        file: &'a str,
    },
}

impl Entry<'_> {
    fn names(&self, found: &mut Vec<String>) {
        match self {
            Self::Call { module, .. } => found.push((*module).to_owned()),
            Self::Substack(entries) => entries.iter().for_each(|entry| entry.names(found)),
            Self::Missing { .. } => {}
        }
    }
}

/// The files of PAM on one machine.
pub(super) struct Pam<'a> {
    evidence: &'a Evidence,
    /// Modules that could not be opened.
    faulty: BTreeSet<String>,
    /// Whether the log says that the machine itself has no name for the user.
    is_nameless: bool,
}

impl<'a> Pam<'a> {
    pub(super) fn new(evidence: &'a Evidence) -> Self {
        Self { evidence, faulty: BTreeSet::new(), is_nameless: false }
    }

    /// With modules that the log says cannot be opened.
    pub(super) fn with_faulty(self, faulty: BTreeSet<String>) -> Self {
        Self { faulty, ..self }
    }

    /// With the word of the log that the machine itself has no name for the user.
    pub(super) fn nameless(self, is_nameless: bool) -> Self {
        Self { is_nameless, ..self }
    }

    /// The path of a service's file, and its text.
    fn file(&self, service: &str) -> Option<(&'a str, &'a str)> {
        let found = |path: &str| {
            self.evidence.files.get_key_value(path).map(|(path, file)| (path.as_str(), file.text.as_str()))
        };
        if service.starts_with('/') {
            return found(service);
        }
        DIRECTORIES.iter().find_map(|directory| found(&format!("{directory}/{service}")))
    }

    /// The service's own file.
    pub(super) fn own(&self, service: &str) -> OwnFile<'a> {
        match self.file(service) {
            None => OwnFile::Missing,
            Some((path, _))
                if self.entries(service, "auth").is_empty() && self.entries(service, "account").is_empty() =>
            {
                OwnFile::Empty(path)
            }
            Some((path, _)) => OwnFile::Says(path),
        }
    }

    /// Lines of a service's own file that begin with no phase.
    pub(super) fn broken_lines(&self, service: &str) -> Vec<String> {
        let Some((path, text)) = self.file(service) else { return Vec::new() };
        let is_broken = |line: &str| {
            let first = line.split_whitespace().next().unwrap_or_default().trim_start_matches('-').to_ascii_lowercase();
            !["", "auth", "account", "password", "session", "@include"].contains(&first.as_str())
        };
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        lines.filter(|line| is_broken(line)).map(|line| format!("{path}: {line}")).collect()
    }

    /// The stack that a phase of a service really goes through, and the service that it is of.
    pub(super) fn stack<'s>(&self, service: &'s str, phase: &str) -> (&'s str, Vec<Entry<'a>>) {
        let own = self.entries(service, phase);
        if own.is_empty() { ("other", self.entries("other", phase)) } else { (service, own) }
    }

    /// What comes of a phase for a user whom only the directory knows, with the right password.
    pub(super) fn walk(&self, service: &str, phase: &str) -> Walk<'a> {
        let world = walk::World::new(phase, self.evidence, &self.faulty, self.is_nameless);
        walk::walk(&self.stack(service, phase).1, &world)
    }

    /// The modules that a phase names, in words.
    pub(super) fn modules(&self, service: &str, phase: &str) -> String {
        let mut names = Vec::new();
        self.entries(service, phase).iter().for_each(|entry| entry.names(&mut names));
        names.join(", ")
    }

    /// The entries of a phase in a service's file and in those that it includes.
    fn entries(&self, service: &str, phase: &str) -> Vec<Entry<'a>> {
        let mut entries = Vec::new();
        if let Some((path, text)) = self.file(service) {
            self.gather(path, text, phase, DEPTH, &mut entries);
        }
        entries
    }

    fn gather(&self, path: &'a str, text: &'a str, phase: &str, depth: usize, entries: &mut Vec<Entry<'a>>) {
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let mut words = line.split_whitespace();
            let first = words.next().unwrap_or_default();
            if first.eq_ignore_ascii_case("@include") {
                if let Some(name) = words.next() {
                    self.include(path, name, phase, depth, entries);
                }
                continue;
            }
            // A hyphen before the phase: a module that is not installed does not matter.
            let optional = first.starts_with('-');
            if !first.trim_start_matches('-').eq_ignore_ascii_case(phase) {
                continue;
            }
            let rest = line[first.len()..].trim_start();
            let (control, rest) = match rest.strip_prefix('[') {
                Some(list) => list.split_once(']').unwrap_or((list, "")),
                None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
            };
            let target = rest.split_whitespace().next().unwrap_or_default();
            match control {
                "include" => self.include(path, target, phase, depth, entries),
                "substack" => {
                    let mut own = Vec::new();
                    self.include(path, target, phase, depth, &mut own);
                    entries.push(Entry::Substack(own));
                }
                _ => {
                    let module = target.rsplit('/').next().unwrap_or(target);
                    entries.push(Entry::Call { control, module, file: path, optional });
                }
            }
        }
    }

    fn include(&self, file: &'a str, name: &'a str, phase: &str, depth: usize, entries: &mut Vec<Entry<'a>>) {
        match self.file(name) {
            _ if depth == 0 => {}
            Some((path, text)) => self.gather(path, text, phase, depth - 1, entries),
            // The collector does not look elsewhere.
            None if name.starts_with('/') => {}
            None => entries.push(Entry::Missing { name, file }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::File;
    use super::*;
    use rstest::rstest;

    fn machine(files: &[(&str, &str)]) -> Evidence {
        let file = |text: &str| File { text: text.to_owned(), ..File::default() };
        let path = |name: &str| if name.starts_with('/') { name.to_owned() } else { format!("/etc/pam.d/{name}") };
        // The machine itself has no names of the directory, unless a case says otherwise.
        let files = [NO_NSS].iter().chain(files).map(|(name, text)| (path(name), file(text))).collect();
        Evidence { files, ..Evidence::default() }
    }

    const OWN: &str = "auth sufficient pam_unix.so\nauth required pam_sss.so use_first_pass\naccount sufficient pam_unix.so\n-account required pam_sss.so";
    const OTHER: &str = "@include common-auth\n@include common-account";
    const LOCAL: &str = "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so # no more\nauth required pam_permit.so\naccount required pam_unix.so";
    /// Debian's with sssd: the account phase asks it after it has given up.
    const DEBIAN: &str = "auth [success=2 default=ignore] pam_unix.so\nauth [success=1 default=ignore] pam_sss.so use_first_pass\nauth requisite pam_deny.so\nauth required pam_permit.so\n\
        account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\naccount requisite pam_deny.so\naccount required pam_permit.so\naccount sufficient pam_localuser.so\naccount [default=bad success=ok user_unknown=ignore] pam_sss.so";
    const NO_NSS: (&str, &str) = ("/etc/nsswitch.conf", "passwd: files\ngroup: files");
    const NSS: (&str, &str) = ("/etc/nsswitch.conf", "passwd: files sss\ngroup: files sss");
    /// Fedora's password-auth.
    const FEDORA: &str = "auth required pam_env.so\nauth [default=1 ignore=ignore success=ok] pam_localuser.so\nauth sufficient pam_unix.so\nauth sufficient pam_sss.so forward_pass\nauth required pam_deny.so\n\
        account required pam_unix.so broken_shadow\naccount sufficient pam_localuser.so\naccount [default=bad success=ok user_unknown=ignore] pam_sss.so\naccount required pam_permit.so";

    /// Whether the login is let in, and whether sssd is asked, in each phase.
    #[rstest]
    #[case::own(&[("imap", OWN)], [true; 2], [true; 2])]
    #[case::missing(&[("other", OTHER), ("common-auth", LOCAL), ("common-account", LOCAL)], [false; 2], [false; 2])]
    #[case::missing_and_other_asks(&[("other", OWN)], [true; 2], [true; 2])]
    #[case::empty(&[("imap", "# nothing\n\n"), ("other", LOCAL)], [false; 2], [false; 2])]
    #[case::stock(&[("imap", OTHER), ("common-auth", LOCAL), ("common-account", LOCAL)], [false; 2], [false; 2])]
    #[case::commented(&[("imap", "auth required pam_unix.so\n#auth required pam_sss.so\naccount required pam_sss.so")], [false, true], [false, true])]
    #[case::account_only(&[("imap", "account required pam_sss.so"), ("other", LOCAL)], [false, true], [false, true])]
    #[case::by_include(&[("imap", "auth include sss\naccount substack sss"), ("sss", OWN)], [true; 2], [true; 2])]
    #[case::in_a_circle(&[("imap", "@include imap\nauth required pam_unix.so\naccount required pam_sss.so")], [false, true], [false, true])]
    #[case::debian(&[("imap", DEBIAN)], [true, false], [true, false])]
    #[case::debian_with_names_of_sssd(&[("imap", DEBIAN), NSS], [true; 2], [true; 2])]
    #[case::fedora(&[("imap", "auth substack password-auth\naccount include password-auth"), ("password-auth", FEDORA), NSS], [true; 2], [true; 2])]
    #[case::given_up_before(&[("imap", "auth requisite pam_unix.so\nauth required pam_sss.so\naccount required pam_sss.so")], [false, true], [false, true])]
    #[case::an_include_that_is_not_there(&[("imap", "auth include gone\nauth sufficient pam_sss.so\naccount required pam_sss.so")], [false, true], [true, true])]
    #[case::vendor(&[("/usr/lib/pam.d/imap", OWN), ("/usr/etc/pam.d/imap", LOCAL)], [true; 2], [true; 2])]
    #[case::vendor_of_the_distribution_first(&[("/usr/lib/pam.d/imap", LOCAL), ("/usr/etc/pam.d/imap", OWN)], [false; 2], [false; 2])]
    #[case::the_administrators_first(&[("imap", LOCAL), ("/usr/lib/pam.d/imap", OWN)], [false; 2], [false; 2])]
    #[case::not_in_the_jump(&[("imap", "auth [success=1 default=ignore] pam_permit.so\nauth required pam_sss.so\nauth required pam_permit.so\naccount required pam_sss.so")], [true, true], [false, true])]
    fn what_comes_of_a_login(#[case] files: &[(&str, &str)], #[case] lets_in: [bool; 2], #[case] asks: [bool; 2]) {
        let evidence = machine(files);
        let pam = Pam::new(&evidence);
        let walks = ["auth", "account"].map(|phase| pam.walk("imap", phase));
        assert_eq!((walks.each_ref().map(|walk| walk.lets_in), walks.each_ref().map(Walk::asks_sssd)), (lets_in, asks));
    }

    #[test]
    fn the_own_file_is_missing_empty_or_says_something() {
        let evidence = machine(&[
            ("smtp", "#%PAM-1.0\nsession required pam_unix.so\n"),
            ("pop", OWN),
            ("/usr/lib/pam.d/smtp", OWN),
        ]);
        let pam = Pam::new(&evidence);
        assert_eq!(pam.own("imap"), OwnFile::Missing);
        assert_eq!(pam.own("smtp"), OwnFile::Empty("/etc/pam.d/smtp"));
        assert_eq!(pam.own("pop"), OwnFile::Says("/etc/pam.d/pop"));
    }

    #[test]
    fn without_nsswitch_nothing_is_held_against_the_account_phase() {
        let mut evidence = machine(&[("imap", DEBIAN)]);
        evidence.files.remove(NO_NSS.0);
        assert!(Pam::new(&evidence).walk("imap", "account").lets_in);
        // Unless the log says that the machine has no such name.
        assert!(!Pam::new(&evidence).nameless(true).walk("imap", "account").lets_in);
    }

    #[test]
    fn who_refuses_is_told() {
        let evidence = machine(&[("imap", DEBIAN)]);
        let walk = Pam::new(&evidence).walk("imap", "account");
        assert_eq!(walk.refused_by, Some(("pam_deny.so", "/etc/pam.d/imap")));
    }

    #[test]
    fn a_module_that_is_not_installed_fails_unless_it_is_optional() {
        let text = "auth required pam_gone.so\nauth sufficient pam_sss.so\n-account required pam_gone.so\naccount required pam_sss.so";
        let mut evidence = machine(&[("imap", text)]);
        evidence.modules = Some(["pam_sss.so".to_owned()].into());
        let pam = Pam::new(&evidence);
        let walk = pam.walk("imap", "auth");
        assert_eq!((walk.lets_in, walk.missing), (false, vec![("pam_gone.so", "/etc/pam.d/imap")]));
        assert!(pam.walk("imap", "account").lets_in);
    }
}
