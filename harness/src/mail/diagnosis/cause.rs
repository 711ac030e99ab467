//! What a diagnosis consists of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a user cannot log in, in the order of the way that a login takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RootCause {
    /// The service's own daemon does not run: postfix, or cyrus' master.
    ServiceDown,
    /// A daemon that the login needs dies: its last words say why.
    DaemonDies,
    /// The service's own TLS does not work: its certificate or key cannot be read.
    ServiceTls,
    /// postfix offers no authentication where logins should be.
    AuthOff,
    /// smtpd dies at each connection: no SASL mechanism is left that it may offer.
    NoMechanisms,
    /// The daemon does not ask saslauthd for passwords: SASL's configuration is missing, or says something else.
    PasswordVerifier,
    /// The client chose a mechanism that needs secrets of SASL's own database, which saslauthd does not have.
    SecretMechanism,
    /// saslauthd does not run.
    SaslauthdDown,
    /// The asking daemon may not open saslauthd's socket: it is not in the socket's group.
    SaslauthdForbidden,
    /// AppArmor or SELinux forbids a daemon what the login needs.
    Confined,
    /// smtpd runs in a chroot, in which saslauthd's socket is not.
    SmtpdChrooted,
    /// saslauthd's socket is not where the daemons look for it.
    SaslauthdElsewhere,
    /// All processes of saslauthd are busy.
    SaslauthdBusy,
    /// saslauthd did not answer when the login was refused; it runs now.
    SaslauthdSilent,
    /// saslauthd does not ask PAM: its mechanism is another one.
    SaslauthdMechanism,
    /// saslauthd cuts the domain off the user's name (no `-r`), and the directory knows the user only with it.
    RealmStripped,
    /// Neither the service's PAM file nor PAM's fallback `other` exists.
    PamFilesMissing,
    /// The service's PAM file is missing: PAM fell back to `other`, which does not ask sssd.
    PamFileMissing,
    /// The service's PAM file is there and says nothing: PAM fell back to `other`.
    PamFileEmpty,
    /// The service's PAM file is there and does not call `pam_sss`, as the one that distributions ship.
    PamFileStock,
    /// The service's PAM file names `pam_sss`, and PAM gives up before it comes there.
    PamStackOrder,
    /// A file that the service's PAM file includes does not exist.
    PamIncludeMissing,
    /// PAM does not understand a line of the service's PAM file.
    PamFileBroken,
    /// A module that the service's PAM file names is not installed, or cannot be loaded.
    PamModuleMissing,
    /// Another PAM module than `pam_sss` refuses the user.
    PamModuleRefuses,
    /// saslauthd remembers passwords (`-c`): who logged in before is let in though PAM would refuse, so the loss of the PAM file hides.
    CacheHidesLoss,
    /// sssd does not start: its configuration, or the owner or mode of its file, is not as it wants it.
    SssdConfiguration,
    /// sssd cannot use its cache: it is damaged, has no room, or is not its own.
    SssdCache,
    /// sssd does not run.
    SssdDown,
    /// sssd runs without its PAM responder.
    SssdWithoutPam,
    /// sssd did not answer PAM when the login was refused; it runs now.
    SssdSilent,
    /// sssd failed while it was asked (PAM's system error).
    SssdFails,
    /// The name of the directory's host is unknown, or no name server says.
    DirectoryUnnamed,
    /// The directory's host rejects the connection: nothing listens there, or a packet filter says no.
    DirectoryRejects,
    /// The directory's host does not answer: it is off, or a packet filter drops what is sent.
    DirectoryDrops,
    /// The directory takes the connection, and says nothing more: slapd hangs.
    DirectoryHangs,
    /// TLS with the directory fails before a certificate is judged: no common version, no TLS there, or a cut connection.
    DirectoryHandshake,
    /// The certificate of the authority that sssd trusts is out of date.
    AuthorityExpired,
    /// The file of authorities that sssd is to trust does not exist.
    AuthorityMissing,
    /// The directory's own certificate is out of date.
    CertificateExpired,
    /// The directory's certificate is for another name than sssd uses.
    CertificateName,
    /// The directory's certificate has a key or a signature that is too weak for this machine.
    CertificateWeak,
    /// The directory's certificate is not of the authority that sssd trusts.
    DirectoryUntrusted,
    /// The directory answers nobody without encryption, or without a name.
    DirectoryWantsTls,
    /// The directory refuses sssd's own account: its password is wrong.
    SssdBindRefused,
    /// The directory has nothing at the place where sssd searches.
    SearchBaseMissing,
    /// sssd could not reach the directory when the login was refused.
    DirectoryUnreachable,
    /// The directory has no such user.
    UnknownUser,
    /// The directory has the user, but not as a `posixAccount`, which sssd asks for.
    NotPosixAccount,
    /// The directory has the user, and sssd's configuration hides it.
    UserHidden,
    /// The password is wrong.
    WrongPassword,
    /// The account is locked after too many wrong passwords, or by hand.
    AccountLocked,
    /// The password is out of date: a new one is demanded (PAM 12).
    PasswordExpired,
    /// The account is out of date (PAM 13).
    AccountExpired,
    /// The entry's `host` attribute does not admit this machine.
    HostAttribute,
    /// sssd's own lists (`access_provider = simple`) do not admit the user.
    AccessSimple,
    /// sssd's `ldap_access_filter` does not admit the user, or is missing.
    AccessFilter,
    /// sssd's access rules do not admit the user.
    AccessDenied,
    /// cyrus' list of denied users names the user.
    UserDenied,
    /// Something is wrong, or the login was refused, and no rule explains it.
    Unexplained,
    /// No login was refused, and nothing is wrong that is known here.
    Nothing,
}

impl fmt::Display for RootCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServiceDown => "the service's daemon does not run",
            Self::DaemonDies => "a daemon that the login needs dies",
            Self::ServiceTls => "the service's own TLS does not work",
            Self::AuthOff => "postfix offers no authentication",
            Self::NoMechanisms => "smtpd has no SASL mechanism to offer, and dies",
            Self::PasswordVerifier => "the daemon does not ask saslauthd for passwords",
            Self::SecretMechanism => "the client chose a SASL mechanism that saslauthd cannot serve",
            Self::SaslauthdDown => "saslauthd does not run",
            Self::SaslauthdForbidden => "the daemon may not open saslauthd's socket",
            Self::Confined => "AppArmor or SELinux forbids a daemon what the login needs",
            Self::SmtpdChrooted => "smtpd runs in a chroot, where saslauthd's socket is not",
            Self::SaslauthdElsewhere => "saslauthd's socket is not where the daemon looks for it",
            Self::SaslauthdBusy => "saslauthd is busy and takes no more questions",
            Self::SaslauthdSilent => "saslauthd did not answer then, and runs now",
            Self::SaslauthdMechanism => "saslauthd does not ask PAM",
            Self::RealmStripped => "saslauthd cuts the domain off the user's name",
            Self::PamFilesMissing => "the service's PAM file is missing, and so is /etc/pam.d/other",
            Self::PamFileMissing => "the service's PAM file is missing",
            Self::PamFileEmpty => "the service's PAM file says nothing",
            Self::PamFileStock => "the service's PAM file does not call pam_sss",
            Self::PamStackOrder => "PAM gives up before it asks pam_sss",
            Self::PamIncludeMissing => "a file that the service's PAM file includes is missing",
            Self::PamFileBroken => "PAM does not understand a line of the service's PAM file",
            Self::PamModuleMissing => "a PAM module that the service's PAM file names cannot be opened",
            Self::PamModuleRefuses => "a PAM module refuses the user",
            Self::CacheHidesLoss => "saslauthd's cache of passwords hides from some users that PAM refuses them",
            Self::SssdConfiguration => "sssd does not start: its configuration is refused",
            Self::SssdCache => "sssd cannot use its cache",
            Self::SssdDown => "sssd does not run",
            Self::SssdWithoutPam => "sssd runs without its PAM responder",
            Self::SssdSilent => "sssd did not answer PAM then, and runs now",
            Self::SssdFails => "sssd failed while it was asked",
            Self::DirectoryUnnamed => "the name of the directory's host is unknown",
            Self::DirectoryRejects => "the directory's host rejects connections",
            Self::DirectoryDrops => "the directory's host does not answer",
            Self::DirectoryHangs => "the directory takes connections, and does not answer",
            Self::DirectoryHandshake => "TLS with the directory fails before a certificate is judged",
            Self::AuthorityExpired => "the certificate of the authority is out of date",
            Self::AuthorityMissing => "the file of the authority that sssd is to trust is missing",
            Self::CertificateExpired => "the directory's certificate is out of date",
            Self::CertificateName => "the directory's certificate is for another name",
            Self::CertificateWeak => "the directory's certificate is too weak for this machine",
            Self::DirectoryUntrusted => "the directory's certificate is not of the authority that sssd trusts",
            Self::DirectoryWantsTls => "the directory does not answer who asks as sssd does",
            Self::SssdBindRefused => "the directory refuses sssd's own password",
            Self::SearchBaseMissing => "the directory has nothing where sssd searches",
            Self::DirectoryUnreachable => "sssd could not reach the directory",
            Self::UnknownUser => "the directory does not know the user",
            Self::NotPosixAccount => "the directory does not have the user as a posixAccount",
            Self::UserHidden => "sssd's configuration hides the user",
            Self::WrongPassword => "the password is wrong",
            Self::AccountLocked => "the account is locked",
            Self::PasswordExpired => "the password is out of date",
            Self::AccountExpired => "the account is out of date",
            Self::HostAttribute => "the entry's host attribute does not admit this machine",
            Self::AccessSimple => "sssd's lists of users do not admit the user",
            Self::AccessFilter => "sssd's access filter does not admit the user",
            Self::AccessDenied => "sssd's access rules do not admit the user",
            Self::UserDenied => "cyrus' list of denied users names the user",
            Self::Unexplained => "something is wrong that is not explained here",
            Self::Nothing => "no login was refused, and nothing is wrong that is known here",
        })
    }
}

/// How sure a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// The log of the refused login and the state of the system agree, and nothing contradicts them.
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
    /// What is known to be wrong and belongs to no finding: the lines of the refusal, last words of daemons, statuses.
    #[serde(default)]
    pub unexplained: Vec<String>,
    /// What is worth knowing and hinders nobody.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Diagnosis {
    /// The first cause, [`RootCause::Unexplained`], or [`RootCause::Nothing`].
    #[must_use]
    pub fn cause(&self) -> RootCause {
        match self.findings.first() {
            Some(finding) => finding.cause,
            None if self.refused || !self.unexplained.is_empty() => RootCause::Unexplained,
            None => RootCause::Nothing,
        }
    }

    /// The same for a login that is known to have failed, whatever the log says of it.
    #[must_use]
    pub fn of_failed_login(mut self) -> Self {
        self.refused = true;
        self
    }

    /// Whether the cause is among those that were found.
    #[must_use]
    pub fn names(&self, cause: RootCause) -> bool {
        self.cause() == cause || self.findings.iter().any(|finding| finding.cause == cause)
    }
}
