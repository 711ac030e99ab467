//! Two builders of the same image at the same time.

use super::site::Site;
use super::{Given, Outcome, RECIPE, Report, kills};
use harness::image::Progress;
use std::time::Duration;

pub(super) fn run(given: &Given, report: &mut Report) {
    report.row("pair: one builds, the other waits, both have the image", || two(given, false));
    report.row("pair: the builder is killed, the other builds", || two(given, true));
}

fn two(given: &Given, kill: bool) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    site.take_plans(given, Duration::ZERO)?;
    site.take_base(given)?;
    let waiting = Progress::Waiting.to_string();
    let mut first = site.builder(&[])?;
    first.wait_for(&kills::installing(RECIPE))?;
    let mut second = site.builder(&[])?;
    second.wait_for(&waiting)?;
    anyhow::ensure!(second.heard().len() == 1, "it did more than to wait: {:?}", second.heard());
    if kill {
        first.kill()?;
        let second = second.end()?;
        second.succeeded()?;
        anyhow::ensure!(second.said.contains(&kills::installing(RECIPE)), "it built nothing:\n{}", second.said);
    } else {
        let (first, second) = (first.end()?, second.end()?);
        anyhow::ensure!(first.succeeded()? == second.succeeded()?, "{} is not {}", first.output, second.output);
        anyhow::ensure!(!second.said.contains("installing"), "both built:\n{}", second.said);
    }
    site.wait_until_clear(&["base", RECIPE])?;
    Ok(Outcome::Passed(format!("the second: {waiting}")))
}
