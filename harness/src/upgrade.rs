//! A distribution upgrade with zypper, as it runs in a guest: how it is started, and what its logs tell.
//!
//! libzypp runs one rpm for each package and finds it in `PATH`, so a program before it sees each step. A watcher tells which
//! files changed, in one stream with the marks of the steps: the kernel keeps the order (inotify(7)). Both are in `start.sh`
//! and `watch.pl`; `mend.pl` deals with what a power cut leaves of the log. This module reads what they write down.

mod trouble;

use crate::guest_path::GuestPath;
use crate::predict::transaction::{Transaction, TransactionStep, Verb};
use std::collections::{BTreeMap, HashSet};

pub use trouble::Trouble;

/// Where a guest keeps all that belongs to an upgrade.
pub const ROOM: &str = "/var/lib/rehearsal/upgrade";
/// Starts it; arguments: the repository on the disk `packages`, and the name that it is known by.
pub const START: &str = include_str!("upgrade/start.sh");
/// The same with apt.
pub const START_APT: &str = include_str!("upgrade/start-apt.sh");
/// Makes the log whole again, of an upgrade that a power cut has ended.
pub const MEND: &str = include_str!("upgrade/mend.pl");
/// Watches the configuration.
pub const WATCH: &str = include_str!("upgrade/watch.pl");

/// One step as the program before rpm wrote it down.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its number, from 1.
    pub number: u32,
    /// What it did.
    pub verb: Verb,
    /// When it began, in seconds since 1970 by the guest's clock.
    pub began: f64,
    /// When it ended.
    pub ended: f64,
    /// rpm's exit status.
    pub status: i32,
    /// The package: name, version, release and architecture.
    pub package: String,
}

/// A log that nobody but a broken guest can have written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line} of the upgrade's log makes no sense: `{text}`")]
pub struct Unreadable {
    /// Its number, from 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
}

/// Reads `steps.log`: a line `NUMBER VERB BEGAN ENDED STATUS PACKAGE` for each step that has ended.
pub fn steps(log: &str) -> Result<Vec<Step>, Unreadable> {
    let read = |(index, text): (usize, &str)| {
        step(text).ok_or_else(|| Unreadable { line: index + 1, text: text.chars().take(200).collect() })
    };
    log.lines().enumerate().map(read).collect()
}

fn step(line: &str) -> Option<Step> {
    let mut words = line.split(' ');
    let mut word = || words.next();
    let number = word()?.parse().ok()?;
    let verb = match word()? {
        "install" => Verb::Install,
        "remove" => Verb::Erase,
        _ => return None,
    };
    let (began, ended, status) = (word()?.parse().ok()?, word()?.parse().ok()?, word()?.parse().ok()?);
    let package = word()?;
    Some(Step { number, verb, began, ended, status, package: package.strip_suffix(".rpm").unwrap_or(package).into() })
}

/// The transaction that `steps` and the watcher's log tell: what changed while a step ran is that step's, what changed after
/// the last one is of the scriptlets that run when all is done.
#[must_use]
pub fn transaction(steps: &[Step], watched: &str) -> Transaction {
    let mut changed: BTreeMap<u32, Vec<GuestPath>> = BTreeMap::new();
    let mut known = HashSet::new();
    // Not their count: a power cut may have taken some.
    let after_all = steps.iter().map(|step| step.number).max().unwrap_or(0).saturating_add(1);
    let (mut now, mut ended) = (0_u32, 0_u32);
    for line in watched.lines() {
        let Some((word, name)) = line.split_once('\t') else { continue };
        match (word, name.strip_suffix(".done")) {
            ("mark", Some(number)) => ended = number.parse().unwrap_or(ended),
            ("mark", None) => now = name.parse().unwrap_or(now),
            ("lost", _) => {}
            _ => {
                // Between two steps nothing runs but what a step has left behind.
                let step = if ended.checked_add(1) == Some(after_all) { after_all } else { now };
                let Ok(path) = GuestPath::parse(name) else { continue };
                if known.insert((step, path.clone())) {
                    changed.entry(step).or_default().push(path);
                }
            }
        }
    }
    let named = steps.iter().map(|step| (step.number, step.package.clone(), step.verb));
    let posttrans = changed.contains_key(&after_all).then(|| (after_all, "all packages".to_owned(), Verb::Posttrans));
    let steps = named.chain(posttrans).map(|(number, package, verb)| {
        let changed = changed.remove(&number).unwrap_or_default();
        TransactionStep { number, package, verb, changed }
    });
    Transaction { steps: steps.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &str = "1 install 10.5 11.25 0 postfix-3.10.13-0.x86_64.rpm\n2 install 12 13 0 cyrus-imapd-3.10.2-1.x86_64.rpm\n\
                         3 remove 14 15 0 libold-1-1.x86_64\n";

    #[test]
    fn changes_belong_to_the_step_in_which_they_happened() {
        let changes = "here\t/etc/before\nmark\t1\nwritten\t/etc/postfix/main.cf\nwritten\t/etc/postfix/main.cf\nmark\t1.done\n\
                       mark\t2\ngone\t/etc/pam.d/imap\nmark\t2.done\nattributes\t/etc/late\nmark\t3\nmark\t3.done\n\
                       here\t/etc/with\\x09tab\n";
        let transaction = transaction(&steps(STEPS).unwrap(), changes);
        let text: Vec<_> = transaction
            .steps
            .iter()
            .map(|step| format!("{} {} {}: {:?}", step.number, step.verb, step.package, step.changed))
            .collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        1 install postfix-3.10.13-0.x86_64: [/etc/postfix/main.cf]
        2 install cyrus-imapd-3.10.2-1.x86_64: [/etc/pam.d/imap, /etc/late]
        3 erase libold-1-1.x86_64: []
        4 %posttrans all packages: [/etc/with\x09tab]
        ");
    }

    #[test]
    fn steps_that_a_power_cut_has_taken_leave_their_numbers() {
        let log = "1 install 10.5 11.25 0 postfix-3-0.x86_64.rpm\n4 install 12 13 0 cyrus-imapd-3-1.x86_64.rpm\n";
        let changes = "mark\t4\nwritten\t/etc/imapd.conf\nmark\t4.done\nwritten\t/etc/ld.so.cache\n";
        let transaction = transaction(&steps(log).unwrap(), changes);
        let numbers: Vec<_> = transaction.steps.iter().map(|step| (step.number, step.changed.len())).collect();
        assert_eq!(numbers, [(1, 0), (4, 1), (5, 1)]);
    }

    /// What is left of a log, the marks of steps, and what is made of it: the log, and the last number.
    #[rstest::rstest]
    #[case::none("", &[], "", 0)]
    #[case::whole("1 install 10.5 11 0 a-1.rpm\n", &["1", "1.done"], "1 install 10.5 11 0 a-1.rpm\n", 1)]
    #[case::zeros("1 install 10 11 0 a\n\0\0\0\0", &[], "1 install 10 11 0 a\n", 1)]
    #[case::torn("1 install 10 11 0 a\n2 remove 10 11 0 lib", &["2", "2.done", "3"], "1 install 10 11 0 a\n", 3)]
    #[case::zeros_in_a_name("12 install 10 11 0 a\0\0\n", &[], "", 0)]
    fn a_torn_log_is_mended(#[case] log: &str, #[case] marks: &[&str], #[case] mended: &str, #[case] last: u32) {
        let room = tempfile::tempdir().unwrap();
        std::fs::write(room.path().join("steps.log"), log).unwrap();
        std::fs::create_dir(room.path().join("steps")).unwrap();
        for mark in marks {
            std::fs::write(room.path().join("steps").join(mark), "").unwrap();
        }
        let perl = std::process::Command::new("perl").args(["-e", MEND]).arg(room.path()).output().unwrap();
        assert_eq!(String::from_utf8(perl.stdout).unwrap(), format!("{last}\n"));
        assert_eq!(std::fs::read_to_string(room.path().join("steps.log")).unwrap(), mended);
    }

    #[rstest::rstest]
    #[case::short("1 install 10.5")]
    #[case::verb("1 explode 10.5 11 0 a")]
    #[case::number("x install 10.5 11 0 a")]
    fn a_log_that_makes_no_sense_is_named(#[case] text: &str) {
        let log = format!("1 install 10.5 11.25 0 a\n{text}\n");
        assert_eq!(steps(&log), Err(Unreadable { line: 2, text: text.into() }));
    }
}
