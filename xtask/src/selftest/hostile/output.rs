//! Results where something else stands.

use super::super::site::Site;
use super::super::{Given, Outcome, RECIPE, Report};
use super::xtask;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub(in crate::selftest) fn run(given: &Given, report: &mut Report) {
    report.row("hostile place: results that would replace a device, a FIFO or a link", || places(given));
}

/// Makes what stands there.
type Make = fn(&Path) -> anyhow::Result<()>;

/// `/dev/null`, without the risk to this host: a node of the same numbers.
fn device(at: &Path) -> anyhow::Result<()> {
    let made = Command::new("mknod").arg(at).args(["c", "1", "3"]).status()?;
    anyhow::ensure!(made.success(), "mknod failed");
    Ok(())
}

fn fifo(at: &Path) -> anyhow::Result<()> {
    Ok(nix::unistd::mkfifo(at, nix::sys::stat::Mode::S_IRWXU)?)
}

fn link(at: &Path) -> anyhow::Result<()> {
    fs_err::write(at.with_extension("precious"), "precious")?;
    Ok(fs_err::os::unix::fs::symlink(at.with_extension("precious"), at)?)
}

fn places(given: &Given) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    site.take_plans(given, Duration::ZERO)?;
    site.take_image(given)?;
    let kinds: [(&str, Make); 3] = [("a device", device), ("a FIFO", fifo), ("a link", link)];
    for (what, make) in kinds {
        let target = site.path().join("export");
        make(&target)?;
        let before = target.symlink_metadata()?;
        let exporting = ["image".as_ref(), "export".as_ref(), RECIPE.as_ref(), "-o".as_ref(), target.as_os_str()];
        xtask(&site.home(), exporting)?.with(2, &[&format!("is {what}: name a new file")])?;
        let pages = site.path().join("pages");
        fs_err::create_dir(&pages)?;
        let page = pages.join("xtask.1");
        make(&page)?;
        let writing = ["man".as_ref(), "--directory".as_ref(), pages.as_os_str()];
        let refused = xtask(&site.home(), writing)?;
        anyhow::ensure!(refused.code != Some(0) && refused.said.contains(what), "{}", refused.said);
        let after = target.symlink_metadata()?;
        anyhow::ensure!((before.ino(), before.file_type()) == (after.ino(), after.file_type()), "{what} was replaced");
        let kind = page.symlink_metadata()?.file_type();
        anyhow::ensure!(kind.is_char_device() || kind.is_fifo() || kind.is_symlink(), "a page replaced {what}");
        for gone in [&target, &page] {
            fs_err::remove_file(gone)?;
        }
        fs_err::remove_dir_all(&pages)?;
        let left: Vec<_> =
            fs_err::read_dir(site.path())?.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<_>>()?;
        anyhow::ensure!(
            !left.iter().any(|name| name.to_string_lossy().contains("part-")),
            "something is left: {left:?}"
        );
    }
    Ok(Outcome::Passed("each is refused by its kind, and stays".to_owned()))
}
