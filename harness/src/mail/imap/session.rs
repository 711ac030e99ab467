//! An IMAP session: from the greeting through TLS and the login to the commands that the suite needs.

use super::super::client::{Client, Security};
use super::super::conversation::ConversationError;
use super::super::mask::MASK;
use super::super::message::MessageId;
use super::super::outcome::{Finding, Probe};
use super::super::tls::Verification;
use super::super::transcript::{Recorder, Transcript};
use super::super::wire::{Allowance, Wire};
use super::argument::Argument;
use super::response::{self, Response, Status, Value, Verdict};
use super::{Access, MailboxName, Mechanism};
use crate::time::Deadline;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// How long a goodbye may take: nothing depends on it.
const GOODBYE: Duration = Duration::from_secs(5);

/// A message's number in a mailbox, which outlives the session (RFC 3501 §2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Uid(pub u32);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the server says of a mailbox when it is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Selected {
    /// How many messages it holds.
    pub exists: u32,
    /// The epoch of its UIDs: a mailbox made anew has another one.
    pub uid_validity: Option<u32>,
    /// The UID that the next message will get.
    pub uid_next: Option<u32>,
}

/// A message as it lies in the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its flags, in capitals.
    pub flags: BTreeSet<String>,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// What a search looks for.
#[derive(Debug, Clone, Copy)]
pub enum Criterion<'a> {
    /// Every message.
    All,
    /// The message with this identifier.
    MessageId(&'a MessageId),
    /// Messages with these words in their subject.
    Subject(&'a str),
}

/// A part of a command.
enum Piece<'a> {
    /// Keywords, sent as they stand.
    Words(&'a str),
    /// A value, quoted as it needs.
    Value(&'a [u8]),
    /// A value that is not recorded.
    Secret(&'a [u8]),
}

/// What came before a command's `OK`.
#[derive(Debug, Default)]
struct Answer {
    data: Vec<Vec<Value>>,
    statuses: Vec<Status>,
}

impl Answer {
    /// The data responses that begin with `keyword`, without it.
    fn of<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a [Value]> {
        self.data.iter().filter_map(move |values| {
            let (first, rest) = values.split_first()?;
            (first.word()? == keyword).then_some(rest)
        })
    }

    /// The number in the response code `keyword`.
    fn code_number(&self, keyword: &str) -> Option<u32> {
        self.statuses.iter().find_map(|status| match status.code().as_slice() {
            [word, number, ..] if word == keyword => number.parse().ok(),
            _ => None,
        })
    }
}

/// A session that is logged in. Its deadline, given when it was opened, holds for all that it does.
pub struct Session {
    wire: Wire,
    commands: u32,
    capabilities: BTreeSet<String>,
    opened_after: f64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("commands", &self.commands).finish_non_exhaustive()
    }
}

impl Session {
    /// Connects and logs in. What fails is a finished probe that says how.
    pub async fn open(client: &Client, access: &Access, deadline: Deadline) -> Result<Self, Box<Probe>> {
        let mut session = Self::new(access, deadline);
        let result = match session.wire.connect(client, &access.endpoint, access.security).await {
            Ok(()) => session.enter(client, access).await,
            Err(error) => Err(error),
        };
        session.judged(result).await
    }

    /// A session that is not connected yet.
    pub(in crate::mail) fn new(access: &Access, deadline: Deadline) -> Self {
        let recorder = Recorder::new(Some(access.credentials.password()));
        Self { wire: Wire::new(deadline, recorder), commands: 0, capabilities: BTreeSet::new(), opened_after: 0.0 }
    }

    async fn judged(mut self, result: Result<(), ConversationError>) -> Result<Self, Box<Probe>> {
        self.opened_after = self.wire.recorder.seconds();
        match result {
            Ok(()) => Ok(self),
            Err(error) => {
                let finding = Finding::from(&error);
                let seconds = self.opened_after;
                if finding.is_refused() {
                    self.say_goodbye().await;
                } else {
                    self.wire.recorder.note(&error);
                }
                Err(Box::new(Probe::ended(finding, seconds, self.wire.recorder)))
            }
        }
    }

    /// From the greeting to the login.
    async fn enter(&mut self, client: &Client, access: &Access) -> Result<(), ConversationError> {
        self.greeting().await?;
        if access.security == Security::StartTls {
            self.command("STARTTLS", &[]).await?;
            self.wire.start_tls(client, &access.endpoint, Verification::Full).await?;
        }
        // What was said of capabilities before TLS counts for nothing (RFC 3501 §6.2.1).
        let answer = self.command("CAPABILITY", &[]).await?;
        self.capabilities = answer.of("CAPABILITY").flatten().filter_map(Value::word).collect();
        match access.mechanism {
            Mechanism::Login => self.log_in(access).await,
            Mechanism::AuthenticatePlain => self.authenticate_plain(access).await,
        }
    }

    /// A session that begins authenticated cannot be probed, and cannot be made private by STARTTLS.
    async fn greeting(&mut self) -> Result<(), ConversationError> {
        match response::read(&mut self.wire, "a greeting", &mut Allowance::full()).await? {
            Response::Status(Status { tag: None, verdict: Verdict::Ok, .. }) => Ok(()),
            Response::Status(status @ Status { tag: None, verdict: Verdict::Bye, .. }) => {
                Err(self.not_now("connection", &status))
            }
            Response::Status(status @ Status { verdict: Verdict::Preauth, .. }) => {
                Err(self.unexpected("a greeting that asks for a login", &status.text))
            }
            Response::Status(status) => Err(self.unexpected("a greeting by IMAP", &status.text)),
            Response::Data(_) | Response::Continuation => {
                Err(self.unexpected("a greeting by IMAP", b"another response"))
            }
        }
    }

    async fn log_in(&mut self, access: &Access) -> Result<(), ConversationError> {
        if self.capabilities.contains("LOGINDISABLED") {
            return Err(self.not_offered("LOGIN"));
        }
        let user = Piece::Value(access.credentials.user().as_bytes());
        let password = access.credentials.password().expose_secret();
        self.command("LOGIN", &[user, Piece::Secret(password.as_bytes())]).await.map(|_| ())
    }

    async fn authenticate_plain(&mut self, access: &Access) -> Result<(), ConversationError> {
        if !self.capabilities.contains("AUTH=PLAIN") {
            return Err(self.not_offered("AUTHENTICATE PLAIN"));
        }
        let response = access.credentials.sasl_plain();
        let tag = self.next_tag();
        let start = format!("{tag} AUTHENTICATE PLAIN");
        if self.capabilities.contains("SASL-IR") {
            self.wire.send_as(format!("{start} {response}").as_bytes(), format!("{start} {MASK}").as_bytes()).await?;
        } else {
            self.wire.send(start.as_bytes()).await?;
            self.go_ahead("AUTHENTICATE", &tag).await?;
            self.wire.send_as(response.as_bytes(), MASK.as_bytes()).await?;
        }
        self.completion("AUTHENTICATE", &tag).await.map(|_| ())
    }

    /// Seconds from the dialling to the login's verdict.
    pub fn opened_after(&self) -> f64 {
        self.opened_after
    }

    /// What the server offered before the login.
    pub fn capabilities(&self) -> &BTreeSet<String> {
        &self.capabilities
    }

    /// Makes a mailbox: as the administrator `user/alice`, the inbox of alice.
    pub async fn create(&mut self, mailbox: &MailboxName) -> Result<(), ConversationError> {
        self.command("CREATE", &[Piece::Value(mailbox.as_str().as_bytes())]).await.map(|_| ())
    }

    /// Gives `identifier` the `rights` (such as `lrswipkxtea`) on a mailbox (RFC 4314).
    pub async fn set_acl(
        &mut self,
        mailbox: &MailboxName,
        identifier: &str,
        rights: &str,
    ) -> Result<(), ConversationError> {
        let values = [mailbox.as_str(), identifier, rights].map(|value| Piece::Value(value.as_bytes()));
        self.command("SETACL", &values).await.map(|_| ())
    }

    /// Selects a mailbox, and so sees what has arrived in it.
    pub async fn select(&mut self, mailbox: &MailboxName) -> Result<Selected, ConversationError> {
        let answer = self.command("SELECT", &[Piece::Value(mailbox.as_str().as_bytes())]).await?;
        let exists = answer.data.iter().rev().find_map(|values| match values.as_slice() {
            [count, word] if word.word().as_deref() == Some("EXISTS") => count.number(),
            _ => None,
        });
        Ok(Selected {
            exists: exists.unwrap_or_default(),
            uid_validity: answer.code_number("UIDVALIDITY"),
            uid_next: answer.code_number("UIDNEXT"),
        })
    }

    /// The messages of the selected mailbox that match, in the order of their UIDs.
    pub async fn search(&mut self, criterion: Criterion<'_>) -> Result<Vec<Uid>, ConversationError> {
        let answer = match criterion {
            Criterion::All => self.command("UID SEARCH", &[Piece::Words("ALL")]).await?,
            Criterion::MessageId(id) => {
                let wanted = [Piece::Words("HEADER Message-ID"), Piece::Value(id.as_str().as_bytes())];
                self.command("UID SEARCH", &wanted).await?
            }
            Criterion::Subject(words) => {
                let key = if words.is_ascii() { "SUBJECT" } else { "CHARSET UTF-8 SUBJECT" };
                self.command("UID SEARCH", &[Piece::Words(key), Piece::Value(words.as_bytes())]).await?
            }
        };
        let mut uids: Vec<Uid> = answer.of("SEARCH").flatten().filter_map(Value::number).map(Uid).collect();
        uids.sort_unstable();
        Ok(uids)
    }

    /// The UIDs of all messages of the selected mailbox.
    pub async fn uids(&mut self) -> Result<Vec<Uid>, ConversationError> {
        self.search(Criterion::All).await
    }

    /// The whole message, byte for byte, without marking it as seen; none if there is no such message.
    pub async fn fetch(&mut self, uid: Uid) -> Result<Option<Vec<u8>>, ConversationError> {
        let answer = self.command("UID FETCH", &[Piece::Words(&format!("{uid} (BODY.PEEK[])"))]).await?;
        let mut items = answer.data.into_iter().filter_map(|values| match <[Value; 3]>::try_from(values).ok()? {
            [_, keyword, Value::List(items)] if keyword.word().as_deref() == Some("FETCH") => Some(items),
            _ => None,
        });
        Ok(items.find_map(|items| body_of(items, uid)))
    }

    /// The same with its flags, in capitals.
    pub async fn fetch_with_flags(&mut self, uid: Uid) -> Result<Option<Fetched>, ConversationError> {
        let answer = self.command("UID FETCH", &[Piece::Words(&format!("{uid} (FLAGS BODY.PEEK[])"))]).await?;
        let mut fetched = answer.data.into_iter().filter_map(|values| match <[Value; 3]>::try_from(values).ok()? {
            [_, keyword, Value::List(items)] if keyword.word().as_deref() == Some("FETCH") => Some(items),
            _ => None,
        });
        let of_message = |items: Vec<Value>| Some(Fetched { flags: flags_of(&items), body: body_of(items, uid)? });
        Ok(fetched.find_map(of_message))
    }

    /// Adds flags to a message.
    pub async fn flag(&mut self, uid: Uid, flags: &str) -> Result<(), ConversationError> {
        self.command("UID STORE", &[Piece::Words(&format!("{uid} +FLAGS ({flags})"))]).await.map(drop)
    }

    /// A place in the record to which [`Session::rewind`] goes back.
    pub(in crate::mail) fn mark(&self) -> usize {
        self.wire.recorder.mark()
    }

    /// Forgets what was recorded since `mark`.
    pub(in crate::mail) fn rewind(&mut self, mark: usize) {
        self.wire.recorder.rewind(mark);
    }

    /// Adds a remark to the record.
    pub(in crate::mail) fn note(&mut self, note: impl fmt::Display) {
        self.wire.recorder.note(note);
    }

    /// Logs out and hands back the record. Whether the server says goodbye does not matter.
    pub async fn logout(mut self) -> Transcript {
        self.say_goodbye().await;
        self.wire.recorder.finish()
    }

    async fn say_goodbye(&mut self) {
        self.wire.hurry(self.wire.deadline().at_most(GOODBYE));
        if let Err(error) = self.command("LOGOUT", &[]).await {
            self.wire.recorder.note(format_args!("no goodbye: {error}"));
        }
    }

    fn next_tag(&mut self) -> String {
        self.commands += 1;
        format!("a{}", self.commands)
    }

    /// Sends a command and awaits its `OK`.
    async fn command(&mut self, name: &str, pieces: &[Piece<'_>]) -> Result<Answer, ConversationError> {
        let tag = self.next_tag();
        let mut line = format!("{tag} {name}").into_bytes();
        let mut shown = line.clone();
        for piece in pieces {
            line.push(b' ');
            shown.push(b' ');
            let (value, secret) = match piece {
                Piece::Words(words) => {
                    line.extend_from_slice(words.as_bytes());
                    shown.extend_from_slice(words.as_bytes());
                    continue;
                }
                Piece::Value(value) => (value, false),
                Piece::Secret(value) => (value, true),
            };
            let inline = match Argument::of(value) {
                Argument::Inline(inline) => inline,
                Argument::Literal(literal) => {
                    let announcement = format!("{{{}}}", literal.len());
                    line.extend_from_slice(announcement.as_bytes());
                    shown.extend_from_slice(announcement.as_bytes());
                    self.wire.send_as(&line, &shown).await?;
                    self.go_ahead(name, &tag).await?;
                    line.clear();
                    shown.clear();
                    literal
                }
            };
            line.extend_from_slice(&inline);
            shown.extend_from_slice(if secret { MASK.as_bytes() } else { &inline });
        }
        self.wire.send_as(&line, &shown).await?;
        self.completion(name, &tag).await
    }

    /// Awaits the continuation request.
    async fn go_ahead(&mut self, name: &str, tag: &str) -> Result<(), ConversationError> {
        let awaited = format!("the go-ahead for {name}");
        let mut allowance = Allowance::full();
        loop {
            match response::read(&mut self.wire, &awaited, &mut allowance).await? {
                Response::Continuation => return Ok(()),
                Response::Data(_) => {}
                Response::Status(status) => {
                    if self.is_end(name, tag, &status)? {
                        return Err(self.unexpected(&awaited, &status.text));
                    }
                }
            }
        }
    }

    /// Awaits the tagged `OK` of a command and gathers what comes before it.
    async fn completion(&mut self, name: &str, tag: &str) -> Result<Answer, ConversationError> {
        let awaited = format!("an answer to {name}");
        let mut allowance = Allowance::full();
        let mut answer = Answer::default();
        loop {
            match response::read(&mut self.wire, &awaited, &mut allowance).await? {
                Response::Data(values) => answer.data.push(values),
                Response::Continuation => return Err(self.unexpected(&awaited, b"a continuation request")),
                Response::Status(status) => {
                    let ended = self.is_end(name, tag, &status)?;
                    answer.statuses.push(status);
                    if ended {
                        return Ok(answer);
                    }
                }
            }
        }
    }

    /// Whether a status is the `OK` of the command `tag`; an error if it ends the command in another way.
    fn is_end(&self, name: &str, tag: &str, status: &Status) -> Result<bool, ConversationError> {
        match (&status.tag, status.verdict) {
            (None, Verdict::Bye) if name != "LOGOUT" => Err(self.not_now(name, status)),
            (None, _) => Ok(false),
            (Some(other), _) if other != tag => Err(self.unexpected(&format!("an answer to {name}"), &status.text)),
            (Some(_), Verdict::Ok) => Ok(true),
            // No TLS is no verdict on anybody. Some servers say BAD, since they do not know the command (RFC 3501 §6.2.1).
            (Some(_), Verdict::No | Verdict::Bad) if name == "STARTTLS" => Err(ConversationError::NotOffered {
                feature: name.to_owned(),
                offered: self.wire.recorder.clean(&status.text),
            }),
            (Some(_), Verdict::No) if status.is_passing() => Err(self.not_now(name, status)),
            (Some(_), Verdict::No) => Err(ConversationError::Refused {
                command: name.to_owned(),
                reason: self.wire.recorder.clean(&status.text),
            }),
            (Some(_), _) => Err(self.unexpected(&format!("an answer to {name}"), &status.text)),
        }
    }

    fn not_now(&self, command: &str, status: &Status) -> ConversationError {
        ConversationError::NotNow { command: command.to_owned(), reason: self.wire.recorder.clean(&status.text) }
    }

    fn unexpected(&self, expected: &str, got: &[u8]) -> ConversationError {
        ConversationError::Unexpected { expected: expected.to_owned(), got: self.wire.recorder.clean(got) }
    }

    fn not_offered(&self, feature: &str) -> ConversationError {
        let offered = self.capabilities.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        ConversationError::NotOffered {
            feature: feature.to_owned(),
            offered: self.wire.recorder.clean(format!("it offers {offered}").as_bytes()),
        }
    }
}

/// The flags in the items of a `FETCH` response.
fn flags_of(items: &[Value]) -> BTreeSet<String> {
    let mut pairs = items.chunks_exact(2);
    let flags = pairs.find(|pair| pair[0].word().as_deref() == Some("FLAGS"));
    match flags {
        Some([_, Value::List(flags)]) => flags.iter().filter_map(Value::word).collect(),
        _ => BTreeSet::new(),
    }
}

/// The text in the items of a `FETCH` response, if they are of the message `uid`.
fn body_of(items: Vec<Value>, uid: Uid) -> Option<Vec<u8>> {
    let mut items = items.into_iter();
    let mut body = None;
    let mut is_wanted = false;
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        match (name.word()?.as_str(), value) {
            ("UID", value) => is_wanted = value.number() == Some(uid.0),
            ("BODY[]", Value::Text(text)) => body = Some(text),
            _ => {}
        }
    }
    body.filter(|_| is_wanted)
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
