//! What a recipe would install today: packages with versions, as apt resolves them.

// What is counted here comes from others: a number too large must not end the run.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use super::error::ImageError;
use super::progress::Progress;
use super::tool;
use crate::cache::{Cache, Size};
use crate::host::workspace::Workspace;
use crate::image::apt_cache::{Answer, CachePolicy};
use crate::shell::{quoted_all, quoted_path};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

/// What would be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    /// Package versions by name.
    pub(super) packages: BTreeMap<String, String>,
    /// What is downloaded for it.
    pub(super) download: Size,
    /// What it takes once it is installed.
    pub(super) installed: Size,
}

impl Plan {
    /// The packages that were installed in another version than was planned, each with both. apt may install one package where it
    /// planned another, if either will do: packages that are only in one of both are none of them.
    pub(super) fn overtaken(&self, installed: &BTreeMap<String, String>) -> Vec<String> {
        let other = |(name, planned): (&String, &String)| {
            let version = installed.get(name).filter(|version| *version != planned)?;
            Some(format!("{name} {version} instead of {planned}"))
        };
        self.packages.iter().filter_map(other).collect()
    }
}

/// Reads lines of names and versions, as dpkg-query(1) was asked for them.
pub(super) fn installed(text: &str) -> BTreeMap<String, String> {
    let package = |line: &str| line.split_once(' ').map(|(name, version)| (name.to_owned(), version.to_owned()));
    text.lines().filter_map(package).collect()
}

/// What a plan is asked for.
pub(super) struct Wanted<'a> {
    /// The recipe, for messages.
    pub(super) recipe: &'a str,
    /// The release.
    pub(super) suite: &'a str,
    /// The packages that are named.
    pub(super) packages: &'a [String],
}

impl Wanted<'_> {
    fn answer(&self, cache: &Cache) -> Answer {
        Answer::to(cache, self.suite, self.packages, "image")
    }

    /// The last answer, however old it is.
    pub(super) fn kept(&self, cache: &Cache) -> Option<Plan> {
        self.answer(cache).last()
    }

    /// Resolves what is wanted, and all that every image of the release has.
    pub(super) fn resolve(
        &self,
        cache: &Cache,
        freshness: CachePolicy,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Plan, ImageError> {
        let progress = RefCell::new(progress);
        let tell = |event| (progress.borrow_mut())(event);
        let ask = || {
            tell(Progress::Planning);
            self.ask(cache)
        };
        self.answer(cache).get(freshness, ask, || tell(Progress::OldPlan))
    }

    /// mmdebstrap sets up apt for the suite, with its signatures, and hands it to a hook.
    fn ask(&self, cache: &Cache) -> Result<Plan, ImageError> {
        let workspace = Workspace::create(&cache.building(), "plan")?;
        let answer = workspace.path().join("answer");
        // A simulation names the packages, and an installation that is declined tells the sizes.
        // mmdebstrap(1), `--variant=minbase`: what is essential, what has the priority `required`, and apt.
        let hook = format!(
            "export APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\"; \
             set -- --no-install-recommends install '?essential' '?priority(required)' apt {}; \
             apt-get --simulate \"$@\" > {answer} && {{ apt-get --assume-no \"$@\" >> {answer} 2>&1 || true; }}",
            quoted_all(self.packages),
            answer = quoted_path(&answer)?
        );
        let mut arguments =
            vec!["--variant=custom".to_owned(), "--format=null".into(), format!("--customize-hook={hook}")];
        arguments.extend([self.suite.to_owned(), "-".into()]);
        arguments.extend(mirror());
        tool::run("mmdebstrap", arguments, self.recipe, workspace.path(), &mut |_| {})?;
        parse(&fs_err::read_to_string(answer)?)
    }
}

/// Another mirror than mmdebstrap's own choice, if the user names one.
pub(crate) fn mirror() -> Option<String> {
    std::env::var("REHEARSAL_MIRROR").ok().filter(|mirror| !mirror.is_empty())
}

/// Reads the lines `Inst name (version origin [architecture])` of apt-get(8), `--simulate`, and the sentences about sizes
/// that it writes before it asks whether it should go on.
fn parse(text: &str) -> Result<Plan, ImageError> {
    let package = |line: &str| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
        let version = rest.split_once('(')?.1.split(' ').next()?;
        Some((name.to_owned(), version.to_owned()))
    };
    let size = |start: &str, end: &str| {
        text.lines().find_map(|line| decimal_size(line.strip_prefix(start)?.split_once(end)?.0.rsplit('/').next()?))
    };
    let download = size("Need to get ", " of archives");
    let installed = size("After this operation, ", " of additional disk space");
    let unreadable = || ImageError::File(io::Error::other(format!("apt-get's answer cannot be read:\n{text}")));
    Ok(Plan {
        packages: text.lines().filter_map(package).collect(),
        download: download.ok_or_else(unreadable)?,
        installed: installed.ok_or_else(unreadable)?,
    })
}

/// A size as apt writes it: `67.9 MB`, with decimal units.
fn decimal_size(text: &str) -> Option<Size> {
    let (number, unit) = text.trim().split_once(' ')?;
    let thousand: u64 = match unit {
        "B" => 1,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
    let tenths = whole.parse::<u64>().ok()?.checked_mul(10)?.checked_add(tenths.get(..1)?.parse().ok()?)?;
    Some(Size::bytes(tenths.checked_mul(thousand)? / 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "Reading package lists...\n\
        Inst gcc-12-base (12.2.0-14+deb12u1 Debian:12.11/oldstable [amd64])\n\
        Inst libc6 [2.36-8] (2.36-9+deb12u10 Debian:12.11/oldstable [amd64]) []\nConf libc6 (2.36-9+deb12u10 x)\n\
        Need to get 67.9 MB of archives.\nAfter this operation, 265 MB of additional disk space will be used.\n\
        Do you want to continue? [Y/n] N\nAbort.\n";

    #[test]
    fn apts_answer_is_read() {
        let plan = parse(ANSWER).unwrap();
        assert_eq!(plan.packages.len(), 2);
        assert_eq!(plan.packages["libc6"], "2.36-9+deb12u10");
        assert_eq!((plan.download, plan.installed), (Size::bytes(67_900_000), Size::bytes(265_000_000)));
    }

    #[test]
    fn versions_that_the_archive_has_replaced_are_told() {
        let plan = parse(ANSWER).unwrap();
        assert_eq!(
            plan.overtaken(&installed("gcc-12-base 12.2.0-14+deb12u1\nlibc6 2.36-9+deb12u10\napt 2.6.1\n")),
            [""; 0]
        );
        let newer = plan.overtaken(&installed("libc6 2.36-9+deb12u11\n"));
        assert_eq!(newer, ["libc6 2.36-9+deb12u11 instead of 2.36-9+deb12u10"]);
    }

    #[rstest::rstest]
    #[case("0 B", Some(0))]
    #[case("812 kB", Some(812_000))]
    #[case("1.25 GB", Some(1_200_000_000))]
    #[case("18446744073709551615 GB", None)]
    #[case("12 miles", None)]
    fn apts_sizes_are_read(#[case] text: &str, #[case] bytes: Option<u64>) {
        assert_eq!(decimal_size(text).map(Size::as_bytes), bytes);
    }

    #[test]
    fn an_answer_without_sizes_is_no_plan() {
        let error = parse("Inst libc6 (2.36-9 x)\n").unwrap_err();
        assert!(matches!(error, ImageError::File(_)), "{error}");
    }
}
