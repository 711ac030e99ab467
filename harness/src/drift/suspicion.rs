//! Which changes are likely to be to blame: a guess that saves trials, and decides nothing.

use super::difference::{Change, How};

/// How likely it is that a change is to blame, by its path and kind. `words` are what the failing service is called by
/// files: `imap`, `cyrus`, ….
#[must_use]
pub fn suspicion(change: &Change, words: &[&str]) -> u32 {
    let path = change.path.to_string().to_ascii_lowercase();
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut points = 0;
    if words.contains(&name) {
        points += 8;
    }
    if words.iter().any(|word| path.contains(word)) {
        points += 4;
    }
    if path.contains("/pam.d/") {
        points += 2;
    }
    points += match change.how {
        How::Removed => 3,
        How::Changed => 2,
        How::Attributes => 1,
        How::Added | How::Claims => 0,
    };
    // A second file is read by nobody, as a rule.
    if change.second_of.is_some() { points / 4 } else { points }
}

/// The numbers of all changes, the most suspicious first, else in their order.
#[must_use]
pub fn order(changes: &[&Change], words: &[&str]) -> Vec<usize> {
    let mut order: Vec<_> = (0..changes.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(suspicion(changes[index], words)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest_path::GuestPath;

    fn change(path: &str, how: How) -> Change {
        Change {
            path: GuestPath::from(path),
            how,
            before: None,
            after: None,
            owners_before: Vec::new(),
            owners_after: Vec::new(),
            diff: None,
            seconds: Vec::new(),
            second_of: path.ends_with(".rpmsave").then(|| GuestPath::from(path.trim_end_matches(".rpmsave"))),
            step: None,
        }
    }

    /// Its name counts most, then what it is about, then that PAM reads it, then what became of it.
    #[rstest::rstest]
    #[case("/etc/pam.d/imap", How::Removed, 8 + 4 + 2 + 3)]
    #[case("/etc/imapd.conf", How::Changed, 4 + 2)]
    #[case("/etc/pam.d/login", How::Removed, 2 + 3)]
    #[case("/etc/aliases", How::Changed, 2)]
    #[case("/etc/aliases", How::Attributes, 1)]
    #[case("/etc/aliases", How::Added, 0)]
    #[case("/etc/imapd.conf.rpmsave", How::Added, 1)]
    fn each_reason_counts(#[case] path: &str, #[case] how: How, #[case] points: u32) {
        assert_eq!(suspicion(&change(path, how), &["imap", "cyrus"]), points);
    }

    #[test]
    fn files_of_the_service_come_first() {
        let changes = [
            change("/etc/aliases", How::Changed),
            change("/etc/imapd.conf.rpmsave", How::Added),
            change("/etc/imapd.conf", How::Changed),
            change("/etc/pam.d/login", How::Removed),
            change("/etc/pam.d/imap", How::Removed),
        ];
        let changes: Vec<_> = changes.iter().collect();
        assert_eq!(order(&changes, &["imap", "cyrus"]), [4, 2, 3, 0, 1]);
    }
}
