//! Logins: the oracle of everything.

use crate::machine::{HostKeys, PRINT_HOST_KEYS, ssh};
use crate::mail::imap::{self, MailboxName};
use crate::mail::smtp;
use crate::mail::{Credentials, Finding, Outcome, Security};
use crate::scenario::format::step::{Credential, Expected, ImapLogin, Mailboxes, Privacy, SmtpLogin, SshLogin};
use crate::scenario::verbs::machine::clock::by_clock;
use crate::scenario::verbs::{Done, StepContext, StepError, decided};
use secrecy::SecretString;

impl StepContext<'_> {
    pub(crate) async fn imap(&self, on: &str, login: &ImapLogin) -> Result<Done, StepError> {
        let access = self.imap_access(on, login.user.get_ref(), login.password, login.mechanism, login.security)?;
        let client = self.client_by(on, login.clock.as_ref()).await?;
        let probe = imap::login(&client, &access, self.deadline()).await;
        let (user, port) = (login.user.get_ref(), access.endpoint.address.port());
        let way = format!("IMAP {user} {:?} port {port}{}", login.mechanism, by_clock(login.clock.as_ref()));
        let judged = login.expected().judge(&probe.finding);
        decided(&judged, way, Some(probe.transcript.to_string()))
    }

    pub(crate) async fn smtp(&self, on: &str, login: &SmtpLogin) -> Result<Done, StepError> {
        let access = self.smtp_access(on, login.user.get_ref(), login.password, login.mechanism, login.security)?;
        let client = self.client_by(on, login.clock.as_ref()).await?;
        let probe = smtp::authenticate(&client, &access, self.deadline()).await;
        let (user, port) = (login.user.get_ref(), access.endpoint.address.port());
        let way = format!("SMTP {user} {:?} port {port}{}", login.mechanism, by_clock(login.clock.as_ref()));
        let judged = login.expected().judge(&probe.finding);
        decided(&judged, way, Some(probe.transcript.to_string()))
    }

    pub(crate) async fn ssh(&self, on: &str, login: &SshLogin) -> Result<Done, StepError> {
        let deadline = self.deadline();
        let host = self.host(on)?;
        // A refusal means something only where sshd lets somebody in.
        let root = ssh::User { name: "root".into(), proof: ssh::Proof::Key(self.lab.identity().ssh_key().clone()) };
        // Asked past the network, on which somebody else may answer.
        let only_to = HostKeys::parse(&self.machine(on)?.succeed(PRINT_HOST_KEYS, deadline).await?);
        let password = self.password(login.user.get_ref(), Credential::Right)?;
        let user = ssh::User { name: login.user.get_ref().clone(), proof: ssh::Proof::Password { password, only_to } };
        let broken = |error: ssh::SshError| StepError::Broken(error.to_string());
        let control = self.lab.ssh_connection(host, deadline).await.map_err(broken)?;
        if let ssh::Login::Refused { reason } = ssh::login(control, root, deadline).await.map_err(broken)? {
            return Err(StepError::Broken(format!("ssh refuses even root with the lab's key: {reason}")));
        }
        let connection = self.lab.ssh_connection(host, deadline).await.map_err(broken)?;
        let answer = ssh::login(connection, user, deadline).await.map_err(broken)?;
        let finding = match answer {
            ssh::Login::Accepted => Finding::accepted(),
            ssh::Login::Refused { reason } => Finding::of(Outcome::Refused, reason),
        };
        let asked = format!("ssh {} with the right password, after root with the lab's key", login.user.get_ref());
        decided(&login.expected().judge(&finding), asked, None)
    }

    pub(crate) async fn mailboxes(&self, on: &str, mailboxes: &Mailboxes) -> Result<Done, StepError> {
        let access = self.imap_access(on, "cyrus", Credential::Right, imap::Mechanism::Login, Privacy::Tls)?;
        let asked = format!("IMAP cyrus CREATE for {} users", mailboxes.create.len());
        let mut session = match imap::Session::open(&self.client, &access, self.deadline()).await {
            Ok(session) => session,
            Err(probe) => {
                let judged = Expected::yes().judge(&probe.finding);
                return decided(&judged, asked, Some(probe.transcript.to_string()));
            }
        };
        for user in &mailboxes.create {
            let name = MailboxName::of_user(user.get_ref()).map_err(|error| StepError::Broken(error.to_string()))?;
            if let Err(error) = session.create(&name).await {
                return Err(StepError::Broken(format!("{name}: {error}")));
            }
        }
        let transcript = Some(session.logout().await.to_string());
        Ok(Done { asked, answered: "created".into(), transcript })
    }

    pub(crate) fn imap_access(
        &self,
        on: &str,
        user: &str,
        password: Credential,
        mechanism: imap::Mechanism,
        privacy: Privacy,
    ) -> Result<imap::Access, StepError> {
        let (port, security) = match privacy {
            Privacy::Tls => (imap::TLS_PORT, Security::ImplicitTls),
            Privacy::Starttls => (imap::PORT, Security::StartTls),
        };
        Ok(imap::Access {
            endpoint: self.endpoint(on, port)?,
            security,
            credentials: self.credentials(user, password)?,
            mechanism,
        })
    }

    pub(crate) fn smtp_access(
        &self,
        on: &str,
        user: &str,
        password: Credential,
        mechanism: smtp::Mechanism,
        privacy: Privacy,
    ) -> Result<smtp::Access, StepError> {
        let (port, security) = match privacy {
            Privacy::Tls => (smtp::TLS_PORT, Security::ImplicitTls),
            Privacy::Starttls => (smtp::SUBMISSION_PORT, Security::StartTls),
        };
        Ok(smtp::Access {
            endpoint: self.endpoint(on, port)?,
            security,
            credentials: self.credentials(user, password)?,
            mechanism,
        })
    }

    fn credentials(&self, user: &str, password: Credential) -> Result<Credentials, StepError> {
        Credentials::new(user, self.password(user, password)?).map_err(|error| StepError::Broken(error.to_string()))
    }

    pub(crate) fn password(&self, user: &str, credential: Credential) -> Result<SecretString, StepError> {
        let own = self
            .lab
            .identity()
            .password(user)
            .ok_or_else(|| StepError::Broken(format!("the lab has no password of {user}")))?;
        Ok(match credential {
            Credential::Right => own.plain().clone(),
            // As long as a right one, and no right one has a hyphen.
            Credential::Wrong => "not-the-right-passwd".to_owned().into(),
        })
    }
}
