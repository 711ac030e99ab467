//! `cargo xtask clean`: removes what is kept in the cache, and what killed processes have left.

use crate::duration::Age;
use crate::ui;
use anyhow::Context as _;
use harness::cache::{self, Cache, Kind, Reason, Size};
use harness::image::forget_plans;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

/// What to remove. Without a choice: only what killed processes have left, and what exceeds the cache's upper bound
/// (20 GiB, or `REHEARSAL_CACHE_LIMIT`).
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Args {
    /// Frozen labs
    #[arg(long)]
    templates: bool,
    /// Images, and the package versions that they are planned with
    #[arg(long)]
    images: bool,
    /// Rpm distributions, and the packages that they were made of
    #[arg(long)]
    releases: bool,
    /// All of these
    #[arg(long)]
    all: bool,
    /// Only what nobody began to use for so long, such as `7d`, `12h` or `2w`; of all, if none is named
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,
}

impl Args {
    fn kinds(&self) -> Vec<Kind> {
        let chosen = [(Kind::Template, self.templates), (Kind::Image, self.images), (Kind::Release, self.releases)];
        let all = self.all || (self.older_than.is_some() && !chosen.iter().any(|(_, chosen)| *chosen));
        chosen.into_iter().filter(|(_, chosen)| *chosen || all).map(|(kind, _)| kind).collect()
    }
}

/// Removes it, and says what went, what stays although it was asked for, and how much is free now.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let limit = cache::limit().with_context(|| format!("failed to read {}", cache::LIMIT_VARIABLE))?;
    let cache = Cache::open_default().context("failed to open the cache")?;
    let freed = clean(&cache, args, limit)?;
    for stranger in cache.strangers()? {
        ui::line(format_args!("left alone  {}: Rehearsal did not make it", below(&cache, &stranger)));
    }
    let mut left = Size::default();
    for kind in Kind::ALL {
        left = [left].into_iter().chain(cache.list(kind)?.into_iter().map(|entry| entry.size)).sum();
    }
    ui::line(format_args!("freed {freed}; {left} of at most {limit} stay in {}", cache.root().display()));
    Ok(ExitCode::SUCCESS)
}

fn clean(cache: &Cache, args: &Args, limit: Size) -> anyhow::Result<Size> {
    let mut freed = Vec::new();
    let mut gone = |path: &Path, size: Size, why: &str| {
        ui::line(format_args!("removed     {} ({size}): {why}", below(cache, path)));
        freed.push(size);
    };
    for (path, size) in cache.sweep()? {
        gone(&path, size, "left by a process that was killed");
    }
    let kinds = args.kinds();
    let before = args.older_than.map_or_else(SystemTime::now, Age::moment);
    let cleaned = cache.clean(&kinds, before)?;
    for entry in &cleaned.removed {
        gone(&entry.directory, entry.size, &format!("used {} ago", Age::of(entry.used)));
    }
    if kinds.contains(&Kind::Image) {
        for (path, size) in forget_plans(cache, before)? {
            gone(&path, size, "package versions; the next build asks for them");
        }
    }
    for entry in cache.shrink(limit)?.removed {
        let why = format!("the cache exceeds {limit}; used {} ago", Age::of(entry.used));
        gone(&entry.directory, entry.size, &why);
    }
    for (entry, reason) in &cleaned.stayed {
        let why = match reason {
            Reason::InUse => "in use".to_owned(),
            Reason::Carries(template) => format!("{template} stands on it; --all removes both"),
        };
        ui::line(format_args!("stays       {} ({}): {why}", below(cache, &entry.directory), entry.size));
    }
    Ok(freed.into_iter().sum())
}

/// A path as it is seen from the cache.
fn below(cache: &Cache, path: &Path) -> String {
    path.strip_prefix(cache.root()).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_alone_means_all() {
        let args = |templates, images, all, age: Option<&str>| Args {
            templates,
            images,
            releases: false,
            all,
            older_than: age.map(|age| age.parse().unwrap()),
        };
        assert!(args(false, false, false, None).kinds().is_empty());
        assert_eq!(args(true, false, false, Some("7d")).kinds(), [Kind::Template]);
        for all in [args(false, false, false, Some("7d")), args(false, false, true, None)] {
            assert_eq!(all.kinds(), Kind::ALL);
        }
        assert_eq!(args(true, true, false, None).kinds(), [Kind::Template, Kind::Image]);
    }
}
