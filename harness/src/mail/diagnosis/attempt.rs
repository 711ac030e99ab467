//! The attempt in question: the last refusal of a user by a service, and the lines that belong to it.

use super::log::{Daemon, Line};
use super::rules::{Login, Service};

/// Seconds between what saslauthd says and what the daemon that asked says: PAM and cyrus both wait after a failure.
const ANSWER: i64 = 30;

/// Seconds that a daemon's own lines may lie before its refusal.
const CONNECTION: i64 = 300;

/// How a refusal names its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Naming {
    /// Not at all.
    Nobody,
    /// Without the domain, or with one that was not asked about.
    Nearly,
    Exactly,
}

/// The last refusal of a login.
#[derive(Debug, Clone, Default)]
pub(super) struct Attempt<'a> {
    /// Its lines, in order: of the daemon's connection, and of saslauthd's process.
    pub(super) lines: Vec<Line<'a>>,
    /// What saslauthd says of it, if it was asked.
    pub(super) asked: Option<Asked<'a>>,
    /// Whether this user was let in after it.
    pub(super) let_in_since: Option<&'a str>,
}

/// saslauthd's own line on a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    pub(super) line: &'a str,
    pub(super) user: &'a str,
    pub(super) realm: &'a str,
    pub(super) service: &'a str,
    pub(super) mechanism: &'a str,
    pub(super) reason: &'a str,
}

impl<'a> Asked<'a> {
    fn of(line: &Line<'a>) -> Option<Self> {
        let raw = line.raw;
        let rest = raw.split_once("auth failure: [user=")?.1;
        let field = |name: &str| {
            let begin = rest.find(&format!("[{name}="))? + name.len() + 2;
            // A reason may hold brackets, so the last one of the line closes it.
            let end = if name == "reason" { rest.rfind(']')? } else { begin + rest[begin..].find(']')? };
            rest.get(begin..end)
        };
        Some(Self {
            line: raw,
            user: rest.split_once(']')?.0,
            realm: field("realm").unwrap_or_default(),
            service: field("service")?,
            mechanism: field("mech").unwrap_or_default(),
            reason: field("reason").unwrap_or_default(),
        })
    }

    /// How it names the user of the login. Who asks with a domain may have it cut off; who asks without may be known with one.
    fn naming(&self, login: Login<'_>) -> Naming {
        if self.service != login.service.pam() {
            return Naming::Nobody;
        }
        nearly(self.user, self.realm, login.user)
    }
}

/// How near a name in the log is to the one that was asked about.
fn nearly(name: &str, realm: &str, asked: &str) -> Naming {
    let (local, domain) = asked.split_once('@').unwrap_or((asked, ""));
    let (name_local, name_domain) = name.split_once('@').unwrap_or((name, realm));
    let same_domain = domain.is_empty() || name_domain.is_empty() || domain.eq_ignore_ascii_case(name_domain);
    match () {
        () if name == asked => Naming::Exactly,
        () if local.eq_ignore_ascii_case(name_local) && same_domain => Naming::Nearly,
        () => Naming::Nobody,
    }
}

impl<'a> Attempt<'a> {
    /// Finds the last refusal of this login in a log.
    pub(super) fn last(log: &[Line<'a>], login: Login<'_>) -> Option<Self> {
        let refusals: Vec<_> =
            log.iter().enumerate().filter_map(|(at, line)| Some((at, refusal(log, at, line, login)?))).collect();
        let nearest = refusals.iter().map(|(_, naming)| *naming).max()?;
        // Older daemons never name whom they refuse: then each of their refusals may be this user's.
        let names_users = log.iter().any(|line| line.has("authentication failed: ") && line.has("sasl_username="));
        let is_anybody = login.service == Service::Smtp && !names_users;
        let end = refusals.iter().rev().find(|(_, naming)| *naming == nearest || is_anybody)?.0;
        let mut chosen = vec![end];
        if log[end].daemon == Daemon::Saslauthd {
            chosen.extend(transaction(log, end, login.service));
        } else {
            chosen.extend(connection(log, end));
            if let Some(asked) = asked_before(log, end, login) {
                chosen.push(asked);
                chosen.extend(transaction(log, asked, login.service));
            }
        }
        chosen.sort_unstable();
        chosen.dedup();
        let lines: Vec<_> = chosen.iter().map(|at| log[*at]).collect();
        let asked = lines.iter().filter_map(Asked::of).find(|asked| asked.naming(login) != Naming::Nobody);
        let since = log[end + 1..].iter().find(|line| is_let_in(line, login)).map(|line| line.raw);
        Some(Self { lines, asked, let_in_since: since })
    }

    /// The lines that contain all these words.
    pub(super) fn with(&self, words: &[&str]) -> Vec<String> {
        let fits = |line: &&Line<'_>| words.iter().all(|word| line.has(word));
        self.lines.iter().filter(fits).map(|line| line.raw.to_owned()).collect()
    }

    /// The first and the last second of it.
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        let times = || self.lines.iter().filter_map(|line| line.at);
        Some((times().min()?, times().max()?))
    }
}

/// Whether a line says that this user was let in.
pub(super) fn is_let_in(line: &Line<'_>, login: Login<'_>) -> bool {
    let user = login.user;
    match login.service {
        Service::Imap => {
            line.daemon == Daemon::Cyrus
                && line.has("login: ")
                && line.has(&format!(" {user} "))
                && line.has("User logged in")
        }
        Service::Smtp => {
            line.daemon == Daemon::Postfix && line.has("sasl_method=") && names(line.raw, "sasl_username=", user)
        }
    }
}

/// How the line refuses this login, if it does.
fn refusal(log: &[Line<'_>], at: usize, line: &Line<'_>, login: Login<'_>) -> Option<Naming> {
    match line.daemon {
        Daemon::Saslauthd => {
            let naming = Asked::of(line)?.naming(login);
            (naming != Naming::Nobody).then_some(naming)
        }
        Daemon::Cyrus if login.service == Service::Imap => by_cyrus(line, login.user),
        Daemon::Postfix if login.service == Service::Smtp => by_smtpd(log, at, line, login.user),
        _ => None,
    }
}

fn by_cyrus(line: &Line<'_>, user: &str) -> Option<Naming> {
    if line.has(&format!("user '{user}' denied access")) {
        return Some(Naming::Exactly);
    }
    if line.has("cannot connect to saslauthd server") {
        return Some(Naming::Nobody);
    }
    let (_, rest) = line.raw.split_once("badlogin: ")?;
    let after = rest.split_once("] ").map_or(rest, |(_, after)| after);
    let before_reason = after.split("SASL(").next().unwrap_or(after);
    let words: Vec<_> = before_reason.split_whitespace().map(|word| word.trim_matches(['(', ')', '[', ']'])).collect();
    // The mechanism, then perhaps the user.
    match words.iter().skip(1).find(|word| !word.is_empty()) {
        None => Some(Naming::Nobody),
        Some(name) => Some(nearly(name, "", user)).filter(|naming| *naming != Naming::Nobody),
    }
}

fn by_smtpd(log: &[Line<'_>], at: usize, line: &Line<'_>, user: &str) -> Option<Naming> {
    if line.has("cannot connect to saslauthd server") {
        return Some(Naming::Nobody);
    }
    if !(line.has(" authentication failed: ") && line.has("SASL ")) {
        return None;
    }
    if let Some((_, name)) = line.raw.split_once("sasl_username=") {
        return Some(nearly(name.trim(), "", user)).filter(|naming| *naming != Naming::Nobody);
    }
    // Older versions of postfix name nobody; saslauthd has named somebody just before.
    let since = log[..at].iter().rev().take(10).take_while(|line| !line.has(" authentication failed: "));
    let before = since.filter_map(Asked::of).find(|asked| asked.service == "smtp");
    match before {
        Some(asked) => Some(nearly(asked.user, asked.realm, user)).filter(|naming| *naming != Naming::Nobody),
        None => Some(Naming::Nobody),
    }
}

fn names(line: &str, key: &str, user: &str) -> bool {
    let named = line.split_once(key).map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or_default());
    named.is_some_and(|name| nearly(name, "", user) != Naming::Nobody)
}

/// The lines of the daemon's connection that ends in a refusal.
fn connection(log: &[Line<'_>], end: usize) -> Vec<usize> {
    let mut found = Vec::new();
    for at in (0..end).rev() {
        let line = &log[at];
        if line.seconds_since(&log[end]).is_some_and(|seconds| -seconds > CONNECTION) {
            break;
        }
        if !line.is_of_process(&log[end]) {
            continue;
        }
        let is_another = line.has(" authentication failed: ") || line.has("badlogin: ");
        if is_another {
            break;
        }
        found.push(at);
        if line.has("connect from") || line.has("accepted connection") {
            break;
        }
    }
    found
}

/// saslauthd's line on what a daemon refuses later, if no other refusal of the user lies between the two.
fn asked_before(log: &[Line<'_>], end: usize, login: Login<'_>) -> Option<usize> {
    for at in (0..end).rev() {
        let line = &log[at];
        if line.seconds_since(&log[end]).is_some_and(|seconds| -seconds > ANSWER) {
            return None;
        }
        if Asked::of(line).is_some_and(|asked| asked.naming(login) != Naming::Nobody) {
            return Some(at);
        }
        let is_another = line.daemon.serves(login.service)
            && !line.is_of_process(&log[end])
            && (line.has("badlogin: ") || line.has("authentication failed: "));
        if is_another && refusal(log, at, line, login).is_some() {
            return None;
        }
    }
    None
}

/// The lines of saslauthd's process that belong to the question that ends here: back to the one before it.
///
/// PAM goes through its phases in one order, so a line of a later phase before one of an earlier phase is another question's.
fn transaction(log: &[Line<'_>], end: usize, service: Service) -> Vec<usize> {
    let service = service.pam();
    let auth_failed = Asked::of(&log[end]).is_none_or(|asked| asked.reason.contains("auth error"));
    let (mut found, mut seen_auth) = (Vec::new(), false);
    for at in (0..end).rev() {
        let line = &log[at];
        if line.seconds_since(&log[end]).is_some_and(|seconds| -seconds > CONNECTION) {
            break;
        }
        if !line.is_of_process(&log[end]) {
            continue;
        }
        if Asked::of(line).is_some() {
            break;
        }
        let other_service =
            ["imap", "smtp", "pop", "sieve"].iter().any(|other| *other != service && line.module(other).is_some());
        if other_service {
            break;
        }
        if let Some((_, phase, said)) = line.module(service) {
            let is_done = auth_failed && said.starts_with("authentication success");
            if seen_auth && (phase != "auth" || is_done) {
                break;
            }
            seen_auth |= phase == "auth";
        }
        found.push(at);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const LOG: &str = "\
2025-11-24T15:50:00+00:00 post saslauthd[61]: pam_sss(imap:auth): received for user erin: 7 (Authentication failure)
2025-11-24T15:50:00+00:00 post saslauthd[61]:                 : auth failure: [user=erin] [service=imap] [realm=] [mech=pam] [reason=PAM auth error]
2025-11-24T15:50:03+00:00 post cyrus/imaps[22]: badlogin: pc.test [192.0.2.1] plaintext erin SASL(-13): authentication failure: checkpass failed
2025-11-24T15:55:00+00:00 post saslauthd[61]: pam_sss(imap:auth): authentication success; logname= uid=0 euid=0 tty= ruser= rhost= user=frank
2025-11-24T15:55:00+00:00 post saslauthd[61]: pam_unix(imap:account): could not identify user (from getpwnam(frank))
2025-11-24T16:00:00+00:00 post saslauthd[61]: pam_unix(imap:auth): check pass; user unknown
2025-11-24T16:00:00+00:00 post saslauthd[62]: pam_unix(smtp:auth): check pass; user unknown
2025-11-24T16:00:00+00:00 post saslauthd[61]:                 : auth failure: [user=erin] [service=imap] [realm=] [mech=pam] [reason=PAM auth error]
2025-11-24T16:00:03+00:00 post cyrus/imaps[23]: badlogin: pc.test [192.0.2.1] plaintext (erin) [SASL(-13): authentication failure: checkpass failed]";

    fn last<'a>(log: &'a str, user: &str, service: Service) -> Option<Attempt<'a>> {
        let lines: Vec<_> = log.lines().map(Line::of).collect();
        Attempt::last(&lines, Login { user, service })
    }

    #[test]
    fn only_the_lines_of_the_last_refusal_belong_to_it() {
        let attempt = last(LOG, "erin", Service::Imap).unwrap();
        let of_log: Vec<_> = LOG.lines().collect();
        let found: Vec<_> = attempt.lines.iter().map(|line| line.raw).collect();
        assert_eq!(found, [of_log[5], of_log[7], of_log[8]]);
        assert_eq!(attempt.asked.unwrap().reason, "PAM auth error");
        assert!(last(LOG, "frank", Service::Imap).is_none() && last(LOG, "erin", Service::Smtp).is_none());
    }

    #[test]
    fn what_was_not_asked_of_saslauthd_is_not_tied_to_its_earlier_answer() {
        let log = format!(
            "{}\n2025-11-24T16:09:00+00:00 post cyrus/imaps[24]: SASL cannot connect to saslauthd server: Connection refused\n\
             2025-11-24T16:09:00+00:00 post cyrus/imaps[24]: badlogin: pc.test [192.0.2.1] plaintext erin SASL(-1): generic failure: checkpass failed",
            LOG.lines().take(3).collect::<Vec<_>>().join("\n")
        );
        let attempt = last(&log, "erin", Service::Imap).unwrap();
        assert!(attempt.asked.is_none());
        assert_eq!(attempt.lines.len(), 2);
    }

    #[rstest]
    #[case::cut_off("erin@sea.test", "[user=erin] [service=smtp] [realm=sea.test]", true)]
    #[case::default_domain("erin@sea.test", "[user=erin] [service=smtp] [realm=]", true)]
    #[case::with_the_realm("erin@sea.test", "[user=erin@sea.test] [service=smtp] [realm=sea.test]", true)]
    #[case::asked_without("erin", "[user=erin@sea.test] [service=smtp] [realm=sea.test]", true)]
    #[case::another_domain("erin@sea.test", "[user=erin] [service=smtp] [realm=hill.test]", false)]
    #[case::backslash("SEA\\erin", "[user=SEA\\erin] [service=smtp] [realm=]", true)]
    #[case::somebody_else("erin", "[user=erina] [service=smtp] [realm=]", false)]
    #[case::another_service("erin", "[user=erin] [service=imap] [realm=]", false)]
    fn a_user_is_known_with_and_without_a_realm(#[case] user: &str, #[case] said: &str, #[case] found: bool) {
        let log = format!("t post saslauthd[7]:      : auth failure: {said} [mech=pam] [reason=PAM auth error]");
        assert_eq!(last(&log, user, Service::Smtp).is_some(), found);
    }

    #[rstest]
    #[case::named("warning: pc[192.0.2.1]: SASL PLAIN authentication failed: x, sasl_username=erin", true)]
    #[case::somebody_else("warning: pc[192.0.2.1]: SASL PLAIN authentication failed: x, sasl_username=root", false)]
    #[case::nobody("warning: pc[192.0.2.1]: SASL PLAIN authentication failed: no mechanism available", true)]
    #[case::no_socket(
        "warning: SASL authentication failure: cannot connect to saslauthd server: No such file or directory",
        true
    )]
    #[case::no_refusal("connect from pc[192.0.2.1]", false)]
    fn smtpd_refuses_with_a_name_or_without(#[case] said: &str, #[case] found: bool) {
        assert_eq!(last(&format!("t post postfix/smtpd[7]: {said}"), "erin", Service::Smtp).is_some(), found);
    }

    #[rstest]
    #[case::named_in_general(
        ", sasl_username=erin",
        "no mechanism available",
        "authentication failure, sasl_username=erin"
    )]
    #[case::never_named("", "authentication failure", "no mechanism available")]
    fn a_refusal_of_nobody_counts_where_nobody_is_ever_named(
        #[case] name: &str,
        #[case] last: &str,
        #[case] chosen: &str,
    ) {
        let line = |said: &str| {
            format!("t post postfix/smtpd[7]: warning: pc[192.0.2.1]: SASL PLAIN authentication failed: {said}")
        };
        let asked = "t post saslauthd[7]:      : auth failure: [user=erin] [service=smtp] [realm=] [mech=pam] [reason=PAM auth error]";
        let first = line(&format!("authentication failure{name}"));
        let second = if name.is_empty() { line("no mechanism available") } else { line(last) };
        let log = format!("{asked}\n{first}\n{second}");
        let attempt = self::last(&log, "erin", Service::Smtp).unwrap();
        assert!(attempt.lines.last().unwrap().raw.ends_with(chosen), "{attempt:?}");
    }

    #[test]
    fn a_later_success_is_told() {
        let log = format!(
            "{LOG}\n2025-11-24T16:01:00+00:00 post cyrus/imaps[23]: login: pc.test [192.0.2.1] erin plaintext+TLS User logged in"
        );
        assert!(last(&log, "erin", Service::Imap).unwrap().let_in_since.is_some());
        assert!(last(LOG, "erin", Service::Imap).unwrap().let_in_since.is_none());
    }
}
