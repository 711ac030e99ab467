//! Which processes of a machine have a socket to somebody, as far as that can be known: who has closed it leaves no trace here.

use super::flow::{Party, Protocol};
use std::net::SocketAddr;

/// Prints a line for each socket (ss(8)): `tcp SYN-SENT 0 1 10.20.1.10:37512 198.51.100.80:80 users:(("curl",pid=811,fd=5))`.
pub const COMMAND: &str = "ss --no-header --numeric --processes --all --tcp --udp";

/// A socket that is connected to somebody, or is about to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    protocol: Protocol,
    peer: SocketAddr,
    /// Who has it, each once.
    processes: Vec<Process>,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// What it calls itself.
    pub name: String,
    /// Its number.
    pub number: u32,
}

impl Socket {
    /// All in what [`COMMAND`] printed that have a peer and a process.
    #[must_use]
    pub fn read(text: &str) -> Vec<Self> {
        text.lines().filter_map(Self::read_line).collect()
    }

    fn read_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let protocol = match words.next()? {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return None,
        };
        let peer = words.nth(4)?;
        // An address is followed by its interface where it means something on that one only: `fe80::1%eth0`.
        let peer = peer.parse().ok()?;
        let mut processes: Vec<Process> = Vec::new();
        for user in line.split_once("users:(")?.1.split("(\"").skip(1) {
            let (name, rest) = user.rsplit_once("\",pid=")?;
            let number = rest.split(',').next()?.parse().ok()?;
            if !processes.iter().any(|known| known.number == number) {
                processes.push(Process { name: name.to_owned(), number });
            }
        }
        (!processes.is_empty()).then_some(Self { protocol, peer, processes })
    }
}

/// Who has a socket to a party: a few words, or none if nobody has.
#[must_use]
pub fn told(sockets: &[Socket], to: &Party, protocol: Protocol) -> Option<String> {
    let is_it = |socket: &&Socket| {
        socket.protocol == protocol && socket.peer.ip() == to.address && Some(socket.peer.port()) == to.port
    };
    let mut processes: Vec<&Process> = sockets.iter().filter(is_it).flat_map(|socket| &socket.processes).collect();
    processes.dedup();
    let told: Vec<_> =
        processes.iter().map(|process| format!("{} (process {})", process.name, process.number)).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"udp   UNCONN    0 0   0.0.0.0:68              0.0.0.0:*          users:(("systemd-network",pid=212,fd=19))
udp   ESTAB     0 0   10.20.1.10:51230        10.20.1.2:53       users:(("sa-update",pid=901,fd=4))
tcp   LISTEN    0 100 0.0.0.0:25              0.0.0.0:*          users:(("master",pid=640,fd=13))
tcp   SYN-SENT  0 1   10.20.1.10:37512        198.51.100.80:80   users:(("curl",pid=811,fd=5))
tcp   ESTAB     0 0   10.20.1.10:40022        10.20.0.20:636     users:(("sssd_be",pid=377,fd=21),("sssd_be",pid=377,fd=20),("a ",pid=1",pid=378,fd=2))
tcp   TIME-WAIT 0 0   10.20.1.10:40024        198.51.100.81:80
tcp   ESTAB     0 0   [2001:db8::10]:40026    [2001:db8::1]:443  users:(("http",pid=5,fd=3))
"#;

    #[rstest::rstest]
    #[case::about_to_connect("198.51.100.80", 80, Protocol::Tcp, Some("curl (process 811)"))]
    #[case::of_two("10.20.0.20", 636, Protocol::Tcp, Some("sssd_be (process 377), a \",pid=1 (process 378)"))]
    #[case::udp("10.20.1.2", 53, Protocol::Udp, Some("sa-update (process 901)"))]
    #[case::ipv6("2001:db8::1", 443, Protocol::Tcp, Some("http (process 5)"))]
    #[case::another_protocol("10.20.1.2", 53, Protocol::Tcp, None)]
    #[case::another_port("198.51.100.80", 443, Protocol::Tcp, None)]
    #[case::closed("198.51.100.81", 80, Protocol::Tcp, None)]
    fn who_has_a_socket(
        #[case] address: &str,
        #[case] port: u16,
        #[case] protocol: Protocol,
        #[case] expected: Option<&str>,
    ) {
        let to = Party { address: address.parse().unwrap(), port: Some(port), name: None };
        assert_eq!(told(&Socket::read(TEXT), &to, protocol).as_deref(), expected);
    }

    #[rstest::rstest]
    #[case::empty("")]
    #[case::cut("tcp ESTAB 0 0 10.20.1.10:1")]
    #[case::no_number("tcp ESTAB 0 0 10.20.1.10:1 10.20.1.2:2 users:((\"x\",pid=,fd=1))")]
    #[case::nonsense("\u{1b}[2J users:((\"")]
    fn what_is_no_socket_is_passed_over(#[case] text: &str) {
        assert_eq!(Socket::read(text), []);
    }
}
