//! Templates whose making is disturbed: killed, twice at once, without room.

use super::super::builder::Builder;
use super::super::site::Site;
use super::super::space::in_tmpfs;
use super::super::{Given, Outcome, Report, own_program};
use super::{LAB, MACHINE};
use std::process::Command;
use std::time::Duration;

/// What the making says, and when it is killed then.
const MOMENTS: [(&str, &str); 3] = [
    ("while the machine boots", "QEMU runs"),
    ("while cloud-init works", "user space answers"),
    ("while it is frozen", "is ready and at rest"),
];

pub(in crate::selftest) fn run(given: &Given, report: &mut Report) {
    let site = match site(given) {
        Ok(site) => site,
        Err(error) => return report.row("labs: a cache to make templates in", || Err(error)),
    };
    for (moment, words) in MOMENTS {
        report.row(&format!("labs: killed {moment}"), || killed(&site, words));
    }
    report.row("labs: two runs make the same template at once", || twice(&site));
    report.row("labs: too little room from the beginning", || too_little(given));
    report.row("labs: the file system becomes full while a lab is frozen", || full(given));
}

fn site(given: &Given) -> anyhow::Result<Site> {
    let site = Site::new(given)?;
    site.take_plans(given, Duration::ZERO)?;
    site.take_image(given)?;
    Ok(site)
}

fn freeze() -> Command {
    let mut command = Command::new(own_program());
    command.args(["lab", "freeze", LAB, "--only", MACHINE]);
    command
}

fn start(site: &Site) -> anyhow::Result<Builder> {
    let mut command = freeze();
    command.env("XDG_CACHE_HOME", site.home());
    Builder::spawn(command)
}

fn killed(site: &Site, words: &str) -> anyhow::Result<Outcome> {
    let mut run = start(site)?;
    run.wait_for(words)?;
    run.kill()?;
    site.wait_until_clear(&[MACHINE])?;
    anyhow::ensure!(site.templates()? == 0, "a template is there");
    Ok(Outcome::Passed("no template, process, mount or directory is left".into()))
}

fn twice(site: &Site) -> anyhow::Result<Outcome> {
    let mut first = start(site)?;
    first.wait_for("boots from nothing")?;
    let mut second = start(site)?;
    second.wait_for("waits for its template")?;
    let (first, second) = (first.end()?, second.end()?);
    let (one, other) = (first.succeeded()?, second.succeeded()?);
    anyhow::ensure!(one == other, "they have different templates: {one} and {other}");
    anyhow::ensure!(!second.said.contains("boots"), "both made it:\n{}", second.said);
    site.wait_until_clear(&[MACHINE])?;
    anyhow::ensure!(site.templates()? == 1, "there are {} templates", site.templates()?);
    Ok(Outcome::Passed("one made it, the other waited and took it".into()))
}

fn too_little(given: &Given) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    let run = in_tmpfs(given, &site, "900m", &given.image.directory, &freeze())?.end()?;
    let error = run.failed_with(&["a template of this lab needs", "cargo xtask clean"])?;
    anyhow::ensure!(!run.said.contains("QEMU runs"), "it began all the same:\n{}", run.said);
    Ok(Outcome::Passed(error.replace(&site.path().display().to_string(), "…")))
}

fn full(given: &Given) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    let mut run = in_tmpfs(given, &site, "4g", &given.image.directory, &freeze())?;
    run.wait_for("is ready and at rest")?;
    run.tell("now")?;
    let run = run.end()?;
    let error = run.failed_with(&["No space left on device", "cargo xtask clean"])?;
    let left: Vec<_> =
        run.output.lines().filter(|line| line.contains("/templates/") || line.contains(".memory")).collect();
    anyhow::ensure!(left.is_empty(), "{left:?}");
    site.wait_until_clear(&[])?;
    Ok(Outcome::Passed(error.replace(&site.path().display().to_string(), "…")))
}
