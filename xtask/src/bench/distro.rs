//! `cargo xtask bench distro`: the packages of a release, made by us and by rpmbuild.
#![expect(clippy::print_stdout, reason = "the command's result")]
#![expect(clippy::print_stderr, reason = "progress")]

use super::figures::Seconds;
use crate::distro::{definitions, tell};
use anyhow::Context as _;
use harness::cache::Cache;
use harness::distro::{self, Writer};
use harness::host::workspace::Workspace;
use std::process::ExitCode;
use std::time::Instant;

/// What to measure, and how often.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The release
    #[arg(default_value = "leap-42.3-like")]
    name: String,
    /// How often each of the two makes all packages, in turn; the median is told
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Measures, and prints.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        harness::host::tools::which("rpmbuild").is_some(),
        "rpmbuild is not on this host (cargo xtask setup installs it)"
    );
    let definitions = definitions()?;
    let definition = definitions.get(&args.name).map_err(crate::report)?;
    let cache = Cache::open_default().context("failed to open the cache")?;
    let (mut ours, mut rpmbuild, mut packages) = (Seconds::default(), Seconds::default(), 0);
    for number in 1..=args.repeat {
        for (writer, seconds) in [(Writer::Rehearsal, &mut ours), (Writer::Rpmbuild, &mut rpmbuild)] {
            let workspace = Workspace::create(&cache.building(), "bench-release")?;
            let site =
                distro::Bench::open(definition, &cache, &|event| tell(&args.name, &event)).map_err(crate::report)?;
            let begun = Instant::now();
            packages = site.make_all(writer, workspace.path()).map_err(crate::report)?;
            seconds.add(begun.elapsed());
            eprintln!(
                "{number} of {}: {writer:?} made {packages} packages in {:.1} s",
                args.repeat,
                begun.elapsed().as_secs_f64()
            );
        }
    }
    let ratio = rpmbuild.median() / ours.median();
    if args.json {
        let figures = serde_json::json!({
            "release": args.name, "packages": packages, "repeat": args.repeat,
            "seconds": { "rehearsal": ours.median(), "rpmbuild": rpmbuild.median() }, "ratio": ratio,
        });
        println!("{figures:#}");
    } else {
        println!("{}: {packages} packages, from Debian's to rpms", args.name);
        println!("  rehearsal  {}", ours.text());
        println!("  rpmbuild   {}", rpmbuild.text());
        println!("  {ratio:.1} times as fast");
    }
    Ok(ExitCode::SUCCESS)
}
