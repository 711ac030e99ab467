//! saslauthd: whether it runs, whether the daemon reaches it, and what it asks for whom.

use super::{Case, Found, RootCause, Service, one};
use crate::mail::diagnosis::log::Line;

/// Where libsasl2 looks for the socket, by distribution.
const PLACES: [&str; 4] = ["/run/saslauthd/mux", "/var/run/saslauthd/mux", "/run/sasl2/mux", "/var/run/sasl2/mux"];

/// What the daemon says when it does not reach saslauthd.
const NO_WAY: &str = "cannot connect to saslauthd server: ";

/// saslauthd does not run.
pub(super) fn down(case: &Case<'_>) -> Vec<Found> {
    let is_asked = case.attempt.as_ref().is_some_and(|attempt| attempt.asked.is_some());
    if !case.mail.saslauthd.is_empty() {
        return Vec::new();
    }
    let log = case.said(&[NO_WAY]);
    let unit = case.mail.unit("saslauthd");
    let state =
        unit.map(|unit| format!("the unit saslauthd is {} and {}; no such process runs", unit.active, unit.enabled));
    if log.is_empty() && (state.is_none() || is_asked) && unit.is_none_or(|unit| unit.active == "active") {
        return Vec::new();
    }
    one(Found::new(RootCause::SaslauthdDown, state.into_iter().chain(last_words(case)), log))
}

/// Why it does not start, in its own words.
fn last_words(case: &Case<'_>) -> Vec<String> {
    let told = |line: &&Line<'_>| {
        line.process.starts_with("saslauthd")
            && line.has_any(&["ould not", "unknown auth", "ailed to", "failure :", "rror"])
    };
    let lines = case.log.iter().filter(told);
    let own = lines.filter(|line| !line.has("auth failure: [") && line.module(case.service()).is_none());
    let old = case.mail.last_words.get("saslauthd").into_iter().flatten().cloned();
    let mut words: Vec<_> = old.chain(own.map(|line| line.raw.to_owned())).collect();
    words.split_off(words.len().saturating_sub(3))
}

/// saslauthd runs, and the daemon does not reach it.
pub(super) fn socket(case: &Case<'_>) -> Vec<Found> {
    if !case.asks_saslauthd() {
        return Vec::new();
    }
    let closed = closed(case);
    let forbidden = case.said(&[NO_WAY, "Permission denied"]);
    if !forbidden.is_empty()
        || (!closed.is_empty() && case.attempt.as_ref().is_none_or(|attempt| attempt.asked.is_none()))
    {
        return one(Found::new(RootCause::SaslauthdForbidden, closed, forbidden));
    }
    let busy: Vec<_> = ["Resource temporarily unavailable", "timed out"]
        .iter()
        .flat_map(|words| case.said(&[NO_WAY, words]))
        .collect();
    if !busy.is_empty() {
        return one(Found::new(RootCause::SaslauthdBusy, [], busy));
    }
    let log = case.said(&[NO_WAY]);
    let elsewhere = elsewhere(case);
    if case.mail.saslauthd.is_empty()
        || super::postfix::may_be_chrooted(case)
        || (log.is_empty() && elsewhere.is_empty())
    {
        return Vec::new();
    }
    let asked = case.attempt.as_ref().is_some_and(|attempt| attempt.asked.is_some());
    match (elsewhere.is_empty(), asked) {
        (false, false) => one(Found::new(RootCause::SaslauthdElsewhere, elsewhere, log)),
        (true, _) => one(Found::new(RootCause::SaslauthdSilent, [], log)),
        _ => Vec::new(),
    }
}

/// The directory of saslauthd's socket is for a group only, and the daemon is not in it.
fn closed(case: &Case<'_>) -> Vec<String> {
    let account = case.login.service.account();
    let Some(groups) = case.mail.groups.get(account) else { return Vec::new() };
    let closed = case.mail.sockets.iter().find(|place| {
        let is_open = place.mode.chars().last().and_then(|digit| digit.to_digit(8)).is_some_and(|bits| bits & 1 != 0);
        place.kind == "d" && !place.path.contains("/spool/") && !is_open && !groups.contains(&place.group)
    });
    closed.map_or_else(Vec::new, |closed| {
        vec![
            format!("{} has mode {} and is the group {}'s", closed.path, closed.mode, closed.group),
            format!("{account} is in the groups {}", groups.join(", ")),
        ]
    })
}

/// What shows that the socket is not where the library looks.
fn elsewhere(case: &Case<'_>) -> Vec<String> {
    let wanted = case.mail.files.iter().filter(|(path, _)| match case.login.service {
        Service::Imap => path.as_str() == "/etc/imapd.conf",
        Service::Smtp => path.ends_with("/smtpd.conf"),
    });
    let set = |line: &str| {
        let (key, value) = line.split_once(':')?;
        ["saslauthd_path", "sasl_saslauthd_path"].contains(&key.trim()).then(|| value.trim().to_owned())
    };
    let wanted: Option<String> = wanted.flat_map(|(_, file)| file.text.lines()).find_map(set);
    let sockets: Vec<_> =
        case.mail.sockets.iter().filter(|socket| socket.kind == "s").map(|socket| socket.path.as_str()).collect();
    let made = case.mail.saslauthd_option("-m").map(|directory| format!("{}/mux", directory.trim_end_matches('/')));
    // /var/run is /run.
    let plain = |path: &str| path.trim_start_matches("/var").to_owned();
    let is_there = |path: &str| {
        let places = sockets.iter().copied().chain(made.as_deref());
        places.map(plain).any(|place| place == plain(path))
    };
    // A link from a usual place leads to the socket.
    let links =
        case.mail.sockets.iter().filter(|socket| socket.kind == "l").map(|socket| format!("{}/mux", socket.path));
    let is_linked = links.into_iter().any(|link| PLACES.contains(&link.as_str()));
    // Without one known place of the socket, nothing can be said.
    let known: Vec<_> = made.iter().map(String::as_str).chain(sockets.iter().copied()).collect();
    let found = match &wanted {
        _ if known.is_empty() || is_linked => true,
        Some(path) => is_there(path),
        None => PLACES.iter().any(|path| is_there(path)),
    };
    if found {
        return Vec::new();
    }
    let looks = wanted.unwrap_or_else(|| PLACES[0].to_owned());
    vec![format!("saslauthd's socket is {}, and the daemon looks for {looks}", known[0])]
}

/// saslauthd has another mechanism than PAM, one that knows nothing of the directory.
pub(super) fn asks_another(case: &Case<'_>) -> Vec<Found> {
    let asked = case.attempt.as_ref().and_then(|attempt| attempt.asked);
    let runs = case.mail.saslauthd_option("-a");
    let mechanism = asked.map(|asked| asked.mechanism).filter(|name| !name.is_empty()).or(runs).unwrap_or("pam");
    if mechanism == "pam" || case.mail.is_local || case.mail.sssd_conf().is_none() {
        return Vec::new();
    }
    let is_local = ["shadow", "getpwent", "sasldb"].contains(&mechanism);
    // One that asks a server may be meant.
    let kerberos =
        || case.mail.sssd("auth_provider").or_else(|| case.mail.sssd("id_provider")).is_some_and(|name| name != "ldap");
    let is_meant = match mechanism {
        _ if is_local => false,
        "ldap" => case.mail.text("/etc/saslauthd.conf").is_some_and(|text| text.contains("ldap_servers")),
        "rimap" | "httpform" => case.mail.saslauthd_option("-O").is_some(),
        "kerberos5" => kerberos(),
        _ => true,
    };
    if is_meant || (asked.is_none() && !is_local) {
        return Vec::new();
    }
    let state = runs
        .filter(|runs| *runs == mechanism)
        .map(|runs| format!("saslauthd runs with -a {runs}, and sssd is configured"));
    one(Found::new(RootCause::SaslauthdMechanism, state, asked.map(|asked| asked.line.to_owned())))
}

/// The domain is cut off the name, and the directory knows the name with it.
pub(super) fn realm(case: &Case<'_>) -> Vec<Found> {
    let Some(asked) = case.attempt.as_ref().and_then(|attempt| attempt.asked) else { return Vec::new() };
    let is_cut = case.login.user.contains('@') && !asked.user.contains('@');
    let log = case.code_of_sssd().filter(|(_, code, _)| *code == 10).map(|(_, _, line)| line.to_owned());
    if !is_cut || log.is_none() || case.mail.has_saslauthd_flag('r') || !super::user::is_found(case) {
        return Vec::new();
    }
    let state = [
        format!("saslauthd runs without -r: PAM is asked for {}", asked.user),
        format!("the directory knows the user as {}", case.login.user),
    ];
    one(Found::new(RootCause::RealmStripped, state, log.into_iter().chain([asked.line.to_owned()])))
}
