//! Templates that are not what they were.

use super::super::site::Site;
use super::super::{Given, Outcome, Report};
use super::{Labs, MACHINE};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// What happens to a template, and the words by which it is noticed.
struct Harm {
    name: &'static str,
    file: &'static str,
    words: &'static str,
    act: fn(&Path) -> std::io::Result<()>,
}

const HARMS: [Harm; 4] = [
    Harm { name: "a bit of RAM is flipped", file: "memory", words: "is not what it was", act: flip },
    Harm { name: "the devices' state is cut off", file: "devices", words: "is not what it was", act: cut },
    Harm { name: "the disk is gone", file: "qcow2", words: "cannot be read", act: |path| std::fs::remove_file(path) },
    Harm {
        name: "the manifest is another version's",
        file: "",
        words: "another version of Rehearsal",
        act: another_version,
    },
];

pub(in crate::selftest) fn run(given: &Given, report: &mut Report) {
    let mut place = None;
    report.row("labs: a template is made, and found again", || {
        let site = Site::new(given)?;
        let labs = Labs::in_site(given, &site)?;
        let made = make_and_find(&labs)?;
        place = Some((site, labs));
        Ok(made)
    });
    let Some((site, labs)) = place else { return };
    for harm in &HARMS {
        report.row(&format!("labs: {}: noticed, and made again", harm.name), || noticed(&labs, harm));
    }
    drop((labs, site));
}

fn make_and_find(labs: &Labs) -> anyhow::Result<Outcome> {
    labs.runtime.block_on(async {
        let (template, first) = labs.template(&labs.workbench.stock()?).await;
        drop(template?);
        let (template, second) = labs.template(&labs.workbench.stock()?).await;
        template?;
        anyhow::ensure!(first.count("boots from nothing") == 1, "{}", first.text());
        anyhow::ensure!(second.text().is_empty(), "there was something to do: {}", second.text());
        Ok(Outcome::Passed("the second time nothing is done".into()))
    })
}

fn noticed(labs: &Labs, harm: &Harm) -> anyhow::Result<Outcome> {
    labs.runtime.block_on(async {
        let (template, _) = labs.template(&labs.workbench.stock()?).await;
        let directory = template?.directory().to_owned();
        let file = if harm.file.is_empty() { "manifest.json".into() } else { format!("{MACHINE}.{}", harm.file) };
        (harm.act)(&directory.join(file))?;
        let (template, story) = labs.template(&labs.workbench.stock()?).await;
        template?;
        let seen = story.text();
        anyhow::ensure!(story.count(harm.words) == 1 && story.count("boots from nothing") == 1, "{seen}");
        let (template, again) = labs.template(&labs.workbench.stock()?).await;
        template?;
        anyhow::ensure!(again.text().is_empty(), "the new one is not trusted either: {}", again.text());
        let directory = format!("{}/", directory.display());
        Ok(Outcome::Passed(seen.split(';').next().unwrap_or_default().replace(&directory, "")))
    })
}

/// The file may be read-only; that keeps nobody from harming it.
fn writable(path: &Path) -> std::io::Result<File> {
    File::options().read(true).write(true).open(path)
}

fn flip(path: &Path) -> std::io::Result<()> {
    let file = writable(path)?;
    let middle = file.metadata()?.len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle)?;
    file.write_all_at(&[byte[0] ^ 1], middle)
}

fn cut(path: &Path) -> std::io::Result<()> {
    let file = writable(path)?;
    file.set_len(file.metadata()?.len() / 2)
}

fn another_version(path: &Path) -> std::io::Result<()> {
    std::fs::write(path, r#"{"format": 0}"#)
}
