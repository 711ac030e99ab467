//! What lists of files do not show: scriptlets in Lua that remove files, and copies of earlier upgrades.
//!
//! Lua is not followed: what it touches is unknown, and a hint must name the file that it then really changes.

use super::cases::{Packaged, Thing};
use super::packages::{Recipe, Releases, Script, look, put};
use super::{Manner, Outcome, Report, UpgradePrediction};
use anyhow::{Context as _, ensure};
use harness::predict::fate::Fate;
use std::path::Path;

/// A file that belongs to no package, and who removes it.
const REMOVALS: [(&str, Release, &str); 4] = [
    ("/etc/fate-scripts/pretrans", Release::New, "%pretrans -p <lua>"),
    ("/etc/fate-scripts/post", Release::New, "%post -p <lua>"),
    ("/etc/fate-scripts/posttrans", Release::New, "%posttrans -p <lua>"),
    ("/etc/fate-scripts/postun", Release::Old, "%postun -p <lua>"),
];

/// A file that is kept with a `.rpmnew`, which a scriptlet then puts in its place.
const MOVED: &str = "/etc/fate-scripts/moved";

/// A file that is removed with a `.rpmsave`, where one lies from an earlier upgrade.
const COPIED: &str = "/etc/fate-scripts/copied";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Release {
    Old,
    New,
}

fn packaged(directive: &'static str, content: &str) -> Packaged {
    Packaged { directive, thing: Thing::File(content.to_owned()), algorithm: 8 }
}

/// Adds their packages.
pub(super) fn add(releases: &mut Releases) {
    for (path, release, kind) in REMOVALS {
        let name = path.replace("/etc/fate-scripts/", "script-");
        let recipe = |own| {
            let script = Script { kind, text: format!("os.remove(\"{path}\")") };
            let scripts = if own == release { vec![script] } else { Vec::new() };
            Recipe { name: name.clone(), scripts, ..Recipe::default() }
        };
        releases.old.push(recipe(Release::Old));
        releases.new.push(recipe(Release::New));
    }
    let recipe = |content, scripts| Recipe {
        name: "script-moves".into(),
        files: vec![(MOVED.into(), packaged("%config(noreplace)", content))],
        scripts,
        ..Recipe::default()
    };
    releases.old.push(recipe("old\n", Vec::new()));
    let text = format!("os.rename(\"{MOVED}.rpmnew\", \"{MOVED}\")");
    releases.new.push(recipe("new\n", vec![Script { kind: "%posttrans -p <lua>", text }]));
    let recipe = |files| Recipe { name: "older-copy".into(), files, ..Recipe::default() };
    releases.old.push(recipe(vec![(COPIED.into(), packaged("%config", "old\n"))]));
    releases.new.push(recipe(Vec::new()));
}

/// Does what the administrator does.
pub(super) fn change(root: &Path) -> anyhow::Result<()> {
    let own = Thing::File("the administrator's\n".into());
    for path in REMOVALS.map(|(path, ..)| path).into_iter().chain([MOVED, COPIED]) {
        put(root, path, &own)?;
    }
    put(root, &format!("{COPIED}.rpmsave"), &Thing::File("of an earlier upgrade\n".into()))
}

/// Compares them.
pub(super) fn compare(before: &Path, manners: &[Manner], forecast: &UpgradePrediction, report: &mut Report) {
    for manner in manners {
        for path in REMOVALS.map(|(path, ..)| path).into_iter().chain([MOVED]) {
            report.row(&format!("a scriptlet's change of {path}, {}", manner.name), || {
                let said = forecast.files.iter().find(|file| file.path == path).context("nothing was said of it")?;
                ensure!(said.fate == Fate::Unknown, "its fate was said to be: {}", said.fate);
                let hint = forecast.hints.iter().find(|hint| hint.path.as_deref() == Some(path));
                let hint = hint.context("no hint names it")?;
                ensure!(look(before, path)? != look(&manner.root, path)?, "a hint names it, and it is as it was");
                Ok(Outcome::Passed(format!("hint: {} of {}: {}", hint.scriptlet, hint.package, hint.line)))
            });
        }
        report.row(&format!("the older copy of {COPIED}, {}", manner.name), || {
            let copy = format!("{COPIED}.rpmsave");
            let said = forecast.files.iter().find(|file| file.path == copy).context("nothing was said of it")?;
            ensure!(said.fate == Fate::OverwrittenWithoutBackup, "its fate was said to be: {}", said.fate);
            ensure!(look(&manner.root, &copy)? == look(before, COPIED)?, "it was said to be lost, and is still there");
            Ok(Outcome::Passed(said.why.clone()))
        });
    }
}
