//! What is said on a connection to a lab that is held.
//!
//! A message is a JSON value behind its length, four bytes with the highest first. The client says one [`Request`]; the
//! holder answers with [`Reply`]s. After [`Reply::Open`] the connection is a pipe, and carries bytes as they are.

use crate::machine::Output;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Changes when messages do.
pub(super) const FORMAT: u32 = 2;

/// The longest message, in bytes: the guest agent keeps 16 MiB of each of two streams.
const LONGEST: usize = 64 << 20;

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// To know how things stand.
    Status,
    /// A pipe to a TCP port of a machine.
    Connect {
        /// The machine.
        machine: String,
        /// Its port.
        port: u16,
    },
    /// A pipe to the console of a machine: what was shown lately comes first.
    Console {
        /// The machine.
        machine: String,
    },
    /// A shell command, run by the guest agent: it needs no network in the machine.
    Run {
        /// The machine.
        machine: String,
        /// The command.
        command: String,
    },
    /// root's key for ssh.
    Key,
    /// The lab's accounts with their passwords.
    Accounts,
    /// The lab as it was at a checkpoint.
    Rewind {
        /// The checkpoint.
        to: String,
    },
    /// The next steps.
    Resume {
        /// The last one: its number or part of its name; without one, all that are left.
        until: Option<String>,
        /// Without the one that comes next.
        skip: bool,
    },
    /// The end of the connection when the lab's holder ends.
    Watch,
    /// The end of the lab, and of its holder.
    Down,
}

/// What the holder answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// How things stand.
    Status(Status),
    /// From here on the connection is a pipe.
    Open,
    /// What a command left.
    Output {
        /// Its exit status.
        status: i64,
        /// Its standard output.
        stdout: String,
        /// Its standard error.
        stderr: String,
    },
    /// A key.
    Key(Secret),
    /// The accounts.
    Accounts(Vec<Account>),
    /// A line of progress; more answers follow.
    Says(String),
    /// It was done.
    Done,
    /// Steps were carried out, and one failed.
    Failed(String),
    /// It cannot be done.
    Refused(Refusal),
}

/// Why something cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Refusal {
    /// What was asked for is not there.
    #[error("{0}")]
    Unknown(String),
    /// It cannot be done at this moment.
    #[error("{0}")]
    NotNow(String),
    /// It did not work.
    #[error("{0}")]
    Broken(String),
}

/// A secret on its way to the person that it belongs to. Its [`fmt::Debug`] shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// An account of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: Secret,
}

/// How things stand with a lab that is held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// What goes on.
    pub state: State,
    /// How many steps are behind.
    pub done: usize,
    /// How many steps the case has.
    pub steps: usize,
    /// The step that comes next, if there is one.
    pub next: Option<NextStep>,
    /// States that one can go back to.
    pub checkpoints: Vec<String>,
    /// The machines.
    pub machines: Vec<Machine>,
    /// The names of the accounts.
    pub accounts: Vec<String>,
    /// A file with the certificate of the lab's authority, once there is a lab.
    pub authority: Option<PathBuf>,
}

/// What goes on in a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum State {
    /// It is being made, or steps are being carried out.
    Busy,
    /// It waits for a person.
    Held,
    /// The same, and the last step, or a machine, failed.
    Failed(String),
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextStep {
    /// Its number, from one.
    pub number: usize,
    /// Its sentence.
    pub name: String,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Its name with the domain, which its certificate is for.
    pub fqdn: String,
    /// Its address in the lab.
    pub address: Ipv4Addr,
    /// Whether it runs.
    pub runs: bool,
    /// The machine of the lab that runs it, if one does.
    pub inside: Option<String>,
}

impl From<Output> for Reply {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        Self::Output { status, stdout, stderr }
    }
}

/// Sends a message.
pub(super) async fn send(stream: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= LONGEST);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"))?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&bytes).await?;
    stream.flush().await
}

/// Receives a message. The end of the connection is an error.
pub(super) async fn receive<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {length} bytes is announced")));
    }
    let mut bytes = Vec::new();
    // No more memory than really comes.
    stream.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_ends_where_the_pipe_begins() {
        let mut line = Vec::new();
        send(&mut line, &Reply::Open).await.unwrap();
        line.extend(b"* OK server ready");
        let mut rest = line.as_slice();
        assert_eq!(receive::<Reply>(&mut rest).await.unwrap(), Reply::Open);
        assert_eq!(rest, b"* OK server ready");
    }

    #[rstest::rstest]
    #[case::nothing(&[], "early eof")]
    #[case::cut_off(&[0, 0, 0, 9, b'"'], "unexpected end of file")]
    #[case::endless(&[0xff; 4], "a message of 4294967295 bytes is announced")]
    #[case::no_json(&[0, 0, 0, 1, b'{'], "EOF while parsing")]
    #[case::another_message(b"\0\0\0\x06\"dawn\"", "unknown variant `dawn`")]
    #[tokio::test]
    async fn what_is_no_message_is_an_error(#[case] bytes: &[u8], #[case] words: &str) {
        let error = receive::<Request>(&mut &*bytes).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }

    #[test]
    fn secrets_do_not_show() {
        let account = Account { name: "alice".into(), password: Secret("sesame".into()) };
        let shown = format!("{:?} {:?}", Reply::Accounts(vec![account]), Reply::Key(Secret("sesame".into())));
        assert!(shown.contains("alice") && !shown.contains("sesame"), "{shown}");
    }
}
