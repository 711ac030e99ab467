//! Builders that are killed with SIGKILL in each of their phases.

use super::site::Site;
use super::{Given, Outcome, RECIPE, Report};
use harness::cache::{Kind, LIMIT_VARIABLE};
use harness::image::Progress;
use std::process::Command;
use std::time::Duration;

/// A moment of a build.
struct Moment {
    name: &'static str,
    /// What the builder has said then.
    words: fn() -> String,
    /// The program that runs then.
    program: &'static str,
    /// What is in the cache before, and so after.
    entries: &'static [&'static str],
}

const MOMENTS: [Moment; 5] = [
    Moment { name: "while apt plans", words: planning, program: "apt-get", entries: &[] },
    Moment { name: "while the base is installed", words: || installing("base"), program: "dpkg", entries: &[] },
    Moment { name: "while the recipe is installed", words: || installing(RECIPE), program: "dpkg", entries: &["base"] },
    Moment { name: "while the file system is made", words: disk, program: "mke2fs", entries: &["base"] },
    Moment { name: "while the disk is converted", words: disk, program: "qemu-img", entries: &["base"] },
];

fn planning() -> String {
    Progress::Planning.to_string()
}

fn disk() -> String {
    Progress::Disk.to_string()
}

/// The beginning of what a builder says then.
pub(super) fn installing(recipe: &str) -> String {
    format!("installing `{recipe}`")
}

pub(super) fn run(given: &Given, report: &mut Report) {
    let site = match Site::new(given) {
        Ok(site) => site,
        Err(error) => return report.row("kills: a cache to try it in", || Err(error)),
    };
    for moment in &MOMENTS {
        report.row(&format!("kills: {}", moment.name), || kill(given, &site, moment));
    }
    report.row("kills: the next build works, and keeps the bound of the cache", || build(&site));
}

fn kill(given: &Given, site: &Site, moment: &Moment) -> anyhow::Result<Outcome> {
    let words = (moment.words)();
    if words != planning() {
        site.take_plans(given, Duration::ZERO)?;
    }
    if !moment.entries.is_empty() && site.cache().list(Kind::Image)?.is_empty() {
        site.take_base(given)?;
    }
    let mut builder = site.builder(&[])?;
    builder.wait_for(&words)?;
    site.wait_for_process(moment.program)?;
    builder.kill()?;
    site.wait_until_clear(moment.entries)?;
    Ok(Outcome::Passed(format!("killed while {} ran: no image, process, mount or directory is left", moment.program)))
}

/// Builds to the end in a cache that holds the image, or what it is built on, but not both.
fn build(site: &Site) -> anyhow::Result<Outcome> {
    let ended = site.builder(&[(LIMIT_VARIABLE, "600MiB")])?.end()?;
    ended.succeeded()?;
    anyhow::ensure!(ended.said.contains("removed base-"), "nothing was removed:\n{}", ended.said);
    site.wait_until_clear(&[RECIPE])?;
    let kept = site.cache().list(Kind::Image)?;
    let disk = kept.first().map(|image| image.directory.join("disk.qcow2")).unwrap_or_default();
    let check = Command::new("qemu-img").args(["check", "-f", "qcow2"]).arg(&disk).output()?;
    anyhow::ensure!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    Ok(Outcome::Passed(ended.said.lines().last().unwrap_or_default().to_owned()))
}
