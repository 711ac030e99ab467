//! ssh, for scenarios that test ssh itself and for files.
//!
//! The library is blocking, and dropping one of its channels can block for ever when the peer died. So every session
//! has a thread of its own, the socket has a time-out, and the caller waits behind a deadline: a thread that hangs is
//! left behind and ends with its socket.

use super::host_keys::HostKeys;
use crate::time::{Deadline, Expired};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::oneshot;

/// The largest file that is copied out of a guest: twice the largest RAM disk of a distribution's kernel.
const LARGEST_FILE: u64 = 512 << 20;

/// How a user proves who it is.
#[derive(Debug, Clone)]
pub enum Proof {
    /// By password, which is only given to a server that has one of these keys.
    Password {
        /// The password.
        password: SecretString,
        /// Who may have it.
        only_to: HostKeys,
    },
    /// By a private key in OpenSSH format.
    Key(SecretString),
}

/// What sshd said to a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Login {
    /// The user is in.
    Accepted,
    /// The server refused these credentials.
    Refused {
        /// The server's words, by the library.
        reason: String,
    },
}

/// Why an ssh session did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// No ssh server, or it broke off.
    #[error("ssh: {0}")]
    Protocol(String),
    /// The login was refused where it had to work.
    #[error("ssh: {user} was refused: {reason}")]
    Refused {
        /// The user.
        user: String,
        /// The reason.
        reason: String,
    },
    /// Whoever answers is another server: no password was given.
    #[error("ssh: who answers has none of the machine's host keys, and was not given {user}'s password")]
    Stranger {
        /// The user.
        user: String,
    },
    /// A file could not be moved.
    #[error("ssh: {} could not be copied: {reason}", path.display())]
    Copy {
        /// The path in the guest.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// No end in time.
    #[error(transparent)]
    Expired(#[from] Expired),
}

/// Who logs in, and how.
#[derive(Debug, Clone)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The proof.
    pub proof: Proof,
}

/// Tries to log in over an open connection; both answers are results.
pub async fn login(connection: TcpStream, user: User, deadline: Deadline) -> Result<Login, SshError> {
    on_own_thread("an ssh login", deadline, move || match authenticated(connection, &user, deadline) {
        Ok(_) => Ok(Login::Accepted),
        Err(SshError::Refused { reason, .. }) => Ok(Login::Refused { reason }),
        Err(error) => Err(error),
    })
    .await
}

/// Copies a file out of the guest: its bytes and its permission bits.
pub async fn download(
    connection: TcpStream,
    user: User,
    path: PathBuf,
    deadline: Deadline,
) -> Result<(Vec<u8>, u32), SshError> {
    on_own_thread("a file from the guest", deadline, move || {
        let session = authenticated(connection, &user, deadline)?;
        let copy = |reason: String| SshError::Copy { path: path.clone(), reason };
        let (mut channel, stat) = session.scp_recv(&path).map_err(|error| copy(error.to_string()))?;
        let bytes = bounded(&mut channel, LARGEST_FILE).map_err(|error| copy(error.to_string()))?;
        Ok((bytes, u32::try_from(stat.mode() & 0o7777).unwrap_or(0o600)))
    })
    .await
}

/// Copies a file into the guest.
pub async fn upload(
    connection: TcpStream,
    user: User,
    path: PathBuf,
    mode: u32,
    bytes: Vec<u8>,
    deadline: Deadline,
) -> Result<(), SshError> {
    on_own_thread("a file to the guest", deadline, move || {
        let session = authenticated(connection, &user, deadline)?;
        send(&session, &path, mode, &bytes).map_err(|reason| SshError::Copy { path, reason })
    })
    .await
}

/// All bytes of a stream that has no more than `limit`.
fn bounded(stream: impl Read, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let limit = crate::size::Size::bytes(limit);
        return Err(std::io::Error::other(format!("it is larger than {limit}, which no file that is asked for is")));
    }
    Ok(bytes)
}

fn send(session: &ssh2::Session, path: &Path, mode: u32, bytes: &[u8]) -> Result<(), String> {
    let text = |error: ssh2::Error| error.to_string();
    let mode = i32::try_from(mode).map_err(|error| error.to_string())?;
    let mut channel = session.scp_send(path, mode, bytes.len() as u64, None).map_err(text)?;
    channel.write_all(bytes).map_err(|error| error.to_string())?;
    channel.send_eof().map_err(text)?;
    channel.wait_eof().map_err(text)?;
    channel.close().map_err(text)?;
    channel.wait_close().map_err(text)
}

fn authenticated(connection: TcpStream, user: &User, deadline: Deadline) -> Result<ssh2::Session, SshError> {
    let protocol = |error: ssh2::Error| SshError::Protocol(error.to_string());
    // The socket is blocking again: the library waits by itself, for so long.
    connection.set_nonblocking(false).map_err(|error| SshError::Protocol(error.to_string()))?;
    let mut session = ssh2::Session::new().map_err(protocol)?;
    let patience = deadline.remaining().max(Duration::from_millis(1));
    session.set_timeout(u32::try_from(patience.as_millis()).unwrap_or(u32::MAX));
    session.set_tcp_stream(connection);
    session.handshake().map_err(protocol)?;
    let answer = match &user.proof {
        Proof::Password { password, only_to } => {
            if !session.host_key().is_some_and(|(key, _)| only_to.holds(key)) {
                return Err(SshError::Stranger { user: user.name.clone() });
            }
            session.userauth_password(&user.name, password.expose_secret())
        }
        Proof::Key(key) => session.userauth_pubkey_memory(&user.name, None, key.expose_secret(), None),
    };
    match answer {
        Ok(()) => Ok(session),
        // LIBSSH2_ERROR_AUTHENTICATION_FAILED and LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED (libssh2.h)
        Err(error) if matches!(error.code(), ssh2::ErrorCode::Session(-18 | -19)) => {
            Err(SshError::Refused { user: user.name.clone(), reason: error.message().to_owned() })
        }
        Err(error) => Err(protocol(error)),
    }
}

async fn on_own_thread<T: Send + 'static>(
    what: &'static str,
    deadline: Deadline,
    work: impl FnOnce() -> Result<T, SshError> + Send + 'static,
) -> Result<T, SshError> {
    let (reply, answer) = oneshot::channel();
    std::thread::Builder::new()
        .name("ssh".into())
        .spawn(move || {
            let _ = reply.send(work());
        })
        .map_err(|error| SshError::Protocol(error.to_string()))?;
    let answer = deadline.bound(what, answer).await?;
    answer.map_err(|_| SshError::Protocol("its thread ended".into()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_not_read_to_it() {
        assert_eq!(bounded(&b"kernel"[..], 6).unwrap(), b"kernel");
        let error = bounded(std::io::repeat(0), 6).unwrap_err().to_string();
        assert!(error.contains("larger than 6 B"), "{error}");
    }
}
