//! The user: whether the directory has the entry as sssd wants it, and whether the password is the right one.

use super::super::evidence::Answer;
use super::{Case, Found, RootCause, directory, one, sssd};

const DAY: i64 = 86_400;

/// Whether the collector's own search has found the user's entry.
pub(super) fn is_found(case: &Case<'_>) -> bool {
    entry(case).is_some_and(has_entry)
}

/// The answer of the first server that answered a search for the user.
pub(super) fn entry<'a>(case: &Case<'a>) -> Option<&'a Answer> {
    let answers = case.mail.servers.iter().filter_map(|server| server.entry.as_ref());
    answers.filter(|_| case.is_of_directory()).find(|entry| entry.status == 0)
}

fn has_entry(entry: &Answer) -> bool {
    entry.lines.iter().any(|line| line.starts_with("dn:"))
}

/// Values of an attribute in LDIF.
pub(super) fn values<'a>(entry: &'a Answer, attribute: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = entry.lines.iter().filter_map(|line| line.split_once(": "));
    pairs.filter(move |(name, _)| name.eq_ignore_ascii_case(attribute)).map(|(_, value)| value.trim())
}

/// Whether sssd knows the user.
pub(super) fn known(case: &Case<'_>) -> Vec<Found> {
    let log: Vec<_> = case
        .code_of_sssd()
        .filter(|(_, code, _)| *code == 10)
        .map(|(_, _, line)| line.to_owned())
        .into_iter()
        .collect();
    let lost = directory::was_lost(case);
    let user = case.login.user;
    let attribute = case.mail.sssd("ldap_user_name").unwrap_or("uid");
    let base = case.mail.sssd("ldap_user_search_base").or_else(|| case.mail.sssd("ldap_search_base"));
    let asked = format!("a search for {attribute}={user} below {}", base.unwrap_or("?"));
    // PAM may have been asked for another name than the collector.
    let is_same = case.pam_user() == user;
    let Some(entry) = entry(case) else {
        return if log.is_empty() || lost || directory::is_away(case) {
            Vec::new()
        } else {
            one(Found::new(RootCause::UnknownUser, [], log))
        };
    };
    if !has_entry(entry) {
        let state = is_same.then(|| format!("{asked} finds nothing"));
        if !is_same && (log.is_empty() || lost) {
            return Vec::new();
        }
        let doubt = lost.then(|| "sssd had lost the directory when the login was refused".to_owned());
        return one(named(case, Found::new(RootCause::UnknownUser, state, log).doubted(doubt)));
    }
    if !is_same {
        return Vec::new();
    }
    let classes: Vec<_> = values(entry, "objectClass").collect();
    let wanted = case.mail.sssd("ldap_user_object_class").unwrap_or("posixAccount");
    if !classes.iter().any(|class| class.eq_ignore_ascii_case(wanted)) {
        let state = format!("{asked} finds an entry of the classes {}", classes.join(", "));
        return one(Found::new(RootCause::NotPosixAccount, [state], log));
    }
    hidden(case, entry).into_iter().map(|state| Found::new(RootCause::UserHidden, [state], log.clone())).collect()
}

/// With a domain in the name, saslauthd's `-r` decides what PAM is asked for.
fn named(case: &Case<'_>, found: Found) -> Found {
    let Some((local, _)) = case.login.user.split_once('@') else { return found };
    if !case.mail.has_saslauthd_flag('r') {
        return found;
    }
    let user = case.login.user;
    found.cured_by(format!(
        "saslauthd runs with -r, so PAM is asked for {user}: take -r out of its options if the directory has {local}, or add {user} to it"
    ))
}

/// What of sssd's configuration hides an entry that is there (sssd.conf(5)).
fn hidden(case: &Case<'_>, entry: &Answer) -> Option<String> {
    let number = |key: &str, usual: u64| case.mail.sssd(key).map_or(usual, |value| value.parse().unwrap_or(usual));
    let (least, most) = (number("min_id", 1), number("max_id", 0));
    let id = values(entry, case.mail.sssd("ldap_user_uid_number").unwrap_or("uidNumber"))
        .next()
        .and_then(|id| id.parse::<u64>().ok());
    if let Some(id) = id.filter(|id| *id < least || (most > 0 && *id > most)) {
        return Some(format!("uidNumber {id} is outside of min_id = {least} and max_id = {most} (0: no limit)"));
    }
    let filtered =
        case.mail.sssd("filter_users").filter(|list| list.split(',').any(|name| name.trim() == case.login.user));
    if let Some(list) = filtered {
        return Some(format!("filter_users = {list}"));
    }
    let full = case.mail.sssd("use_fully_qualified_names").filter(|value| value.eq_ignore_ascii_case("true"));
    full.filter(|_| !case.pam_user().contains('@'))
        .map(|_| "use_fully_qualified_names = True: sssd knows users with their domain only".to_owned())
}

/// The password is wrong.
pub(super) fn password(case: &Case<'_>) -> Vec<Found> {
    if case.mail.is_local {
        return own_user(case);
    }
    let Some((_, _, line)) = case.code_of_sssd().filter(|(phase, code, _)| *phase == "auth" && *code == 7) else {
        return Vec::new();
    };
    let user = case.pam_user();
    let log = [line.to_owned()].into_iter().chain(case.answer_of_pam());
    let mut locked =
        sssd::words(case, &["ccount locked", "ccount is locked", "pwdAccountLocked", "credentials have been revoked"]);
    locked.extend(case.said(&["pam_sss", "locked"]));
    if !locked.is_empty() {
        return one(Found::new(RootCause::AccountLocked, [], log.chain(locked)));
    }
    let is_well = entry(case).is_some_and(has_entry);
    let doubt = match () {
        () if directory::was_lost(case) => {
            Some("sssd had lost the directory: it compared with the password that it remembers")
        }
        () if case.mail.unit("sssd").is_some_and(|unit| unit.active != "active") => Some("sssd does not run now"),
        () => None,
    };
    let state = is_well.then(|| format!("the directory has {}, and sssd asked it", case.login.user));
    let found = Found::new(RootCause::WrongPassword, state, log).doubted(doubt.map(str::to_owned));
    one(found.cured_by(format!("nothing is broken: {user} needs the right password, or a new one")))
}

/// The machine's own user: `pam_unix` names whom it refuses.
fn own_user(case: &Case<'_>) -> Vec<Found> {
    let head = format!("pam_unix({}:auth): authentication failure", case.service());
    let log: Vec<_> = case.said(&[&head, &format!("user={}", case.pam_user())]);
    if log.is_empty() {
        return Vec::new();
    }
    one(Found::new(RootCause::WrongPassword, [format!("{} is this machine's own user", case.login.user)], log))
}

/// The account or its password is out of date.
pub(super) fn out_of_date(case: &Case<'_>) -> Vec<Found> {
    let code = case.code_of_sssd();
    let line = |wanted: u32| code.filter(|(_, code, _)| *code == wanted).map(|(_, _, line)| line.to_owned());
    let by_unix = |words: &str| case.said(&[&format!("pam_unix({}:account): ", case.service()), words]);
    let days = |attribute: &str| entry(case).and_then(|entry| values(entry, attribute).next()?.parse::<i64>().ok());
    let today = case.mail.now / DAY;
    let mut found = Vec::new();
    let expired: Vec<_> = line(13).into_iter().chain(by_unix("has expired")).collect();
    if !expired.is_empty() {
        let state = days("shadowExpire")
            .filter(|day| *day <= today)
            .map(|day| format!("shadowExpire: {day}, and today is day {today}"));
        found.push(Found::new(RootCause::AccountExpired, state, expired));
    }
    let aged: Vec<_> = line(12).into_iter().chain(by_unix("expired password for user")).collect();
    if !aged.is_empty() {
        let due = days("shadowLastChange")
            .zip(days("shadowMax"))
            .filter(|(changed, most)| changed.saturating_add(*most) <= today);
        let state = due
            .map(|(changed, most)| format!("shadowLastChange: {changed}, shadowMax: {most}, and today is day {today}"));
        found.push(Found::new(RootCause::PasswordExpired, state, aged));
    }
    found
}
