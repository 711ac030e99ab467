//! The directory: whether one of its servers answers as sssd asks, and whether sssd heard it when the login was refused.

use super::super::authority::out_of_date;
use super::super::evidence::{Answer, Evidence, Server};
use super::super::log::{Daemon, Line};
use super::{Case, Found, RootCause, one, sssd, tls, user};

/// The status of timeout(1) when a command came to its limit.
const TIMED_OUT: i32 = 124;

/// What sssd says when it has lost the directory, and when it has it again.
const LOST: [&str; 8] = [
    "Backend is offline",
    "Going offline",
    "is offline",
    "Could not start TLS",
    "terminated by own WATCHDOG",
    "Can't contact LDAP server",
    "Failed to connect to server",
    "No available servers",
];
const FOUND_AGAIN: [&str; 2] = ["Backend is online", "Going online"];

/// Seconds before and after a refusal in which sssd's words count.
const HEARD: (i64, i64) = (900, 60);

/// What is wrong with a server: the cause, if it is known, and what was seen.
struct Trouble {
    root: Option<RootCause>,
    seen: Vec<String>,
}

impl Trouble {
    fn new(root: impl Into<Option<RootCause>>, seen: Vec<String>) -> Self {
        Self { root: root.into(), seen }
    }
}

/// The directory does not answer, or did not when the login was refused.
pub(super) fn answers(case: &Case<'_>) -> Vec<Found> {
    if !case.is_of_directory() {
        return Vec::new();
    }
    let log = refused_for_it(case);
    let heard: Vec<_> = heard(case).into_iter().filter(|_| !log.is_empty()).collect();
    let said = heard.iter().rev().find_map(|line| tls::cause(line));
    let shown = log.iter().cloned().chain(last(&heard));
    if let Some(Trouble { root, mut seen }) = all_troubled(case) {
        // What has no name is shown as unexplained.
        let Some(root) = root else { return Vec::new() };
        let other = said.filter(|said| !tls::agree(*said, root));
        let doubt = other.map(|other| format!("sssd's words at that time tell another thing: {other}"));
        seen.extend(last(&sssd::words(case, &LOST)).into_iter().take(2));
        return one(Found::new(root, seen, shown).doubted(doubt));
    }
    if log.is_empty() {
        return Vec::new();
    }
    let binds = binds_refused(case);
    let root = match said {
        _ if !binds.is_empty() => RootCause::SssdBindRefused,
        Some(root) => root,
        None if heard.iter().any(|line| line.contains("Could not start TLS")) => RootCause::DirectoryHandshake,
        // Another server than the directory may be out of reach.
        None if asks_kerberos(case) => return Vec::new(),
        None => RootCause::DirectoryUnreachable,
    };
    one(Found::new(root, [], shown.chain(binds)))
}

/// Whether Kerberos answers for passwords or for sssd's own name.
fn asks_kerberos(case: &Case<'_>) -> bool {
    let provider = case.mail.sssd("auth_provider").or_else(|| case.mail.sssd("id_provider"));
    provider.is_some_and(|name| name != "ldap")
        || !sssd::words(case, &["keytab", "GSSAPI", "KDC", "Clock skew"]).is_empty()
}

/// The lines that show that the login was refused for want of the directory.
fn refused_for_it(case: &Case<'_>) -> Vec<String> {
    let unavailable = || {
        let by_pam = case.said(&["auth_pam", "cannot retrieve authentication info"]);
        // Who says that sssd itself does not answer speaks of something else.
        if case.has_said(&["Request to sssd failed"]) { Vec::new() } else { by_pam }
    };
    match case.code_of_sssd() {
        Some((_, 9, line)) => vec![line.to_owned()],
        // Of an empty cache, sssd says that the user is unknown.
        Some((_, 10, line)) if was_lost(case) || (all_troubled(case).is_some() && !user::is_found(case)) => {
            vec![line.to_owned()]
        }
        Some(_) => Vec::new(),
        None => unavailable(),
    }
}

/// Whether sssd had lost the directory when the login was refused.
pub(super) fn was_lost(case: &Case<'_>) -> bool {
    heard(case)
        .iter()
        .rev()
        .find(|line| is_about(line))
        .is_some_and(|line| !FOUND_AGAIN.iter().any(|words| line.contains(words)))
}

fn is_about(line: &str) -> bool {
    LOST.iter().chain(&FOUND_AGAIN).any(|words| line.contains(words))
}

/// Whether no server answers now.
pub(super) fn is_away(case: &Case<'_>) -> bool {
    all_troubled(case).is_some()
}

/// What sssd's journal says of the directory around the refusal.
fn heard(case: &Case<'_>) -> Vec<String> {
    let Some(attempt) = &case.attempt else { return Vec::new() };
    let is_near = |line: &Line<'_>| match (line.at, attempt.span()) {
        (Some(at), Some((begin, end))) => at >= begin - HEARD.0 && at <= end + HEARD.1,
        _ => true,
    };
    let own = case.log.iter().filter(|line| line.daemon == Daemon::Sssd && is_about(line.raw) && is_near(line));
    own.map(|line| line.raw.to_owned()).collect()
}

fn last(lines: &[String]) -> Vec<String> {
    lines[lines.len().saturating_sub(4)..].to_vec()
}

/// What is wrong with the first server, if no server that was asked is well, and none is left that was not asked.
fn all_troubled(case: &Case<'_>) -> Option<Trouble> {
    let servers = asked(case);
    if servers.is_empty() || servers.len() < listed(case.mail).len() {
        return None;
    }
    let mut troubles = servers.iter().map(|server| trouble(case.mail, server)).collect::<Option<Vec<_>>>()?;
    let others: Vec<_> =
        troubles.split_off(1).into_iter().flat_map(|trouble| trouble.seen.into_iter().take(1)).collect();
    let mut first = troubles.pop()?;
    first.seen.extend(others);
    Some(first)
}

/// Servers that are hosts: `_srv_` stands for what DNS says.
fn asked<'a>(case: &Case<'a>) -> Vec<&'a Server> {
    let is_host =
        |server: &&Server| server.uri != "_srv_" && server.name.as_ref().is_none_or(|name| name.place != "_srv_");
    case.mail.servers.iter().filter(is_host).collect()
}

/// The servers that sssd.conf names.
fn listed(mail: &Evidence) -> Vec<&str> {
    let keys = ["ldap_uri", "ldap_backup_uri"].into_iter().filter_map(|key| mail.sssd(key));
    keys.flat_map(|list| list.split([',', ' '])).filter(|uri| !uri.is_empty()).collect()
}

/// What is worth knowing of servers, though nobody is locked out.
pub(super) fn notes(case: &Case<'_>) -> Vec<String> {
    if !case.is_of_directory() || all_troubled(case).is_some() {
        return Vec::new();
    }
    let troubled = asked(case).into_iter().filter_map(|server| {
        let trouble = trouble(case.mail, server)?;
        Some(format!("{} is not well, and sssd has others: {}", server.place(), trouble.seen.first()?))
    });
    let by_dns = listed(case.mail).contains(&"_srv_");
    let srv = by_dns.then(|| "`_srv_` in ldap_uri: sssd asks DNS for the directory's servers".to_owned());
    troubled.chain(srv).collect()
}

/// What is wrong with the directory and has no name.
pub(super) fn troubles(case: &Case<'_>) -> Vec<String> {
    if !case.is_of_directory() || case.mail.sssd_conf().is_none() {
        return Vec::new();
    }
    all_troubled(case).filter(|trouble| trouble.root.is_none()).map(|trouble| trouble.seen).unwrap_or_default()
}

/// What is wrong with a server.
fn trouble(mail: &Evidence, server: &Server) -> Option<Trouble> {
    // Who answers a search that was made as sssd makes it is well, whatever other programs say.
    if server.entry.as_ref().is_some_and(|entry| entry.status == 0) {
        return None;
    }
    let name = server.name.as_ref().and_then(name);
    name.or_else(|| server.connect.as_ref().and_then(connection))
        .or_else(|| hanging(server))
        .or_else(|| by_tls(mail, server))
        .or_else(|| server.entry.as_ref().and_then(|entry| search(mail, entry)))
}

fn name(answer: &Answer) -> Option<Trouble> {
    let seen = quoted_lines(&format!("getent ahosts {}", answer.place), answer);
    (answer.status != 0).then(|| Trouble::new(RootCause::DirectoryUnnamed, seen))
}

fn connection(answer: &Answer) -> Option<Trouble> {
    let said = |words: &[&str]| answer.lines.iter().any(|line| words.iter().any(|word| line.contains(word)));
    let root = match answer.status {
        0 => return None,
        _ if said(&["Connection refused"]) => RootCause::DirectoryRejects,
        _ if said(&["not known", "name resolution", "No address"]) => RootCause::DirectoryUnnamed,
        // It came to its limit, or there is no way to the host.
        _ => RootCause::DirectoryDrops,
    };
    Some(Trouble::new(root, quoted_lines(&format!("a connection to {}", answer.place), answer)))
}

/// The connection was taken, and then came nothing.
fn hanging(server: &Server) -> Option<Trouble> {
    let is_hanging = |answer: &&Answer| answer.status == TIMED_OUT;
    let tls = server.tls.as_ref().filter(is_hanging).map(|tls| ("the directory's certificate", tls));
    let entry = server.entry.as_ref().filter(is_hanging).map(|entry| ("a search", entry));
    tls.or(entry).map(|(asked, answer)| Trouble::new(RootCause::DirectoryHangs, quoted_lines(asked, answer)))
}

fn by_tls(mail: &Evidence, server: &Server) -> Option<Trouble> {
    // Without the file, each library has words of its own, or none.
    let lost = mail.sssd("ldap_tls_cacert").filter(|path| mail.absent.contains(*path));
    let has_failed =
        |answer: &Option<Answer>| answer.as_ref().is_some_and(|answer| ![0, TIMED_OUT].contains(&answer.status));
    if let Some(path) = lost.filter(|_| has_failed(&server.tls) || has_failed(&server.entry)) {
        let seen = format!("ldap_tls_cacert = {path}, which does not exist");
        return Some(Trouble::new(RootCause::AuthorityMissing, vec![seen]));
    }
    let tls = server.tls.iter().flat_map(|tls| &tls.lines).filter(|line| !line.contains("code: 0 (ok)"));
    let errors: Vec<_> = tls.filter(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned()).collect();
    let entry = server.entry.iter().flat_map(|entry| &entry.lines).map(|line| line.trim().to_owned());
    let mut seen: Vec<_> = errors.iter().map(|line| format!("openssl: {line}")).collect();
    let from_entry: Vec<_> = entry.filter(|line| !line.is_empty()).collect();
    let is_lax = mail.sssd("ldap_tls_reqcert").is_some_and(|word| ["never", "allow"].contains(&word));
    let by_openssl = errors
        .iter()
        .find_map(|line| tls::cause(line))
        .filter(|root| !is_lax || *root == RootCause::DirectoryHandshake)
        .filter(|root| was_told(mail, server) || *root != RootCause::DirectoryUntrusted);
    let by_search = from_entry.iter().find_map(|line| tls::cause(line));
    // openssl has no status 1 but for a handshake that failed.
    let was_judged = errors.iter().any(|line| line.contains("erify error"));
    let cut = server.tls.as_ref().is_some_and(|tls| tls.status != 0 && !was_judged);
    let root = match by_search.or(by_openssl).or(cut.then_some(RootCause::DirectoryHandshake))? {
        RootCause::CertificateExpired | RootCause::DirectoryUntrusted => {
            certificate(mail, &mut seen, by_search.or(by_openssl)?)
        }
        root => root,
    };
    if cut {
        seen.extend(
            server
                .tls
                .as_ref()
                .map(|tls| format!("openssl s_client: status {}, and no certificate was judged", tls.status)),
        );
    }
    let status = server.entry.as_ref().map(|entry| format!("ldapsearch: status {}", entry.status));
    Some(Trouble::new(root, seen.into_iter().chain(status).chain(from_entry.into_iter().take(3)).collect()))
}

/// Whether openssl trusted what sssd trusts: an older collector told it of no directory of authorities, and none tells it of ldap.conf.
fn was_told(mail: &Evidence, server: &Server) -> bool {
    let directory = mail.sssd("ldap_tls_cacertdir").filter(|_| !server.uri.is_empty());
    mail.sssd("ldap_tls_cacert").or(directory).is_some() || server.entry.is_some()
}

/// Whose certificate it is: the directory's, or that of the authority, which is in the evidence.
fn certificate(mail: &Evidence, seen: &mut Vec<String>, root: RootCause) -> RootCause {
    let expired = mail
        .sssd("ldap_tls_cacert")
        .and_then(|path| mail.text(path))
        .map(|pem| out_of_date(pem, mail.now))
        .unwrap_or_default();
    if expired.is_empty() {
        return root;
    }
    seen.splice(0..0, expired);
    RootCause::AuthorityExpired
}

/// What the directory says to a search (RFC 4511, 4.1.9).
fn search(mail: &Evidence, entry: &Answer) -> Option<Trouble> {
    let account = mail.sssd("ldap_default_bind_dn").unwrap_or("nobody");
    let seen = quoted_lines(&format!("a search as {account}"), entry);
    let root = match entry.status {
        // It was not asked for, as the collector says.
        -1 => return None,
        32 => Some(RootCause::SearchBaseMissing),
        49 => Some(RootCause::SssdBindRefused),
        8 | 13 | 48 | 50 | 53 => Some(RootCause::DirectoryWantsTls),
        51 | 52 => Some(RootCause::DirectoryHangs),
        _ => None,
    };
    Some(Trouble::new(root, seen))
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

/// The lines of slapd in which a BIND of sssd's own account ends with 49, invalid credentials.
fn binds_refused(case: &Case<'_>) -> Vec<String> {
    let account = case.mail.sssd("ldap_default_bind_dn").unwrap_or("cn=sssd,");
    let mut evidence = Vec::new();
    for bind in case.slapd.iter().filter(|line| line.contains(&format!("BIND dn=\"{account}"))) {
        let operation = bind.find("conn=").and_then(|start| Some(&bind[start..start + bind[start..].find("BIND")?]));
        let Some(operation) = operation else { continue };
        let refused = case
            .slapd
            .iter()
            .filter(|line| line.contains(operation) && line.contains("RESULT") && line.contains("err=49"));
        let refused: Vec<_> = refused.map(|line| (*line).to_owned()).collect();
        if !refused.is_empty() {
            evidence.push((*bind).to_owned());
            evidence.extend(refused);
        }
    }
    evidence
}
