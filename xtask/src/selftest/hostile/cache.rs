//! Caches of others, and rooms that lead elsewhere.

use super::super::site::Site;
use super::super::{Given, Outcome, RECIPE, Report};
use super::xtask;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown, symlink};

const COMMANDS: [&[&str]; 5] =
    [&["lab", "list"], &["image", "list"], &["image", "build", RECIPE], &["clean"], &["status"]];

pub(in crate::selftest) fn run(given: &Given, report: &mut Report) {
    report.row("hostile cache: a room that is a link", || link(given));
    report.row("hostile cache: somebody else's", || owner(given));
}

fn link(given: &Given) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    let (elsewhere, room) = (site.path().join("elsewhere"), site.cache().labs());
    fs_err::create_dir(&elsewhere)?;
    fs_err::set_permissions(&elsewhere, PermissionsExt::from_mode(0o755))?;
    // As what a killed run leaves: a sweep would remove it.
    let precious = elsewhere.join("lab-00000000abcd");
    fs_err::create_dir(&precious)?;
    fs_err::write(precious.join(".rehearsal-in-use"), "")?;
    fs_err::remove_dir(&room)?;
    symlink(&elsewhere, &room)?;
    let mut said = String::new();
    for command in COMMANDS {
        said = xtask(&site.home(), command)?.with(3, &["labs is a link", "XDG_CACHE_HOME"])?;
        anyhow::ensure!(precious.exists(), "`{}` removed what lies behind", command.join(" "));
        let mode = elsewhere.metadata()?.mode() & 0o777;
        anyhow::ensure!(mode == 0o755, "`{}` gave {mode:o} to what lies behind", command.join(" "));
    }
    Ok(Outcome::Passed(said.replace(&site.path().display().to_string(), "…")))
}

fn owner(given: &Given) -> anyhow::Result<Outcome> {
    const NOBODY: u32 = 65534;
    let site = Site::new(given)?;
    chown(site.cache().root(), Some(NOBODY), None)?;
    let mut said = String::new();
    for command in COMMANDS {
        said = xtask(&site.home(), command)?.with(3, &["belongs to the user with number 65534", "and you are 0"])?;
    }
    chown(site.cache().root(), Some(0), None)?;
    Ok(Outcome::Passed(said.replace(&site.path().display().to_string(), "…")))
}
