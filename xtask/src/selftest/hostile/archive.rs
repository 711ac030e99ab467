//! Archives of attackers, and the honest round trip.

use super::super::site::Site;
use super::super::{Given, Outcome, RECIPE, Report, own_program};
use super::{end_of, xtask};
use harness::cache::{Kind, export};
use harness::image::Progress;
use std::process::Command;
use std::time::Duration;

pub(in crate::selftest) fn run(given: &Given, report: &mut Report) {
    report.row("hostile archive: a tree, which builders enter as root", || tree(given));
    report.row("archive: exported, imported elsewhere, and nothing is built without a network", || round_trip(given));
}

/// A tree is taken from whoever is trusted, and from nobody else.
fn tree(given: &Given) -> anyhow::Result<Outcome> {
    let (theirs, ours) = (Site::new(given)?, Site::new(given)?);
    theirs.take_base(given)?;
    let file = theirs.path().join("tree.rehearsal");
    export(theirs.cache(), &theirs.cache().list(Kind::Image)?, &file, &mut |_, _| ())?;
    let import = ["image".as_ref(), "import".as_ref(), file.as_os_str()];
    let refused = xtask(&ours.home(), import)?.with(2, &["import it with --trust", "nothing was imported"])?;
    anyhow::ensure!(ours.cache().list(Kind::Image)?.is_empty(), "something was imported");
    xtask(&ours.home(), import.into_iter().chain(["--trust".as_ref()]))?.with(0, &["came  images/base-"])?;
    Ok(Outcome::Passed(refused))
}

/// The commands that a person uses, from the cache of this user to an empty one.
fn round_trip(given: &Given) -> anyhow::Result<Outcome> {
    let (theirs, ours) = (Site::new(given)?, Site::new(given)?);
    // As old as an archive that is used a few days later: the versions would be asked for again.
    theirs.take_plans(given, Duration::from_hours(72))?;
    theirs.take_image(given)?;
    let file = theirs.path().join("images.rehearsal");
    let exporting = ["image".as_ref(), "export".as_ref(), RECIPE.as_ref(), "-o".as_ref(), file.as_os_str()];
    xtask(&theirs.home(), exporting)?.with(0, &[RECIPE])?;
    let importing = ["image".as_ref(), "import".as_ref(), file.as_os_str()];
    xtask(&ours.home(), importing)?.with(0, &["came  images/"])?;
    let mut offline = Command::new("unshare");
    offline.args(["--net", "--"]).arg(own_program()).args(["image", "build", RECIPE]);
    let ended = end_of(offline.env("XDG_CACHE_HOME", ours.home()))?;
    let old_plan = Progress::OldPlan.to_string();
    ended.with(0, &[&old_plan])?;
    anyhow::ensure!(!ended.said.contains("installing"), "something was built:\n{}", ended.said);
    ours.wait_until_clear(&[RECIPE])?;
    Ok(Outcome::Passed(format!("{old_plan}; nothing was built")))
}
