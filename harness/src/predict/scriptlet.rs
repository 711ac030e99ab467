//! Scriptlets, and what can be said of one whose text cannot be followed.
//!
//! Such a scriptlet may change every file that it names, in whatever way. Names are searched for in the text: whole paths, and
//! names beside a directory that the text has, too. That is said as unknown, with the line, for a person who then reads it.

use super::dump::System;
use serde::Serialize;

/// When a scriptlet runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    PreTrans,
    Pre,
    Post,
    PreUn,
    PostUn,
    PostTrans,
    Trigger,
}

impl Kind {
    /// Its name in a spec file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PreTrans => "%pretrans",
            Self::Pre => "%pre",
            Self::Post => "%post",
            Self::PreUn => "%preun",
            Self::PostUn => "%postun",
            Self::PostTrans => "%posttrans",
            Self::Trigger => "trigger",
        }
    }

    /// The kind of this name; what is not known is taken for a trigger, which may run or not.
    pub(super) fn named(name: &str) -> Self {
        let all = [Self::PreTrans, Self::Pre, Self::Post, Self::PreUn, Self::PostUn, Self::PostTrans];
        all.into_iter().find(|kind| kind.name() == name).unwrap_or(Self::Trigger)
    }

    /// Whether it runs when the files of its package are there.
    pub(super) fn comes_after_files(self) -> bool {
        matches!(self, Self::Post | Self::PostTrans)
    }

    /// Whether it runs whenever its package comes or goes.
    pub(super) fn is_certain(self) -> bool {
        self != Self::Trigger
    }
}

/// What a package runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scriptlet {
    pub(super) kind: Kind,
    /// What runs it, with arguments; none means that nobody said, and so the shell.
    pub(super) program: Option<String>,
    pub(super) text: String,
}

impl Scriptlet {
    /// Whether a shell runs it that does not end at the first failure.
    pub(super) fn is_shell(&self) -> bool {
        let program = self.program.as_deref().unwrap_or("/bin/sh");
        matches!(program.rsplit('/').next(), Some("sh" | "bash" | "dash" | "ksh"))
    }
}

/// A line of a scriptlet that may change files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Hint {
    /// The file; none if it cannot be told which.
    pub path: Option<String>,
    /// The package whose scriptlet it is, with its version.
    pub package: String,
    /// The kind of scriptlet, such as `%post`.
    pub scriptlet: String,
    /// The line.
    pub line: String,
}

/// Commands and functions that change files.
const VERBS: [&str; 16] = [
    "rm",
    "mv",
    "unlink",
    "os.remove",
    "os.rename",
    "posix.unlink",
    "cp",
    "ln",
    "sed",
    "install",
    "rename",
    "io.open",
    "perl",
    "python3",
    "tee",
    "posix.symlink",
];

/// What ends a path in a line of shell or Lua.
const ENDS: &[char] = &[' ', '\t', '"', '\'', '`', ';', '|', '&', '<', '>', '(', ')', ',', '}', '\\'];

/// The existing files that a text which changes files names, each with the first line that does.
pub(super) fn named(system: &System, text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.starts_with("--")).collect();
    if !lines.iter().any(|line| changes_files(line)) {
        return Vec::new();
    }
    let words: Vec<(&str, &str)> = lines
        .iter()
        .flat_map(|line| line.split(ENDS).filter(|word| !word.is_empty()).map(|word| (word, *line)))
        .collect();
    // A directory by itself, or one in which a variable names a file.
    let directory = |word: &str| {
        let word = word.rsplit('=').next().unwrap_or_default();
        let begin = word.split_once('$').map_or(word, |(begin, _)| begin).trim_end_matches('/');
        let is_named = word.contains('$') || begin != "/etc";
        let is_there = *system.on_disk(begin) == super::disk::OnDisk::Directory;
        (begin.starts_with('/') && is_named && is_there).then(|| begin.to_owned())
    };
    let directories: Vec<String> = words.iter().filter_map(|(word, _)| directory(word)).collect();
    let mut found: Vec<(String, String)> = Vec::new();
    let mut add = |path: &str, line: &str| {
        let is_file = system.on_disk(path).exists() && *system.on_disk(path) != super::disk::OnDisk::Directory;
        if is_file && !found.iter().any(|(known, _)| known == path) {
            found.push((path.to_owned(), line.to_owned()));
        }
    };
    for (word, line) in words {
        let word = word.rsplit('=').next().unwrap_or(word);
        if word.starts_with('/') {
            match word.split_once(['*', '?', '[', '$']) {
                // The directory alone says too little: `/etc/*` names everything.
                Some((begin, _)) if begin.len() > "/etc/".len() => {
                    let mut known: Vec<&String> = system.disk.keys().filter(|known| known.starts_with(begin)).collect();
                    known.sort();
                    for known in known {
                        add(known, line);
                    }
                }
                Some(_) => {}
                None => {
                    add(word, line);
                    if changes_files(line) {
                        let begin = format!("{}/", word.trim_end_matches('/'));
                        let mut below: Vec<&String> =
                            system.disk.keys().filter(|known| begin.len() > 5 && known.starts_with(&begin)).collect();
                        below.sort();
                        for known in below {
                            add(known, line);
                        }
                    }
                }
            }
        } else {
            for directory in &directories {
                add(&format!("{directory}/{word}"), line);
            }
            // Names below /etc with a directory of their own, such as `pam.d/imap`.
            if word.contains('/') {
                add(&format!("/etc/{word}"), line);
            }
        }
    }
    found
}

/// The first line of a text that changes files.
pub(super) fn first_change(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.starts_with('#') && !line.starts_with("--") && changes_files(line))
}

fn changes_files(line: &str) -> bool {
    let mut words = line.split(|letter: char| !letter.is_ascii_alphanumeric() && !"._-".contains(letter));
    words.any(|word| VERBS.contains(&word)) || line.contains(">/etc/") || line.contains("> /etc/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::disk::OnDisk;
    use rstest::rstest;

    #[rstest]
    #[case::rm("rm -f /etc/pam.d/imap || :", Some("/etc/pam.d/imap"))]
    #[case::lua("os.remove(\"/etc/pam.d/imap\")", Some("/etc/pam.d/imap"))]
    #[case::lua_in_parts(
        "for _, name in ipairs({'imap'}) do os.remove('/etc/pam.d/' .. name) end",
        Some("/etc/pam.d/imap")
    )]
    #[case::name_below_etc("for f in pam.d/imap; do mv /etc/$f.rpmsave /etc/$f; done", Some("/etc/pam.d/imap"))]
    #[case::redirection("echo x >/etc/pam.d/imap", Some("/etc/pam.d/imap"))]
    #[case::glob("rm /etc/pam.d/ima*", Some("/etc/pam.d/imap"))]
    #[case::directory("rm -rf /etc/pam.d/", Some("/etc/pam.d/imap"))]
    #[case::only_asked("test -f /etc/pam.d/imap", None)]
    #[case::comment("# rm /etc/pam.d/imap", None)]
    #[case::elsewhere("rm /usr/etc/pam.d/imap", None)]
    #[case::absent("rm -f /etc/pam.d/pop", None)]
    #[case::part_of_a_word("farm /etc/pam.d/imap", None)]
    fn finds_the_existing_files_that_a_script_names(#[case] line: &str, #[case] expected: Option<&str>) {
        let mut system = System::default();
        system.disk.insert("/etc/pam.d".into(), OnDisk::Directory);
        system.disk.insert("/etc/pam.d/imap".into(), OnDisk::Regular(Vec::new()));
        let found = named(&system, &format!("# begin\n{line}\n"));
        assert_eq!(found.first().map(|(path, _)| path.as_str()), expected);
        assert!(found.len() <= 1, "{found:?}");
    }

    #[rstest]
    #[case(None, true)]
    #[case(Some("/bin/sh"), true)]
    #[case(Some("/usr/bin/bash"), true)]
    #[case(Some("/bin/sh -e"), false)]
    #[case(Some("<lua>"), false)]
    #[case(Some("/usr/bin/perl"), false)]
    fn only_a_plain_shell_is_followed(#[case] program: Option<&str>, #[case] expected: bool) {
        let scriptlet = Scriptlet { kind: Kind::Post, program: program.map(str::to_owned), text: String::new() };
        assert_eq!(scriptlet.is_shell(), expected);
    }
}
