//! The daemons themselves: whether they run, and the last words of those that die.

use super::{Case, Found, RootCause, Service, one};
use crate::mail::diagnosis::log::{Daemon, Line};

/// Commands of postfix that people run. What they die of hinders no login.
const COMMANDS: [&str; 9] =
    ["sendmail", "postqueue", "postdrop", "postmap", "postalias", "postconf", "postcat", "postsuper", "postlog"];

/// Programs of postfix that a login needs.
const NEEDED: [&str; 8] =
    ["smtpd", "master", "tlsmgr", "proxymap", "postscreen", "tlsproxy", "trivial-rewrite", "postfix-script"];

/// Lines of last words that are shown.
const WORDS: usize = 6;

/// The service's own daemon does not run.
pub(super) fn service_down(case: &Case<'_>) -> Vec<Found> {
    let names: &[&str] = match case.login.service {
        Service::Imap => &["cyrus-imapd", "cyrus"],
        Service::Smtp => &["postfix", "postfix@-"],
    };
    let units: Vec<_> = names.iter().filter_map(|name| Some((*name, case.mail.unit(name)?))).collect();
    let is_up = |active: &str| ["active", "reloading", ""].contains(&active);
    if units.is_empty() || units.iter().any(|(_, unit)| is_up(&unit.active) && unit.result != "exit-code") {
        return Vec::new();
    }
    let state = units
        .iter()
        .map(|(name, unit)| format!("the unit {name} is {} ({}), and {}", unit.active, unit.result, unit.enabled));
    let found = Found::new(RootCause::ServiceDown, state, fatal_lines(case));
    one(found.cured_by(format!("systemctl start {}; if it does not start: journalctl -u {}", names[0], names[0])))
}

/// The service's daemon, or saslauthd, dies.
pub(super) fn dies(case: &Case<'_>) -> Vec<Found> {
    let is_needed = |line: &String| {
        let line = Line::of(line);
        let name = line.process.split('[').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        line.daemon != Daemon::Postfix || NEEDED.contains(&name)
    };
    let fatal: Vec<_> = fatal_lines(case).into_iter().filter(is_needed).collect();
    if fatal.is_empty() || !own_tls(case).is_empty() {
        return Vec::new();
    }
    if fatal.iter().any(|line| line.contains("no SASL authentication mechanisms")) {
        return one(Found::new(RootCause::NoMechanisms, super::sasl::offered(case), with_warnings(case, fatal)));
    }
    one(Found::new(RootCause::DaemonDies, [], with_warnings(case, fatal)))
}

/// The service cannot read its own certificate or key, so nobody comes as far as a password.
pub(super) fn own_tls(case: &Case<'_>) -> Vec<Found> {
    let words: &[&str] = match case.login.service {
        Service::Imap => &[
            "TLS server engine",
            "tls_init() failed",
            "unable to get private key",
            "unable to get certificate",
            "could not load cert",
        ],
        Service::Smtp => &[
            "disabling TLS support",
            "TLS engine is unavailable",
            "cannot get RSA private key",
            "cannot get certificate from file",
            "cannot load Cert",
        ],
    };
    let from = case.worked_until();
    let lines =
        case.log.iter().skip(from).filter(|line| line.daemon == case.login.service.daemon() && line.has_any(words));
    let log = last(lines.map(|line| line.raw.to_owned()).collect());
    // Who was asked for a password has TLS, or needs none.
    let asked = case.attempt.as_ref().is_some_and(|attempt| attempt.asked.is_some());
    if log.is_empty() || asked { Vec::new() } else { one(Found::new(RootCause::ServiceTls, [], log)) }
}

/// AppArmor or SELinux said no to a program on the way of a login.
pub(super) fn confined(case: &Case<'_>) -> Vec<Found> {
    let program = ["saslauthd", "smtpd", "sssd", "imapd", "imaps", "mux"];
    let is_denial = |line: &&Line<'_>| {
        (line.has("apparmor=\"DENIED\"") || (line.has("avc:") && line.has("denied"))) && line.has_any(&program)
    };
    let denials: Vec<_> = case.log.iter().filter(is_denial).map(|line| line.raw.to_owned()).collect();
    // A denial alone may hinder nobody.
    if denials.is_empty() || case.attempt.is_none() {
        return Vec::new();
    }
    let is_sssd = denials.iter().all(|line| line.contains("sssd"));
    let log = if is_sssd {
        case.code_of_sssd().filter(|(_, code, _)| [4, 9, 10].contains(code)).map(|(_, _, line)| line.to_owned())
    } else {
        case.said(&["cannot connect to saslauthd server", "Permission denied"]).pop()
    };
    if log.is_none() {
        return Vec::new();
    }
    one(Found::new(RootCause::Confined, last(denials), log))
}

/// Last words of daemons that hinder the login, or may.
pub(super) fn last_words(case: &Case<'_>) -> Vec<String> {
    let mut words = fatal_lines(case);
    let is_broken = |unit: &str| case.mail.unit(unit).is_some_and(|unit| unit.active != "active");
    let of_unit = |line: &Line<'_>| {
        line.daemon == Daemon::Systemd
            && line.has_any(&["Failed with result", "Main process exited", "Failed to start"])
            && ["sssd", "saslauthd", "cyrus", "postfix"].iter().any(|unit| line.has(unit) && is_broken(unit))
    };
    words.extend(last(case.log.iter().filter(|line| of_unit(line)).map(|line| line.raw.to_owned()).collect()));
    for lines in case.mail.last_words.iter().filter(|(unit, _)| is_broken(unit)).map(|(_, lines)| lines) {
        let told =
            |line: &&String| ["fatal", "atal error", "rror", "ailed", "status="].iter().any(|word| line.contains(word));
        words.extend(last(lines.iter().filter(told).cloned().collect()));
    }
    for unit in ["sssd", "saslauthd"] {
        let failed = case.mail.unit(unit).filter(|unit| unit.active == "failed" && case.is_of_directory());
        words.extend(failed.map(|state| format!("the unit {unit} is failed ({})", state.result)));
    }
    words
}

/// The lines in which a daemon of this login's way dies, after the last login that it let in.
fn fatal_lines(case: &Case<'_>) -> Vec<String> {
    let from = case.worked_until();
    let lines = case.log.iter().enumerate().filter(|(at, line)| *at >= from && is_fatal(case, *at, line));
    last(lines.map(|(_, line)| line.raw.to_owned()).collect())
}

fn is_fatal(case: &Case<'_>, at: usize, line: &Line<'_>) -> bool {
    let program = line.process.split('[').next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    match line.daemon {
        Daemon::Postfix if case.login.service == Service::Smtp => {
            let dies =
                line.has_any(&["fatal: ", "panic: ", "bad command startup -- throttling"]) && !COMMANDS.contains(&name);
            // The same service of postfix has refused somebody by saslauthd since: it lives.
            let lives = || {
                case.log[at + 1..].iter().any(|later| {
                    later.process.starts_with(program) && later.has("authentication failed: authentication failure")
                })
            };
            dies && !lives()
        }
        Daemon::Cyrus if case.login.service == Service::Imap => {
            let exits = line.text.trim_start().starts_with("exiting") && name.contains("master");
            let is_up_again =
                || case.log[at + 1..].iter().any(|later| later.daemon == Daemon::Cyrus && later.has("ready for work"));
            let dies = line.has_any(&[
                "atal error",
                "FATAL",
                "too many failures",
                "signaled to death",
                "unable to create",
                "Could not open",
            ]) || (line.has("exited, status ") && !line.has("exited, status 0"))
                || (line.has("DBERROR") && line.has_any(&["PANIC", "critical", "fatal"]));
            (exits || dies) && !is_up_again()
        }
        _ => {
            let program = if case.login.service == Service::Imap { "imapd" } else { "smtpd" };
            line.has("segfault at") && line.has_any(&["saslauthd", "sssd", program])
        }
    }
}

/// The fatal lines, and what the same processes had to say before they died.
fn with_warnings(case: &Case<'_>, fatal: Vec<String>) -> Vec<String> {
    let died: Vec<_> = fatal.iter().map(|raw| Line::of(raw)).filter(|line| line.has("fatal: ")).collect();
    let is_of_it = |line: &&Line<'_>| line.has("warning: ") && died.iter().any(|dead| dead.process == line.process);
    let warnings = case.log.iter().filter(is_of_it).map(|line| line.raw.to_owned());
    last(warnings.collect()).into_iter().chain(fatal).collect()
}

fn last(mut lines: Vec<String>) -> Vec<String> {
    let from = lines.len().saturating_sub(WORDS);
    lines.split_off(from)
}
