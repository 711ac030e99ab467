//! What verbs about refused logins and their causes are told.

use crate::mail::diagnosis::{RootCause, Service as MailService};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// A moment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Its name.
    pub name: String,
    /// Units whose starts are remembered.
    #[serde(default)]
    pub units: Vec<String>,
}

/// Requests to the directory.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LdapRequests {
    /// The machine that they come from.
    #[schemars(with = "String")]
    pub from: Spanned<String>,
    /// Since this mark.
    pub since: String,
    /// How many.
    pub expect: Amount,
}

/// How many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// Not one.
    None,
    /// One or more.
    Some,
}

/// Why a user cannot log in, by all evidence there is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Diagnose {
    /// The user.
    #[schemars(with = "String")]
    pub user: Spanned<String>,
    /// Where the user logs in.
    pub service: MailService,
    /// Since this mark of the mail server's.
    pub since: String,
    /// The cause that comes first.
    pub expect: RootCause,
    /// Other causes that are found, too.
    #[serde(default)]
    pub also: Vec<RootCause>,
}

/// The state of a machine's services.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceState {
    /// Units whose states are shown.
    #[serde(default)]
    pub units: Vec<String>,
    /// Services whose PAM files are shown, with those that they include.
    #[serde(default)]
    pub pam: Vec<String>,
    /// Whether the settings of postfix are shown that are not its own (`postconf -n`).
    #[serde(default)]
    pub postconf: bool,
    /// Packages whose versions are shown, as far as updates within a release leave them alone: `3.7` of `3.7.11-0+deb12u1`.
    #[serde(default)]
    pub packages: Vec<String>,
}
