//! Reads slapd's log (`loglevel stats`) and tells who asked the directory what: the proof that a mail server's requests
//! arrive, or that none does.
//!
//! A line is `conn=… fd=… ACCEPT …`, `conn=… op=… BIND …` and so on (OpenLDAP Administrator's Guide, 5.2), alone or
//! behind the prefix of syslog or of `journalctl -o short-iso-precise`. Give the *whole* log, since a connection may have
//! been accepted long before the time that matters, and ask for a window of it.

mod line;

use line::{Event, LogLine};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A connection of one run of slapd; the numbers begin anew when slapd starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionId {
    /// Which start of slapd within the log: 0 before the first `slapd starting`.
    pub run: u32,
    /// slapd's own number.
    pub number: u64,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// A host.
    Address(SocketAddr),
    /// A process of the same host, by a socket file.
    Local,
    /// The log begins after the connection did.
    Unknown,
}

impl Peer {
    /// The host's address.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            // An IPv4 client of a socket that listens on IPv6.
            Self::Address(address) => Some(address.ip().to_canonical()),
            Self::Local | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Local => f.write_str("the same host"),
            Self::Unknown => f.write_str("an unknown peer"),
        }
    }
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RequestKind {
    /// A login.
    Bind {
        /// As whom; empty for anonymous.
        dn: String,
        /// 128 for simple, 163 for SASL.
        method: u32,
    },
    /// A search.
    Search {
        /// Below which entry; empty for the root DSE.
        base: String,
        /// For what.
        filter: String,
    },
    /// A comparison.
    Compare {
        /// Of which entry.
        dn: String,
    },
    /// An extended operation, such as StartTLS.
    Extended {
        /// Which.
        oid: String,
    },
    /// A change: ADD, DEL, MOD or MODRDN.
    Change {
        /// Which.
        verb: String,
        /// Of which entry.
        dn: String,
    },
    /// The client takes leave.
    Unbind,
    /// Anything else, by slapd's word for it.
    Other {
        /// The word.
        verb: String,
    },
}

impl RequestKind {
    /// Whether the client wants to know something. An UNBIND only announces the end of a connection (RFC 4511, 4.3): a
    /// client that has nothing to ask sends it when a connection has been idle for long enough.
    #[must_use]
    pub fn asks(&self) -> bool {
        !matches!(self, Self::Unbind)
    }
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { dn, .. } => write!(f, "BIND {dn:?}"),
            Self::Search { base, filter } => write!(f, "SEARCH {base:?} {filter}"),
            Self::Compare { dn } => write!(f, "COMPARE {dn:?}"),
            Self::Extended { oid } => write!(f, "EXTENDED {oid}"),
            Self::Change { verb, dn } => write!(f, "{verb} {dn:?}"),
            Self::Unbind => f.write_str("UNBIND"),
            Self::Other { verb } => f.write_str(verb),
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestResult {
    /// The LDAP result code (RFC 4511 §4.1.9): 0 success, 32 no such object, 49 invalid credentials.
    pub code: u32,
    /// How many entries a search found.
    pub entries: Option<u32>,
}

/// One request to the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// On which connection.
    pub connection: ConnectionId,
    /// Its number on the connection.
    pub operation: u64,
    /// Who asks.
    pub peer: Peer,
    /// What.
    pub kind: RequestKind,
    /// The answer; none if the log ends before it, or there is none (UNBIND).
    pub result: Option<RequestResult>,
    /// The line of the log, from 1.
    pub line: usize,
    /// The line's timestamp, as it stands there.
    pub time: Option<String>,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.kind, self.peer)?;
        match self.result {
            Some(RequestResult { code, entries: Some(entries) }) => write!(f, ": result {code}, {entries} entries"),
            Some(RequestResult { code, entries: None }) => write!(f, ": result {code}"),
            None => Ok(()),
        }
    }
}

/// One connection to the directory. A client that does not trust the server's certificate leaves only this behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Which.
    pub id: ConnectionId,
    /// From where.
    pub peer: Peer,
    /// The line on which it was accepted, from 1.
    pub line: usize,
    /// Whether TLS was established on it.
    pub tls: bool,
    /// How it ended: empty for an orderly end, else slapd's words, such as `connection lost`. None if it is still open.
    pub closed: Option<String>,
}

/// Where a window of the log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since<'a> {
    /// At its begin.
    Start,
    /// After so many bytes: the size of the log at an earlier time.
    Byte(usize),
    /// After so many lines.
    Line(usize),
    /// After the last line that contains this text, such as a mark written by `logger`.
    Mark(&'a str),
}

/// A mark that is not in the log: nothing can be said of the time after it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the directory's log has no line with '{mark}'")]
pub struct MarkMissing {
    /// What was looked for.
    pub mark: String,
}

/// slapd's log, understood.
#[derive(Debug, Clone, Default)]
pub struct DirectoryLog {
    requests: Vec<Request>,
    connections: Vec<Connection>,
}

impl DirectoryLog {
    /// Reads a whole log. Lines that are not slapd's statistics are passed over.
    pub fn read(text: &str) -> Self {
        Reader::read(text)
    }

    /// Reads a whole log and keeps the requests and new connections after `since`.
    pub fn read_since(text: &str, since: Since<'_>) -> Result<Self, MarkMissing> {
        let first = match since {
            Since::Start => 0,
            Since::Byte(bytes) => lines_before(text, bytes),
            Since::Line(lines) => lines,
            Since::Mark(mark) => {
                let position = text.lines().collect::<Vec<_>>().iter().rposition(|line| line.contains(mark));
                position.ok_or_else(|| MarkMissing { mark: mark.to_owned() })? + 1
            }
        };
        let mut log = Self::read(text);
        log.requests.retain(|request| request.line > first);
        log.connections.retain(|connection| connection.line > first);
        Ok(log)
    }

    /// All requests, in the order of the log.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// The requests of one host.
    pub fn requests_from(&self, ip: IpAddr) -> Vec<&Request> {
        self.requests.iter().filter(|request| request.peer.ip() == Some(ip.to_canonical())).collect()
    }

    /// The requests on connections whose begin the log does not have. "No request from that host" is only proven if
    /// there are none of these.
    pub fn requests_of_unknown_peers(&self) -> Vec<&Request> {
        self.requests.iter().filter(|request| request.peer == Peer::Unknown).collect()
    }

    /// The connections that one host made.
    pub fn connections_from(&self, ip: IpAddr) -> Vec<&Connection> {
        self.connections.iter().filter(|connection| connection.peer.ip() == Some(ip.to_canonical())).collect()
    }
}

/// How many lines begin before byte `bytes`: a line that was being written there belongs to the time before.
fn lines_before(text: &str, bytes: usize) -> usize {
    let before = &text.as_bytes()[..bytes.min(text.len())];
    let complete = before.split(|byte| *byte == b'\n').count().saturating_sub(1);
    complete + usize::from(!before.is_empty() && !before.ends_with(b"\n"))
}

/// Gathers what belongs together while the lines pass.
#[derive(Default)]
struct Reader {
    run: u32,
    log: DirectoryLog,
    connections: HashMap<ConnectionId, usize>,
    requests: HashMap<(ConnectionId, u64), usize>,
}

impl Reader {
    fn read(text: &str) -> DirectoryLog {
        let lines: Vec<(usize, LogLine<'_>)> =
            text.lines().enumerate().filter_map(|(index, line)| Some((index + 1, LogLine::parse(line)?))).collect();
        // `slapd -d stats` writes each line to its standard error and, without the time in hexadecimal, to syslog.
        let has_syslog = lines.iter().any(|(_, line)| !line.is_debug_copy);
        let mut reader = Self::default();
        for (number, line) in lines {
            if !(has_syslog && line.is_debug_copy) {
                reader.take(number, &line);
            }
        }
        reader.log
    }

    fn take(&mut self, number: usize, line: &LogLine<'_>) {
        let id = |run, number| ConnectionId { run, number };
        match &line.event {
            Event::Starting => self.run += 1,
            Event::Accept { connection, peer } => {
                let id = id(self.run, *connection);
                self.connections.insert(id, self.log.connections.len());
                let accepted = Connection { id, peer: peer.clone(), line: number, tls: false, closed: None };
                self.log.connections.push(accepted);
            }
            Event::Tls { connection } => {
                if let Some(connection) = self.connection(id(self.run, *connection)) {
                    connection.tls = true;
                }
            }
            Event::Closed { connection, reason } => {
                if let Some(connection) = self.connection(id(self.run, *connection)) {
                    connection.closed = Some(reason.clone());
                }
            }
            Event::Request { connection, operation, kind } => {
                self.request(id(self.run, *connection), *operation, kind, number, line.time);
            }
            Event::Result { connection, operation, result } => {
                let request = self.requests.get(&(id(self.run, *connection), *operation));
                if let Some(request) = request.and_then(|index| self.log.requests.get_mut(*index)) {
                    request.result = Some(*result);
                }
            }
        }
    }

    /// One operation may have several lines (a BIND that succeeds, the attributes of a search): the first names it.
    fn request(
        &mut self,
        connection: ConnectionId,
        operation: u64,
        kind: &RequestKind,
        line: usize,
        time: Option<&str>,
    ) {
        let key = (connection, operation);
        if self.requests.contains_key(&key) {
            return;
        }
        let peer = self.connection(connection).map_or(Peer::Unknown, |connection| connection.peer.clone());
        self.requests.insert(key, self.log.requests.len());
        self.log.requests.push(Request {
            connection,
            operation,
            peer,
            kind: kind.clone(),
            result: None,
            line,
            time: time.map(str::to_owned),
        });
    }

    fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get(&id).and_then(|index| self.log.connections.get_mut(*index))
    }
}

#[cfg(test)]
mod tests;
