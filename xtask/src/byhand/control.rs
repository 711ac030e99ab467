//! `status`, `passwords`, `rewind`, `resume` and `down`.

use super::{Choice, Reached, talk_error, unexpected, wait_for, words};
use crate::exit::{End, Invalid};
use crate::ui;
use anyhow::Context as _;
use harness::cache::Cache;
use harness::session::{Conversation, Reply, Request, SessionRecord, Status, held};
use harness::time::Deadline;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;

/// How to show the labs.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// Print one JSON array instead of text
    #[arg(long)]
    json: bool,
}

/// Whose passwords.
#[derive(Debug, clap::Args)]
pub(crate) struct PasswordsArgs {
    /// Only this account's, and nothing but it
    account: Option<String>,
    #[command(flatten)]
    choice: Choice,
}

/// Where to go back to.
#[derive(Debug, clap::Args)]
pub(crate) struct RewindArgs {
    /// A state that a step of the scenario has kept, or `start`
    checkpoint: String,
    #[command(flatten)]
    choice: Choice,
}

/// How far to go on.
#[derive(Debug, clap::Args)]
pub(crate) struct ResumeArgs {
    /// The last step that is carried out: its number, or a part of its name; without it, all that are left
    #[arg(long, value_name = "STEP")]
    until: Option<String>,
    /// Leave out the step that comes next; without this, one that failed is done again
    #[arg(long)]
    skip: bool,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    card: SessionRecord,
    status: Status,
}

/// Lists the labs that are held.
pub(crate) fn status(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let labs = held(&Cache::open_default().context("failed to open the cache")?.labs())?;
    let mut entries = Vec::new();
    for (directory, card) in labs {
        // One that ends at this moment is not held any more.
        if let Ok(Reply::Status(status)) =
            wait_for(async { Ok(Conversation::ask(&directory, &Request::Status).await) })?
        {
            entries.push(Entry { card, status });
        }
    }
    if args.json {
        ui::json(&entries)?;
    } else if let [only] = entries.as_slice() {
        ui::out(words::entry(&only.card, &only.status) + &words::standing(&only.card, &only.status, false));
    } else {
        for Entry { card, status } in &entries {
            ui::out(words::entry(card, status));
        }
        if entries.is_empty() {
            ui::line(format_args!("no lab is held; `cargo xtask repro SCENARIO` holds one"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints passwords: the one place where they are shown.
pub(crate) fn passwords(args: &PasswordsArgs) -> anyhow::Result<ExitCode> {
    let lab = args.choice.find()?;
    let Reply::Accounts(accounts) = wait_for(lab.ask(&Request::Accounts))? else { return unexpected() };
    if let Some(name) = &args.account {
        let known = || accounts.iter().map(|account| account.name.as_str()).collect::<Vec<_>>().join(", ");
        let found = accounts.iter().find(|account| account.name == *name);
        let found = found.ok_or_else(|| Invalid(format!("there is no account `{name}`; there are: {}", known())))?;
        ui::line(&found.password.0);
        return Ok(ExitCode::SUCCESS);
    }
    for account in accounts {
        ui::line(format_args!("{:<12} {}", account.name, account.password.0));
    }
    Ok(ExitCode::SUCCESS)
}

/// Goes back to a state that was kept.
pub(crate) fn rewind(args: &RewindArgs) -> anyhow::Result<ExitCode> {
    let lab = args.choice.find()?;
    follow(&lab, &Request::Rewind { to: args.checkpoint.clone() })
}

/// Goes on with the steps.
pub(crate) fn resume(args: &ResumeArgs) -> anyhow::Result<ExitCode> {
    let lab = args.choice.find()?;
    follow(&lab, &Request::Resume { until: args.until.clone(), skip: args.skip })
}

/// Shows what the holder says until it is done.
fn follow(lab: &Reached, request: &Request) -> anyhow::Result<ExitCode> {
    wait_for(async {
        let mut conversation = Conversation::begin(&lab.directory, request).await.map_err(talk_error)?;
        loop {
            match conversation.next().await.map_err(talk_error)? {
                Reply::Says(line) => ui::note(line),
                Reply::Done => break,
                Reply::Failed(_) => return Ok(End::Failed.into()),
                _ => return unexpected(),
            }
        }
        let Reply::Status(status) = lab.ask(&Request::Status).await? else { return unexpected() };
        ui::out(words::headline(&lab.card, &status) + "\n");
        Ok(ExitCode::SUCCESS)
    })
}

/// How long a lab may take to be gone after its holder has ended.
const GOING: Duration = Duration::from_mins(1);

/// Ends a lab, and waits until nothing is left of it.
pub(crate) fn down(choice: &Choice) -> anyhow::Result<ExitCode> {
    let lab = choice.find()?;
    wait_for(async {
        let mut conversation = Conversation::begin(&lab.directory, &Request::Down).await.map_err(talk_error)?;
        conversation.closed().await;
        let is_gone = || async { if lab.directory.exists() { Err("it is there".to_owned()) } else { Ok(()) } };
        Deadline::after(GOING).poll(format!("{} to be gone", lab.directory.display()), is_gone).await?;
        ui::line(format_args!("{} is gone; its logs are in {}", lab.card.name, lab.card.results.display()));
        Ok(ExitCode::SUCCESS)
    })
}
