//! Hints from the text of scriptlets.
//!
//! What a scriptlet does cannot be seen in lists of files, and a shell script can do anything. This is a search for words:
//! a line that has a command which removes, moves or writes, and names a path that exists. It misses paths put together from
//! variables, and it shows lines that never run. So it is a hint for a person who then reads the scriptlet.

use super::dump::System;
use serde::Serialize;

/// A line of a scriptlet that may change a file in `/etc`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Hint {
    /// The file, or a pattern with `*`.
    pub path: String,
    /// The package whose scriptlet it is, with its version.
    pub package: String,
    /// The kind of scriptlet, such as `%post`.
    pub scriptlet: String,
    /// The line.
    pub line: String,
}

/// Commands and functions that change files.
const VERBS: [&str; 10] =
    ["rm", "mv", "unlink", "os.remove", "os.rename", "posix.unlink", "cp", "ln", "sed", "install"];

/// What ends a path in a line of shell or Lua.
const ENDS: &[char] = &[' ', '\t', '"', '\'', '`', ';', '|', '&', '<', '>', '(', ')', ',', '}', '\\'];

/// The hints in one scriptlet.
pub(super) fn hints(system: &System, package: &str, scriptlet: &str, text: &str) -> Vec<Hint> {
    let mut hints: Vec<Hint> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#') && changes_files(line)) {
        for path in paths(line).filter(|path| exists(system, path)) {
            if !hints.iter().any(|hint| hint.path == path) {
                hints.push(Hint {
                    path: path.to_owned(),
                    package: package.to_owned(),
                    scriptlet: scriptlet.to_owned(),
                    line: line.to_owned(),
                });
            }
        }
    }
    hints
}

fn changes_files(line: &str) -> bool {
    let mut words = line.split(|letter: char| !letter.is_ascii_alphanumeric() && !"._-".contains(letter));
    words.any(|word| VERBS.contains(&word)) || line.contains(">/etc/") || line.contains("> /etc/")
}

/// The paths below `/etc` that a line names in full.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("/etc/").filter_map(|(at, _)| {
        let absolute = line[..at].chars().next_back().is_none_or(|before| ENDS.contains(&before) || before == '=');
        let path = line[at..].split(ENDS).next()?;
        (absolute && !path.contains('$')).then_some(path)
    })
}

fn exists(system: &System, path: &str) -> bool {
    match path.split_once('*') {
        // The directory alone says too little: `/etc/*` names everything.
        Some((begin, _)) => begin.len() > "/etc/".len() && system.disk.keys().any(|known| known.starts_with(begin)),
        None => system.on_disk(path.trim_end_matches('/')).exists(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::OnDisk;
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::rm("rm -f /etc/pam.d/imap || :", Some("/etc/pam.d/imap"))]
    #[case::lua("os.remove(\"/etc/pam.d/imap\")", Some("/etc/pam.d/imap"))]
    #[case::mv(
        "[ -e /etc/pam.d/imap.rpmnew ] && mv -f /etc/pam.d/imap.rpmnew /etc/pam.d/imap",
        Some("/etc/pam.d/imap")
    )]
    #[case::redirection("echo x >/etc/pam.d/imap", Some("/etc/pam.d/imap"))]
    #[case::glob("rm /etc/pam.d/ima*", Some("/etc/pam.d/ima*"))]
    #[case::directory("rm -rf /etc/pam.d/", Some("/etc/pam.d/"))]
    #[case::only_asked("test -f /etc/pam.d/imap", None)]
    #[case::comment("# rm /etc/pam.d/imap", None)]
    #[case::elsewhere("rm /usr/etc/pam.d/imap", None)]
    #[case::absent("rm -f /etc/pam.d/pop", None)]
    #[case::part_of_a_word("farm /etc/pam.d/imap", None)]
    #[case::variable("rm /etc/$service", None)]
    fn lines_that_change_existing_files_are_found(#[case] line: &str, #[case] expected: Option<&str>) {
        let mut system = System::default();
        system.disk.insert("/etc/pam.d".into(), OnDisk::Directory);
        system.disk.insert("/etc/pam.d/imap".into(), OnDisk::Regular(Vec::new()));
        let found = hints(&system, "cyrus-imapd-3-1", "%post", &format!("# begin\n{line}\n"));
        assert_eq!(found.first().map(|hint| hint.path.as_str()), expected);
        assert!(found.len() <= 1, "{found:?}");
    }
}
