//! Labs that are held by hand: reached from other processes, closed terminals, killed holders.
//!
//! It runs in the user's own cache, whose templates it uses, and touches no lab but its own.

mod fixture;
mod rows;

use super::Report;
use crate::setup;
use fixture::Fixture;

type Row = fn(&Fixture) -> anyhow::Result<super::Outcome>;

/// In this order: each goes on where the one before has left the lab.
const ROWS: [(&str, Row); 15] = [
    ("nothing is held: a command says so", rows::nothing_is_held),
    ("a case is held at a step, in the background", rows::is_held),
    ("a second one is held beside it, and must be chosen by its name", rows::two_are_held),
    ("exec: output, errors, exit status, and input", rows::exec_row),
    ("exec by the guest agent", rows::exec_by_agent),
    ("exec: a machine that is not there", rows::unknown_machine),
    ("shell on a terminal", rows::shell),
    ("console: what is typed is answered", rows::console),
    ("forward: an IMAP login from this host, over TLS that it trusts, through 127.0.0.1 only", rows::forward),
    ("rewind: what was done since is undone", rows::rewind),
    ("resume: up to a step that fails; mended by hand; to the end", rows::resume),
    ("no password is in logs, results or command lines", rows::no_password_is_left),
    ("down: nothing is left", rows::down),
    ("only on failure: a case that passes is not held", rows::passes),
    ("the terminal is closed, then the holder is killed: nothing is left", rows::closed_and_killed),
];

/// Runs the command.
pub(super) fn run(yes: bool, report: &mut Report) -> anyhow::Result<()> {
    setup::ensure_tools(yes)?;
    let fixture = match Fixture::new() {
        Ok(fixture) => fixture,
        Err(error) => {
            report.row("hold: a scenario to hold", || Err(error));
            return Ok(());
        }
    };
    for (name, row) in ROWS {
        report.row(&format!("hold: {name}"), || row(&fixture));
    }
    report.row("hold: interrupted while it is held, as by Ctrl-C", || rows::interrupted(&fixture));
    Ok(())
}
