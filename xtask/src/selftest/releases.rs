//! `cargo xtask selftest releases`: whole releases, looked at by the rpm of this host. No guest is needed.
//!
//! All packages of a release must fit together in an empty root; entered over Debian's tree of the same packages, rpm must
//! find what its database says; and the next release must come over that by zypper, in a chroot without running services.

mod dup;

use super::{Outcome, Report};
use crate::distro::{definitions, tell};
use anyhow::{Context as _, ensure};
use harness::cache::Cache;
use harness::distro::Media;
use harness::distro::{self, Definition, Release};
use harness::host::raw::tie_to_thread;
use harness::host::tools;
use harness::host::workspace::Workspace;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};

/// The variant that is upgraded for real: the story's.
const LOSS: &str = "dropped";

/// Runs all rows. Where nothing can be tried, it does not succeed.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    if let Some(missing) = ["rpm", "createrepo_c", "mmdebstrap", "mke2fs", "debugfs", "tar", "unshare"]
        .into_iter()
        .find(|name| tools::which(name).is_none())
    {
        let reason = format!("{missing} is not on this host (cargo xtask setup installs it)");
        report.row("releases", || Ok(Outcome::Skipped(reason)));
    } else {
        anyhow::ensure!(nix::unistd::geteuid().is_root(), "it needs root here: run it as root");
        try_all(&mut report)?;
    }
    report.close();
    Ok(if report.failed == 0 && report.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn try_all(report: &mut Report) -> anyhow::Result<()> {
    let cache = Cache::open_default().context("failed to open the cache")?;
    let definitions = definitions()?;
    let workspace = Workspace::create(&cache.building(), "selftest-releases")?;
    let made = |definition: &Definition| {
        distro::ensure(definition, &cache, false, &|event| tell(&definition.name, &event)).map_err(crate::report)
    };
    for definition in definitions.iter() {
        let release = made(definition)?;
        for variant in [None].into_iter().chain(definition.variants.iter().map(|variant| Some(variant.name.as_str()))) {
            let name = format!("{}: all packages fit together ({})", definition.name, variant.unwrap_or("no variant"));
            report.row(&name, || fits(&release, variant, workspace.path()));
        }
    }
    for definition in definitions.iter() {
        let Some(old) = &definition.upgrades else { continue };
        let old = definitions.get(old).map_err(crate::report)?;
        let (before, after) = (made(old)?, made(definition)?);
        let root = workspace.path().join(&old.name);
        report.row(&format!("{}: Debian's tree is what rpm's database says", old.name), || enter(&before, &root));
        let media =
            distro::media(old, definition, &cache, &|event| tell(&definition.name, &event)).map_err(crate::report)?;
        report.row("the disk has what it says it has", || disk(&media, &after));
        let name = format!("zypper upgrades {} to {} in a root of its own ({LOSS})", old.name, definition.name);
        report.row(&name, || dup::run(&before, &after, &root, workspace.path()));
        report.row("a file that is changed is noticed", || notices(&root));
    }
    Ok(())
}

/// rpm, which is told where its database is: Debian's has it in the caller's home otherwise.
fn rpm<S: AsRef<OsStr>>(root: &Path, arguments: impl IntoIterator<Item = S>) -> anyhow::Result<Output> {
    let mut command = Command::new("rpm");
    command.arg("--root").arg(root).args(["--dbpath", "/var/lib/rpm", "--nosignature"]).args(arguments);
    command.env("LC_ALL", "C").stdin(Stdio::null());
    tie_to_thread(&mut command).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command.spawn()?.wait_with_output()?)
}

/// What rpm says of an installation, without the word that it has for users of Debian.
fn complaints(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines = text.lines().filter(|line| !line.contains("use Alien instead"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Installs a whole release into nothing, without doing it: dependencies and conflicts of files are looked at.
fn fits(release: &Release, variant: Option<&str>, workspace: &Path) -> anyhow::Result<Outcome> {
    let root = tempfile(workspace)?;
    let rpms = release.rpms(variant);
    let output = rpm(&root, ["-U", "--test"].map(PathBuf::from).iter().chain(&rpms))?;
    ensure!(output.status.success(), "{}", complaints(&output));
    Ok(Outcome::Passed(format!("{} packages: no unresolved dependency, no conflict of files", rpms.len())))
}

fn tempfile(workspace: &Path) -> anyhow::Result<PathBuf> {
    let root = workspace.join("empty");
    fs_err::create_dir_all(root.join("var/lib/rpm"))?;
    Ok(root)
}

/// Unpacks Debian's tree, enters the release in rpm's database, installs what overlays changed, and has rpm verify all of it.
fn enter(release: &Release, root: &Path) -> anyhow::Result<Outcome> {
    fs_err::create_dir_all(root)?;
    for file in [release.tree(), release.added()] {
        let output =
            Command::new("tar").arg("--extract").arg("--directory").arg(root).arg("--file").arg(file).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    fs_err::create_dir_all(root.join("var/lib/rpm"))?;
    let flags = |flags: &[&str]| flags.iter().map(PathBuf::from).collect::<Vec<_>>();
    let justdb = flags(&["-U", "--justdb", "--nodeps", "--noscripts", "--force"]);
    let output = rpm(root, justdb.iter().chain(&release.rpms(None)))?;
    ensure!(output.status.success(), "{}", complaints(&output));
    let install = flags(&["-U", "--replacepkgs", "--nodeps", "--noscripts", "--force"]);
    let output = rpm(root, install.iter().chain(&release.changed()))?;
    ensure!(output.status.success(), "{}", complaints(&output));
    let said = verify(root)?;
    let wrong: Vec<_> = said.iter().filter(|line| !is_expected(line)).cloned().collect();
    ensure!(wrong.is_empty(), "{} of {} lines are not expected:\n{}", wrong.len(), said.len(), wrong.join("\n"));
    Ok(Outcome::Passed(format!(
        "rpm -Va says {} lines, all of them expected:\n{}",
        said.len(),
        said.iter().cloned().collect::<Vec<_>>().join("\n")
    )))
}

/// Looks into the file system without mounting it: every variant has its repository with all packages, and the packages of
/// the release before.
fn disk(media: &Media, after: &Release) -> anyhow::Result<Outcome> {
    let list = |directory: &str| -> anyhow::Result<Vec<String>> {
        let output = Command::new("debugfs").args(["-R", &format!("ls -p {directory}")]).arg(media.disk()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().filter_map(|line| Some(line.split('/').nth(5)?.to_owned())).collect())
    };
    for variant in &media.variants {
        let found: BTreeSet<_> = list(&media.repository(variant))?.into_iter().collect();
        let rpms = after.rpms(Some(variant));
        let missing = rpms.iter().filter_map(|rpm| rpm.file_name()?.to_str()).find(|name| !found.contains(*name));
        ensure!(missing.is_none() && found.contains("repodata"), "{variant}: {missing:?} or repodata is missing");
        let before = list(&media.before(variant))?
            .iter()
            .filter(|name| Path::new(name).extension() == Some("rpm".as_ref()))
            .count();
        ensure!(before > 0, "{variant}: no package of the release before");
    }
    let size = harness::cache::Size::on_disk(&media.disk());
    Ok(Outcome::Passed(format!("{} repositories: {}; {size}", media.variants.len(), media.variants.join(", "))))
}

fn verify(root: &Path) -> anyhow::Result<BTreeSet<String>> {
    let output = rpm(root, ["-Va", "--nodeps", "--noscripts"])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().map(ToOwned::to_owned).collect())
}

/// Whether rpm may say this of a path: configuration that a script has made, or that a machine makes for itself.
fn is_expected(line: &str) -> bool {
    let (signs, rest) = line.split_at(line.len().min(9));
    let mut words = rest.split_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next());
    let is_config = first == "c" && second.is_some();
    let path = second.unwrap_or(first);
    // Edited when it was set up: content, size and time of configuration.
    let only_content = signs.chars().all(|sign| "S5T.".contains(sign));
    // A script gives sssd's helpers their capabilities, at every upgrade; and two packages share a directory.
    let is_helper = signs == "........P" && path.starts_with("/usr/libexec/sssd/");
    (is_config && only_content) || is_helper || line.ends_with("/etc/ssl/private (replaced)")
}

/// The check can fail: a program that somebody has changed, and one that is gone.
fn notices(root: &Path) -> anyhow::Result<Outcome> {
    fs_err::write(root.join("usr/sbin/postdrop"), "changed")?;
    fs_err::remove_file(root.join("usr/sbin/postqueue"))?;
    let said: Vec<_> = verify(root)?.into_iter().filter(|line| !is_expected(line)).collect();
    ensure!(said.len() >= 2 && said.iter().all(|line| line.contains("/usr/sbin/post")), "{}", said.join("\n"));
    Ok(Outcome::Passed(said.join("\n")))
}
