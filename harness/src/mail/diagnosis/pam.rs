//! What PAM does for a service, from its files: which modules a phase calls, through includes, and what it falls back to.
//!
//! Source: pam.conf(5) and pam(8) of Linux-PAM. A service without a file, and a phase without an entry in it, are those of `other`.

use super::evidence::Evidence;

/// Directories in the order in which PAM looks for a service's file.
const DIRECTORIES: [&str; 3] = ["/etc/pam.d", "/usr/etc/pam.d", "/usr/lib/pam.d"];

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

/// The files of PAM on one machine.
pub(super) struct Pam<'a> {
    evidence: &'a Evidence,
}

impl<'a> Pam<'a> {
    pub(super) fn new(evidence: &'a Evidence) -> Self {
        Self { evidence }
    }

    /// The path of a service's file, and its text.
    fn file(&self, service: &str) -> Option<(&'a str, &'a str)> {
        DIRECTORIES.iter().find_map(|directory| {
            let found = self.evidence.files.get_key_value(&format!("{directory}/{service}"));
            found.map(|(path, file)| (path.as_str(), file.text.as_str()))
        })
    }

    /// The service's own file.
    pub(super) fn own(&self, service: &str) -> OwnFile<'a> {
        match self.file(service) {
            None => OwnFile::Missing,
            Some((path, _))
                if self.modules(service, "auth").is_empty() && self.modules(service, "account").is_empty() =>
            {
                OwnFile::Empty(path)
            }
            Some((path, _)) => OwnFile::Says(path),
        }
    }

    /// Whether the login of a service asks sssd, for the password and for the account.
    pub(super) fn asks_sssd(&self, service: &str) -> bool {
        ["auth", "account"].iter().all(|phase| {
            let own = self.modules(service, phase);
            let modules = if own.is_empty() { self.modules("other", phase) } else { own };
            modules.iter().any(|module| module.contains("pam_sss"))
        })
    }

    /// The modules of a phase in a service's file and in those that it includes.
    pub(super) fn modules(&self, service: &str, phase: &str) -> Vec<&'a str> {
        let mut modules = Vec::new();
        self.gather(service, phase, DEPTH, &mut modules);
        modules
    }

    fn gather(&self, service: &str, phase: &str, depth: usize, modules: &mut Vec<&'a str>) {
        let Some((_, text)) = self.file(service).filter(|_| depth > 0) else { return };
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let mut words = line.split_whitespace();
            let first = words.next().unwrap_or_default();
            if first == "@include" {
                words.next().into_iter().for_each(|file| self.gather(file, phase, depth - 1, modules));
                continue;
            }
            // A hyphen before the phase: a module that is not installed does not matter.
            if first.trim_start_matches('-') != phase {
                continue;
            }
            let rest = line[first.len()..].trim_start();
            let (control, rest) = match rest.strip_prefix('[') {
                Some(list) => list.split_once(']').unwrap_or((list, "")),
                None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
            };
            let module = rest.split_whitespace().next().unwrap_or_default();
            match control {
                "include" | "substack" => self.gather(module, phase, depth - 1, modules),
                _ => modules.push(module),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::File;
    use super::*;

    fn machine(files: &[(&str, &str)]) -> Evidence {
        let file = |text: &str| File { text: text.to_owned(), ..File::default() };
        Evidence {
            files: files.iter().map(|(name, text)| (format!("/etc/pam.d/{name}"), file(text))).collect(),
            ..Evidence::default()
        }
    }

    const OWN: &str = "auth sufficient pam_unix.so\nauth required pam_sss.so use_first_pass\naccount sufficient pam_unix.so\n-account required pam_sss.so";
    const OTHER: &str = "@include common-auth\n@include common-account";
    const LOCAL: &str = "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so # no more\naccount required pam_unix.so";

    #[rstest::rstest]
    #[case::own(&[("imap", OWN)], true)]
    #[case::missing(&[("other", OTHER), ("common-auth", LOCAL), ("common-account", LOCAL)], false)]
    #[case::missing_and_other_asks(&[("other", OWN)], true)]
    #[case::empty(&[("imap", "# nothing\n\n"), ("other", LOCAL)], false)]
    #[case::stock(&[("imap", OTHER), ("common-auth", LOCAL), ("common-account", LOCAL)], false)]
    #[case::commented(&[("imap", "auth required pam_unix.so\n#auth required pam_sss.so\naccount required pam_sss.so")], false)]
    #[case::account_only(&[("imap", "account required pam_sss.so"), ("other", LOCAL)], false)]
    #[case::by_include(&[("imap", "auth include sss\naccount substack sss"), ("sss", OWN)], true)]
    #[case::in_a_circle(&[("imap", "@include imap\nauth required pam_unix.so")], false)]
    fn whether_sssd_is_asked(#[case] files: &[(&str, &str)], #[case] expected: bool) {
        assert_eq!(Pam::new(&machine(files)).asks_sssd("imap"), expected);
    }

    #[test]
    fn the_own_file_is_missing_empty_or_says_something() {
        let evidence = machine(&[("smtp", "#%PAM-1.0\nsession required pam_unix.so\n"), ("pop", OWN)]);
        let pam = Pam::new(&evidence);
        assert_eq!(pam.own("imap"), OwnFile::Missing);
        assert_eq!(pam.own("smtp"), OwnFile::Empty("/etc/pam.d/smtp"));
        assert_eq!(pam.own("pop"), OwnFile::Says("/etc/pam.d/pop"));
    }
}
