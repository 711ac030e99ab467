//! Who may log in, by sssd's access rules (sssd.conf(5), sssd-ldap(5), sssd-simple(5)). PAM's word for it is 6, permission denied.

use super::user::{entry, values};
use super::{Case, Found, RootCause, one};

/// What a rule of sssd's says of the user.
enum Verdict {
    Admits,
    Refuses(RootCause, Vec<String>),
    /// It cannot be told from what was collected.
    Perhaps(RootCause, Vec<String>),
}

/// The access provider refuses, by what its configuration says.
pub(super) fn rules(case: &Case<'_>) -> Vec<Found> {
    if !case.is_of_directory() {
        return Vec::new();
    }
    let denied = case
        .code_of_sssd()
        .filter(|(phase, code, _)| *phase == "account" && *code == 6)
        .map(|(_, _, line)| line.to_owned());
    let verdicts = verdicts(case);
    let refuses = verdicts.iter().find_map(|verdict| match verdict {
        Verdict::Refuses(root, state) => Some((*root, state.clone())),
        _ => None,
    });
    let log = || denied.clone().into_iter().chain(case.said(&["reason=PAM acct error"]));
    match (refuses, &denied) {
        (Some((root, state)), Some(_)) => one(Found::new(root, state, log())),
        (Some((root, state)), None) => one(Found::new(root, state, [])),
        (None, None) => Vec::new(),
        (None, Some(_)) => {
            let perhaps: Vec<_> = verdicts
                .into_iter()
                .filter_map(|verdict| match verdict {
                    Verdict::Perhaps(root, state) => Some((root, state)),
                    _ => None,
                })
                .collect();
            match perhaps.as_slice() {
                [] => Vec::new(),
                // sssd has refused, and only one of its rules can have done it.
                [(root, state)] => one(Found::new(*root, state.clone(), log())),
                several => {
                    let state = several.iter().flat_map(|(_, state)| state.clone());
                    let doubt = "which of these rules refuses was not to be seen".to_owned();
                    one(Found::new(RootCause::AccessDenied, state, log()).doubted(Some(doubt)))
                }
            }
        }
    }
}

fn verdicts(case: &Case<'_>) -> Vec<Verdict> {
    match case.mail.sssd("access_provider").unwrap_or("permit") {
        "permit" => Vec::new(),
        "deny" => vec![Verdict::Refuses(RootCause::AccessDenied, vec!["access_provider = deny".into()])],
        "simple" => vec![simple(case)],
        "ldap" => {
            let order = case.mail.sssd("ldap_access_order").unwrap_or("filter");
            order.split(',').map(|rule| ldap(case, rule.trim())).collect()
        }
        other => vec![Verdict::Perhaps(RootCause::AccessDenied, vec![format!("access_provider = {other}")])],
    }
}

fn simple(case: &Case<'_>) -> Verdict {
    let list = |key: &str| case.mail.sssd(key).map(|text| text.split(',').map(str::trim).collect::<Vec<_>>());
    let keys = ["simple_allow_users", "simple_deny_users", "simple_allow_groups", "simple_deny_groups"];
    let [allowed, denied, allowed_groups, denied_groups] = keys.map(list);
    let mut state = vec!["access_provider = simple".to_owned()];
    state.extend(keys.iter().filter_map(|key| Some(format!("{key} = {}", case.mail.sssd(key)?))));
    let is_in = |list: &Option<Vec<&str>>| list.as_ref().is_some_and(|names| names.contains(&case.pam_user()));
    match () {
        () if is_in(&denied) => Verdict::Refuses(RootCause::AccessSimple, state),
        () if denied_groups.is_some() => Verdict::Perhaps(RootCause::AccessSimple, state),
        () if is_in(&allowed) => Verdict::Admits,
        () if allowed_groups.is_some() => Verdict::Perhaps(RootCause::AccessSimple, state),
        () if allowed.is_some() => Verdict::Refuses(RootCause::AccessSimple, state),
        () => Verdict::Admits,
    }
}

/// One rule of `ldap_access_order`.
fn ldap(case: &Case<'_>, rule: &str) -> Verdict {
    match rule {
        "host" => host(case),
        "filter" => filter(case),
        "expire" => {
            let policy = case.mail.sssd("ldap_account_expire_policy").unwrap_or("none");
            let locks = ["rhds", "ipa", "389ds"].contains(&policy);
            let root = if locks { RootCause::AccountLocked } else { RootCause::AccountExpired };
            Verdict::Perhaps(root, vec![format!("ldap_access_order has expire, by the policy {policy}")])
        }
        "lockout" | "ppolicy" => {
            Verdict::Perhaps(RootCause::AccountLocked, vec![format!("ldap_access_order has {rule}")])
        }
        other => Verdict::Perhaps(RootCause::AccessDenied, vec![format!("ldap_access_order has {other}")]),
    }
}

/// sssd compares the attribute with the machine's short and full name.
fn host(case: &Case<'_>) -> Verdict {
    let Some(entry) = entry(case).filter(|entry| entry.lines.iter().any(|line| line.starts_with("dn:"))) else {
        return Verdict::Perhaps(RootCause::HostAttribute, vec!["ldap_access_order has host".into()]);
    };
    let hosts: Vec<_> = values(entry, case.mail.sssd("ldap_user_authorized_host").unwrap_or("host")).collect();
    let is_own = |host: &str| case.mail.names.iter().any(|name| name.eq_ignore_ascii_case(host));
    let is_refused = hosts.iter().any(|host| host.strip_prefix('!').is_some_and(is_own));
    if !is_refused && hosts.iter().any(|host| *host == "*" || is_own(host)) {
        return Verdict::Admits;
    }
    let found = if hosts.is_empty() { "no attribute host".into() } else { format!("host: {}", hosts.join(", ")) };
    let state = vec![
        format!("the entry of {} has {found}", case.login.user),
        format!("this machine is {}", case.mail.names.join(", ")),
    ];
    Verdict::Refuses(RootCause::HostAttribute, state)
}

/// The filter of sssd's access rule. The collector has asked the directory with it, if it is new enough.
fn filter(case: &Case<'_>) -> Verdict {
    let Some(filter) = case.mail.sssd("ldap_access_filter") else {
        let state = "ldap_access_order has filter, and there is no ldap_access_filter: sssd refuses everybody";
        return Verdict::Refuses(RootCause::AccessFilter, vec![state.into()]);
    };
    let state = vec![format!("ldap_access_filter = {filter}")];
    match case.mail.admitted {
        Some(true) => Verdict::Admits,
        Some(false) => {
            let found = format!("a search for {} with this filter finds nothing", case.login.user);
            Verdict::Refuses(RootCause::AccessFilter, state.into_iter().chain([found]).collect())
        }
        None => Verdict::Perhaps(RootCause::AccessFilter, state),
    }
}
