//! The log of a packet filter, held against packets: both must tell the same.

use super::flow::{Answer, Direction, Flow, Protocol};
use jiff::Timestamp;
use std::fmt;
use std::net::IpAddr;

/// A packet that a filter has logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// When, by the clock of the machine that has the filter.
    pub at: Timestamp,
    /// Where it came from.
    pub from: (IpAddr, Option<u16>),
    /// Where it was to go.
    pub to: (IpAddr, Option<u16>),
    /// What it was.
    pub protocol: Protocol,
}

impl fmt::Display for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |(address, port): (IpAddr, Option<u16>)| {
            port.map_or_else(|| address.to_string(), |port| std::net::SocketAddr::new(address, port).to_string())
        };
        write!(f, "{} → {}/{}", end(self.from), end(self.to), self.protocol)
    }
}

impl Logged {
    /// Reads a line of `journalctl --dmesg --output short-unix` as Linux writes it for a rule of nftables with a log prefix
    /// (`net/netfilter/nf_log_syslog.c`); nothing, if it is another one.
    #[must_use]
    pub fn read(line: &str, prefix: &str) -> Option<Self> {
        let (head, packet) = line.split_once(prefix)?;
        let seconds: f64 = head.split_whitespace().next()?.parse().ok()?;
        let field = |name: &str| packet.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let protocol = match field("PROTO")? {
            "TCP" => Protocol::Tcp,
            "UDP" => Protocol::Udp,
            "ICMP" | "ICMPv6" => Protocol::Icmp,
            number => Protocol::Other(number.parse().ok()?),
        };
        let port = |name| field(name).and_then(|port| port.parse().ok());
        #[expect(clippy::cast_possible_truncation, reason = "a time of these centuries fits by far")]
        let at = Timestamp::from_microsecond((seconds * 1e6) as i64).ok()?;
        let (from, to) = ((field("SRC")?.parse().ok()?, port("SPT")), (field("DST")?.parse().ok()?, port("DPT")));
        Some(Self { at, from, to, protocol })
    }

    fn is_of(&self, flow: &Flow) -> bool {
        let ends = ((flow.from.address, flow.from.port), (flow.to.address, flow.to.port));
        self.protocol == flow.protocol && (self.from, self.to) == ends
    }
}

/// Where log and packets disagree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disagreement {
    /// Logged as refused, and no packet of it was seen.
    pub without_packet: Vec<Logged>,
    /// Logged as refused, and all the same somebody answered.
    pub answered: Vec<Logged>,
    /// Contacts that nobody answered, and that are not in the log.
    pub not_logged: Vec<Flow>,
}

impl Disagreement {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.without_packet.is_empty() && self.answered.is_empty() && self.not_logged.is_empty()
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let logged = |words: &'static str| move |logged: &Logged| format!("{logged} {words}");
        let seen =
            |flow: &Flow| format!("{} → {}/{} had no answer, and is not in the log", flow.from, flow.to, flow.protocol);
        let all = self.without_packet.iter().map(logged("is in the log, and no packet of it was seen"));
        let all = all.chain(self.answered.iter().map(logged("is in the log, and was answered")));
        let all: Vec<_> = all.chain(self.not_logged.iter().map(seen)).collect();
        f.write_str(&all.join("; "))
    }
}

/// Holds what a filter has logged against the flows of the machine that it stands before. Of what was logged before `from` no
/// packets are expected: they are from before the capture.
#[must_use]
pub fn compare(log: &[Logged], flows: &[Flow], from: Timestamp) -> Disagreement {
    let outgoing = || flows.iter().filter(|flow| flow.direction == Direction::Outgoing);
    let mut found = Disagreement::default();
    for logged in log {
        match outgoing().find(|flow| logged.is_of(flow)) {
            Some(flow) if flow.answer == Answer::Answered => found.answered.push(logged.clone()),
            None if logged.at >= from => found.without_packet.push(logged.clone()),
            Some(_) | None => {}
        }
    }
    let refused = outgoing().filter(|flow| flow.contact.is_some() && flow.answer != Answer::Answered);
    found.not_logged = refused.filter(|flow| !log.iter().any(|logged| logged.is_of(flow))).cloned().collect();
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::{begun, party};
    use super::*;

    const PREFIX: &str = "perimeter-refused ";

    fn line(port: u16) -> String {
        format!(
            "1700000000.500000 edge kernel: perimeter-refused IN=eth1 OUT=eth0 MAC=52:54:00:4c:00:03:52:54:00:4c:00:00:08:00 \
             SRC=10.20.1.10 DST=192.0.2.99 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=4711 DF PROTO=TCP SPT={port} DPT=443 WINDOW=64240 RES=0x00 SYN URGP=0 "
        )
    }

    fn flow(port: u16, answer: Answer) -> Flow {
        begun(party("10.20.1.10", Some(port), None), party("192.0.2.99", Some(443), None), Protocol::Tcp, answer)
    }

    #[test]
    fn a_line_of_the_kernel_is_read() {
        let logged = Logged::read(&line(40000), PREFIX).unwrap();
        assert_eq!(logged.to_string(), "10.20.1.10:40000 → 192.0.2.99:443/tcp");
        assert_eq!(logged.at.as_millisecond(), 1_700_000_000_500);
    }

    #[rstest::rstest]
    #[case::other_prefix("1700000000.5 edge kernel: own-refused SRC=10.20.1.10 DST=192.0.2.99 PROTO=TCP SPT=1 DPT=2")]
    #[case::cut("1700000000.5 edge kernel: perimeter-refused IN=eth1 OUT=eth0 SRC=10.20.1.10 DST=192.0")]
    #[case::no_time("Nov 25 edge kernel: perimeter-refused SRC=10.20.1.10 DST=192.0.2.99 PROTO=TCP SPT=1 DPT=2")]
    fn other_lines_are_none(#[case] line: &str) {
        assert_eq!(Logged::read(line, PREFIX), None);
    }

    #[rstest::rstest]
    #[case::agreed(&[40000], &[(40000, Answer::None), (40001, Answer::Answered)], 0, "")]
    #[case::rejected(&[40000], &[(40000, Answer::Refused)], 0, "")]
    #[case::repeated(&[40000, 40000], &[(40000, Answer::None)], 0, "")]
    #[case::no_packet(&[40000], &[], 0, "10.20.1.10:40000 → 192.0.2.99:443/tcp is in the log, and no packet of it was seen")]
    #[case::before_the_capture(&[40000], &[], 1_700_000_001, "")]
    #[case::answered(&[40000], &[(40000, Answer::Answered)], 0, "10.20.1.10:40000 → 192.0.2.99:443/tcp is in the log, and was answered")]
    #[case::another_port(
        &[40000],
        &[(40001, Answer::None)],
        0,
        "10.20.1.10:40000 → 192.0.2.99:443/tcp is in the log, and no packet of it was seen; \
         10.20.1.10:40001 → 192.0.2.99:443/tcp had no answer, and is not in the log"
    )]
    #[case::not_logged(&[], &[(40000, Answer::None)], 0, "10.20.1.10:40000 → 192.0.2.99:443/tcp had no answer, and is not in the log")]
    fn log_and_packets_tell_the_same(
        #[case] log: &[u16],
        #[case] flows: &[(u16, Answer)],
        #[case] from: i64,
        #[case] expected: &str,
    ) {
        let log: Vec<_> = log.iter().map(|port| Logged::read(&line(*port), PREFIX).unwrap()).collect();
        let flows: Vec<_> = flows.iter().map(|(port, answer)| flow(*port, *answer)).collect();
        let found = compare(&log, &flows, Timestamp::from_second(from).unwrap());
        assert_eq!(found.to_string(), expected);
        assert_eq!(found.is_empty(), expected.is_empty());
    }
}
