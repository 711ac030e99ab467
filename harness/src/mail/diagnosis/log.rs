//! Lines of a log: who wrote them, and when.

use crate::mail::diagnosis::rules::Service;
use jiff::civil::DateTime;

/// A program that takes part in a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Daemon {
    /// saslauthd, and the PAM modules that it calls.
    Saslauthd,
    Cyrus,
    Postfix,
    Sssd,
    Systemd,
    Other,
}

impl Daemon {
    fn of(process: &str) -> Self {
        let last = process.rsplit('/').next().unwrap_or(process);
        match process.split('/').next().unwrap_or(process) {
            "saslauthd" => Self::Saslauthd,
            module if module.starts_with("pam_") => Self::Saslauthd,
            first if first.starts_with("postfix") => Self::Postfix,
            // SUSE's and upstream's cyrus write without the prefix.
            "cyrus" | "imap" | "imaps" | "imapd" | "cyrmaster" | "ctl_cyrusdb" => Self::Cyrus,
            "master" if last == "master" => Self::Cyrus,
            first if first.starts_with("sssd") || first.ends_with("_child") => Self::Sssd,
            "systemd" => Self::Systemd,
            _ => Self::Other,
        }
    }

    /// Whether it serves this service.
    pub(super) fn serves(self, service: Service) -> bool {
        match self {
            Self::Cyrus => service == Service::Imap,
            Self::Postfix => service == Service::Smtp,
            _ => true,
        }
    }
}

/// A line of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// As it stands in the log.
    pub(super) raw: &'a str,
    /// The program and its process: `saslauthd[612]`.
    pub(super) process: &'a str,
    pub(super) daemon: Daemon,
    /// What it says.
    pub(super) text: &'a str,
    /// Seconds, for comparison within one log; none if the line begins with no time.
    pub(super) at: Option<i64>,
}

impl<'a> Line<'a> {
    /// Reads a line of the journal (`short-iso`), of syslog, or a line without a head.
    pub(super) fn of(raw: &'a str) -> Self {
        let (process, text) = head(raw).filter(|_| !raw.starts_with("PAM ")).unwrap_or(("", raw));
        let program = process.split('[').next().unwrap_or(process);
        let said_by_pam = process.is_empty() && (text.starts_with("PAM ") || text.contains("auth failure: [user="));
        let daemon = if said_by_pam { Daemon::Saslauthd } else { Daemon::of(program) };
        Self { raw, process, daemon, text, at: time(raw) }
    }

    pub(super) fn has(&self, words: &str) -> bool {
        self.raw.contains(words)
    }

    pub(super) fn has_any(&self, words: &[&str]) -> bool {
        words.iter().any(|words| self.has(words))
    }

    /// The PAM module and the phase of a line such as `pam_sss(imap:auth): …`, if it is of this service.
    pub(super) fn module(&self, service: &str) -> Option<(&'a str, &'a str, &'a str)> {
        let at = self.raw.find("pam_")?;
        let (head, said) = self.raw[at..].split_once("): ")?;
        let (module, place) = head.split_once('(')?;
        let (of, phase) = place.split_once(':')?;
        let is_name = module.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_');
        (is_name && of == service).then_some((module, phase, said))
    }

    /// Whether both lines are of one process. Lines without a head are taken as one process's.
    pub(super) fn is_of_process(&self, other: &Self) -> bool {
        self.daemon == other.daemon && (self.process == other.process || !self.process.contains('['))
    }

    /// Seconds from the other line to this one, if both tell their time.
    pub(super) fn seconds_since(&self, other: &Self) -> Option<i64> {
        Some(self.at? - other.at?)
    }
}

/// The first word that ends with a colon is the program, if it is among the first words.
fn head(raw: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    for word in raw.split_whitespace().take(6) {
        let start = from + raw[from..].find(word)?;
        from = start + word.len();
        let Some(process) = word.strip_suffix(':') else { continue };
        let text = &raw[from..];
        return Some((process, text.strip_prefix(' ').unwrap_or(text)));
    }
    None
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The time of `2025-11-24T16:00:00+00:00 …` or `Nov 24 16:00:00 …`; the year of the second form does not matter.
fn time(raw: &str) -> Option<i64> {
    let mut words = raw.split_whitespace();
    let first = words.next()?;
    if first.len() > 10 && first.as_bytes()[4..].first() == Some(&b'-') {
        // journalctl writes `+0000`, RFC 3339 `+00:00`.
        let civil = first.get(..19)?.parse::<DateTime>().ok()?;
        return Some(seconds(civil));
    }
    let month = i8::try_from(MONTHS.iter().position(|month| *month == first)?).ok()? + 1;
    let day = words.next()?.parse::<i8>().ok()?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    DateTime::new(2024, month, day, hour, minute, second, 0).ok().map(seconds)
}

fn seconds(civil: DateTime) -> i64 {
    civil.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0)).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::journal(
        "2025-11-24T16:00:05+0000 post saslauthd[61]: pam_sss(imap:auth): x",
        "saslauthd[61]",
        Daemon::Saslauthd,
        true
    )]
    #[case::syslog(
        "Nov 24 16:00:05 post postfix/smtps/smtpd[9]: warning: x",
        "postfix/smtps/smtpd[9]",
        Daemon::Postfix,
        true
    )]
    #[case::cyrus("2025-11-24T16:00:05+00:00 post cyrus/imaps[3]: badlogin: y", "cyrus/imaps[3]", Daemon::Cyrus, true)]
    #[case::cyrus_of_suse("Nov  4 06:00:05 post master[3]: exiting", "master[3]", Daemon::Cyrus, true)]
    #[case::postfix_master("Nov  4 06:00:05 post postfix/master[3]: x", "postfix/master[3]", Daemon::Postfix, true)]
    #[case::backend("t post sssd_be[8]: Backend is offline", "sssd_be[8]", Daemon::Sssd, false)]
    #[case::no_head("pam_unix(imap:auth): check pass", "pam_unix(imap:auth)", Daemon::Saslauthd, false)]
    #[case::pam("PAM adding faulty module: pam_x.so", "", Daemon::Saslauthd, false)]
    #[case::nothing("", "", Daemon::Other, false)]
    fn a_line_tells_who_wrote_it(
        #[case] raw: &str,
        #[case] process: &str,
        #[case] daemon: Daemon,
        #[case] timed: bool,
    ) {
        let line = Line::of(raw);
        if !raw.starts_with("PAM ") {
            assert_eq!(line.process, process);
        }
        assert_eq!((line.daemon, line.at.is_some()), (daemon, timed));
    }

    #[test]
    fn times_of_both_forms_are_compared() {
        let of = |raw: &'static str| Line::of(raw);
        let gap = of("2025-11-24T16:01:00+00:00 p a[1]: x").seconds_since(&of("2025-11-24T16:00:30+00:00 p a[1]: x"));
        assert_eq!(gap, Some(30));
        assert_eq!(of("Nov 24 16:01:00 p a[1]: x").seconds_since(&of("Nov 24 15:59:00 p a[1]: x")), Some(120));
    }

    #[test]
    fn a_module_is_told_with_its_phase() {
        let line =
            Line::of("t post saslauthd[7]: pam_sss(imap:account): Access denied for user erin: 6 (Permission denied)");
        assert_eq!(
            line.module("imap"),
            Some(("pam_sss", "account", "Access denied for user erin: 6 (Permission denied)"))
        );
        assert_eq!(line.module("smtp"), None);
    }
}
