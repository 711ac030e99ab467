//! An SMTP dialogue: greeting, EHLO, STARTTLS, AUTH, and single commands for what follows.

use super::super::client::{Client, Credentials, Endpoint, Security};
use super::super::conversation::ConversationError;
use super::super::mask::{self, MASK};
use super::super::outcome::{Finding, Probe};
use super::super::tls::{TlsError, Verification};
use super::super::transcript::Recorder;
use super::super::wire::Wire;
use super::reply::{self, RawReply, Reply};
use super::{Access, Mechanism, TransportTls};
use crate::time::Deadline;
use secrecy::ExposeSecret;
use std::time::Duration;

/// How long a goodbye may take: nothing depends on it.
const GOODBYE: Duration = Duration::from_secs(5);

const STARTTLS: &str = "STARTTLS";

/// What the client calls itself. Servers of the LAN do not verify it; an address literal is right for a host without a
/// name of its own (RFC 5321 §4.1.3).
const OWN_NAME: &str = "[127.0.0.1]";

/// What the server said that it can do.
#[derive(Debug, Default)]
struct Extensions {
    lines: Vec<String>,
}

impl Extensions {
    fn of(reply: &RawReply) -> Self {
        let keywords = reply.lines.iter().skip(1);
        Self { lines: keywords.map(|line| String::from_utf8_lossy(line).to_ascii_uppercase()).collect() }
    }

    fn offers(&self, keyword: &str) -> bool {
        self.lines.iter().any(|line| line.split(' ').next() == Some(keyword))
    }

    /// Whether `AUTH` names `mechanism`; old servers write `AUTH=`.
    fn authenticates_by(&self, mechanism: &str) -> bool {
        self.lines.iter().any(|line| {
            let mut words = line.split([' ', '=']);
            words.next() == Some("AUTH") && words.any(|word| word == mechanism)
        })
    }
}

/// A dialogue with one server.
pub(super) struct Session {
    pub(super) wire: Wire,
    extensions: Extensions,
}

impl Session {
    /// A dialogue that is not connected yet.
    pub(in crate::mail) fn new(credentials: Option<&Credentials>, deadline: Deadline) -> Self {
        let recorder = Recorder::new(credentials.map(Credentials::password));
        Self { wire: Wire::new(deadline, recorder), extensions: Extensions::default() }
    }

    /// Connects, says EHLO, makes the connection private, and logs in.
    pub(super) async fn open(&mut self, client: &Client, access: &Access) -> Result<(), ConversationError> {
        self.wire.connect(client, &access.endpoint, access.security).await?;
        self.enter(client, access).await
    }

    /// From the greeting to the login.
    pub(super) async fn enter(&mut self, client: &Client, access: &Access) -> Result<(), ConversationError> {
        self.greeting().await?;
        if access.security == Security::StartTls {
            self.start_tls(client, &access.endpoint, Verification::Full).await?;
        }
        self.authenticate(access).await
    }

    /// Connects as another server does, which has no login.
    pub(super) async fn open_for_transport(
        &mut self,
        client: &Client,
        endpoint: &Endpoint,
        tls: TransportTls,
    ) -> Result<(), ConversationError> {
        self.wire.connect(client, endpoint, Security::Cleartext).await?;
        self.greeting().await?;
        match tls {
            TransportTls::None => Ok(()),
            TransportTls::Required => self.start_tls(client, endpoint, Verification::None).await,
            TransportTls::Verified => self.start_tls(client, endpoint, Verification::Full).await,
            TransportTls::Opportunistic => self.start_tls_if_possible(client, endpoint).await,
        }
    }

    /// TLS where it works, and else none, as postfix with `smtp_tls_security_level = may`: a server that does not offer STARTTLS, or says
    /// no to it, is told all the same; where the handshake fails, over another connection.
    async fn start_tls_if_possible(&mut self, client: &Client, endpoint: &Endpoint) -> Result<(), ConversationError> {
        match self.start_tls(client, endpoint, Verification::None).await {
            Err(error) if is_without_tls(&error) => {
                self.wire.recorder.note(format_args!("goes on without TLS: {error}"));
                Ok(())
            }
            Err(ConversationError::Tls(error @ (TlsError::Handshake { .. } | TlsError::Broken { .. }))) => {
                self.wire.recorder.note(format_args!("begins again without TLS: {error}"));
                self.wire.connect(client, endpoint, Security::Cleartext).await?;
                self.greeting().await
            }
            other => other,
        }
    }

    /// Reads the greeting, and says EHLO.
    pub(super) async fn greeting(&mut self) -> Result<(), ConversationError> {
        let greeting = reply::read(&mut self.wire, "a greeting").await?;
        self.require("connection", greeting.code == 220, &greeting)?;
        self.ehlo().await
    }

    async fn ehlo(&mut self) -> Result<(), ConversationError> {
        let reply = self.exchange("EHLO", OWN_NAME).await?;
        self.require("EHLO", reply.code == 250, &reply)?;
        self.extensions = Extensions::of(&reply);
        Ok(())
    }

    async fn start_tls(
        &mut self,
        client: &Client,
        endpoint: &Endpoint,
        verification: Verification,
    ) -> Result<(), ConversationError> {
        if !self.extensions.offers(STARTTLS) {
            return Err(self.not_offered(STARTTLS));
        }
        let reply = self.exchange(STARTTLS, "").await?;
        self.require(STARTTLS, reply.code == 220, &reply)?;
        self.wire.start_tls(client, endpoint, verification).await?;
        // What was said before TLS counts for nothing (RFC 3207 §4.2).
        self.ehlo().await
    }

    async fn authenticate(&mut self, access: &Access) -> Result<(), ConversationError> {
        let keyword = access.mechanism.keyword();
        if !self.extensions.authenticates_by(keyword) {
            return Err(self.not_offered(&format!("AUTH {keyword}")));
        }
        let reply = match access.mechanism {
            Mechanism::Plain => self.auth_plain(&access.credentials).await?,
            Mechanism::Login => self.auth_login(&access.credentials).await?,
        };
        let answer = reply.clean(&self.wire);
        match answer.code {
            235 => Ok(()),
            // 535: the credentials are not right; 525: the account is disabled (RFC 4954 §6, X.7.13 of the registry of RFC 5248 registry).
            535 | 525 => Err(ConversationError::Refused { command: "AUTH".into(), reason: answer.to_string() }),
            // Encryption or another mechanism is asked for, or AUTH is not open here: nothing is said of the credentials.
            503 | 504 | 530 | 534 | 538 => Err(self.not_now("AUTH", &answer)),
            _ if answer.is_temporary() => Err(self.not_now("AUTH", &answer)),
            _ => Err(unexpected("a reply to AUTH", &answer)),
        }
    }

    async fn auth_plain(&mut self, credentials: &Credentials) -> Result<RawReply, ConversationError> {
        let line = format!("AUTH PLAIN {}", credentials.sasl_plain());
        self.wire.send_as(line.as_bytes(), format!("AUTH PLAIN {MASK}").as_bytes()).await?;
        reply::read(&mut self.wire, "a reply to AUTH").await
    }

    /// The server asks twice; its questions are base64 of `Username:` and `Password:`, and nobody checks their words.
    async fn auth_login(&mut self, credentials: &Credentials) -> Result<RawReply, ConversationError> {
        let asked = self.exchange("AUTH", "LOGIN").await?;
        if asked.code != 334 {
            return Ok(asked);
        }
        self.wire.send(mask::encode(credentials.user().as_bytes()).as_bytes()).await?;
        let asked = reply::read(&mut self.wire, "a reply to the user name").await?;
        if asked.code != 334 {
            return Ok(asked);
        }
        let password = mask::encode(credentials.password().expose_secret().as_bytes());
        self.wire.send_as(password.as_bytes(), MASK.as_bytes()).await?;
        reply::read(&mut self.wire, "a reply to the password").await
    }

    /// Sends a command and reads its reply.
    async fn exchange(&mut self, verb: &str, argument: &str) -> Result<RawReply, ConversationError> {
        let line = if argument.is_empty() { verb.to_owned() } else { format!("{verb} {argument}") };
        self.wire.send(line.as_bytes()).await?;
        reply::read(&mut self.wire, &format!("a reply to {verb}")).await
    }

    /// Sends a command and hands back its reply, whatever it says; 421 means that the server leaves (RFC 5321 §3.8).
    pub(super) async fn ask(&mut self, verb: &str, argument: &str) -> Result<Reply, ConversationError> {
        let reply = self.exchange(verb, argument).await?.clean(&self.wire);
        if reply.code == 421 { Err(self.not_now(verb, &reply)) } else { Ok(reply) }
    }

    /// Sends the text of a message, which the record only counts, and reads the reply to it.
    pub(super) async fn send_data(&mut self, data: &str) -> Result<Reply, ConversationError> {
        self.wire.recorder.client(format!("[message of {} bytes]", data.len()).as_bytes());
        self.wire.write(data.as_bytes()).await?;
        Ok(reply::read(&mut self.wire, "a reply to the message").await?.clean(&self.wire))
    }

    /// Says QUIT. Whether the server answers does not matter.
    pub(super) async fn say_goodbye(&mut self) {
        self.wire.hurry(self.wire.deadline().at_most(GOODBYE));
        if let Err(error) = self.exchange("QUIT", "").await {
            self.wire.recorder.note(format_args!("no goodbye: {error}"));
        }
    }

    /// Ends a login attempt with its verdict.
    pub(super) async fn into_probe(mut self, result: Result<(), ConversationError>) -> Probe {
        let seconds = self.wire.recorder.seconds();
        let finding = match &result {
            Ok(()) => Finding::accepted(),
            Err(error) => Finding::from(error),
        };
        self.close(&result).await;
        Probe::ended(finding, seconds, self.wire.recorder)
    }

    /// Takes leave of a server that still listens, and notes why of one that does not.
    pub(super) async fn close(&mut self, result: &Result<(), ConversationError>) {
        match result {
            Ok(()) | Err(ConversationError::Refused { .. }) => self.say_goodbye().await,
            Err(error) => self.wire.recorder.note(error),
        }
    }

    /// Before the login a negative reply says nothing of credentials: the service is not to be had.
    fn require(&self, what: &str, is_met: bool, reply: &RawReply) -> Result<(), ConversationError> {
        let clean = reply.clean(&self.wire);
        match clean.code {
            _ if is_met => Ok(()),
            400.. => Err(self.not_now(what, &clean)),
            _ => Err(unexpected(&format!("a reply to {what}"), &clean)),
        }
    }

    #[expect(clippy::unused_self, reason = "reads as its neighbours do")]
    fn not_now(&self, command: &str, reply: &Reply) -> ConversationError {
        ConversationError::NotNow { command: command.to_owned(), reason: reply.to_string() }
    }

    fn not_offered(&self, feature: &str) -> ConversationError {
        let offered = format!("it offers {}", self.extensions.lines.join(", "));
        ConversationError::NotOffered {
            feature: feature.to_owned(),
            offered: self.wire.recorder.clean(offered.as_bytes()),
        }
    }
}

/// Whether the server has no TLS, or none now. Both are said in a dialogue that can go on.
fn is_without_tls(error: &ConversationError) -> bool {
    match error {
        ConversationError::NotOffered { feature: command, .. } | ConversationError::NotNow { command, .. } => {
            command == STARTTLS
        }
        _ => false,
    }
}

fn unexpected(expected: &str, got: &Reply) -> ConversationError {
    ConversationError::Unexpected { expected: expected.to_owned(), got: got.to_string() }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
