//! Images that somebody else made: the part of somebody else is played by an image of our own.

use super::site::Site;
use super::{Given, Outcome, RECIPE, Report};
use anyhow::{Context as _, bail};
use harness::host::accelerator;
use harness::image::{Catalogue, Image, ensure};
use harness::lab::{Lab, Media, Setup};
use harness::machine::Boot;
use harness::scenario::LabFile;
use harness::seed::LabSecret;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The name of the foreign recipe.
const FOREIGN: &str = "foreign";

pub(super) fn run(given: &Given, report: &mut Report) {
    report.row("foreign: by path, and a guest boots from it", || by_path(given));
    report.row("foreign: by URL", || by_url(given));
    report.row("foreign: not the file that the recipe means", || wrong_digest(given));
    report.row("foreign: no such file", || missing(given));
}

/// Somebody's files.
struct Files {
    disk: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
    parameters: String,
}

fn files(given: &Given) -> anyhow::Result<Files> {
    match &given.image.boot {
        Boot::Direct { kernel, initrd: Some(initrd), parameters } => Ok(Files {
            disk: given.image.disk.clone(),
            kernel: kernel.clone(),
            initrd: initrd.clone(),
            parameters: parameters.clone(),
        }),
        _ => bail!("the image of `{RECIPE}` has no kernel of its own"),
    }
}

/// A catalogue with one recipe whose files are at `place`, as `path` or `url`.
fn catalogue(site: &Site, files: &Files, place: impl Fn(&Path) -> String) -> anyhow::Result<Catalogue> {
    let recipes = site.path().join("recipes");
    fs_err::create_dir(&recipes)?;
    let mut text = format!("summary = \"somebody's\"\nkernel_parameters = \"{}\"\n", files.parameters);
    for (part, path) in [("disk", &files.disk), ("kernel", &files.kernel), ("initrd", &files.initrd)] {
        write!(text, "[from.{part}]\n{}\nsha256 = \"{}\"\n", place(path), digest(path)?)?;
    }
    fs_err::write(recipes.join(format!("{FOREIGN}.toml")), text)?;
    Catalogue::load(&recipes).map_err(crate::report)
}

/// Not by our own code: the recipe's author has other tools.
fn digest(path: &Path) -> anyhow::Result<String> {
    let output = Command::new("sha256sum").arg("--").arg(path).output().context("failed to run sha256sum")?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_whitespace().next().context("sha256sum said nothing")?.to_owned())
}

fn path(path: &Path) -> String {
    format!("path = \"{}\"", path.display())
}

fn take(site: &Site, catalogue: &Catalogue) -> anyhow::Result<Image> {
    let image = ensure(catalogue, FOREIGN, site.cache(), false, &mut |_| {})?;
    ensure(catalogue, FOREIGN, site.cache(), false, &mut |event| {
        // An image that is here is not fetched again.
        panic!("{event:?}")
    })?;
    Ok(image)
}

fn by_path(given: &Given) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    let files = files(given)?;
    let image = take(&site, &catalogue(&site, &files, path)?)?;
    let release = boot(&site, &image)?;
    drop(image);
    site.wait_until_clear(&[FOREIGN])?;
    Ok(Outcome::Passed(format!("the guest says: {release}")))
}

/// One machine alone.
const LAB: &str = r#"
summary = "one machine of a foreign image"
domain = "foreign.test"
accounts = []
[[segment]]
name = "lan"
prefix = "10.30.0.0/24"
[[machine]]
name = "stranger"
image = "foreign"
role = "plain"
segment = "lan"
address = "10.30.0.10"
memory_mib = 512
processors = 1
"#;

/// A role that only leaves a mark, so that it is seen whether cloud-init of the image did what it was told.
const USER_DATA: &str = "#cloud-config\nwrite_files:\n  - path: /etc/role\n    content: plain\n";

/// Boots one machine from the image, and asks it what it is.
fn boot(site: &Site, image: &Image) -> anyhow::Result<String> {
    let file = site.path().join("alone.toml");
    fs_err::write(&file, LAB)?;
    let topology = LabFile::load(&file).map_err(crate::report)?.topology;
    let roles = site.path().join("roles");
    fs_err::create_dir_all(roles.join("plain/files"))?;
    fs_err::write(roles.join("plain/user-data.yaml"), USER_DATA)?;
    let selection = accelerator::choose(site.cache().root())?;
    let mut setup = Setup::of_this_host(&selection, &roles, site.cache());
    setup.media.insert(FOREIGN.to_owned(), Media::from(image));
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let lab = Lab::boot(&topology, &setup, &LabSecret::random(), site.path(), &|_| {}).await?;
        let deadline = setup.tempo.deadline(Duration::from_secs(10));
        let machine = lab.machine("stranger").context("the lab lacks its machine")?;
        let release =
            machine.succeed("hostname; cat /etc/role; echo; . /etc/os-release; echo $PRETTY_NAME", deadline).await?;
        lab.tear_down().await?;
        let words: Vec<_> = release.split_whitespace().collect();
        anyhow::ensure!(words.starts_with(&["stranger", "plain"]), "{release}");
        Ok(words.join(" "))
    })
}

fn by_url(given: &Given) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    let files = files(given)?;
    let image = take(&site, &catalogue(&site, &files, |path| format!("url = \"file://{}\"", path.display()))?)?;
    anyhow::ensure!(digest(&image.disk)? == digest(&files.disk)?, "another disk arrived");
    site.wait_until_clear(&[FOREIGN])?;
    Ok(Outcome::Passed("fetched by curl, the same bytes".to_owned()))
}

fn wrong_digest(given: &Given) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    let good = files(given)?;
    // Another build of it: one byte more.
    let changed = site.path().join("changed.qcow2");
    fs_err::copy(&good.disk, &changed)?;
    let catalogue = catalogue(&site, &Files { disk: changed.clone(), ..good }, path)?;
    let mut file = fs_err::OpenOptions::new().append(true).open(&changed)?;
    std::io::Write::write_all(&mut file, b"x")?;
    drop(file);
    refused(&site, &catalogue, &["changed.qcow2", "SHA-256", &digest(&changed)?])
}

fn missing(given: &Given) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    let good = files(given)?;
    let gone = site.path().join("gone.qcow2");
    fs_err::write(&gone, "x")?;
    let catalogue = catalogue(&site, &Files { disk: gone.clone(), ..good }, path)?;
    fs_err::remove_file(&gone)?;
    refused(&site, &catalogue, &["gone.qcow2", "No such file"])
}

fn refused(site: &Site, catalogue: &Catalogue, words: &[&str]) -> anyhow::Result<Outcome> {
    let Err(error) = ensure(catalogue, FOREIGN, site.cache(), false, &mut |_| {}) else {
        bail!("it was taken");
    };
    let error = format!("{:#}", anyhow::Error::from(error));
    let missing: Vec<_> = words.iter().filter(|word| !error.contains(**word)).collect();
    anyhow::ensure!(missing.is_empty(), "it does not say {missing:?}: {error}");
    site.wait_until_clear(&[])?;
    Ok(Outcome::Passed(error.replace(&site.path().display().to_string(), "…")))
}
