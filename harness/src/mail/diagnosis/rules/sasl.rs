//! The SASL library in the daemon: which mechanisms it offers, and whom it asks for passwords.

use super::{Case, Found, RootCause, Service, one};

/// Mechanisms that need the password itself on the server.
const SECRET: [&str; 5] = ["CRAM-MD5", "DIGEST-MD5", "NTLM", "SCRAM-", "OTP"];

/// What the library says when it looks for passwords itself.
const OWN_DATABASE: [&str; 8] = [
    "sasldb",
    "no secret in database",
    "no user in db",
    "unknown password verifier",
    "authdaemond",
    "no mechanism available",
    "could not find auxprop plugin",
    "user not found: checkpass failed",
];

/// The daemon asks its own database for passwords, or nobody.
pub(super) fn verifier(case: &Case<'_>) -> Vec<Found> {
    if !log_of_secret_mechanism(case).is_empty() {
        return Vec::new();
    }
    let mut log: Vec<String> = OWN_DATABASE.iter().flat_map(|words| case.said(&[words])).collect();
    log.dedup();
    let state = configured(case);
    let mut doubt = None;
    if log.is_empty() && is_left_to_itself(case) {
        log = case.said(&["Password verification failed"]);
        doubt = Some("if the library's own database is meant to be asked, the password was wrong".to_owned());
    }
    let asks_saslauthd = case.attempt.as_ref().is_some_and(|attempt| attempt.asked.is_some());
    // Who is to be asked can be told from a state alone only where saslauthd is there to be asked.
    let is_meant = case.attempt.is_some() || case.mail.saslauthd.is_empty() || !case.asks_saslauthd();
    if asks_saslauthd || (log.is_empty() && (state.is_empty() || is_meant)) {
        return Vec::new();
    }
    one(Found::new(RootCause::PasswordVerifier, state, log).doubted(doubt))
}

/// No file says whom postfix' library asks, and saslauthd is there to be asked. The library then asks its own database, and says
/// nothing of that if there is one.
fn is_left_to_itself(case: &Case<'_>) -> bool {
    case.login.service == Service::Smtp
        && case.asks_saslauthd()
        && !case.mail.saslauthd.is_empty()
        && case.mail.postconf.contains_key("smtpd_sasl_path")
        && files(case).is_empty()
}

/// The client chose a mechanism that saslauthd cannot serve.
pub(super) fn mechanism(case: &Case<'_>) -> Vec<Found> {
    let log = log_of_secret_mechanism(case);
    if log.is_empty() { Vec::new() } else { one(Found::new(RootCause::SecretMechanism, offered(case), log)) }
}

fn log_of_secret_mechanism(case: &Case<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for name in SECRET {
        found.extend(case.said(&["SASL ", name, "authentication failed"]));
        found.extend(case.said(&["badlogin", &format!("] {name}")]));
    }
    found
}

/// What the configuration says of the mechanisms that are offered, if that is not what saslauthd can serve.
pub(super) fn offered(case: &Case<'_>) -> Vec<String> {
    let mut state = Vec::new();
    for (path, text) in files(case) {
        let list = value(text, &["mech_list", "sasl_mech_list"]);
        let odd = |list: &&str| {
            let words: Vec<_> = list.split_whitespace().map(str::to_ascii_uppercase).collect();
            words.iter().any(|word| SECRET.iter().any(|name| word.starts_with(name)))
                || !words.iter().any(|word| word == "PLAIN" || word == "LOGIN")
        };
        state.extend(list.filter(odd).map(|list| format!("{path}: mech_list is {list}")));
    }
    if case.login.service == Service::Smtp {
        for key in ["smtpd_sasl_type", "smtpd_sasl_security_options", "smtpd_sasl_tls_security_options"] {
            let set = case.mail.postconf.get(key).filter(|value| *value == "dovecot" || value.contains("noplaintext"));
            state.extend(set.map(|value| format!("postconf: {key} = {value}")));
        }
    }
    state
}

/// Where the configuration does not say `pwcheck_method: saslauthd`.
fn configured(case: &Case<'_>) -> Vec<String> {
    let mut said = Vec::new();
    for (path, text) in files(case) {
        match value(text, &["pwcheck_method", "sasl_pwcheck_method"]) {
            Some(method) if method.split_whitespace().any(|word| word == "saslauthd") => return Vec::new(),
            Some(method) => said.push(format!("{path}: pwcheck_method is {method}")),
            None => said.push(format!("{path} has no pwcheck_method")),
        }
    }
    if said.is_empty() && case.login.service == Service::Smtp && case.mail.postconf.contains_key("smtpd_sasl_path") {
        let places = case.mail.postconf.get("cyrus_sasl_config_path").filter(|path| !path.is_empty());
        said.push(format!(
            "no {} is where postfix looks ({})",
            name(case),
            places.map_or("the library's own places", String::as_str)
        ));
    }
    // Evidence without any of the files says nothing.
    said
}

/// The name of postfix' file for SASL.
fn name(case: &Case<'_>) -> String {
    let application = case.mail.postconf.get("smtpd_sasl_path").map_or("smtpd", String::as_str);
    format!("{}.conf", application.rsplit('/').next().unwrap_or(application))
}

/// The files that the daemon's library may read. Where postfix tells its own place, no other counts.
fn files<'a>(case: &Case<'a>) -> Vec<(&'a str, &'a str)> {
    let files = case.mail.files.iter().map(|(path, file)| (path.as_str(), file.text.as_str()));
    if case.login.service == Service::Imap {
        return files.filter(|(path, _)| *path == "/etc/imapd.conf").collect();
    }
    let wanted = format!("/{}", name(case));
    let own: Vec<_> = files.filter(|(path, _)| path.ends_with(&wanted)).collect();
    let places = case.mail.postconf.get("cyrus_sasl_config_path").filter(|places| !places.is_empty());
    let Some(places) = places else { return own };
    let mut directories = places.split(':');
    directories
        .find_map(|directory| {
            own.iter().find(|(path, _)| *path == format!("{}{wanted}", directory.trim_end_matches('/')))
        })
        .into_iter()
        .copied()
        .collect()
}

fn value<'t>(text: &'t str, keys: &[&str]) -> Option<&'t str> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| keys.contains(&key.trim()))
        .map(|(_, value)| value.trim())
}
