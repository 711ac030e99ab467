//! Mail as a client sees it: probes that speak real IMAP and SMTP to a server and say in types what happened, with a
//! transcript of the dialogue; and readers of the logs that tell why.
//!
//! - [`client`]: where a probe stands: the network that it dials from, the CA that it trusts, who logs in.
//! - [`imap`], [`smtp`]: the two protocols; [`delivery`] joins them: submit as one user, wait until another sees it.
//! - [`outcome`], [`transcript`]: what every probe hands back.
//! - [`directory`]: a pure reader of slapd's log.
//! - [`diagnosis`]: why a user cannot log in, by a machine's state and what the directory answers, too.
//!
//! The room may use time and the host's sockets, which it reaches only through a [`Dialer`]. It must not know guests,
//! labs or scenarios. Whatever a server says is untrusted: it is bounded, escaped, and cleared of the password before it is kept.

pub mod client;
mod conversation;
pub mod delivery;
pub mod diagnosis;
pub mod directory;
pub mod imap;
pub mod load;
pub mod mailbox;
mod mask;
pub mod message;
pub mod neighbour;
pub mod outcome;
pub mod smtp;
pub mod tls;
pub mod transcript;
mod wire;

pub use client::{Client, Credentials, Dialer, Endpoint, HostDialer, Security};
pub use conversation::ConversationError;
pub use outcome::{Finding, Outcome, Probe};
pub use transcript::Transcript;

/// Reads anything as what an IMAP server, or an SMTP server, sends.
#[cfg(any(test, fuzzing))]
pub(crate) async fn fuzz(is_imap: bool, bytes: &[u8]) {
    let password = secrecy::SecretString::from("alicepw");
    let recorder = transcript::Recorder::new(Some(&password));
    let mut wire = wire::Wire::new(crate::time::Deadline::after(std::time::Duration::from_secs(10)), recorder);
    wire.attach(tokio::io::join(std::io::Cursor::new(bytes.to_vec()), tokio::io::sink()));
    if is_imap {
        imap::fuzz(&mut wire).await;
    } else {
        smtp::fuzz(&mut wire).await;
    }
    let shown = wire.recorder.finish().to_string();
    assert!(!shown.contains("alicepw"), "a password is in the transcript");
}

#[cfg(test)]
mod dialogue;
