//! Paths that mean something to a shell, and paths that no program takes.

use super::super::builder::Builder;
use super::super::site::Site;
use super::super::{Given, Outcome, RECIPE, Report};
use super::xtask;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

/// What a shell would make of it: a file `pwned` in the directory that the builder runs in, or in the tree.
const NAME: &str = "it's; touch pwned; $(touch pwned) `touch pwned` & a,b %d *";

pub(in crate::selftest) fn run(given: &Given, report: &mut Report) {
    report.row("hostile path: an image is built in a cache whose path means something to a shell", || built(given));
    report.row("hostile path: a cache whose path no program takes", || refused(given));
}

fn built(given: &Given) -> anyhow::Result<Outcome> {
    let site = Site::named(given, NAME)?;
    site.take_plans(given, Duration::ZERO)?;
    site.take_base(given)?;
    let ended = Builder::start(&site.home(), &[])?.end()?;
    ended.succeeded()?;
    site.wait_until_clear(&[RECIPE, "base"])?;
    let current = std::env::current_dir()?;
    for place in [site.path(), current.as_path(), "/".as_ref()] {
        anyhow::ensure!(!place.join("pwned").exists(), "a part of the path was run: {}", place.join("pwned").display());
    }
    let listed = xtask(&site.home(), ["image", "list"])?.with(0, &[RECIPE])?;
    xtask(&site.home(), ["lab", "list"])?.with(0, &[])?;
    xtask(&site.home(), ["clean", "--all"])?.with(0, &[])?;
    Ok(Outcome::Passed(listed))
}

fn refused(given: &Given) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    let names: [(&[u8], &str); 3] =
        [(b"no\xfftext", "what is not UTF-8"), (b"a\"b", "a quotation mark"), (b"a\nb", "a control character")];
    for (name, words) in names {
        let home = site.path().join(OsStr::from_bytes(name));
        let commands: [&[&str]; 5] =
            [&["image", "build", RECIPE], &["image", "list"], &["lab", "list"], &["clean"], &["status"]];
        for command in commands {
            xtask(&home, command)?.with(3, &[words, "XDG_CACHE_HOME"])?;
            anyhow::ensure!(!home.exists(), "`{}` made {}", command.join(" "), home.display());
        }
    }
    Ok(Outcome::Passed("each command ends with 3 before it makes anything".to_owned()))
}
