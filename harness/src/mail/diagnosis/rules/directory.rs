//! The directory: whether it answers as sssd asks, and what it has of the user.

use super::super::authority::out_of_date;
use super::super::cause::RootCause;
use super::super::evidence::{Answer, Evidence};
use super::{Case, State, one};

/// The status of timeout(1) when a command came to its limit.
const TIMED_OUT: i32 = 124;

/// What the directory answers, asked as sssd asks.
pub(super) fn answers(case: &Case<'_>) -> Vec<State> {
    if case.mail.is_local {
        return Vec::new();
    }
    let mut states: Vec<_> = case.mail.name.iter().flat_map(name).collect();
    states.extend(case.mail.connect.iter().flat_map(connection));
    states.extend(hanging(case.mail));
    states.extend(certificate(case.mail));
    if states.is_empty()
        && let Some(entry) = &case.mail.entry
        && entry.status == 49
    {
        let account = case.mail.sssd("ldap_default_bind_dn").unwrap_or("the account of sssd");
        states.extend(one(RootCause::SssdBindRefused, quoted_lines(&format!("a search as {account}"), entry)));
    }
    let heard = |line: &&String| {
        ["Going offline", "Could not start TLS", "is offline"].iter().any(|words| line.contains(words))
    };
    if let Some(first) = states.first_mut() {
        first.seen.extend(case.mail.sssd_log.iter().rev().filter(heard).take(2).map(|line| line.trim().to_owned()));
    }
    states
}

fn name(answer: &Answer) -> Vec<State> {
    let seen = quoted_lines(&format!("getent ahosts {}", answer.place), answer);
    if answer.status == 0 { Vec::new() } else { one(RootCause::DirectoryUnnamed, seen) }
}

/// The connection was taken, and then came nothing.
fn hanging(mail: &Evidence) -> Vec<State> {
    let is_hanging = |answer: &&Answer| answer.status == TIMED_OUT;
    let tls = mail.tls.as_ref().filter(is_hanging).map(|tls| ("the directory's certificate", tls));
    let entry = mail.entry.as_ref().filter(is_hanging).map(|entry| ("a search", entry));
    match tls.or(entry) {
        Some((asked, answer)) => one(RootCause::DirectoryHangs, quoted_lines(asked, answer)),
        None => Vec::new(),
    }
}

fn connection(answer: &Answer) -> Vec<State> {
    let said = |words: &[&str]| answer.lines.iter().any(|line| words.iter().any(|word| line.contains(word)));
    let seen = quoted_lines(&format!("a connection to {}", answer.place), answer);
    match answer.status {
        0 => Vec::new(),
        _ if said(&["Connection refused"]) => one(RootCause::DirectoryRejects, seen),
        _ if said(&["not known", "name resolution", "No address"]) => one(RootCause::DirectoryUnnamed, seen),
        // It came to its limit, or there is no way to the host.
        _ => one(RootCause::DirectoryDrops, seen),
    }
}

fn certificate(mail: &Evidence) -> Vec<State> {
    if mail.sssd("ldap_tls_reqcert").is_some_and(|word| ["never", "allow"].contains(&word)) {
        return Vec::new();
    }
    let pem = mail.sssd("ldap_tls_cacert").and_then(|path| mail.text(path));
    let expired = pem.map(|pem| out_of_date(pem, mail.now)).unwrap_or_default();
    let is_error = |line: &&String| line.contains("erify") && !line.contains("code: 0 (ok)");
    let said =
        mail.tls.iter().flat_map(|tls| &tls.lines).filter(is_error).map(|line| format!("openssl: {}", line.trim()));
    if !expired.is_empty() {
        return one(RootCause::AuthorityExpired, expired.into_iter().chain(said));
    }
    let said: Vec<_> = said.collect();
    if said.is_empty() { Vec::new() } else { one(RootCause::DirectoryUntrusted, said) }
}

/// What was asked, and the first lines of the answer.
fn quoted_lines(asked: &str, answer: &Answer) -> Vec<String> {
    let how = match answer.status {
        TIMED_OUT => "no answer in time".to_owned(),
        status => format!("status {status}"),
    };
    let lines = answer.lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).take(3);
    [format!("{asked}: {how}")].into_iter().chain(lines.map(str::to_owned)).collect()
}

/// The user's entry in the directory, if it could be asked for.
pub(super) fn user(case: &Case<'_>) -> Vec<State> {
    let Some(entry) = entry_of(case) else { return Vec::new() };
    let base = case.mail.sssd("ldap_user_search_base").or_else(|| case.mail.sssd("ldap_search_base"));
    let asked = format!("a search for uid={} below {}", case.login.user, base.unwrap_or("?"));
    if !entry.lines.iter().any(|line| line.starts_with("dn:")) {
        return one(RootCause::UnknownUser, [format!("{asked} finds nothing")]);
    }
    let classes: Vec<_> = values(entry, "objectClass").collect();
    let wanted = case.mail.sssd("ldap_user_object_class").unwrap_or("posixAccount");
    if classes.iter().any(|class| class.eq_ignore_ascii_case(wanted)) {
        return Vec::new();
    }
    one(RootCause::NotPosixAccount, [format!("{asked} finds an entry of the classes {}", classes.join(", "))])
}

/// sssd compares the attribute with the machine's short and full name (sssd-ldap(5), `ldap_access_order`).
pub(super) fn host(case: &Case<'_>) -> Vec<State> {
    let is_asked = case.mail.sssd("access_provider") == Some("ldap")
        && case.mail.sssd("ldap_access_order").is_some_and(|order| order.split(',').any(|word| word.trim() == "host"));
    let Some(entry) = entry_of(case).filter(|entry| is_asked && entry.lines.iter().any(|line| line.starts_with("dn:")))
    else {
        return Vec::new();
    };
    let hosts: Vec<_> = values(entry, case.mail.sssd("ldap_user_authorized_host").unwrap_or("host")).collect();
    let is_own = |host: &&str| *host == "*" || case.mail.names.iter().any(|name| name.eq_ignore_ascii_case(host));
    if hosts.iter().any(is_own) {
        return Vec::new();
    }
    let found = if hosts.is_empty() { "no attribute host".into() } else { format!("host: {}", hosts.join(", ")) };
    one(
        RootCause::HostAttribute,
        [
            format!("the entry of {} has {found}", case.login.user),
            format!("this machine is {}", case.mail.names.join(", ")),
        ],
    )
}

fn entry_of<'a>(case: &Case<'a>) -> Option<&'a Answer> {
    // 32: there is no such base (RFC 4511, 4.1.9).
    case.mail.entry.as_ref().filter(|entry| [0, 32].contains(&entry.status) && !case.mail.is_local)
}

/// Values of an attribute in LDIF.
fn values<'a>(entry: &'a Answer, attribute: &'a str) -> impl Iterator<Item = &'a str> {
    entry
        .lines
        .iter()
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| name.eq_ignore_ascii_case(attribute))
        .map(|(_, value)| value.trim())
}
