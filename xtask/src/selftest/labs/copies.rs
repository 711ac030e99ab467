//! Copies of one template that run at the same time.

use super::super::{Given, Outcome, Report};
use super::{Labs, MACHINE};
use anyhow::Context as _;
use futures_util::future::{join_all, try_join};
use harness::lab::{Lab, Purpose};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(in crate::selftest) fn run(given: &Given, report: &mut Report) {
    report.row("labs: two copies at once see nothing of each other", || apart(given));
    report.row("labs: a copy that was thawed for use only is not frozen again", || use_only(given));
}

pub(super) async fn thaw(labs: &Labs) -> anyhow::Result<Lab> {
    let (template, _) = labs.template(&labs.workbench.stock()?).await;
    let (setup, logs) = (&labs.workbench.setup, labs.workbench.scratch.path());
    Ok(Lab::thaw(&template?, &labs.topology, setup, Purpose::Use, logs, &|_| ()).await?)
}

/// What a machine prints.
pub(super) async fn said(lab: &Lab, command: &str) -> anyhow::Result<String> {
    let machine = lab.machine(MACHINE).context("the lab lacks its machine")?;
    let deadline = lab.pace().deadline(Duration::from_secs(10));
    Ok(machine.succeed(command, deadline).await?.trim().to_owned())
}

fn apart(given: &Given) -> anyhow::Result<Outcome> {
    let labs = Labs::open(&given.cache)?;
    labs.runtime.block_on(async {
        let (one, other) = try_join(thaw(&labs), thaw(&labs)).await?;
        let random = [
            said(&one, "cat /proc/sys/kernel/random/uuid").await?,
            said(&other, "cat /proc/sys/kernel/random/uuid").await?,
        ];
        for (lab, text) in [(&one, "one"), (&other, "other")] {
            said(lab, &format!("echo {text} > /root/own; sync")).await?;
        }
        let files = [said(&one, "cat /root/own").await?, said(&other, "cat /root/own").await?];
        let addresses: BTreeSet<_> =
            join_all([&one, &other].map(|lab| said(lab, "hostname -I"))).await.into_iter().collect::<Result<_, _>>()?;
        let clock: u64 = said(&one, "date +%s").await?.parse()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        try_join(one.tear_down(), other.tear_down()).await?;
        anyhow::ensure!(files == ["one", "other"], "the same file reads {files:?}");
        anyhow::ensure!(addresses.len() == 1, "their addresses are {addresses:?}");
        anyhow::ensure!(random[0] != random[1], "both drew the random number {}", random[0]);
        let behind = now.abs_diff(clock);
        anyhow::ensure!(behind <= 10, "the clock of a copy is {behind} s off");
        let address = addresses.into_iter().next().unwrap_or_default();
        Ok(Outcome::Passed(format!(
            "both are {address}; the same file reads {files:?}; their random numbers differ; {behind} s off"
        )))
    })
}

fn use_only(given: &Given) -> anyhow::Result<Outcome> {
    let labs = Labs::open(&given.cache)?;
    labs.runtime.block_on(async {
        let lab = thaw(&labs).await?;
        let stock = labs.workbench.stock()?;
        match stock.checkpoint(lab, &labs.topology, &labs.workbench.setup).await {
            Ok(_) => anyhow::bail!("it was frozen"),
            Err(error) => Ok(Outcome::Passed(error.to_string())),
        }
    })
}
