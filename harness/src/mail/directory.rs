//! What a directory was asked, and by whom: a reader of slapd's log at level `stats` (slapd.conf(5), `loglevel`).
//!
//! A line of a request names its connection only; who connected stands in the line of the `ACCEPT`, perhaps hours before.
//! So connections are read from the whole log, and requests from the part of it that matters.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// A request of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The connection's number.
    pub connection: u64,
    /// What was asked: `BIND dn="…" method=128`, `SRCH base="…" …`.
    pub text: String,
}

/// The operations that a client asks for; what a connection's end or a result says is no request.
const OPERATIONS: [&str; 9] = ["BIND", "SRCH", "CMP", "ADD", "MOD", "MODRDN", "DEL", "PASSMOD", "EXT"];

/// The requests from `peer` in `log`, of which the first `skipped` lines are before the time that matters.
#[must_use]
pub fn requests_from(peer: IpAddr, log: &str, skipped: usize) -> Vec<Request> {
    let mut peers = BTreeMap::new();
    let mut requests = Vec::new();
    for (number, line) in log.lines().enumerate() {
        // Connection numbers begin anew with the daemon.
        if line.contains("slapd starting") {
            peers.clear();
        }
        let Some((connection, rest)) = connection(line) else { continue };
        if let Some(address) = accepted(rest) {
            peers.insert(connection, address);
        } else if number >= skipped
            && peers.get(&connection) == Some(&peer)
            && let Some(text) = operation(rest)
        {
            requests.push(Request { connection, text: text.to_owned() });
        }
    }
    requests
}

fn connection(line: &str) -> Option<(u64, &str)> {
    let (_, rest) = line.split_once("conn=")?;
    let (number, rest) = rest.split_once(' ')?;
    Some((number.parse().ok()?, rest))
}

/// The peer in `fd=14 ACCEPT from IP=10.20.0.10:41234 (IP=0.0.0.0:636)`.
fn accepted(rest: &str) -> Option<IpAddr> {
    let (_, peer) = rest.split_once("ACCEPT from IP=")?;
    let (address, _port) = peer.split(' ').next()?.rsplit_once(':')?;
    address.trim_matches(['[', ']']).parse().ok()
}

/// The operation in `op=1 BIND dn="" method=128`.
fn operation(rest: &str) -> Option<&str> {
    let (_, text) = rest.strip_prefix("op=")?.split_once(' ')?;
    let word = text.split(' ').next()?;
    // `SRCH attr=` continues the line before; `BIND … mech=` tells the end of one.
    let continued = text.starts_with("SRCH attr=") || text.contains(" mech=");
    (OPERATIONS.contains(&word) && !continued).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
slapd starting
conn=1000 fd=12 ACCEPT from IP=10.20.0.10:41234 (IP=0.0.0.0:636)
conn=1000 op=0 SRCH base=\"ou=people,dc=lan,dc=test\" scope=2 deref=0 filter=\"(uid=alice)\"
conn=1000 op=0 SRCH attr=objectClass uid
conn=1000 op=0 SEARCH RESULT tag=101 err=0 nentries=1 text=
conn=1001 fd=13 ACCEPT from IP=10.20.0.1:50000 (IP=0.0.0.0:636)
conn=1001 op=0 BIND dn=\"uid=alice,ou=people,dc=lan,dc=test\" method=128
conn=1002 fd=14 ACCEPT from IP=10.20.0.10:41240 (IP=0.0.0.0:636)
conn=1002 op=0 BIND dn=\"uid=alice,ou=people,dc=lan,dc=test\" method=128
conn=1002 op=0 BIND dn=\"uid=alice,ou=people,dc=lan,dc=test\" mech=SIMPLE bind_ssf=0 ssf=256
conn=1002 op=0 RESULT tag=97 err=49 text=
conn=1000 op=1 SRCH base=\"ou=people,dc=lan,dc=test\" scope=2 deref=0 filter=\"(uid=carol)\"
conn=1002 fd=14 closed
";

    #[rstest::rstest]
    #[case::all("10.20.0.10", 0, 3)]
    #[case::a_connection_from_before_the_window("10.20.0.10", 11, 1)]
    #[case::nothing_in_the_window("10.20.0.10", 12, 0)]
    #[case::somebody_else("10.20.0.1", 0, 1)]
    #[case::a_stranger("10.20.0.99", 0, 0)]
    fn requests_are_counted_by_peer_and_window(#[case] peer: IpAddr, #[case] skipped: usize, #[case] count: usize) {
        let requests = requests_from(peer, LOG, skipped);
        assert_eq!(requests.len(), count, "{requests:?}");
    }

    #[test]
    fn numbers_of_a_former_daemon_are_forgotten() {
        let log = format!("{LOG}slapd starting\nconn=1000 op=0 BIND dn=\"\" method=128\n");
        assert_eq!(requests_from("10.20.0.10".parse().unwrap(), &log, 13), []);
    }
}
