//! From evidence to causes. Each rule looks at one part of the way that a login takes, at its state and at what the log says of it.

use super::attempt::{Attempt, is_let_in};
use super::cause::{Certainty, Diagnosis, Finding, RootCause};
use super::cure::cure;
use super::evidence::Evidence;
use super::log::{Daemon, Line};
use super::pam::Pam;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

mod access;
mod daemon;
mod directory;
mod pam;
mod postfix;
mod sasl;
mod saslauthd;
mod sssd;
mod tls;
mod user;

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

    /// The account that its daemon runs as.
    fn account(self) -> &'static str {
        match self {
            Self::Imap => "cyrus",
            Self::Smtp => "postfix",
        }
    }

    /// The daemon that writes its log.
    fn daemon(self) -> Daemon {
        match self {
            Self::Imap => Daemon::Cyrus,
            Self::Smtp => Daemon::Postfix,
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

/// The rules, in the order of the way that a login takes.
const RULES: [fn(&Case<'_>) -> Vec<Found>; 22] = [
    daemon::service_down,
    daemon::dies,
    daemon::own_tls,
    daemon::confined,
    postfix::auth_off,
    sasl::verifier,
    sasl::mechanism,
    saslauthd::socket,
    saslauthd::down,
    postfix::chroot,
    saslauthd::asks_another,
    saslauthd::realm,
    pam::files,
    pam::refuses,
    sssd::runs,
    sssd::fails,
    directory::answers,
    user::known,
    user::password,
    user::out_of_date,
    access::rules,
    denied,
];

/// Why the user cannot log in, or what would hinder it.
#[must_use]
pub fn diagnose(login: Login<'_>, mail: &Evidence, directory: Option<&Evidence>) -> Diagnosis {
    let case = Case::new(login, mail, directory);
    let mut found: Vec<Found> = RULES.iter().flat_map(|rule| rule(&case)).collect();
    found.extend(cache(&case, &found));
    let log_explained = found.iter().any(|found| !found.log.is_empty());
    let mut findings: Vec<Finding> = found.into_iter().map(|found| case.finding(found, log_explained)).collect();
    // Who was let in by the cache wants to know that it was the cache.
    let is_later = |cause| case.attempt.is_some() || cause != RootCause::CacheHidesLoss;
    findings.sort_by_key(|finding| (finding.certainty, is_later(finding.cause), finding.cause));
    let unexplained = case.unexplained(&findings, log_explained);
    Diagnosis {
        user: login.user.to_owned(),
        service: login.service.pam().to_owned(),
        refused: case.attempt.is_some(),
        findings,
        unexplained,
        notes: case.notes(),
    }
}

/// A cause that a rule has found: what shows it in the machine's state, and what shows it in the log of the refusal.
#[derive(Debug, Clone)]
struct Found {
    cause: RootCause,
    state: Vec<String>,
    log: Vec<String>,
    /// What speaks against it: then it is not certain.
    doubt: Option<String>,
    /// What to do, where the cause alone does not tell.
    cure: Option<String>,
}

impl Found {
    fn new(cause: RootCause, state: impl IntoIterator<Item = String>, log: impl IntoIterator<Item = String>) -> Self {
        Self { cause, state: state.into_iter().collect(), log: log.into_iter().collect(), doubt: None, cure: None }
    }

    fn cured_by(self, words: impl Into<String>) -> Self {
        Self { cure: Some(words.into()), ..self }
    }

    fn doubted(self, doubt: Option<String>) -> Self {
        Self { doubt, ..self }
    }

    fn certainty(&self, log_explained: bool) -> Certainty {
        match (self.state.is_empty(), self.log.is_empty()) {
            (false, false) if self.doubt.is_none() => Certainty::Certain,
            // It is wrong, and the log shows something else.
            (false, true) if log_explained && self.cause != RootCause::CacheHidesLoss => Certainty::Possible,
            _ => Certainty::Likely,
        }
    }
}

/// What the rules look at.
struct Case<'a> {
    login: Login<'a>,
    mail: &'a Evidence,
    /// The log of the mail server.
    log: Vec<Line<'a>>,
    /// The directory's own log, if there is one.
    slapd: Vec<&'a str>,
    /// The last refusal.
    attempt: Option<Attempt<'a>>,
}

impl<'a> Case<'a> {
    fn new(login: Login<'a>, mail: &'a Evidence, directory: Option<&'a Evidence>) -> Self {
        let log: Vec<_> = mail.log.iter().map(|line| Line::of(line)).collect();
        let slapd = directory.into_iter().flat_map(|directory| directory.log.iter().map(String::as_str)).collect();
        let attempt = Attempt::last(&log, login);
        Self { login, mail, log, slapd, attempt }
    }

    fn service(&self) -> &'static str {
        self.login.service.pam()
    }

    /// The name that PAM was asked for.
    fn pam_user(&self) -> &str {
        let asked = self.attempt.as_ref().and_then(|attempt| attempt.asked);
        let user = self.login.user;
        // Without -r, saslauthd cuts the domain off.
        let is_cut = !self.mail.saslauthd.is_empty() && !self.mail.has_saslauthd_flag('r');
        let local = user.split_once('@').map_or(user, |(local, _)| local);
        asked.map_or(if is_cut { local } else { user }, |asked| asked.user)
    }

    /// Lines of the refusal that contain all these words.
    fn said(&self, words: &[&str]) -> Vec<String> {
        self.attempt.as_ref().map(|attempt| attempt.with(words)).unwrap_or_default()
    }

    /// Whether the refusal has a line with all these words.
    fn has_said(&self, words: &[&str]) -> bool {
        !self.said(words).is_empty()
    }

    /// What saslauthd gave as the reason: `auth`, `acct` or `start`.
    fn failed_phase(&self) -> Option<&str> {
        let reason = self.attempt.as_ref()?.asked?.reason;
        reason.strip_prefix("PAM ")?.strip_suffix(" error")
    }

    /// saslauthd's own line on the refusal, and what PAM told it.
    fn answer_of_pam(&self) -> Vec<String> {
        let mut lines = self.said(&["failed: ", "auth_pam"]);
        lines.extend(self.attempt.as_ref().and_then(|attempt| attempt.asked).map(|asked| asked.line.to_owned()));
        lines
    }

    /// The code that `pam_sss` got for the user, by the phase, and its line.
    fn code_of_sssd(&self) -> Option<(&'a str, u32, &'a str)> {
        let (service, user) = (self.service(), self.pam_user());
        let lines = self.attempt.iter().flat_map(|attempt| attempt.lines.iter().rev());
        lines.filter_map(|line| Some((line, line.module(service)?))).find_map(|(line, (module, phase, said))| {
            let rest = said.split_once(&format!("for user {user}: "))?.1;
            let code = rest.split_once(" (")?.0.parse().ok()?;
            (module == "pam_sss").then_some((phase, code, line.raw))
        })
    }

    /// Whether `pam_sss` spoke in any phase of the refusal.
    fn sssd_spoke(&self) -> bool {
        let mut lines = self.attempt.iter().flat_map(|attempt| &attempt.lines);
        lines.any(|line| line.module(self.service()).is_some_and(|(module, _, _)| module == "pam_sss"))
    }

    /// PAM's files, without the modules that PAM could not open for this login.
    fn pam(&self) -> Pam<'a> {
        let lines = self.attempt.iter().flat_map(|attempt| &attempt.lines);
        let names = lines.filter_map(|line| line.raw.split_once("unable to dlopen(")?.1.split_once(')'));
        let faulty = names.map(|(path, _)| path.rsplit('/').next().unwrap_or(path).to_owned()).collect();
        Pam::new(self.mail).with_faulty(faulty).nameless(self.has_said(&["could not identify user"]))
    }

    /// Whether sssd and its directory are asked for this user at all: not for the machine's own, and not where saslauthd or PAM are
    /// to ask somebody else.
    fn is_of_directory(&self) -> bool {
        let walk = self.pam().walk(self.service(), "auth");
        let asks_pam = self.mail.saslauthd_option("-a").is_none_or(|mechanism| mechanism == "pam");
        !self.mail.is_local && asks_pam && (walk.asks_sssd() || !walk.asks_elsewhere())
    }

    /// Whether the daemon is to ask saslauthd, and not Dovecot.
    fn asks_saslauthd(&self) -> bool {
        self.login.service == Service::Imap
            || self.mail.postconf.get("smtpd_sasl_type").is_none_or(|kind| kind == "cyrus")
    }

    fn finding(&self, found: Found, log_explained: bool) -> Finding {
        let certainty = found.certainty(log_explained);
        let Found { cause, state, log, doubt, cure: words } = found;
        let mut evidence: Vec<_> = state.into_iter().chain(log).chain(doubt).collect();
        let mut known = BTreeSet::new();
        evidence.retain(|line| known.insert(line.clone()));
        let cure = words.unwrap_or_else(|| cure(cause, self.login, self.mail));
        Finding { cause, certainty, evidence, cure }
    }

    /// What is wrong and belongs to no finding.
    fn unexplained(&self, findings: &[Finding], log_explained: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if !log_explained {
            lines.extend(self.attempt.iter().flat_map(|attempt| &attempt.lines).map(|line| line.raw.to_owned()));
        }
        if findings.is_empty() || !log_explained {
            lines.extend(daemon::last_words(self));
            lines.extend(directory::troubles(self));
        }
        if !log_explained && self.attempt.is_some() && self.is_of_directory() {
            lines.extend(sssd::words(self, &["rror", "ailed", "ould not", "offline", "keytab", "KDC"]));
        }
        let shown: Vec<_> = findings.iter().flat_map(|finding| &finding.evidence).collect();
        let mut known = BTreeSet::new();
        lines.retain(|line| !shown.iter().any(|shown| shown.contains(line.as_str())) && known.insert(line.clone()));
        lines
    }

    fn notes(&self) -> Vec<String> {
        let since = self.attempt.as_ref().and_then(|attempt| attempt.let_in_since);
        let mut notes: Vec<_> =
            since.map(|line| format!("{} was let in after that: {line}", self.login.user)).into_iter().collect();
        notes.extend(directory::notes(self));
        notes
    }

    /// The place in the log after which this service let somebody in, and so worked.
    fn worked_until(&self) -> usize {
        let user = self.login.user;
        let by_anybody = |line: &Line<'_>| {
            line.daemon == self.login.service.daemon() && (line.has("User logged in") || line.has("sasl_method="))
        };
        let is_success = |line: &Line<'_>| by_anybody(line) || is_let_in(line, Login { user, ..self.login });
        self.log.iter().rposition(is_success).map_or(0, |at| at + 1)
    }
}

fn one(found: Found) -> Vec<Found> {
    vec![found]
}

/// Who is in saslauthd's cache does not notice what is wrong with PAM.
fn cache(case: &Case<'_>, found: &[Found]) -> Vec<Found> {
    let lost = |found: &&Found| (RootCause::PamFilesMissing..=RootCause::PamFileStock).contains(&found.cause);
    let Some(lost) = found.iter().find(lost).filter(|_| case.mail.has_saslauthd_flag('c')) else { return Vec::new() };
    let command = case.mail.saslauthd.iter().flatten().cloned().collect::<Vec<_>>().join(" ");
    let state = [format!("saslauthd runs as: {command}")].into_iter().chain(lost.state.clone());
    // Who was refused is not in the cache: the loss comes first.
    one(Found::new(RootCause::CacheHidesLoss, state, lost.log.iter().take(1).cloned()))
}

/// cyrus asks its list for IMAP, and postfix knows nothing of it.
fn denied(case: &Case<'_>) -> Vec<Found> {
    if case.login.service != Service::Imap {
        return Vec::new();
    }
    let is_user = |word: &str| word.trim_matches([':', ',']) == case.login.user;
    let listed = case.mail.denied.iter().find(|line| line.split_whitespace().any(is_user));
    let state = listed.map(|line| format!("cyr_deny -l: {line}"));
    let mut log = case.said(&[&format!("user '{}' denied access to service", case.login.user)]);
    log.extend(case.said(&["badlogin", "SASL(-14)"]));
    if state.is_none() && log.is_empty() { Vec::new() } else { one(Found::new(RootCause::UserDenied, state, log)) }
}

#[cfg(test)]
mod tests;
