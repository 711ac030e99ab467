//! Disks whose headers name files of this host, made by qemu-img itself.

use super::super::site::Site;
use super::super::{Given, Outcome, RECIPE, Report};
use super::{VICTIM, end_of, xtask};
use anyhow::Context as _;
use harness::cache::{Kind, export};
use std::path::Path;
use std::process::Command;

pub(in crate::selftest) fn run(given: &Given, report: &mut Report) {
    let kinds: [(&str, Make, &str); 2] =
        [("stands on", standing_on, "it stands on"), ("has its data in", data_in, "its data is in another file")];
    for (words, make, refusal) in kinds {
        report.row(&format!("hostile archive: a disk that {words} a file of this host"), || {
            imported(given, make, refusal)
        });
        report
            .row(&format!("hostile cache: a disk that {words} a file of this host"), || planted(given, make, refusal));
    }
}

type Make = fn(&Path) -> Command;

/// A disk with a file below it: whoever opens it shows that file to the guest.
fn standing_on(disk: &Path) -> Command {
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b", VICTIM]).arg(disk);
    command
}

/// A disk whose clusters are in a file of their own: whoever opens it writes there, too. The victim is not touched while it is made.
fn data_in(disk: &Path) -> Command {
    let data = disk.with_extension("data");
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", "qcow2", "-o"]).arg(format!("data_file={},data_file_raw=on", data.display()));
    command.arg(disk).arg("1M");
    command
}

/// A cache of the image in which its disk is another one.
fn site_with(given: &Given, make: Make) -> anyhow::Result<Site> {
    let site = Site::new(given)?;
    site.take_plans(given, std::time::Duration::ZERO)?;
    site.take_image(given)?;
    let images = site.cache().list(Kind::Image)?;
    let disk = images.first().context("the image is gone")?.directory.join("disk.qcow2");
    // The file is a hard link of the good one.
    fs_err::remove_file(&disk)?;
    let ended = end_of(&mut make(&disk))?;
    anyhow::ensure!(ended.code == Some(0), "qemu-img failed: {}", ended.said);
    // What is in an entry travels with it.
    let data = disk.with_extension("data");
    if data.exists() {
        fs_err::rename(&data, site.path().join("data"))?;
    }
    Ok(site)
}

/// Whoever made the export did not look at its header.
fn imported(given: &Given, make: Make, refusal: &str) -> anyhow::Result<Outcome> {
    let (theirs, ours) = (site_with(given, make)?, Site::new(given)?);
    let file = theirs.path().join("images.rehearsal");
    export(theirs.cache(), &theirs.cache().list(Kind::Image)?, &file, &mut |_, _| ())?;
    let importing = ["image".as_ref(), "import".as_ref(), file.as_os_str()];
    let refused = xtask(&ours.home(), importing)?.with(2, &[refusal, "nothing was imported"])?;
    anyhow::ensure!(ours.cache().list(Kind::Image)?.is_empty(), "something was imported");
    Ok(Outcome::Passed(refused))
}

/// It lies in the cache already, as an earlier version took it.
fn planted(given: &Given, make: Make, refusal: &str) -> anyhow::Result<Outcome> {
    let site = site_with(given, make)?;
    let refused = xtask(&site.home(), ["image", "path", RECIPE])?;
    anyhow::ensure!(refused.code != Some(0), "it is used:\n{}", refused.said);
    anyhow::ensure!(refused.said.contains(refusal), "it does not say `{refusal}`:\n{}", refused.said);
    Ok(Outcome::Passed(refused.said.replace(&site.path().display().to_string(), "…")))
}
