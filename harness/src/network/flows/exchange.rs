//! Who asked whom, without what is different in each run: times, counts, client's ports, and the order.

use super::flow::{Answer, Flow, Party, Protocol};
use std::collections::BTreeMap;
use std::fmt;

/// Somebody asked a service of somebody else, however often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Who asked: a name, or an address that has none.
    pub from: String,
    /// Whom: the same, with the port where the protocol has ports.
    pub to: String,
    /// By what.
    pub protocol: Protocol,
    /// The best that became of it.
    pub answer: Answer,
}

impl Exchange {
    /// All that flows show, by name, each once: a question that is asked again, or that stands in the captures of two machines, is the
    /// same one. What only acknowledges asks nothing, and what is for all asks nobody.
    #[must_use]
    pub fn all<'f>(flows: impl IntoIterator<Item = &'f Flow>) -> Vec<Self> {
        let mut found: BTreeMap<_, Answer> = BTreeMap::new();
        for flow in flows.into_iter().filter(|flow| flow.contact.is_some() && !flow.is_for_many()) {
            let from = Party { port: None, ..flow.from.clone() }.to_string();
            // By the number of the port, and not by its digits.
            let to = (Party { port: None, ..flow.to.clone() }.to_string(), flow.to.port, flow.to.to_string());
            let answer = found.entry((from, to, flow.protocol)).or_insert(flow.answer);
            *answer = answer.or(flow.answer);
        }
        found.into_iter().map(|((from, (.., to), protocol), answer)| Self { from, to, protocol, answer }).collect()
    }
}

/// As in `mail → directory:636/tcp, answered`.
impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}/{}, {}", self.from, self.to, self.protocol, self.answer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::flow::Direction;
    use super::super::testing::{begun, party};
    use super::*;

    fn told(flows: &[Flow]) -> Vec<String> {
        Exchange::all(flows).iter().map(ToString::to_string).collect()
    }

    fn question(client_port: u16, answer: Answer) -> Flow {
        let from = party("10.20.0.10", Some(client_port), Some("mail"));
        begun(from, party("10.20.0.2", Some(53), Some("edge")), Protocol::Udp, answer)
    }

    #[test]
    fn how_often_and_in_which_order_makes_no_difference() {
        let tcp = |port, answer| {
            let from = party("10.20.0.10", Some(40000), Some("mail"));
            begun(from, party("192.0.2.9", Some(port), None), Protocol::Tcp, answer)
        };
        let once = [tcp(443, Answer::None), tcp(80, Answer::Refused), question(40001, Answer::Answered)];
        let expected =
            ["mail → 192.0.2.9:80/tcp, refused", "mail → 192.0.2.9:443/tcp, no answer", "mail → edge:53/udp, answered"];
        assert_eq!(told(&once), expected);
        let again = [
            question(40002, Answer::None),
            question(40001, Answer::Answered),
            question(40003, Answer::Refused),
            tcp(80, Answer::None),
            tcp(80, Answer::Refused),
            tcp(443, Answer::None),
        ];
        assert_eq!(told(&again), expected);
    }

    #[test]
    fn two_captures_of_it_are_one() {
        let sent = question(40001, Answer::Answered);
        let arrived = Flow { direction: Direction::Incoming, ..sent.clone() };
        assert_eq!(told(&[sent, arrived]), ["mail → edge:53/udp, answered"]);
    }

    #[test]
    fn what_asks_nobody_is_left_out() {
        let acknowledged = Flow { contact: None, ..question(40001, Answer::Answered) };
        let for_all = begun(
            party("10.20.0.10", Some(5353), None),
            party("224.0.0.251", Some(5353), None),
            Protocol::Udp,
            Answer::None,
        );
        assert!(told(&[acknowledged, for_all]).is_empty());
    }
}
