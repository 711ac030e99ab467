//! One process that thaws a lab and takes it down, again and again: what it holds stays the same.

use super::super::{Given, Outcome, Report};
use super::Labs;
use super::copies::{said, thaw};
use anyhow::{Context as _, ensure};
use std::fmt;

/// Cycles until caches are warm, and the allocator has what it needs.
const WARM: usize = 2;
/// So much more memory a process may hold afterwards, in KiB: what an allocator keeps back.
const SLACK: u64 = 24 << 10;

pub(in crate::selftest) fn run(given: &Given, report: &mut Report, cycles: usize) {
    report.row(&format!("labs: {cycles} times thawed and taken down by one process"), || held(given, cycles));
}

/// What this process holds.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    resident_kib: u64,
    children: usize,
    namespaces: usize,
    directories: usize,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} descriptors, {} MiB, {} children, {} network namespaces, {} directories",
            self.descriptors,
            self.resident_kib >> 10,
            self.children,
            self.namespaces,
            self.directories
        )
    }
}

impl Held {
    fn now(labs: &Labs) -> anyhow::Result<Self> {
        let status = fs_err::read_to_string("/proc/self/status")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let mut children = 0;
        let mut namespaces = std::collections::BTreeSet::new();
        for task in fs_err::read_dir("/proc/self/task")? {
            let task = task?.path();
            // A task may end while we look.
            let own = std::fs::read_to_string(task.join("children")).unwrap_or_default();
            children += own.split_whitespace().count();
            namespaces.extend(std::fs::read_link(task.join("ns/net")));
        }
        Ok(Self {
            descriptors: fs_err::read_dir("/proc/self/fd")?.count(),
            resident_kib: resident.trim().trim_end_matches(" kB").parse()?,
            children,
            namespaces: namespaces.len(),
            directories: fs_err::read_dir(labs.workbench.cache.labs())?.count(),
        })
    }
}

fn held(given: &Given, cycles: usize) -> anyhow::Result<Outcome> {
    let labs = Labs::open(&given.cache)?;
    labs.runtime.block_on(async {
        let mut first = None;
        for cycle in 0..WARM + cycles {
            if cycle == WARM {
                first = Some(Held::now(&labs)?);
            }
            let lab = thaw(&labs).await?;
            ensure!(said(&lab, "echo there").await? == "there", "cycle {cycle}: the machine does not answer");
            lab.tear_down().await?;
        }
        let (first, last) = (first.context("there was no cycle")?, Held::now(&labs)?);
        let grown = last.descriptors > first.descriptors
            || last.resident_kib > first.resident_kib + SLACK
            || last.children > first.children
            || last.namespaces > first.namespaces;
        ensure!(!grown, "before: {first}\nafter:  {last}");
        Ok(Outcome::Passed(format!("before: {first}\nafter:  {last}")))
    })
}
