//! From the log lines around a refused login to the likely cause.
//!
//! To the client nearly every cause looks the same (`authentication failure`, 535): the mail server's own log tells
//! them apart. The rules below were found by making each failure happen. They are tried in order, the first that fits
//! wins, and each shows the lines that led to it. Give the lines of saslauthd, PAM, sssd, cyrus, postfix and, if at
//! hand, slapd, of the time of *one* login.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Why a login was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Nothing answers on saslauthd's socket: the daemon does not run, or (for SMTP alone) smtpd is in a chroot without it.
    SaslauthdDown,
    /// The asking daemon may not open saslauthd's socket: it is not in the group `sasl`.
    SaslauthdForbidden,
    /// Neither the service's PAM file nor PAM's fallback `other` exists.
    NoPamFiles,
    /// `/etc/pam.d/<service>` is missing, empty or does not call `pam_sss`: PAM fell back to local accounts, and nobody
    /// asked sssd. PAM does not say so; what gives it away is that `pam_sss` is silent, and that saslauthd was not told of a service
    /// that could not be asked.
    PamServiceFile,
    /// cyrus' `userdeny_db` names the user.
    UserDenied,
    /// The password is right, and the entry's `host` attribute does not admit this host (sssd's access provider).
    HostDenied,
    /// sssd does not start: its configuration is not as it wants it.
    SssdConfiguration,
    /// sssd does not answer `pam_sss`.
    SssdDown,
    /// sssd's own password for the directory is wrong.
    SssdBindRefused,
    /// sssd does not trust the directory's certificate.
    DirectoryUntrusted,
    /// sssd cannot reach the directory.
    DirectoryUnreachable,
    /// The directory has no such user, or not as a `posixAccount`.
    UnknownUser,
    /// The password is wrong.
    WrongPassword,
    /// No rule fits.
    Unknown,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SaslauthdDown => "saslauthd does not run, or is out of reach of the daemon that asks (chroot)",
            Self::SaslauthdForbidden => "the daemon may not open saslauthd's socket",
            Self::NoPamFiles => "neither the service's PAM file nor /etc/pam.d/other can be read",
            Self::PamServiceFile => "the service's PAM file is missing, empty or does not call pam_sss",
            Self::UserDenied => "cyrus' userdeny_db denies the user",
            Self::HostDenied => "the user's host attribute does not admit this host",
            Self::SssdConfiguration => "sssd does not start: its configuration file is refused",
            Self::SssdDown => "sssd does not answer",
            Self::SssdBindRefused => "the directory refuses sssd's own password",
            Self::DirectoryUntrusted => "sssd does not trust the directory's certificate",
            Self::DirectoryUnreachable => "sssd cannot reach the directory",
            Self::UnknownUser => "the directory does not know the user as a mail account",
            Self::WrongPassword => "the password is wrong",
            Self::Unknown => "unknown",
        })
    }
}

/// Which login was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedLogin<'a> {
    /// The PAM service that saslauthd was asked for: `imap` or `smtp`.
    pub service: &'a str,
    /// The login name.
    pub user: &'a str,
}

/// A likely cause, and the lines that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagnosis {
    /// The cause.
    pub cause: Cause,
    /// The lines, as they stand in the log. Empty for [`Cause::Unknown`].
    pub evidence: Vec<String>,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        self.evidence.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// The likely cause of a refused login, from the log `lines` of its time.
pub fn likely_cause<'a>(login: RefusedLogin<'_>, lines: impl IntoIterator<Item = &'a str>) -> Diagnosis {
    let log = Lines { login, lines: lines.into_iter().collect() };
    let rules: [fn(&Lines<'_>) -> Option<Diagnosis>; 6] =
        [saslauthd, user_denied, no_pam_files, host_denied, sssd, pam_service_file];
    rules.iter().find_map(|rule| rule(&log)).unwrap_or(Diagnosis { cause: Cause::Unknown, evidence: vec![] })
}

/// The lines of one login.
struct Lines<'a> {
    login: RefusedLogin<'a>,
    lines: Vec<&'a str>,
}

impl Lines<'_> {
    /// The lines that contain all `words`.
    fn with(&self, words: &[&str]) -> Vec<String> {
        let fits = |line: &&&str| words.iter().all(|word| line.contains(word));
        self.lines.iter().filter(fits).map(|line| (*line).to_owned()).collect()
    }

    fn has(&self, words: &[&str]) -> bool {
        !self.with(words).is_empty()
    }

    /// The beginning of what a PAM module says in a phase of this service, such as `pam_sss(imap:auth): `.
    fn pam(&self, module: &str, phase: &str) -> String {
        format!("{module}({}:{phase}): ", self.login.service)
    }

    /// What `pam_sss` received for this user, by the PAM return code.
    fn received(&self, code: u32) -> Vec<String> {
        let words = format!("received for user {}: {code} (", self.login.user);
        self.with(&[&self.pam("pam_sss", "auth"), &words])
    }

    /// What saslauthd says when PAM could not ask where passwords are kept. `pam_unix` has no such trouble, and a `pam_sss` that waited
    /// for sssd in vain (sssd kills a part of itself that hangs) says nothing.
    fn unavailable(&self) -> Vec<String> {
        fn process(line: &str) -> &str {
            line.find("saslauthd[").and_then(|at| line[at..].split_once(' ')).map_or("", |(name, _)| name)
        }
        let refused = self.with(&["reason=PAM auth error", &self.account()]);
        let processes: BTreeSet<_> = refused.iter().map(|line| process(line)).collect();
        let words = "pam_authenticate failed: Authentication service cannot retrieve authentication info";
        let mut failed = self.with(&[words]);
        failed.retain(|line| processes.contains(process(line)));
        failed
    }

    /// The user and the service in saslauthd's words.
    fn account(&self) -> String {
        format!("[user={}] [service={}]", self.login.user, self.login.service)
    }
}

/// A diagnosis with the first group of lines that must be there, and others that may be.
fn found(cause: Cause, required: Vec<String>, further: Vec<String>) -> Option<Diagnosis> {
    if required.is_empty() {
        return None;
    }
    let mut evidence = required;
    evidence.extend(further);
    Some(Diagnosis { cause, evidence })
}

fn saslauthd(log: &Lines<'_>) -> Option<Diagnosis> {
    let words = "cannot connect to saslauthd server: ";
    found(Cause::SaslauthdForbidden, log.with(&[words, "Permission denied"]), vec![])
        .or_else(|| found(Cause::SaslauthdDown, log.with(&[words]), vec![]))
}

fn user_denied(log: &Lines<'_>) -> Option<Diagnosis> {
    let denied = log.with(&[&format!("user '{}' denied access to service", log.login.user)]);
    let badlogin = log.with(&["badlogin", "SASL(-14)", &format!("({})", log.login.user)]);
    found(Cause::UserDenied, denied, badlogin.clone()).or_else(|| found(Cause::UserDenied, badlogin, vec![]))
}

fn no_pam_files(log: &Lines<'_>) -> Option<Diagnosis> {
    found(Cause::NoPamFiles, log.with(&["no default config other"]), log.with(&["reason=PAM start error"]))
}

fn host_denied(log: &Lines<'_>) -> Option<Diagnosis> {
    let words = format!("Access denied for user {}: 6 (", log.login.user);
    let denied = log.with(&[&log.pam("pam_sss", "account"), &words]);
    found(Cause::HostDenied, denied, log.with(&["reason=PAM acct error"]))
}

/// What `pam_sss` says of sssd, and sssd of the directory.
fn sssd(log: &Lines<'_>) -> Option<Diagnosis> {
    let silent = log.with(&[&log.pam("pam_sss", "auth"), "Request to sssd failed"]);
    if !silent.is_empty() {
        let configuration = log.with(&["SSSD couldn't load the configuration database"]);
        return found(Cause::SssdConfiguration, configuration, silent.clone())
            .or_else(|| found(Cause::SssdDown, silent, vec![]));
    }
    found(Cause::WrongPassword, log.received(7), vec![])
        .or_else(|| found(Cause::UnknownUser, log.received(10), vec![]))
        .or_else(|| found(directory_cause(log), log.received(9), directory_evidence(log)))
        .or_else(|| found(directory_cause(log), log.unavailable(), directory_evidence(log)))
}

/// Why sssd could get nothing from the directory.
fn directory_cause(log: &Lines<'_>) -> Cause {
    if !sssd_binds_refused(log).is_empty() {
        Cause::SssdBindRefused
    } else if log.has(&["Could not start TLS encryption"]) {
        Cause::DirectoryUntrusted
    } else {
        Cause::DirectoryUnreachable
    }
}

fn directory_evidence(log: &Lines<'_>) -> Vec<String> {
    let mut evidence = sssd_binds_refused(log);
    for words in ["Could not start TLS encryption", "Going offline!", "SSSD is offline", "terminated by own WATCHDOG"] {
        evidence.extend(log.with(&[words]));
    }
    evidence
}

/// The lines of slapd in which sssd's own BIND (`cn=sssd,…`) ends with 49, invalid credentials.
fn sssd_binds_refused(log: &Lines<'_>) -> Vec<String> {
    let operation = |line: &str, word: &str| {
        let start = line.find("conn=")?;
        Some(line[start..start + line[start..].find(word)?].trim_end().to_owned())
    };
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in log.with(&["RESULT", "err=49"]) {
        if let Some(operation) = operation(&line, "RESULT") {
            refused.entry(operation).or_default().push(line);
        }
    }
    let mut evidence = Vec::new();
    for bind in log.with(&["BIND dn=\"cn=sssd,"]) {
        // Taken out: an operation has one answer, however often a log repeats its question.
        if let Some(refused) = operation(&bind, "BIND").and_then(|operation| refused.remove(&operation)) {
            evidence.push(bind);
            evidence.extend(refused);
        }
    }
    evidence
}

/// PAM asked the local accounts, and nobody asked sssd. Where `pam_sss` stands in the common files that `other` includes,
/// it admits the user and the account phase then fails without it.
fn pam_service_file(log: &Lines<'_>) -> Option<Diagnosis> {
    let local = log.with(&[&log.pam("pam_unix", "auth")]);
    let refused = log.with(&["reason=PAM", &log.account()]);
    if !log.has(&[&format!("pam_sss({}:", log.login.service)]) {
        return found(Cause::PamServiceFile, local, refused);
    }
    let admitted = log.with(&[&log.pam("pam_sss", "auth"), "authentication success"]);
    let then_lost: Vec<_> = refused.into_iter().filter(|line| line.contains("reason=PAM acct error")).collect();
    let spoke_of_account = log.has(&[&log.pam("pam_sss", "account")]);
    if admitted.is_empty() || spoke_of_account { None } else { found(Cause::PamServiceFile, then_lost, admitted) }
}

#[cfg(test)]
mod tests;
