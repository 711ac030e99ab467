//! PAM: what the service's file makes of the login, and which module refused it.

use super::{Case, Found, RootCause, one};
use crate::mail::diagnosis::log::Line;
use crate::mail::diagnosis::pam::{OwnFile, Walk};

/// Modules whose word is read elsewhere, or that only report.
const OTHERS: [&str; 6] = ["pam_unix", "pam_sss", "pam_warn", "pam_env", "pam_systemd", "pam_permit"];

/// Words with which a module refuses somebody.
const REFUSALS: [&str; 11] = [
    "denied",
    "efused",
    "not met by",
    "locked",
    ", deny ",
    "invalid shell",
    "not secure",
    "not allowed",
    "expired",
    "exceeded",
    "not permitted",
];

/// What PAM says of a line that it does not understand.
const BROKEN: [&str; 5] = [
    "illegal module type",
    "no module name supplied",
    "no control flag supplied",
    "expecting return value",
    "empty module type",
];

/// Modules that were taken out of Linux-PAM or its distributions, and what stands for them.
const SUCCESSORS: [(&str, &str); 8] = [
    ("pam_unix_", "pam_unix.so"),
    ("pam_unix2.", "pam_unix.so"),
    ("pam_pwdb.", "pam_unix.so"),
    ("pam_tally", "pam_faillock.so"),
    ("pam_cracklib.", "pam_pwquality.so"),
    ("pam_stack.", "an `include` of the file that it names"),
    ("pam_ldap.", "pam_sss.so"),
    ("pam_sss.", "the package that has it (libpam-sss, sssd-client)"),
];

/// The service's file, and those that it includes.
pub(super) fn files(case: &Case<'_>) -> Vec<Found> {
    let asked = case.attempt.as_ref().and_then(|attempt| attempt.asked);
    let mechanism = asked.map(|asked| asked.mechanism).filter(|name| !name.is_empty());
    if mechanism.or(case.mail.saslauthd_option("-a")).is_some_and(|mechanism| mechanism != "pam") {
        return Vec::new();
    }
    let (pam, service) = (case.pam(), case.service());
    if pam.own(service) == OwnFile::Missing && pam.own("other") == OwnFile::Missing {
        let state = [service, "other"].map(|name| format!("/etc/pam.d/{name} is not there"));
        return one(Found::new(RootCause::PamFilesMissing, state, start_failed(case)));
    }
    if !start_failed(case).is_empty() {
        return one(Found::new(RootCause::PamFilesMissing, [], start_failed(case)));
    }
    let broken: Vec<_> = BROKEN.iter().flat_map(|words| case.said(&["PAM ", words])).collect();
    if !broken.is_empty() {
        let log = broken.into_iter().chain(case.answer_of_pam());
        return one(Found::new(RootCause::PamFileBroken, pam.broken_lines(service), log));
    }
    let phases = [("auth", "auth"), ("account", "acct")];
    for (phase, reason) in phases {
        // What was refused in one phase has passed those before it.
        if case.failed_phase().is_some_and(|failed| failed != reason) {
            continue;
        }
        let walk = pam.walk(service, phase);
        let found = lacking(case, phase, &walk)
            .or_else(|| not_asked(case, phase, &walk))
            .or_else(|| nologin(case, phase, &walk));
        if let Some(found) = found {
            return one(found);
        }
    }
    Vec::new()
}

/// What PAM says when it finds no file at all.
fn start_failed(case: &Case<'_>) -> Vec<String> {
    let mut lines = case.said(&["no default config other"]);
    if !lines.is_empty() {
        lines.extend(case.said(&["reason=PAM start error"]));
    }
    lines
}

/// A file or a module that the stack needs and that is not there.
fn lacking(case: &Case<'_>, phase: &str, walk: &Walk<'_>) -> Option<Found> {
    if walk.lets_in || !refused_here(case, phase) {
        return None;
    }
    if let Some((name, file)) = walk.absent.first() {
        let state = [format!("{file} includes {name}, which is in none of PAM's directories")];
        let mut log = case.said(&["unable to open", name]);
        log.extend(case.answer_of_pam().into_iter().filter(|_| !case.sssd_spoke()));
        let cure = format!(
            "put {name} back (`dpkg -S` or `rpm -qf` on its neighbours tells the package), or take the line out of {file}"
        );
        return Some(Found::new(RootCause::PamIncludeMissing, state, log).cured_by(cure));
    }
    let (module, file) = walk.missing.first()?;
    let state = [format!("{file} calls {module} for {phase}")];
    let mut log = case.said(&["unable to dlopen", module]);
    if !log.is_empty() {
        log.extend(case.answer_of_pam());
    }
    let successor = SUCCESSORS.iter().find(|(old, _)| module.starts_with(old));
    // The module is there, and a library that it needs is not.
    let needs =
        log.first().and_then(|line| line.split_once("): ")).map(|(_, why)| why).filter(|why| !why.contains(module));
    let cure = match successor {
        _ if needs.is_some() => format!("{module} is there and cannot be loaded: {}", needs.unwrap_or_default()),
        Some((_, new)) => {
            format!("in {file}, {module} does not exist any more: write or install {new}. Nothing needs a restart")
        }
        None => {
            format!("install the package that has {module}, or take its line out of {file}. Nothing needs a restart")
        }
    };
    Some(Found::new(RootCause::PamModuleMissing, state, log).cured_by(cure))
}

/// The stack lets nobody in whom only the directory knows.
fn not_asked(case: &Case<'_>, phase: &str, walk: &Walk<'_>) -> Option<Found> {
    let (pam, service) = (case.pam(), case.service());
    // PAM asks nobody but the machine itself, and that is enough for its own users.
    if (walk.lets_in && (walk.asks_elsewhere() || phase == "account")) || !case.is_of_directory() {
        return None;
    }
    let log = refused_without_sssd(case, phase);
    let calls = |of: &str, place: &str| format!("{place} calls for {phase}: {}", pam.modules(of, phase));
    let has_sssd = case.mail.sssd_conf().is_some();
    let state = match pam.own(service) {
        _ if !has_sssd && log.is_empty() => return None,
        OwnFile::Missing => vec![format!("/etc/pam.d/{service} is not there"), calls("other", "/etc/pam.d/other")],
        OwnFile::Empty(path) => vec![format!("{path} has no entry"), calls("other", "/etc/pam.d/other")],
        OwnFile::Says(_) if !has_sssd => return None,
        OwnFile::Says(path) => {
            vec![format!("{path} does not come to pam_sss in both auth and account"), calls(service, path)]
        }
    };
    let root = match pam.own(service) {
        OwnFile::Missing => RootCause::PamFileMissing,
        OwnFile::Empty(_) => RootCause::PamFileEmpty,
        OwnFile::Says(_) if pam.modules(service, phase).contains("pam_sss") => {
            return refused_anyway(case, phase, walk);
        }
        OwnFile::Says(_) => RootCause::PamFileStock,
    };
    Some(Found::new(root, state, log))
}

/// The machine lets nobody in for a while (nologin(5)).
fn nologin(case: &Case<'_>, phase: &str, walk: &Walk<'_>) -> Option<Found> {
    let file = ["/etc/nologin", "/run/nologin"].into_iter().find(|path| case.mail.files.contains_key(*path))?;
    let spoke = case.code_of_sssd().is_some();
    if !walk.called.contains(&"pam_nologin.so") || spoke || (case.attempt.is_some() && case.failed_phase().is_none()) {
        return None;
    }
    let state = [format!("{file} is there, and pam_nologin.so is called for {phase}")];
    Some(
        Found::new(RootCause::PamModuleRefuses, state, case.answer_of_pam())
            .cured_by(words_for("pam_nologin", case.login.user)),
    )
}

/// The file names `pam_sss`, and refuses all the same.
fn refused_anyway(case: &Case<'_>, phase: &str, walk: &Walk<'_>) -> Option<Found> {
    let (module, file) = walk.refused_by.filter(|_| !walk.lets_in)?;
    let before = if walk.asks_sssd() { "whatever pam_sss says" } else { "before pam_sss is asked" };
    let state = [format!("{file} refuses in {phase} by {module}, {before}")];
    let mut log = refused_without_sssd(case, phase);
    if log.is_empty() && walk.asks_sssd() && case.code_of_sssd().is_none() && case.sssd_spoke() {
        log = case.answer_of_pam();
    }
    if log.is_empty() && case.attempt.is_some() {
        return None;
    }
    let cure = format!(
        "in {file}, let pam_sss be asked before {module} decides: `sufficient` for pam_unix, `required` for pam_sss after it"
    );
    Some(Found::new(RootCause::PamStackOrder, state, log).cured_by(cure))
}

/// The lines that show that this phase was refused and `pam_sss` was not asked in it.
fn refused_without_sssd(case: &Case<'_>, phase: &str) -> Vec<String> {
    let Some(attempt) = case.attempt.as_ref().filter(|_| refused_here(case, phase) && case.failed_phase().is_some())
    else {
        return Vec::new();
    };
    let of_phase = |line: &&Line<'_>| line.module(case.service()).is_some_and(|(_, of, _)| of == phase);
    let by_sssd = |line: &&Line<'_>| line.module(case.service()).is_some_and(|(module, _, _)| module == "pam_sss");
    let spoke = attempt.lines.iter().filter(of_phase).any(|line| by_sssd(&line));
    // A `pam_sss` that waited for sssd in vain says nothing; PAM does.
    let in_vain = case.has_said(&["cannot retrieve authentication info"]);
    let mut lines: Vec<_> = attempt
        .lines
        .iter()
        .filter(|line| line.module(case.service()).is_some())
        .map(|line| line.raw.to_owned())
        .collect();
    if spoke || in_vain || lines.is_empty() {
        return Vec::new();
    }
    lines.extend(case.answer_of_pam());
    lines
}

/// Whether the log, if it has the refusal, has it in this phase.
fn refused_here(case: &Case<'_>, phase: &str) -> bool {
    match case.failed_phase() {
        Some("auth") => phase == "auth",
        Some("acct") => phase == "account",
        _ => case.attempt.is_none(),
    }
}

/// A module other than `pam_unix` and `pam_sss` says that it refuses.
pub(super) fn refuses(case: &Case<'_>) -> Vec<Found> {
    let (service, pam) = (case.service(), case.pam());
    let lines = case.attempt.iter().flat_map(|attempt| &attempt.lines);
    let mut spoke = lines.filter_map(|line| Some((line, line.module(service)?)));
    let refusal = spoke
        .rfind(|(_, (module, _, said))| !OTHERS.contains(module) && REFUSALS.iter().any(|word| said.contains(word)));
    let Some((line, (module, phase, _))) = refusal else { return Vec::new() };
    let (of, _) = pam.stack(service, phase);
    let names = pam.modules(of, phase);
    let state = names.contains(module).then(|| format!("the stack of {of} calls for {phase}: {names}"));
    let locks = ["pam_faillock", "pam_tally", "pam_tally2"].contains(&module);
    let root = if locks { RootCause::AccountLocked } else { RootCause::PamModuleRefuses };
    let log = [line.raw.to_owned()].into_iter().chain(case.answer_of_pam());
    one(Found::new(root, state, log).cured_by(words_for(module, case.login.user)))
}

/// What to do about a module's refusal.
fn words_for(module: &str, user: &str) -> String {
    match module {
        "pam_access" => format!("admit {user} for this service in /etc/security/access.conf"),
        "pam_listfile" => format!("the file that pam_listfile reads (`file=` in the PAM file) decides about {user}"),
        "pam_faillock" => format!("faillock --user {user} --reset; the limit is in /etc/security/faillock.conf"),
        "pam_tally" | "pam_tally2" => format!("{module} --user {user} --reset"),
        "pam_time" => "the hours are in /etc/security/time.conf".to_owned(),
        "pam_nologin" => "remove /etc/nologin and /run/nologin, if nobody needs them any more".to_owned(),
        "pam_succeed_if" => format!("the condition of pam_succeed_if in the PAM file does not hold for {user}"),
        _ => format!("see the line of {module} in the PAM file, and its manual page"),
    }
}
