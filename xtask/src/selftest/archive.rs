//! Archives that do not answer, or do not have what a recipe names.

use super::site::Site;
use super::{Given, Outcome, RECIPE, Report};
use crate::image;
use anyhow::bail;
use harness::image::{Catalogue, ImageError, Progress, ensure};
use std::net::TcpListener;
use std::time::Duration;

const TWO_DAYS: Duration = Duration::from_hours(48);

pub(super) fn run(given: &Given, report: &mut Report) {
    report.row("archive: a package that does not exist", || no_package(given));
    report.row("archive: does not answer, and nothing is known", || dead(given, false));
    report.row("archive: does not answer, and versions are known", || dead(given, true));
    report.row("archive: does not answer, and the image is here", || dead_and_built(given));
}

fn no_package(given: &Given) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    let recipes = site.path().join("recipes");
    fs_err::create_dir(&recipes)?;
    fs_err::write(recipes.join("bottom.toml"), "summary = \"nothing but what is essential\"\nsuite = \"bookworm\"\n")?;
    let top = "summary = \"a wish\"\nbase = \"bottom\"\npackages = [\"no-such-package-anywhere\"]\n";
    fs_err::write(recipes.join("top.toml"), top)?;
    let catalogue = Catalogue::load(&recipes).map_err(crate::report)?;
    match ensure(&catalogue, "top", site.cache(), false, &mut |_| {}) {
        Ok(_) => bail!("it was built"),
        Err(error @ ImageError::Unreachable { .. }) => Ok(Outcome::Skipped(error.to_string())),
        Err(error) => {
            let words = error.to_string();
            let named = words.contains("`no-such-package-anywhere`") && words.contains("images/top.toml");
            anyhow::ensure!(named, "{words}");
            site.wait_until_clear(&[])?;
            Ok(Outcome::Passed(words))
        }
    }
}

/// The address of a mirror that is not there: a port that was free a moment ago.
fn dead_mirror() -> anyhow::Result<String> {
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    Ok(format!("http://127.0.0.1:{port}/debian"))
}

fn dead(given: &Given, with_plans: bool) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    let mirror = dead_mirror()?;
    if with_plans {
        site.take_plans(given, TWO_DAYS)?;
    }
    let ended = site.builder(&[("REHEARSAL_MIRROR", &mirror)])?.end()?;
    let error = ended.failed_with(&[&format!("failed to fetch {mirror}"), "Could not connect", "REHEARSAL_MIRROR"])?;
    let took_old = ended.said.contains(&image::words(&Progress::OldPlan));
    anyhow::ensure!(took_old == with_plans, "{}", ended.said);
    site.wait_until_clear(&[])?;
    Ok(Outcome::Passed(error))
}

fn dead_and_built(given: &Given) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    site.take_plans(given, TWO_DAYS)?;
    site.take_image(given)?;
    let ended = site.builder(&[("REHEARSAL_MIRROR", &dead_mirror()?)])?.end()?;
    ended.succeeded()?;
    let words = image::words(&Progress::OldPlan);
    anyhow::ensure!(ended.said.contains(&words), "{}", ended.said);
    site.wait_until_clear(&[RECIPE])?;
    Ok(Outcome::Passed(words))
}
