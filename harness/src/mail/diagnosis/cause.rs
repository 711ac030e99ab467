//! What a diagnosis consists of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a user cannot log in, in the order of the way that a login takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RootCause {
    /// saslauthd does not run.
    SaslauthdDown,
    /// The asking daemon may not open saslauthd's socket: it is not in the socket's group.
    SaslauthdForbidden,
    /// smtpd runs in a chroot, in which saslauthd's socket is not.
    SmtpdChrooted,
    /// Neither the service's PAM file nor PAM's fallback `other` exists.
    PamFilesMissing,
    /// The service's PAM file is missing: PAM fell back to `other`, which does not ask sssd.
    PamFileMissing,
    /// The service's PAM file is there and says nothing: PAM fell back to `other`.
    PamFileEmpty,
    /// The service's PAM file is there and does not call `pam_sss`, as the one that distributions ship.
    PamFileStock,
    /// saslauthd remembers passwords (`-c`): who logged in before is let in though PAM would refuse, so the loss of the PAM file hides.
    CacheHidesLoss,
    /// sssd does not start: its configuration, or the mode of its file, is not as it wants it.
    SssdConfiguration,
    /// sssd does not run.
    SssdDown,
    /// The name of the directory's host is unknown, or no name server says.
    DirectoryUnnamed,
    /// The directory's host rejects the connection: nothing listens there, or a packet filter says no.
    DirectoryRejects,
    /// The directory's host does not answer: it is off, or a packet filter drops what is sent.
    DirectoryDrops,
    /// The directory takes the connection, and says nothing more: slapd hangs.
    DirectoryHangs,
    /// The certificate of the authority that sssd trusts is out of date.
    AuthorityExpired,
    /// The directory's certificate is not of the authority that sssd trusts.
    DirectoryUntrusted,
    /// The directory refuses sssd's own account: its password is wrong.
    SssdBindRefused,
    /// sssd could not reach the directory when the login was refused.
    DirectoryUnreachable,
    /// The directory has no such user.
    UnknownUser,
    /// The directory has the user, but not as a `posixAccount`, which sssd asks for.
    NotPosixAccount,
    /// The password is wrong.
    WrongPassword,
    /// The entry's `host` attribute does not admit this machine.
    HostAttribute,
    /// cyrus' list of denied users names the user.
    UserDenied,
    /// The login was refused, and no rule fits.
    Unknown,
    /// No login was refused, and nothing is wrong that is known here.
    Nothing,
}

impl fmt::Display for RootCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SaslauthdDown => "saslauthd does not run",
            Self::SaslauthdForbidden => "the daemon may not open saslauthd's socket",
            Self::SmtpdChrooted => "smtpd runs in a chroot, where saslauthd's socket is not",
            Self::PamFilesMissing => "the service's PAM file is missing, and so is /etc/pam.d/other",
            Self::PamFileMissing => "the service's PAM file is missing",
            Self::PamFileEmpty => "the service's PAM file says nothing",
            Self::PamFileStock => "the service's PAM file does not call pam_sss",
            Self::CacheHidesLoss => "saslauthd's cache of passwords hides from some users that PAM refuses them",
            Self::SssdConfiguration => "sssd does not start: its configuration is refused",
            Self::SssdDown => "sssd does not run",
            Self::DirectoryUnnamed => "the name of the directory's host is unknown",
            Self::DirectoryRejects => "the directory's host rejects connections",
            Self::DirectoryDrops => "the directory's host does not answer",
            Self::DirectoryHangs => "the directory takes connections, and does not answer",
            Self::AuthorityExpired => "the certificate of the authority is out of date",
            Self::DirectoryUntrusted => "the directory's certificate is not of the authority that sssd trusts",
            Self::SssdBindRefused => "the directory refuses sssd's own password",
            Self::DirectoryUnreachable => "sssd could not reach the directory",
            Self::UnknownUser => "the directory does not know the user",
            Self::NotPosixAccount => "the directory does not have the user as a posixAccount",
            Self::WrongPassword => "the password is wrong",
            Self::HostAttribute => "the entry's host attribute does not admit this machine",
            Self::UserDenied => "cyrus' list of denied users names the user",
            Self::Unknown => "the cause is unknown",
            Self::Nothing => "nothing is wrong that is known here",
        })
    }
}

/// How sure a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// The log of the refused login and the state of the system agree, or one of them leaves no other way.
    Certain,
    /// The state of the system is such that logins must fail, but no log shows one; or the log shows a failure that the state does
    /// not explain any more.
    Likely,
    /// It is wrong, but the log shows another cause.
    Possible,
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Possible => "possible",
        })
    }
}

/// A cause, why it is believed, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The cause.
    pub cause: RootCause,
    /// How sure that is.
    pub certainty: Certainty,
    /// What was seen: lines of logs and answers as they stand there, and what the state of a file or a unit is.
    pub evidence: Vec<String>,
    /// What to do next.
    pub cure: String,
}

/// What is known of one user's logins to one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagnosis {
    /// The user.
    pub user: String,
    /// The PAM service: `imap` or `smtp`.
    pub service: String,
    /// Whether the log shows a refusal.
    pub refused: bool,
    /// Causes, the most certain first; of equally certain ones that which a login meets first.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// The first cause, [`RootCause::Unknown`], or [`RootCause::Nothing`].
    #[must_use]
    pub fn cause(&self) -> RootCause {
        match self.findings.first() {
            Some(finding) => finding.cause,
            None if self.refused => RootCause::Unknown,
            None => RootCause::Nothing,
        }
    }

    /// Whether the cause is among those that were found.
    #[must_use]
    pub fn names(&self, cause: RootCause) -> bool {
        self.cause() == cause || self.findings.iter().any(|finding| finding.cause == cause)
    }
}
