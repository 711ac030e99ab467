//! What a person reads of a lab that is held.

use harness::session::{SessionRecord, State, Status};
use std::fmt::Write as _;

/// How things stand, and what one can do now.
pub(super) fn standing(card: &SessionRecord, status: &Status, several: bool) -> String {
    let mut text = format!("\n{}\n\n", headline(card, status));
    for machine in &status.machines {
        let off = match &machine.inside {
            Some(host) => format!("   run by {host}"),
            None if machine.runs => String::new(),
            None => "   off, or not there".to_owned(),
        };
        let _ = writeln!(text, "  {:<12} {:<14} {}{off}", machine.name, machine.address, machine.fqdn);
    }
    let lab = if several { format!(" --lab {}", card.name) } else { String::new() };
    // The first machine of a lab is the one that it is about.
    let machine = status.machines.first().map_or("MACHINE", |machine| machine.name.as_str());
    let onward = status.next.as_ref().map(|next| format!("goes on with step {}", next.number));
    let hints = [
        (format!("shell{lab} {machine}"), "a shell, as root".to_owned()),
        (format!("exec{lab} {machine} -- COMMAND"), "one command, with its exit status".to_owned()),
        (format!("console{lab} {machine}"), "the serial console".to_owned()),
        (format!("forward{lab} {machine}:993"), "your own mail program, through 127.0.0.1".to_owned()),
        (format!("passwords{lab}"), format!("of {}", status.accounts.join(", "))),
        (format!("resume{lab}"), onward.unwrap_or_default()),
        (format!("rewind{lab} STATE"), format!("goes back to: {}", status.checkpoints.join(", "))),
        (format!("down{lab}"), "ends it".to_owned()),
    ];
    text.push('\n');
    let possible: Vec<_> = hints.iter().filter(|(_, meaning)| !meaning.is_empty()).collect();
    let width = possible.iter().map(|(command, _)| command.chars().count()).max().unwrap_or_default();
    for (command, meaning) in possible {
        let _ = writeln!(text, "  cargo xtask {command:<width$}   {meaning}");
    }
    text
}

/// How things stand, in a line or two.
pub(super) fn headline(card: &SessionRecord, status: &Status) -> String {
    let what = format!("{}::{}", card.scenario, card.case);
    let next = status.next.as_ref().map(|next| format!("; next is step {}, \"{}\"", next.number, next.name));
    let next = next.unwrap_or_default();
    match &status.state {
        State::Busy => format!("{what}: its lab is being made, or steps are being carried out"),
        State::Held => format!("{what} is held: {} of {} steps are done{next}", status.done, status.steps),
        State::Failed(reason) => format!("{what} is held, as something failed: {reason}{next}"),
    }
}

/// One line of the list of labs.
pub(super) fn entry(card: &SessionRecord, status: &Status) -> String {
    let machines: Vec<_> = status.machines.iter().map(|it| format!("{} {}", it.name, it.address)).collect();
    let since = card.since.strftime("%Y-%m-%d %H:%M:%S UTC");
    format!(
        "{}  (process {}, since {since})\n  {}\n  {}\n  {}\n",
        card.name,
        card.pid,
        headline(card, status),
        machines.join(", "),
        card.results.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::session::{Machine, NextStep};

    fn card() -> SessionRecord {
        SessionRecord {
            format: 1,
            name: "pam-loss-2".into(),
            scenario: "pam-loss".into(),
            case: "fault".into(),
            pid: 4711,
            since: "2026-11-25T17:00:00Z".parse().unwrap(),
            results: "/results".into(),
        }
    }

    fn status(state: State) -> Status {
        let machine = |name: &str, last, runs| Machine {
            name: name.into(),
            fqdn: format!("{name}.lan.test"),
            address: [10, 20, 0, last].into(),
            runs,
            inside: None,
        };
        Status {
            state,
            done: 14,
            steps: 31,
            next: Some(NextStep { number: 15, name: "alice is refused".into() }),
            checkpoints: vec!["start".into(), "healthy".into()],
            machines: vec![machine("mail", 10, true), machine("directory", 20, false)],
            accounts: vec!["alice".into(), "bob".into()],
            authority: None,
        }
    }

    #[test]
    fn a_person_reads_how_to_get_in() {
        insta::assert_snapshot!(standing(&card(), &status(State::Held), false));
    }

    #[test]
    fn a_failure_is_told_and_the_lab_named_where_several_are_held() {
        let failed = status(State::Failed("step 15 on mail, \"alice is refused\": IMAP alice → accepted".into()));
        insta::assert_snapshot!(standing(&card(), &Status { next: None, ..failed }, true));
    }

    #[test]
    fn a_list_has_all_that_is_needed_to_choose() {
        insta::assert_snapshot!(entry(&card(), &status(State::Busy)));
    }
}
