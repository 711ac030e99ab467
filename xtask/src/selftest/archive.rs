//! Archives that do not answer, or do not have what a recipe names.

use super::kills::installing;
use super::site::Site;
use super::{Given, Outcome, RECIPE, Report};
use anyhow::{Context as _, bail};
use harness::cache::Kind;
use harness::image::{Catalogue, ImageError, Progress, ensure};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const A_MINUTE: Duration = Duration::from_mins(1);
const THREE_HOURS: Duration = Duration::from_hours(3);
const TWO_DAYS: Duration = Duration::from_hours(48);

pub(super) fn run(given: &Given, report: &mut Report) {
    report.row("archive: a package that does not exist", || no_package(given));
    report.row("archive: does not answer, and nothing is known", || dead(given, false));
    report.row("archive: does not answer, and versions are known", || dead(given, true));
    report.row("archive: does not answer, and the image is here", || dead_and_built(given));
    report.row("archive: has other versions than hours ago", || outdated(given));
    report.row("archive: has other versions than a minute ago", || overtaken(given));
    report.row("archive: its index was changed after it was signed", || signed(given));
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
    let took_old = ended.said.contains(&Progress::OldPlan.to_string());
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
    let words = Progress::OldPlan.to_string();
    anyhow::ensure!(ended.said.contains(&words), "{}", ended.said);
    site.wait_until_clear(&[RECIPE])?;
    Ok(Outcome::Passed(words))
}

/// Versions of hours ago are good enough for an image that is here. They are no plan for one that would have to be built: the
/// archive may not have them any more, and the image would not be what its manifest says.
fn outdated(given: &Given) -> anyhow::Result<Outcome> {
    let asked = Progress::Planning.to_string();
    let found = with_false_plans(given, THREE_HOURS, &asked)?;
    Ok(Outcome::Passed(format!("{asked}; {found}")))
}

/// Nobody asks again for versions of a minute ago, and an image is called by them: what was installed is held against them.
fn overtaken(given: &Given) -> anyhow::Result<Outcome> {
    let noticed = "the archive has other versions than a moment ago: libc6 ";
    let found = with_false_plans(given, A_MINUTE, noticed)?;
    Ok(Outcome::Passed(format!("{noticed}…; {found}")))
}

/// Builds where plans of this age name a version that the archive does not have, expects these words, and that nothing in the cache
/// names that version then.
fn with_false_plans(given: &Given, age: Duration, words: &str) -> anyhow::Result<&'static str> {
    const GONE: &str = "0-gone";
    let site = Site::new(given)?;
    site.take_plans_with(given, age, |plan| {
        if let Some(version) = plan.pointer_mut("/packages/libc6") {
            *version = GONE.into();
        }
    })?;
    site.take_base(given)?;
    site.take_image(given)?;
    let ended = site.builder(&[])?.end()?;
    ended.succeeded()?;
    anyhow::ensure!(ended.said.contains(words), "{}", ended.said);
    let images = site.cache().list(Kind::Image)?;
    for image in &images {
        // A tree that images are built on has no manifest.
        let manifest = site.cache().place(Kind::Image, &image.name).join("manifest.json");
        let is_false = std::fs::read_to_string(&manifest).is_ok_and(|text| text.contains(GONE));
        anyhow::ensure!(!is_false, "{} names {GONE}", manifest.display());
    }
    site.wait_until_clear(&images.iter().map(|image| image.name.name()).collect::<Vec<_>>())?;
    Ok(if ended.said.contains(&installing(RECIPE)) { "it was built anew" } else { "it was there" })
}

/// The index of the release as this host's apt has fetched it, with its signature.
fn signed_index() -> Option<String> {
    let lists = std::fs::read_dir("/var/lib/apt/lists").ok()?.filter_map(Result::ok);
    let is_ours = |name: &str| name.ends_with("_debian_dists_bookworm_InRelease");
    let found = lists.filter(|file| file.file_name().to_str().is_some_and(is_ours)).map(|file| file.path()).next();
    std::fs::read_to_string(found?).ok()
}

/// A mirror that has this index, and nothing else. It serves until this process ends.
fn mirror_with(index: String) -> anyhow::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            // Who hangs up has what it wanted.
            let _ = answer(connection, &index);
        }
    });
    Ok(format!("http://{address}/debian"))
}

/// One request is one connection.
fn answer(mut connection: TcpStream, index: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    lines.map_while(Result::ok).find(String::is_empty);
    let (status, body) = if request.contains("/InRelease ") { ("200 OK", index) } else { ("404 Not Found", "") };
    let length = body.len();
    write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// Each package is held against the index, and that against the keys of Debian: with a changed index nothing is installed.
fn signed(given: &Given) -> anyhow::Result<Outcome> {
    let Some(index) = signed_index() else {
        return Ok(Outcome::Skipped("this host's apt has no index of bookworm: run `apt-get update`".into()));
    };
    let changed = index.replacen("Origin: Debian", "Origin: Debjan", 1);
    anyhow::ensure!(changed != index, "the index has another form");
    let refused = |index: String| -> anyhow::Result<String> {
        let site = Site::new(given)?;
        let ended = site.builder(&[("REHEARSAL_MIRROR", &mirror_with(index)?)])?.end()?;
        anyhow::ensure!(!ended.success, "it was built");
        site.wait_until_clear(&[])?;
        Ok(ended.said)
    };
    let words = "invalid: BADSIG";
    let (good, bad) = (refused(index)?, refused(changed)?);
    anyhow::ensure!(!good.contains(words), "the index as it was signed is not accepted either:\n{good}");
    let line = bad.lines().find(|line| line.contains(words));
    let line = line.with_context(|| format!("it does not say `{words}`:\n{bad}"))?;
    Ok(Outcome::Passed(line.trim().to_owned()))
}
