//! From evidence to causes. Each rule looks at one part of the way that a login takes.

use super::cause::{Certainty, Diagnosis, Finding, RootCause};
use super::cure::cure;
use super::evidence::Evidence;
use super::pam::{OwnFile, Pam};
use crate::mail::causes::{self, Cause, RefusedLogin, likely_cause};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod directory;

/// Which service somebody logs in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// cyrus-imapd.
    Imap,
    /// postfix.
    Smtp,
}

impl Service {
    /// The service's name in PAM.
    #[must_use]
    pub fn pam(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Smtp => "smtp",
        }
    }

    /// The account that its daemon runs as, and the one that the other's does.
    fn accounts(self) -> (&'static str, &'static str) {
        match self {
            Self::Imap => ("cyrus", "postfix"),
            Self::Smtp => ("postfix", "cyrus"),
        }
    }
}

/// Who cannot log in, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Login<'a> {
    /// The login name.
    pub user: &'a str,
    /// The service.
    pub service: Service,
}

/// Why the user cannot log in, or what would hinder it.
#[must_use]
pub fn diagnose(login: Login<'_>, mail: &Evidence, directory: Option<&Evidence>) -> Diagnosis {
    let case = Case::new(login, mail, directory);
    let rules: [fn(&Case<'_>) -> Vec<State>; 9] =
        [saslauthd, chroot, forbidden, pam, sssd, directory::answers, directory::user, directory::host, denied];
    let mut states: Vec<State> = rules.iter().flat_map(|rule| rule(&case)).collect();
    states.extend(cache(&case, &states));
    let refused = case.is_refused();
    let mut findings: Vec<Finding> = states.into_iter().map(|state| case.finding(state)).collect();
    findings.extend(case.by_log_alone(&findings));
    findings.sort_by_key(|finding| (finding.certainty, finding.cause));
    Diagnosis { user: login.user.to_owned(), service: login.service.pam().to_owned(), refused, findings }
}

/// What is wrong with a machine's state, and what shows it.
struct State {
    cause: RootCause,
    seen: Vec<String>,
}

/// What the rules look at.
struct Case<'a> {
    login: Login<'a>,
    mail: &'a Evidence,
    /// Lines of the log that are not another service's.
    log: Vec<&'a str>,
    /// What the log says by itself.
    by_log: causes::Diagnosis,
}

impl<'a> Case<'a> {
    fn new(login: Login<'a>, mail: &'a Evidence, directory: Option<&'a Evidence>) -> Self {
        let (_, other) = login.service.accounts();
        let others = format!(" {other}/");
        let own = mail.log.iter().map(String::as_str).filter(|line| !line.contains(&others));
        let slapd = directory.into_iter().flat_map(|directory| directory.log.iter().map(String::as_str));
        let log: Vec<_> = own.chain(slapd).collect();
        let refused = RefusedLogin { service: login.service.pam(), user: login.user };
        let unknown = causes::Diagnosis { cause: Cause::Unknown, evidence: Vec::new() };
        let mut case = Self { login, mail, log, by_log: unknown };
        // Some lines name no user: they would tell of somebody else's refusal.
        if case.is_refused() {
            case.by_log = likely_cause(refused, case.log.iter().copied());
        }
        case
    }

    fn service(&self) -> &'static str {
        self.login.service.pam()
    }

    /// Whether the log shows that this login was refused.
    fn is_refused(&self) -> bool {
        let user = self.login.user;
        let by_saslauthd = format!("auth failure: [user={user}] [service={}]", self.service());
        let by_cyrus = format!("user '{user}' denied access");
        let (badlogin, by_smtpd) = (format!("({user}) ["), format!("sasl_username={user}"));
        self.log.iter().any(|line| {
            line.contains(&by_saslauthd)
                || line.contains(&by_cyrus)
                || line.contains("cannot connect to saslauthd server")
                || (line.contains("badlogin") && line.contains(&badlogin))
                || (line.contains("authentication fail") && line.contains(&by_smtpd))
        })
    }

    /// A state, with what the log has to say of it.
    fn finding(&self, State { cause, seen }: State) -> Finding {
        let agrees = agrees(self.by_log.cause, cause);
        let certainty = match self.by_log.cause {
            _ if agrees || cause == RootCause::CacheHidesLoss => Certainty::Certain,
            Cause::Unknown => Certainty::Likely,
            _ => Certainty::Possible,
        };
        let mut evidence = seen;
        if agrees {
            evidence.extend(self.by_log.evidence.iter().cloned());
        }
        self.with_cure(cause, certainty, evidence)
    }

    /// What only the log shows.
    fn by_log_alone(&self, findings: &[Finding]) -> Option<Finding> {
        if findings.iter().any(|finding| agrees(self.by_log.cause, finding.cause)) {
            return None;
        }
        let (cause, certainty) = match self.by_log.cause {
            Cause::Unknown => return None,
            Cause::WrongPassword => (RootCause::WrongPassword, Certainty::Certain),
            Cause::UserDenied => (RootCause::UserDenied, Certainty::Certain),
            Cause::HostDenied => (RootCause::HostAttribute, Certainty::Certain),
            Cause::UnknownUser => (RootCause::UnknownUser, Certainty::Certain),
            // It is not so any more, or it cannot be seen.
            Cause::SaslauthdDown => (RootCause::SaslauthdDown, Certainty::Likely),
            Cause::SaslauthdForbidden => (RootCause::SaslauthdForbidden, Certainty::Likely),
            Cause::NoPamFiles => (RootCause::PamFilesMissing, Certainty::Likely),
            Cause::PamServiceFile => (RootCause::PamFileStock, Certainty::Likely),
            Cause::SssdConfiguration => (RootCause::SssdConfiguration, Certainty::Likely),
            Cause::SssdDown => (RootCause::SssdDown, Certainty::Likely),
            Cause::SssdBindRefused => (RootCause::SssdBindRefused, Certainty::Likely),
            Cause::DirectoryUntrusted => (RootCause::DirectoryUntrusted, Certainty::Likely),
            Cause::DirectoryUnreachable => (RootCause::DirectoryUnreachable, Certainty::Likely),
        };
        Some(self.with_cure(cause, certainty, self.by_log.evidence.clone()))
    }

    fn with_cure(&self, cause: RootCause, certainty: Certainty, mut evidence: Vec<String>) -> Finding {
        let mut known = std::collections::BTreeSet::new();
        evidence.retain(|line| known.insert(line.clone()));
        Finding { cause, certainty, evidence, cure: cure(cause, self.login, self.mail) }
    }
}

/// Whether what the log says is what this cause looks like there.
fn agrees(log: Cause, cause: RootCause) -> bool {
    use RootCause as Root;
    match log {
        Cause::SaslauthdDown => matches!(cause, Root::SaslauthdDown | Root::SmtpdChrooted),
        Cause::SaslauthdForbidden => cause == Root::SaslauthdForbidden,
        Cause::NoPamFiles => cause == Root::PamFilesMissing,
        Cause::PamServiceFile => matches!(cause, Root::PamFileMissing | Root::PamFileEmpty | Root::PamFileStock),
        Cause::UserDenied => cause == Root::UserDenied,
        Cause::HostDenied => cause == Root::HostAttribute,
        Cause::SssdConfiguration => cause == Root::SssdConfiguration,
        Cause::SssdDown => matches!(cause, Root::SssdDown | Root::SssdConfiguration),
        Cause::SssdBindRefused => cause == Root::SssdBindRefused,
        Cause::DirectoryUntrusted => matches!(cause, Root::AuthorityExpired | Root::DirectoryUntrusted),
        Cause::DirectoryUnreachable => matches!(
            cause,
            Root::DirectoryUnnamed
                | Root::DirectoryRejects
                | Root::DirectoryDrops
                | Root::DirectoryHangs
                | Root::AuthorityExpired
                | Root::DirectoryUntrusted
                | Root::SssdBindRefused
        ),
        Cause::UnknownUser => matches!(cause, Root::UnknownUser | Root::NotPosixAccount),
        Cause::WrongPassword | Cause::Unknown => false,
    }
}

fn one(cause: RootCause, seen: impl IntoIterator<Item = String>) -> Vec<State> {
    vec![State { cause, seen: seen.into_iter().collect() }]
}

fn saslauthd(case: &Case<'_>) -> Vec<State> {
    let Some(unit) = case.mail.unit("saslauthd").filter(|_| case.mail.saslauthd.is_none()) else { return Vec::new() };
    let words = format!("the unit saslauthd is {} and {}; no such process runs", unit.active, unit.enabled);
    one(RootCause::SaslauthdDown, [words])
}

/// Services of postfix that take logins stand in a chroot, and saslauthd's socket is not there.
fn chroot(case: &Case<'_>) -> Vec<State> {
    let smtpd: Vec<_> = case.mail.master.iter().filter_map(|line| Smtpd::of(line)).collect();
    let for_logins: Vec<_> = smtpd.iter().filter(|smtpd| smtpd.is_for_logins()).collect();
    let asked = if for_logins.is_empty() { smtpd.iter().collect() } else { for_logins };
    let chrooted: Vec<_> = asked.into_iter().filter(|smtpd| smtpd.chroot).map(|smtpd| smtpd.line.to_owned()).collect();
    let has_socket = case.mail.sockets.iter().any(|socket| socket.kind == "s" && socket.path.contains("/spool/"));
    if case.login.service != Service::Smtp || chrooted.is_empty() || has_socket {
        return Vec::new();
    }
    let seen = chrooted.into_iter().map(|line| format!("master.cf: {line}"));
    one(RootCause::SmtpdChrooted, seen.chain(["no socket of saslauthd is below postfix' queue directory".to_owned()]))
}

/// A line of master.cf that starts smtpd (master(5)).
struct Smtpd<'a> {
    service: &'a str,
    chroot: bool,
    line: &'a str,
}

impl<'a> Smtpd<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let words: Vec<_> = line.split_whitespace().collect();
        let [service, _, _, _, chroot, _, _, "smtpd", ..] = words.as_slice() else { return None };
        Some(Self { service, chroot: *chroot == "y", line })
    }

    fn is_for_logins(&self) -> bool {
        let port = self.service.rsplit(':').next().unwrap_or_default();
        ["submission", "submissions", "smtps", "465", "587"].contains(&port)
    }
}

/// The directory of saslauthd's socket is for a group only, and the daemon is not in it.
fn forbidden(case: &Case<'_>) -> Vec<State> {
    let (account, _) = case.login.service.accounts();
    let Some(groups) = case.mail.groups.get(account) else { return Vec::new() };
    let closed = case.mail.sockets.iter().find(|place| {
        let is_open = place.mode.chars().last().and_then(|digit| digit.to_digit(8)).is_some_and(|bits| bits & 1 != 0);
        place.kind == "d" && !place.path.contains("/spool/") && !is_open && !groups.contains(&place.group)
    });
    let Some(closed) = closed else { return Vec::new() };
    one(
        RootCause::SaslauthdForbidden,
        [
            format!("{} has mode {} and is the group {}'s", closed.path, closed.mode, closed.group),
            format!("{account} is in the groups {}", groups.join(", ")),
        ],
    )
}

fn pam(case: &Case<'_>) -> Vec<State> {
    let (pam, service) = (Pam::new(case.mail), case.service());
    let arguments = case.mail.saslauthd.as_deref().unwrap_or_default();
    let mechanism = arguments.iter().position(|word| word == "-a").and_then(|at| arguments.get(at + 1));
    if mechanism.is_some_and(|mechanism| mechanism != "pam") {
        return Vec::new();
    }
    let modules = |of: &str| format!("/etc/pam.d/{of} calls for auth: {}", pam.modules(of, "auth").join(", "));
    let own = pam.own(service);
    if own == OwnFile::Missing && pam.own("other") == OwnFile::Missing {
        let seen = [service, "other"].map(|name| format!("/etc/pam.d/{name} is not there"));
        return one(RootCause::PamFilesMissing, seen);
    }
    // PAM asks nobody but the machine itself, and that is enough for its own users.
    if pam.asks_sssd(service) && case.by_log.cause != Cause::PamServiceFile || case.mail.is_local {
        return Vec::new();
    }
    match own {
        OwnFile::Missing => {
            one(RootCause::PamFileMissing, [format!("/etc/pam.d/{service} is not there"), modules("other")])
        }
        OwnFile::Empty(path) => one(RootCause::PamFileEmpty, [format!("{path} has no entry"), modules("other")]),
        OwnFile::Says(path) if case.mail.sssd_conf().is_some() && !pam.asks_sssd(service) => one(
            RootCause::PamFileStock,
            [format!("{path} does not call pam_sss in both auth and account"), modules(service)],
        ),
        OwnFile::Says(_) => Vec::new(),
    }
}

/// Who is in saslauthd's cache does not notice what is wrong with PAM.
fn cache(case: &Case<'_>, states: &[State]) -> Vec<State> {
    let has_cache = case.mail.saslauthd.as_ref().is_some_and(|words| words.iter().any(|word| word == "-c"));
    let lost = |state: &State| (RootCause::PamFilesMissing..=RootCause::PamFileStock).contains(&state.cause);
    let Some(lost) = states.iter().find(|state| lost(state)).filter(|_| has_cache) else { return Vec::new() };
    let command = case.mail.saslauthd.iter().flatten().cloned().collect::<Vec<_>>().join(" ");
    one(RootCause::CacheHidesLoss, [format!("saslauthd runs as: {command}")].into_iter().chain(lost.seen.clone()))
}

fn sssd(case: &Case<'_>) -> Vec<State> {
    let Some(unit) = case.mail.unit("sssd").filter(|unit| unit.active != "active") else { return Vec::new() };
    let file = case.mail.sssd_conf();
    if file.is_none() || case.mail.is_local {
        return Vec::new();
    }
    let mut seen = vec![format!("the unit sssd is {} ({}), and {}", unit.active, unit.result, unit.enabled)];
    let refused = case.log.iter().find(|line| line.contains("SSSD couldn't load the configuration database"));
    let loose = file.filter(|file| !file.mode.ends_with('0') || file.owner == "nobody");
    if unit.active == "failed" && (refused.is_some() || loose.is_some()) {
        seen.extend(loose.map(|file| format!("/etc/sssd/sssd.conf has mode {} and is {}'s", file.mode, file.owner)));
        seen.extend(refused.map(|line| (*line).to_owned()));
        return one(RootCause::SssdConfiguration, seen);
    }
    one(RootCause::SssdDown, seen)
}

/// cyrus asks its list for IMAP, and postfix knows nothing of it.
fn denied(case: &Case<'_>) -> Vec<State> {
    let is_user = |word: &str| word.trim_matches([':', ',']) == case.login.user;
    let line = case.mail.denied.iter().find(|line| line.split_whitespace().any(is_user));
    match line.filter(|_| case.login.service == Service::Imap) {
        Some(line) => one(RootCause::UserDenied, [format!("cyr_deny -l: {line}")]),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
