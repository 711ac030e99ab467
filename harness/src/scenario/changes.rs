//! What verbs are told that change a whole machine, and those that tell whether its mail survived.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

/// A distribution upgrade by zypper, in the running guest.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// The repository on the machine's disk of packages.
    #[schemars(with = "String")]
    pub repository: Spanned<String>,
    /// While it runs, a neighbour hands over mail for this user, on port 25, and keeps what is not accepted.
    #[schemars(with = "Option<String>")]
    pub deliver_to: Option<Spanned<String>>,
}

/// A reboot by the guest's own systemd, into the newest kernel that is installed in it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reboot {}

/// What a user's inbox holds, over IMAP.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inbox {
    /// Whose.
    #[schemars(with = "String")]
    pub of: Spanned<String>,
    /// Its content is remembered under this name.
    pub remember: Option<String>,
    /// It holds what it did when that was remembered: the same messages with the same UIDs, flags and bytes, and each
    /// message once that was accepted during upgrades since.
    pub holds: Option<String>,
    /// Before that its first message gets these flags, such as `\Flagged`.
    pub flag: Option<String>,
}
