//! One line of slapd's statistics.

use super::{Peer, RequestKind, RequestResult};

/// A line that says something about the directory's work.
#[derive(Debug)]
pub(super) struct LogLine<'a> {
    /// The timestamp in front of it.
    pub(super) time: Option<&'a str>,
    /// Whether slapd itself put a time in hexadecimal in front: its standard error, not syslog.
    pub(super) is_debug_copy: bool,
    /// What it says.
    pub(super) event: Event,
}

/// What a line says.
#[derive(Debug)]
pub(super) enum Event {
    /// slapd has started.
    Starting,
    /// A connection begins.
    Accept { connection: u64, peer: Peer },
    /// TLS stands.
    Tls { connection: u64 },
    /// A connection ends.
    Closed { connection: u64, reason: String },
    /// Somebody asks.
    Request { connection: u64, operation: u64, kind: RequestKind },
    /// slapd answers.
    Result { connection: u64, operation: u64, result: RequestResult },
}

impl<'a> LogLine<'a> {
    /// The line, if it is one of slapd's.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let line = line.trim_end();
        let start = message_start(line)?;
        let (prefix, message) = line.split_at(start);
        let prefix = prefix.trim_end();
        let first = prefix.split(' ').next().filter(|word| !word.is_empty());
        let is_debug_copy = is_debug_prefix(prefix);
        let is_own = prefix.is_empty() || prefix.ends_with(':') || is_debug_copy;
        let time = first.filter(|word| word.contains('T') && word.contains(':'));
        let event = if is_own { parse_event(message)? } else { return None };
        Some(Self { time, is_debug_copy, event })
    }
}

/// Where the message begins, behind any prefix.
fn message_start(line: &str) -> Option<usize> {
    ["conn=", "slapd starting"].iter().filter_map(|word| line.find(word)).min()
}

/// Whether a prefix ends like `6743a1b2.0c3d4e5f 0x7f12a3b4c6c0`.
fn is_debug_prefix(prefix: &str) -> bool {
    let is_hex = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    prefix
        .split(' ')
        .rev()
        .find(|word| !word.starts_with("0x"))
        .is_some_and(|word| word.len() >= 8 && word.split('.').all(is_hex))
}

fn parse_event(message: &str) -> Option<Event> {
    let Some(rest) = message.strip_prefix("conn=") else { return Some(Event::Starting) };
    let (connection, rest) = number_and_rest(rest)?;
    if let Some(rest) = rest.strip_prefix("op=") {
        let (operation, rest) = number_and_rest(rest)?;
        return parse_operation(connection, operation, rest);
    }
    let rest = rest.strip_prefix("fd=").and_then(number_and_rest)?.1;
    if let Some(from) = rest.strip_prefix("ACCEPT from ") {
        return Some(Event::Accept { connection, peer: parse_peer(from) });
    }
    if rest.starts_with("TLS established") {
        return Some(Event::Tls { connection });
    }
    let reason = rest.strip_prefix("closed")?.trim().trim_start_matches('(').trim_end_matches(')');
    Some(Event::Closed { connection, reason: reason.to_owned() })
}

/// `IP=10.20.0.10:41234 (IP=0.0.0.0:636)` or `PATH=/run/slapd/ldapi (PATH=…)`.
fn parse_peer(from: &str) -> Peer {
    let word = from.split(' ').next().unwrap_or_default();
    match word.strip_prefix("IP=").map(str::parse) {
        Some(Ok(address)) => Peer::Address(address),
        None if word.starts_with("PATH=") => Peer::Local,
        Some(Err(_)) | None => Peer::Unknown,
    }
}

fn parse_operation(connection: u64, operation: u64, rest: &str) -> Option<Event> {
    let (verb, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
    if verb == "RESULT" || (verb == "SEARCH" && arguments.starts_with("RESULT")) {
        let code = field(arguments, "err")?.parse().ok()?;
        let entries = field(arguments, "nentries").and_then(|count| count.parse().ok());
        return Some(Event::Result { connection, operation, result: RequestResult { code, entries } });
    }
    let text = |name| field(arguments, name).unwrap_or_default().to_owned();
    let kind = match verb {
        "BIND" => RequestKind::Bind { dn: text("dn"), method: text("method").parse().unwrap_or_default() },
        "SRCH" => RequestKind::Search { base: text("base"), filter: text("filter") },
        "CMP" => RequestKind::Compare { dn: text("dn") },
        "EXT" => RequestKind::Extended { oid: text("oid") },
        "ADD" | "DEL" | "MOD" | "MODRDN" => RequestKind::Change { verb: verb.to_owned(), dn: text("dn") },
        "UNBIND" => RequestKind::Unbind,
        _ => RequestKind::Other { verb: verb.to_owned() },
    };
    Some(Event::Request { connection, operation, kind })
}

/// `1002 op=1 …` as the number and what is behind the space.
fn number_and_rest(text: &str) -> Option<(u64, &str)> {
    let (number, rest) = text.split_once(' ')?;
    Some((number.parse().ok()?, rest))
}

/// The value of `name=` in `name=value other="quoted value"`. slapd escapes quotes within a value by a backslash.
fn field<'a>(arguments: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = arguments;
    while !rest.is_empty() {
        let (word, behind) = rest.split_once('=').filter(|(word, _)| !word.contains('"'))?;
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => split_quoted(quoted),
            None => behind.split_once(' ').unwrap_or((behind, "")),
        };
        if word.rsplit(' ').next() == Some(name) {
            return Some(value);
        }
        rest = behind.trim_start();
    }
    None
}

fn split_quoted(text: &str) -> (&str, &str) {
    let mut escaped = false;
    for (position, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !escaped => return (&text[..position], &text[position + 1..]),
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(r#"dn="uid=alice,ou=people,dc=lan,dc=test" method=128"#, "dn", Some("uid=alice,ou=people,dc=lan,dc=test"))]
    #[case(r#"dn="uid=alice,ou=people,dc=lan,dc=test" method=128"#, "method", Some("128"))]
    #[case(r#"base="" scope=0 deref=0 filter="(objectClass=*)""#, "filter", Some("(objectClass=*)"))]
    #[case(r#"base="" scope=0"#, "base", Some(""))]
    #[case(r#"base="x" filter="(cn=\"a\" err=0)" err=9"#, "err", Some("9"))]
    #[case("tag=97 err=49 qtime=0.000010 etime=0.000200 text=", "err", Some("49"))]
    #[case("RESULT tag=101 err=0 qtime=0.00001 etime=0.0003 nentries=1 text=", "nentries", Some("1"))]
    #[case("tag=97", "err", None)]
    fn fields_are_found(#[case] arguments: &str, #[case] name: &str, #[case] value: Option<&str>) {
        assert_eq!(field(arguments, name), value);
    }

    #[rstest]
    #[case::bare("conn=1002 op=1 UNBIND", None, false)]
    #[case::journal(
        "2026-11-24T08:38:01.123456+00:00 ldap slapd[412]: conn=1002 op=1 UNBIND",
        Some("2026-11-24T08:38:01.123456+00:00"),
        false
    )]
    #[case::debug("6743a1b2.0c3d4e5f 0x7f12a3b4c6c0 conn=1002 op=1 UNBIND", None, true)]
    #[case::debug_of_old("6743a1b2 conn=1002 op=1 UNBIND", None, true)]
    #[case::debug_in_journal(
        "2026-11-24T08:38:01.1+0000 ldap slapd[412]: 6743a1b2.0c3d4e5f 0x7f12 conn=1002 op=1 UNBIND",
        Some("2026-11-24T08:38:01.1+0000"),
        true
    )]
    #[case::a_word_with_a_t_is_no_time("Tue Nov 24 08:38:01 ldap slapd[412]: conn=1002 op=1 UNBIND", None, false)]
    #[case::classic_syslog("Nov 24 08:38:01 ldap slapd[412]: conn=1002 op=1 UNBIND", None, false)]
    fn prefixes_are_told_apart(#[case] line: &str, #[case] time: Option<&str>, #[case] is_debug_copy: bool) {
        let parsed = LogLine::parse(line).unwrap();
        assert_eq!((parsed.time, parsed.is_debug_copy), (time, is_debug_copy));
    }

    #[rstest]
    #[case::compare(r#"CMP dn="cn=a" attr="b""#, RequestKind::Compare { dn: "cn=a".into() })]
    #[case::extended("EXT oid=1.3.6.1.4.1.1466.20037", RequestKind::Extended { oid: "1.3.6.1.4.1.1466.20037".into() })]
    #[case::add(r#"ADD dn="cn=a""#, RequestKind::Change { verb: "ADD".into(), dn: "cn=a".into() })]
    #[case::delete(r#"DEL dn="cn=a""#, RequestKind::Change { verb: "DEL".into(), dn: "cn=a".into() })]
    #[case::modify(r#"MOD dn="cn=a""#, RequestKind::Change { verb: "MOD".into(), dn: "cn=a".into() })]
    #[case::rename(r#"MODRDN dn="cn=a""#, RequestKind::Change { verb: "MODRDN".into(), dn: "cn=a".into() })]
    #[case::no_result("SEARCH err=0", RequestKind::Other { verb: "SEARCH".into() })]
    #[case::no_result_either("ABANDON RESULT err=0", RequestKind::Other { verb: "ABANDON".into() })]
    fn requests_are_told_apart(#[case] rest: &str, #[case] expected: RequestKind) {
        let Some(Event::Request { kind, .. }) = parse_operation(1, 2, rest) else { panic!("{rest} is no request") };
        assert_eq!(kind, expected);
    }

    #[rstest]
    #[case("PATH=/run/slapd/ldapi (PATH=/run/slapd/ldapi)", Peer::Local)]
    #[case("NAME=somebody (IP=0.0.0.0:389)", Peer::Unknown)]
    #[case("IP=nowhere (IP=0.0.0.0:389)", Peer::Unknown)]
    fn who_is_not_named_by_an_address_is_not_guessed(#[case] from: &str, #[case] expected: Peer) {
        assert_eq!(parse_peer(from), expected);
    }

    #[rstest]
    #[case("daemon: bind(8) failed")]
    #[case("2026-11-24T08:38:01+00:00 ldap app[1]: request with conn=5 op=1 BIND dn=\"x\"")]
    #[case("conn=abc op=1 UNBIND")]
    #[case("conn=1")]
    #[case("")]
    fn other_lines_are_passed_over(#[case] line: &str) {
        assert!(LogLine::parse(line).is_none());
    }
}
