//! sssd: whether it runs, whether it answers PAM, and what its last words are.

use super::{Case, Found, RootCause, one};
use crate::mail::diagnosis::log::{Daemon, Line};

/// What sssd says of a configuration that it refuses.
const CONFIGURATION: [&str; 14] = [
    "couldn't load the configuration database",
    "sss_ini_open",
    "Can't read config",
    "Failed to read configuration",
    "Failed to open main config",
    "ownership and permissions",
    "o domains",
    "Error parsing",
    "arse error",
    "confdb",
    "provider does not exist",
    "Unknown provider",
    "Failed to load configuration",
    "Make sure configuration is readable",
];

/// What it says of a cache that it cannot use.
const CACHE: [&str; 6] = ["sysdb", "/var/lib/sss", ".ldb", "No space left", "tdb_", "ltdb"];

/// Lines of sssd's that are shown.
const WORDS: usize = 5;

/// sssd does not run, or does not answer.
pub(super) fn runs(case: &Case<'_>) -> Vec<Found> {
    let silent = case.said(&["pam_sss", "Request to sssd failed"]);
    if case.mail.sssd_conf().is_none() || !case.is_of_directory() {
        return Vec::new();
    }
    match case.mail.unit("sssd") {
        Some(unit) if unit.active != "active" => {
            let state = format!("the unit sssd is {} ({}), and {}", unit.active, unit.result, unit.enabled);
            one(stopped(case, state, silent))
        }
        _ if silent.is_empty() => Vec::new(),
        _ => one(without_pam(case, silent)),
    }
}

fn stopped(case: &Case<'_>, unit: String, silent: Vec<String>) -> Found {
    let failed = unit.contains("failed") || unit.contains("activating");
    let words = words(case, &CONFIGURATION);
    let loose = loose(case);
    let cache = self::words(case, &CACHE);
    let foreign =
        self::words(case, &["/var/lib/sss", "/var/log/sssd"]).iter().any(|line| line.contains("ermission denied"));
    let own = "sssd runs as its own user, which must own what it writes: chown -R sssd:sssd /var/lib/sss /var/log/sssd; systemctl restart sssd";
    // Its database of configuration lies beside its cache, so a cache that it cannot use comes first.
    if failed && !cache.is_empty() && loose.is_none() {
        let found = Found::new(RootCause::SssdCache, [unit], cache.into_iter().chain(silent));
        return if foreign { found.cured_by(own) } else { found };
    }
    if failed && (!words.is_empty() || loose.is_some()) {
        let log = words.iter().cloned().chain(silent);
        return Found::new(RootCause::SssdConfiguration, [unit].into_iter().chain(loose), log)
            .cured_by(owner(case, &words));
    }
    let last = self::words(case, &["(0x0", "rror", "ailed", "xiting", "ouldn't"]);
    let found = Found::new(RootCause::SssdDown, [unit].into_iter().chain(last), silent);
    if foreign { found.cured_by(own) } else { found }
}

/// It runs, and its PAM responder does not.
fn without_pam(case: &Case<'_>, silent: Vec<String>) -> Found {
    let services = case.mail.sssd("services").filter(|list| !list.split(',').any(|word| word.trim() == "pam"));
    let by_socket = case.mail.unit("sssd-pam.socket").is_some_and(|unit| unit.active == "active");
    match services.filter(|_| !by_socket) {
        Some(list) => Found::new(RootCause::SssdWithoutPam, [format!("services = {list} in sssd.conf")], silent),
        None => Found::new(RootCause::SssdSilent, [], silent),
    }
}

/// sssd answers with PAM's system error.
pub(super) fn fails(case: &Case<'_>) -> Vec<Found> {
    let Some((_, _, line)) = case.code_of_sssd().filter(|(_, code, _)| *code == 4) else { return Vec::new() };
    let cache = words(case, &CACHE);
    let log = [line.to_owned()];
    if cache.iter().any(|line| line.contains("No space left") || line.contains("ailed") || line.contains("nable to")) {
        return one(Found::new(RootCause::SssdCache, cache, log));
    }
    let words = words(case, &["(0x0010)", "(0x0020)", "(0x0040)", "rror", "ailed", "ould not"]);
    one(Found::new(RootCause::SssdFails, [], log.into_iter().chain(words)))
}

/// The last lines of sssd, in the journal and in its own logs, that contain one of these words.
pub(super) fn words(case: &Case<'_>, words: &[&str]) -> Vec<String> {
    let is_own = |line: &&Line<'_>| line.daemon == Daemon::Sssd && line.has_any(words);
    let old = case.mail.last_words.get("sssd").into_iter().flatten().map(|line| Line::of(line));
    let journal: Vec<Line<'_>> = old.chain(case.log.iter().copied()).collect();
    let journal = journal.iter().filter(is_own).map(|line| line.raw.trim().to_owned());
    let own = case
        .mail
        .sssd_log
        .iter()
        .filter(|line| words.iter().any(|word| line.contains(word)))
        .map(|line| line.trim().to_owned());
    let mut lines: Vec<_> = own.chain(journal).collect();
    lines.dedup();
    lines.split_off(lines.len().saturating_sub(WORDS))
}

/// Whether sssd runs as a user of its own, from what it says, its version, and its unit's file.
fn has_own_user(case: &Case<'_>, words: &[String]) -> bool {
    let says = words
        .iter()
        .any(|line| line.contains("Make sure configuration is readable") || line.contains("[13]: Permission denied"));
    says || case.mail.version("sssd").is_some_and(|version| version >= (2, 10))
}

/// What is wrong with the dress of sssd's file, as old versions see it.
fn loose(case: &Case<'_>) -> Option<String> {
    let file = case.mail.sssd_conf()?;
    let is_old = !has_own_user(case, &[]);
    let is_open = !file.mode.ends_with('0') || (is_old && !file.mode.ends_with("00"));
    let is_foreign = !["root", "sssd"].contains(&file.owner.as_str());
    let words = format!("/etc/sssd/sssd.conf has mode {} and is {}:{}'s", file.mode, file.owner, file.group);
    (is_open || is_foreign).then_some(words)
}

/// Who must be able to read the file depends on who sssd runs as.
fn owner(case: &Case<'_>, words: &[String]) -> String {
    let about_the_file = words.iter().any(|line| {
        ["ermission", "couldn't load the configuration database", "Can't read", "Failed to open", "Failed to read"]
            .iter()
            .any(|word| line.contains(word))
    });
    let rest = "systemctl restart sssd; sssctl config-check finds mistakes in it";
    match (about_the_file || loose(case).is_some(), has_own_user(case, words)) {
        (true, true) => format!(
            "sssd runs as its own user, which must read its file: give /etc/sssd and what is in it to root:sssd, mode 0640 for the file \
             (chgrp sssd, chmod 0640) and 0750 for the directory, or to sssd:sssd with 0600; then {rest}"
        ),
        (true, false) => format!("chown root: /etc/sssd/sssd.conf && chmod 0600 /etc/sssd/sssd.conf && {rest}"),
        (false, _) => format!("correct what it complains of in /etc/sssd; then {rest}"),
    }
}
