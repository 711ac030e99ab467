//! What is different in each run, taken out: times, processes, sessions, queues, connections, ports.

use regex::Regex;
use std::sync::LazyLock;

/// What is looked for, and what stands in its place.
const RULES: &[(&str, &str)] = &[
    // Times: RFC 3339, sssd's own, syslog's, and those of IMAP and RFC 5322.
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d?:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?", "TIME"),
    (r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?", "TIME"),
    (r"[ \d]\d-(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-\d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
    (r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
    (r"\bafter \d+\.\d s(?: and (?:one look|\d+ looks))?", "after TIME"),
    (r"\b(?:for|in|after) \d+\.\d s and (?:one look|\d+ looks)", "for TIME"),
    (r"\b([qe]time)=\d+\.\d+", "$1=TIME"),
    // Processes, sessions, connections.
    (r"\b([A-Za-z_][\w/.-]*)\[\d+\]:", "$1[PID]:"),
    (r"SESSIONID=<[^>]*>", "SESSIONID=<SESSION>"),
    (r"\bconn=\d+ fd=\d+", "conn=N fd=N"),
    (r"\bconn=\d+", "conn=N"),
    (r"\b(\d{1,3}(?:\.\d{1,3}){3}):(?:3[2-9]\d{3}|[45]\d{4}|6[0-5]\d{3})\b", "$1:PORT"),
    // Messages and mailboxes.
    (r"\bqueued as [0-9A-Za-z]{8,}", "queued as QUEUE"),
    (r"\bUIDVALIDITY \d+", "UIDVALIDITY N"),
    (r"\bHIGHESTMODSEQ \d+", "HIGHESTMODSEQ N"),
    (r"MAILBOXID \([^)]*\)", "MAILBOXID (ID)"),
    (r"/uuid/\w/\w/\w+", "/uuid/UUID"),
    (r"<[0-9A-Za-z.-]{12,}@([0-9A-Za-z.-]+)>", "<MESSAGE@$1>"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "UUID"),
    (r"\b[0-9a-f]{32,}\b", "DIGEST"),
];

/// Versions of packages as their daemons tell them: an update that changes nothing else is no change of behaviour.
const VERSIONS: &[(&str, &str)] = &[
    (r"Cyrus IMAP \d[\w.+~-]*", "Cyrus IMAP VERSION"),
    (r"\b\d[\w.+~:]*-\d[\w.+~]*(?:deb\d+u\d+)?('s?)", "VERSION$1"),
];

type Compiled = Vec<(Regex, &'static str)>;

static EVERYWHERE: LazyLock<Compiled> = LazyLock::new(|| compiled(RULES));
static BANNERS: LazyLock<Compiled> = LazyLock::new(|| compiled(VERSIONS));

fn compiled(rules: &[(&str, &'static str)]) -> Compiled {
    rules.iter().map(|(pattern, instead)| (Regex::new(pattern).expect("a test compiles each"), *instead)).collect()
}

/// The text as it is on every day.
#[must_use]
pub fn normal(text: &str) -> String {
    let text = EVERYWHERE
        .iter()
        .chain(BANNERS.iter())
        .fold(text.to_owned(), |text, (pattern, instead)| pattern.replace_all(&text, *instead).into_owned());
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::journal(
        "2026-11-25T17:44:07+0000 mail cyrus/imaps[458]: badlogin: [10.20.0.1]",
        "TIME mail cyrus/imaps[PID]: badlogin: [10.20.0.1]"
    )]
    #[case::syslog("Nov 25 17:44:07.123456 mail saslauthd[7]: x", "TIME mail saslauthd[PID]: x")]
    #[case::session("a OK User logged in SESSIONID=<cyrus-1764-1-2>", "a OK User logged in SESSIONID=<SESSION>")]
    #[case::greeting(
        "* OK mail Cyrus IMAP 3.6.1-Debian-3.6.1-4+deb12u5 server ready",
        "* OK mail Cyrus IMAP VERSION server ready"
    )]
    #[case::queue("250 2.0.0 Ok: queued as 4D2E81F0AB", "250 2.0.0 Ok: queued as QUEUE")]
    #[case::slapd(
        "conn=1007 op=1 RESULT tag=97 err=49 qtime=0.000125 etime=0.000986 text=",
        "conn=N op=1 RESULT tag=97 err=49 qtime=TIME etime=TIME text="
    )]
    #[case::accept(
        "conn=1007 fd=13 ACCEPT from IP=10.20.0.10:43210 (IP=0.0.0.0:636)",
        "conn=N fd=N ACCEPT from IP=10.20.0.10:PORT (IP=0.0.0.0:636)"
    )]
    #[case::waited("after 0.8 s and one look: accepted", "after TIME: accepted")]
    #[case::owner("cyrus-imapd 3.6.1-4+deb12u5's (config)", "cyrus-imapd VERSION's (config)")]
    #[case::drift(
        "Configuration of mail between 2026-11-25T17:52:55Z and 2026-11-25T17:53:10Z:",
        "Configuration of mail between TIME and TIME:"
    )]
    #[case::mailboxes("2 OK [MAILBOXID (a8w5gj2uq14clbm8xkj02zh)] Completed", "2 OK [MAILBOXID (ID)] Completed")]
    #[case::message_id("Message-ID: <1764091234.abcdef0123@lan.test>", "Message-ID: <MESSAGE@lan.test>")]
    #[case::a_user("RCPT TO:<alice@lan.test>", "RCPT TO:<alice@lan.test>")]
    #[case::a_server_port(
        "connecting to mail.lan.test (10.20.0.10:993)",
        "connecting to mail.lan.test (10.20.0.10:993)"
    )]
    #[case::a_size("SIZE 51200000", "SIZE 51200000")]
    fn what_differs_each_day_is_taken_out(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(normal(text), expected);
        assert_eq!(normal(expected), expected);
    }
}
