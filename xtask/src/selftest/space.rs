//! A file system that is too small, or becomes full during a build.

use super::builder::{Builder, Ended};
use super::site::{Site, plans};
use super::{Given, Outcome, RECIPE, Report, kills, own_program};
use anyhow::Context as _;
use std::path::Path;
use std::process::Command;

/// Runs a command with a cache on a tmpfs of so many bytes that nobody else sees, then lists what is left there. A line on
/// standard input takes away all space but 16 MiB.
/// $1: the directory; $2: the size; $3: directory with plans; $4: an entry of images/, or nothing; then the command.
const SCRIPT: &str = r#"
set -e
place=$1 size=$2 plans=$3 base=$4
shift 4
mkdir "$place"
mount -t tmpfs -o "size=$size" none "$place"
mkdir -p "$place/rehearsal/building" "$place/rehearsal/images"
cp "$plans"/plan-*.json "$place/rehearsal/building/"
[ -z "$base" ] || cp -r "$base" "$place/rehearsal/images/"
exec 3<&0
(read -r _ <&3 && mount -o "remount,size=$(($(df --output=used "$place" | tail -n 1) + 16384))k" "$place") &
status=0
XDG_CACHE_HOME=$place "$@" </dev/null || status=$?
cd "$place" && find . -type f ! -name 'plan-*.json' -printf 'left %p\n'
exit "$status"
"#;

pub(super) fn run(given: &Given, report: &mut Report) {
    report.row("space: too little from the beginning", || too_little(given));
    report.row("space: the file system becomes full during a build", || full(given));
}

/// Starts a builder whose cache is a tmpfs of its own.
fn start(given: &Given, site: &Site, room: &str, with_base: bool) -> anyhow::Result<(String, Builder)> {
    let mut builder = Command::new(own_program());
    builder.args(["image", "build", RECIPE]);
    let base = if with_base { given.base.place() } else { Path::new("") };
    Ok((tmpfs(site), in_tmpfs(given, site, room, base, &builder)?))
}

fn tmpfs(site: &Site) -> String {
    site.path().join("tmpfs").display().to_string()
}

/// Starts a command whose cache is a tmpfs of its own, with one entry in it, or none.
pub(super) fn in_tmpfs(
    given: &Given,
    site: &Site,
    room: &str,
    entry: &Path,
    inner: &Command,
) -> anyhow::Result<Builder> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh", &tmpfs(site), room]);
    command.arg(plans_of(given)?).arg(entry).arg(inner.get_program()).args(inner.get_args());
    Builder::spawn(command)
}

fn plans_of(given: &Given) -> anyhow::Result<std::path::PathBuf> {
    let plans = plans(&given.cache)?;
    let plan = plans.first().context("the cache has no package versions: run `cargo xtask image build --refresh`")?;
    Ok(plan.parent().unwrap_or(plan).to_owned())
}

fn judge(site: &Site, place: &str, ended: &Ended) -> anyhow::Result<Outcome> {
    let words = [&format!("no space left in {place}/rehearsal/building"), "free", "needed for this image", "clean"];
    let error = ended.failed_with(&words)?;
    let left: Vec<_> = ended.output.lines().filter(|line| line.starts_with("left ")).collect();
    anyhow::ensure!(left.is_empty(), "{left:?}");
    site.wait_until_clear(&[])?;
    Ok(Outcome::Passed(error.replace(&site.path().display().to_string(), "…")))
}

fn too_little(given: &Given) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    let (place, builder) = start(given, &site, "64m", false)?;
    let ended = builder.end()?;
    anyhow::ensure!(!ended.said.contains("installing"), "it began all the same:\n{}", ended.said);
    judge(&site, &place, &ended)
}

fn full(given: &Given) -> anyhow::Result<Outcome> {
    let site = Site::new(given)?;
    let (place, mut builder) = start(given, &site, "6g", true)?;
    builder.wait_for(&kills::installing(RECIPE))?;
    site.wait_for_process("dpkg")?;
    builder.tell("now")?;
    let ended = builder.end()?;
    let (base, rest): (Vec<_>, Vec<_>) = ended.output.lines().partition(|line| line.contains("/images/base-"));
    anyhow::ensure!(base.len() == 1, "the base that was there before: {base:?}");
    let ended = Ended { output: rest.join("\n"), ..ended };
    judge(&site, &place, &ended)
}
