//! `cargo xtask selftest predict`: every prediction about configuration files, compared with what the rpm of this host does.
//!
//! rpmbuild makes two releases of small packages ([`cases`]), rpm installs the first below a directory of its own, the files
//! are changed, the collector makes its dump, and the prediction is made from that and from the second release. Then rpm
//! upgrades, twice: all packages in one transaction, as `rpm -U` and dnf do, and each in one of its own, as zypper does. Every
//! path must be as was said, with content and second files.

mod cases;
mod idioms;
mod packages;
mod scriptlets;

use super::{Outcome, Report};
use crate::exit::End;
use anyhow::{Context as _, bail, ensure};
use cases::{Case, Deed, Thing};
use harness::cache::Cache;
use harness::host::tools;
use harness::host::workspace::Workspace;
use harness::predict::disk::OnDisk;
use harness::predict::fate::Fate;
use harness::predict::model::wanted;
use harness::predict::{COLLECTOR, Extent, Plan, Repository, RepositoryError, System, UpgradePrediction, predict};
use packages::{Releases, Rpm, look, put};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The suffixes of second files.
const SUFFIXES: [&str; 3] = [".rpmsave", ".rpmorig", ".rpmnew"];

/// Names that shells, awk and JSON stumble over, of files that belong to no package.
const ODD_NAMES: [&str; 5] = ["a b", "it's \"odd\"", r"dev-disk\x2dby", "new\nline", "ümläut"];

/// Runs all comparisons. Where nothing can be compared, it does not succeed.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let needed = ["rpm", "rpmbuild", "find", "awk", "md5sum", "sha256sum", "ldd"];
    if let Some(missing) = needed.into_iter().find(|name| tools::which(name).is_none()) {
        let reason = format!("{missing} is not on this host (cargo xtask setup installs it)");
        report.row("predictions", || Ok(Outcome::Skipped(reason)));
    } else {
        let cache = Cache::open_default().context("failed to open the cache")?;
        let workspace = Workspace::create(&cache.building(), "selftest-predict")?;
        compare(workspace.path(), &mut report)?;
    }
    report.close();
    Ok(if report.failed == 0 && report.passed > 0 { ExitCode::SUCCESS } else { End::Failed.into() })
}

/// A way to bring the second release.
struct Manner {
    name: &'static str,
    root: PathBuf,
}

fn compare(work: &Path, report: &mut Report) -> anyhow::Result<()> {
    let rpm = Rpm::new(work)?;
    let cases = cases::all();
    let mut releases = Releases::default();
    for case in &cases {
        releases.add(case);
    }
    scriptlets::add(&mut releases);
    idioms::add(&mut releases);
    let (old, new) = (rpm.build(&releases.old, 1)?, rpm.build(&releases.new, 2)?);

    let root = work.join("root");
    fs_err::create_dir_all(root.join("etc"))?;
    idioms::furnish(&root)?;
    let output = rpm.upgrade(&root, &old)?;
    ensure!(output.status.success(), "rpm failed to install: {}", String::from_utf8_lossy(&output.stderr));
    for case in &cases {
        Deed::ALL.into_iter().filter(|deed| case.has(*deed)).try_for_each(|deed| change(&root, case, deed))?;
    }
    scriptlets::change(&root)?;
    idioms::change(&root)?;
    let odd = ODD_NAMES.map(|name| format!("/etc/fate-odd/{name}"));
    odd.iter().try_for_each(|path| put(&root, path, &Thing::File(path.clone())))?;

    let system = System::read(&dump(&rpm, &root, work)?)?;
    report.row("odd names of files", || look_for(&odd, &system));
    let repository = work.join("release-2");
    let forecast = forecast(&system, &repository)?;
    let manners = [upgrade_at_once(&rpm, work, &releases, &new)?, upgrade_one_by_one(&rpm, work, &releases, &new)?];
    for case in &cases {
        report.row(&case.name, || compare_case(case, &root, &manners, &forecast));
    }
    scriptlets::compare(&root, &manners, &forecast, report);
    idioms::compare(&manners, &forecast, report);
    compare_metadata(&system, &repository, report)
}

/// Does what the administrator does.
fn change(root: &Path, case: &Case, deed: Deed) -> anyhow::Result<()> {
    let path = case.path(deed);
    match deed {
        Deed::Untouched => Ok(()),
        Deed::Edited => put(root, &path, &Thing::File("the administrator's\n".into())),
        Deed::AlreadyNew => put(root, &path, &case.new.as_ref().map_or(Thing::Nothing, |new| new.thing.clone())),
        Deed::Deleted => put(root, &path, &Thing::Nothing),
        Deed::Linked => put(root, &path, &Thing::Link("the-administrators".into())),
        Deed::Directory => put(root, &path, &Thing::Directory),
    }
}

/// Runs the collector, as a server would.
fn dump(rpm: &Rpm, root: &Path, work: &Path) -> anyhow::Result<PathBuf> {
    let script = work.join("collector.sh");
    fs_err::write(&script, COLLECTOR)?;
    let output = rpm.as_root("sh").arg(&script).env("REHEARSAL_ROOT", root).output()?;
    ensure!(output.status.success(), "the collector failed: {}", String::from_utf8_lossy(&output.stderr));
    let dump = work.join("dump.json");
    fs_err::write(&dump, output.stdout)?;
    Ok(dump)
}

fn forecast(system: &System, repository: &Path) -> anyhow::Result<UpgradePrediction> {
    let repository = Repository::read(repository, wanted(system))?;
    Ok(predict(system, &repository, &Plan::new(system, &repository, Extent::Repository)))
}

fn upgrade_at_once(rpm: &Rpm, work: &Path, releases: &Releases, new: &[PathBuf]) -> anyhow::Result<Manner> {
    let root = copy(work, "at-once")?;
    rpm.erase(&root, &releases.erased)?;
    rpm.upgrade(&root, new)?;
    Ok(Manner { name: "in one transaction", root })
}

fn upgrade_one_by_one(rpm: &Rpm, work: &Path, releases: &Releases, new: &[PathBuf]) -> anyhow::Result<Manner> {
    let root = copy(work, "one-by-one")?;
    rpm.erase(&root, &releases.erased)?;
    for package in new {
        rpm.upgrade(&root, std::slice::from_ref(package))?;
    }
    Ok(Manner { name: "package by package", root })
}

fn copy(work: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let copy = work.join(name);
    let status = Command::new("cp").arg("-a").arg(work.join("root")).arg(&copy).status()?;
    ensure!(status.success(), "failed to copy the root");
    Ok(copy)
}

/// A path and its second files, after an upgrade.
#[derive(Debug, PartialEq, Eq)]
struct After {
    at: Thing,
    /// In the order of [`SUFFIXES`].
    beside: [Thing; 3],
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)?;
        let beside = self.beside.iter().zip(SUFFIXES).filter(|(thing, _)| **thing != Thing::Nothing);
        beside.into_iter().try_for_each(|(thing, suffix)| write!(f, " and, in {suffix}, {thing}"))
    }
}

impl After {
    fn look(root: &Path, path: &str) -> anyhow::Result<Self> {
        let mut beside = [const { Thing::Nothing }; 3];
        for (thing, suffix) in beside.iter_mut().zip(SUFFIXES) {
            *thing = look(root, &format!("{path}{suffix}"))?;
        }
        Ok(Self { at: look(root, path)?, beside })
    }

    /// What a fate promises, if this was there before, and that comes.
    fn promised(fate: Fate, before: Thing, new: Thing) -> Self {
        let (copy, other) = (before.clone(), new.clone());
        let at = match fate {
            // No case here has a scriptlet that edits, moves or does what cannot be told.
            Fate::DeletedWithoutBackup
            | Fate::RemovedWithRpmsave
            | Fate::Removed
            | Fate::Absent
            | Fate::Unknown
            | Fate::Moved
            | Fate::Edited
            | Fate::Rewritten => Thing::Nothing,
            Fate::Blocked | Fate::Kept | Fate::KeptWithRpmnew | Fate::LeftBehind | Fate::Shadowed | Fate::Restored => {
                before
            }
            Fate::OverwrittenWithoutBackup
            | Fate::ReplacedWithRpmsave
            | Fate::ReplacedWithRpmorig
            | Fate::Created
            | Fate::Updated => new,
        };
        let second = if fate.keeps_copy() { copy } else { other };
        let beside = SUFFIXES.map(|suffix| if fate.suffix() == Some(suffix) { second.clone() } else { Thing::Nothing });
        Self { at, beside }
    }
}

/// Files are in a dump under their own names, with both digests.
fn look_for(paths: &[String], system: &System) -> anyhow::Result<Outcome> {
    for path in paths {
        let found = system.on_disk(path);
        ensure!(
            matches!(found, OnDisk::Regular(digests) if digests.len() == 2),
            "{path:?} is in the dump as {found:?}"
        );
    }
    Ok(Outcome::Passed(format!("{paths:?}")))
}

/// Compares a case: each deed, in each manner.
fn compare_case(
    case: &Case,
    before: &Path,
    manners: &[Manner],
    forecast: &UpgradePrediction,
) -> anyhow::Result<Outcome> {
    let (mut said, mut wrong) = (Vec::new(), Vec::new());
    for deed in Deed::ALL.into_iter().filter(|deed| case.has(*deed)) {
        let path = case.path(deed);
        let thing = look(before, &path)?;
        let fate = forecast.files.iter().find(|file| file.path == path).map(|file| file.fate);
        // What no package takes or brings stays as it is.
        let fate = fate.unwrap_or(if thing == Thing::Nothing { Fate::Absent } else { Fate::Kept });
        said.push(format!("{}: {fate}", deed.name()));
        let promised = After::promised(fate, thing, case.brought());
        for manner in manners {
            let found = After::look(&manner.root, &path)?;
            if found != promised {
                wrong.push(format!("{} {}: promised {promised}, found {found}", deed.name(), manner.name));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}\n{}", said.join("; "), wrong.join("\n"));
    Ok(Outcome::Passed(said.join("; ")))
}

/// The lists that `createrepo_c` makes are read, and a package that they promise is missed.
fn compare_metadata(system: &System, repository: &Path, report: &mut Report) -> anyhow::Result<()> {
    let name = "the list of a repository is read, and a package that it promises is missed";
    if tools::which("createrepo_c").is_none() {
        let reason = "createrepo_c is not on this host (cargo xtask setup installs it)";
        report.row(name, || Ok(Outcome::Skipped(reason.to_owned())));
        return Ok(());
    }
    let output = Command::new("createrepo_c").arg("--quiet").arg(repository).output()?;
    ensure!(output.status.success(), "createrepo_c failed: {}", String::from_utf8_lossy(&output.stderr));
    report.row(name, || {
        Repository::read(repository, wanted(system))?;
        let one = fs_err::read_dir(repository.join("noarch"))?.next().context("the repository is empty")??.path();
        fs_err::remove_file(&one)?;
        match Repository::read(repository, wanted(system)) {
            Err(error @ RepositoryError::Repodata(_)) => Ok(Outcome::Passed(error.to_string())),
            Err(error) => Err(error.into()),
            Ok(_) => bail!("{} is gone, and nothing was said", one.display()),
        }
    });
    Ok(())
}
