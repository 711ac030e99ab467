//! postfix: whether smtpd runs in a chroot (master(5), `COMPATIBILITY_README`).

use super::{Case, Found, RootCause, Service, one};

/// Services of postfix that take logins stand in a chroot, and saslauthd's socket is not there.
pub(super) fn chroot(case: &Case<'_>) -> Vec<Found> {
    // Who was answered by saslauthd has reached it.
    let asked = case.attempt.as_ref().is_some_and(|attempt| attempt.asked.is_some());
    if case.login.service != Service::Smtp || asked || has_socket(case) || !case.asks_saslauthd() {
        return Vec::new();
    }
    let state: Vec<_> = chrooted(case).map(|(line, why)| format!("master.cf: {line}{why}")).collect();
    let log = case.said(&["cannot connect to saslauthd server", "No such file"]);
    let unsure = state.is_empty() && may_be_chrooted(case);
    if (state.is_empty() && !unsure) || (log.is_empty() && unsure) || (log.is_empty() && case.attempt.is_some()) {
        return Vec::new();
    }
    let more = ["no socket of saslauthd is below postfix' queue directory".to_owned()];
    one(Found::new(RootCause::SmtpdChrooted, state.into_iter().chain(more).filter(|_| !unsure), log))
}

/// No service of postfix offers authentication, as far as its own settings were collected.
pub(super) fn auth_off(case: &Case<'_>) -> Vec<Found> {
    let key = "smtpd_sasl_auth_enable";
    let is_off = case.mail.postconf.get(key).is_some_and(|value| value == "no");
    let is_on = |smtpd: &Smtpd<'_>| {
        smtpd.line.contains("smtpd_sasl_auth_enable=yes") || smtpd.line.contains("smtpd_sasl_auth_enable = yes")
    };
    if case.login.service != Service::Smtp || !is_off || case.attempt.is_some() || for_logins(case).iter().any(is_on) {
        return Vec::new();
    }
    one(Found::new(
        RootCause::AuthOff,
        [format!("postconf: {key} = no, and no service of master.cf says otherwise")],
        [],
    ))
}

/// Whether smtpd does not see the machine's own files, or may not: the default is not known.
pub(super) fn may_be_chrooted(case: &Case<'_>) -> bool {
    if case.login.service != Service::Smtp || has_socket(case) {
        return false;
    }
    let unresolved = for_logins(case).iter().any(|smtpd| smtpd.chroot == "-") && default(case).is_none();
    unresolved || chrooted(case).next().is_some()
}

fn has_socket(case: &Case<'_>) -> bool {
    case.mail.sockets.iter().any(|socket| socket.kind == "s" && socket.path.contains("/spool/"))
}

/// The lines whose smtpd runs in a chroot, and why if they do not say so themselves.
fn chrooted<'c>(case: &'c Case<'_>) -> impl Iterator<Item = (&'c str, String)> {
    let default = default(case);
    for_logins(case).into_iter().filter_map(move |smtpd| match (smtpd.chroot, &default) {
        ("y", _) => Some((smtpd.line, String::new())),
        ("-", Some((true, why))) => Some((smtpd.line, format!(" (`-` stands for y: {why})"))),
        _ => None,
    })
}

/// What `-` stands for, and how that is known: `y` below compatibility level 1, and before postfix 3.0.
fn default(case: &Case<'_>) -> Option<(bool, String)> {
    if let Some(line) = case.log.iter().rev().find(|line| line.has("backwards-compatible default setting chroot=y")) {
        return Some((true, line.raw.to_owned()));
    }
    if case.mail.version("postfix").is_some_and(|version| version < (3, 0)) {
        return Some((true, "postfix is older than 3.0".to_owned()));
    }
    let level = case.mail.postconf.get("compatibility_level")?;
    let number = level.split('.').next()?.parse::<u32>().ok()?;
    Some((number < 1, format!("compatibility_level = {level}")))
}

/// The lines of master.cf that start smtpd for logins; all of them, if none has a port of its own for that.
fn for_logins<'a>(case: &Case<'a>) -> Vec<Smtpd<'a>> {
    let smtpd: Vec<_> = case.mail.master.iter().filter_map(|line| Smtpd::of(line)).collect();
    let own: Vec<_> = smtpd.iter().copied().filter(Smtpd::is_for_logins).collect();
    if own.is_empty() { smtpd } else { own }
}

/// A line of master.cf that starts smtpd (master(5)).
#[derive(Debug, Clone, Copy)]
struct Smtpd<'a> {
    service: &'a str,
    chroot: &'a str,
    line: &'a str,
}

impl<'a> Smtpd<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let words: Vec<_> = line.split_whitespace().collect();
        let [service, _, _, _, chroot, _, _, "smtpd", ..] = words.as_slice() else { return None };
        Some(Self { service, chroot, line })
    }

    fn is_for_logins(&self) -> bool {
        let port = self.service.rsplit(':').next().unwrap_or_default();
        ["submission", "submissions", "smtps", "465", "587"].contains(&port)
    }
}
