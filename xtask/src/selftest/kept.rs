//! Checkpoints that outlive their run: found again, waited for, and not trusted when they are not what they were.

use super::builder::Ended;
use super::runs::Stage;
use super::{Given, Outcome, Report};
use anyhow::Context as _;
use harness::cache::{CacheEntry, Kind, Removal};
use std::path::Path;

/// What a run says that starts behind a checkpoint.
const BEHIND: &str = "kept  steps 1–2 as run on";
/// What a run says that carries out the first step.
const FROM_THE_BEGIN: &str = "ok    directory: a file is written";

/// What is done to a kept checkpoint, and the words by which it is noticed.
struct Harm {
    name: &'static str,
    file: &'static str,
    words: &'static str,
    act: fn(&Path) -> std::io::Result<()>,
}

const HARMS: [Harm; 5] = [
    Harm { name: "a bit of RAM is flipped", file: "directory.memory", words: "is not what it was", act: flip },
    Harm { name: "the disk is cut off", file: "directory.qcow2", words: "is not what it was", act: cut },
    Harm {
        name: "what the run knew is cut off",
        file: "checkpoint.json",
        words: "checkpoint.json is damaged",
        act: cut,
    },
    Harm {
        name: "what the run knew has another form",
        file: "checkpoint.json",
        words: "checkpoint.json is damaged: unknown field `format`",
        act: |path| std::fs::write(path, "{\"format\": 0}"),
    },
    Harm {
        name: "the manifest is gone",
        file: "manifest.json",
        words: "manifest.json cannot be read",
        act: |path| std::fs::remove_file(path),
    },
];

pub(super) fn run(given: &Given, report: &mut Report) {
    let stage = match Stage::new(given) {
        Ok(stage) => stage,
        Err(error) => return report.row("kept: a cache to run in", || Err(error)),
    };
    report.row("kept: a checkpoint is kept, and the next run starts behind it", || kept_and_found(&stage));
    report.row("kept: a step before it changes: it is made anew", || another_way(&stage));
    report.row("kept: a later step fails: it can be used all the same", || later_failure(&stage));
    report.row("kept: two runs at once: one makes it, the other waits and uses it", || two_at_once(&stage));
    report.row("kept: killed before it is kept: the next run makes it", || killed(&stage));
    report.row("kept: --fresh runs all steps, and keeps it again", || fresh(&stage));
    report.row("kept: the lab's template is removed: it stands by itself", || without_template(&stage));
    for harm in &HARMS {
        report.row(&format!("kept: {}: noticed, and made again", harm.name), || noticed(&stage, harm));
    }
}

/// Writes a word to a file, keeps the state, and then does `last`.
fn scenario(word: &str, last: &str) -> String {
    format!(
        "summary = \"for a bad day\"\nlab = \"alone\"\n\
         [[step]]\nname = \"a file is written\"\non = \"directory\"\ndo.run = {{ command = \"echo {word} > /root/kept\" }}\n\
         [[step]]\nname = \"the state is kept\"\ndo.checkpoint = {{ name = \"written\", keep = true }}\n\
         [[step]]\nname = \"the file is there\"\non = \"directory\"\n\
         do.run = {{ command = \"{last}\", output_contains = [\"{word}\"] }}\n"
    )
}

const LAST: &str = "cat /root/kept";

fn end(stage: &Stage, text: &str, variables: &[(&str, &str)]) -> anyhow::Result<Ended> {
    stage.start_file(text, variables)?.end()
}

/// A run that passes, and starts behind the checkpoint or does not.
fn passes(stage: &Stage, word: &str, behind: bool, variables: &[(&str, &str)]) -> anyhow::Result<Ended> {
    let run = end(stage, &scenario(word, LAST), variables)?;
    run.succeeded()?;
    starts(&run, behind)?;
    Ok(run)
}

fn starts(run: &Ended, behind: bool) -> anyhow::Result<()> {
    let found = (run.said.contains(BEHIND), run.said.contains(FROM_THE_BEGIN));
    anyhow::ensure!(found == (behind, !behind), "behind the checkpoint, from the begin: {found:?}:\n{}", run.said);
    Ok(())
}

fn kept_and_found(stage: &Stage) -> anyhow::Result<Outcome> {
    passes(stage, "one", false, &[])?;
    let run = passes(stage, "one", true, &[])?;
    let results = fs_err::read_to_string(stage.results().join("latest/report.json"))?;
    let results: serde_json::Value = serde_json::from_str(&results)?;
    let outcomes: Vec<_> = (0..3).map(|step| results["cases"][0]["result"]["steps"][step]["outcome"].clone()).collect();
    anyhow::ensure!(outcomes == ["kept", "kept", "passed"], "the steps are {outcomes:?}");
    stage.wait_until_clear()?;
    Ok(Outcome::Passed(said(&run, BEHIND)))
}

fn another_way(stage: &Stage) -> anyhow::Result<Outcome> {
    passes(stage, "other", false, &[])?;
    // The first one is still there.
    passes(stage, "one", true, &[])?;
    Ok(Outcome::Passed("and the one of the old steps is still there".into()))
}

fn later_failure(stage: &Stage) -> anyhow::Result<Outcome> {
    let run = end(stage, &scenario("later", "echo nothing"), &[])?;
    run.failed_with(&["lacks `later`"])?;
    starts(&run, false)?;
    passes(stage, "later", true, &[])?;
    Ok(Outcome::Passed("the next run starts behind it".into()))
}

fn two_at_once(stage: &Stage) -> anyhow::Result<Outcome> {
    let text = scenario("two", LAST);
    let mut first = stage.start_file(&text, &[])?;
    first.wait_for("alone runs after")?;
    let second = stage.start_file(&text, &[])?.end()?;
    let first = first.end()?;
    first.succeeded()?;
    second.succeeded()?;
    starts(&first, false)?;
    starts(&second, true)?;
    anyhow::ensure!(second.said.contains("somebody else checks or makes"), "it did not wait:\n{}", second.said);
    Ok(Outcome::Passed(said(&second, "somebody else")))
}

fn killed(stage: &Stage) -> anyhow::Result<Outcome> {
    let mut run = stage.start_file(&scenario("killed", LAST), &[])?;
    run.wait_for(FROM_THE_BEGIN)?;
    run.kill()?;
    stage.wait_until_clear()?;
    passes(stage, "killed", false, &[])?;
    Ok(Outcome::Passed("nothing was left, and nothing is stuck".into()))
}

fn fresh(stage: &Stage) -> anyhow::Result<Outcome> {
    let before = entry(stage)?;
    passes(stage, "one", false, &[("REHEARSAL_FRESH", "1")])?;
    passes(stage, "one", true, &[])?;
    let count = stage.site.cache().list(Kind::Template)?.len();
    Ok(Outcome::Passed(format!("{} is made again; {count} templates", before.name.name())))
}

fn without_template(stage: &Stage) -> anyhow::Result<Outcome> {
    let templates = stage.site.cache().list(Kind::Template)?;
    let template = templates.iter().find(|kept| kept.name.name() == "alone").context("the lab has no template")?;
    let removal = stage.site.cache().remove(Kind::Template, &template.name)?;
    anyhow::ensure!(removal == Removal::Removed, "it was not removed: {removal:?}");
    let run = passes(stage, "one", true, &[])?;
    anyhow::ensure!(!run.said.contains("boots from nothing"), "{}", run.said);
    Ok(Outcome::Passed("nothing boots".into()))
}

fn noticed(stage: &Stage, harm: &Harm) -> anyhow::Result<Outcome> {
    passes_behind(stage)?;
    (harm.act)(&entry(stage)?.directory.join(harm.file))?;
    let run = passes(stage, "one", false, &[])?;
    anyhow::ensure!(run.said.contains(harm.words), "it does not say why:\n{}", run.said);
    passes_behind(stage)?;
    let line = said(&run, harm.words);
    Ok(Outcome::Passed(line.split("made again: ").last().unwrap_or_default().replace(&place(stage), "…")))
}

fn passes_behind(stage: &Stage) -> anyhow::Result<()> {
    passes(stage, "one", true, &[]).map(drop)
}

/// The checkpoint that was used last.
fn entry(stage: &Stage) -> anyhow::Result<CacheEntry> {
    let kept = stage.site.cache().list(Kind::Template)?.into_iter().filter(|kept| kept.name.name() == "alone-written");
    kept.max_by_key(|kept| kept.used).context("there is no kept checkpoint")
}

fn place(stage: &Stage) -> String {
    stage.site.cache().root().display().to_string()
}

fn said(run: &Ended, words: &str) -> String {
    run.said.lines().find(|line| line.contains(words)).unwrap_or_default().trim().to_owned()
}

fn flip(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::File::options().read(true).write(true).open(path)?;
    let middle = file.metadata()?.len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle)?;
    file.write_all_at(&[byte[0] ^ 1], middle)
}

fn cut(path: &Path) -> std::io::Result<()> {
    let file = std::fs::File::options().write(true).open(path)?;
    file.set_len(file.metadata()?.len() / 2)
}
