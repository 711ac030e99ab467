//! `cargo xtask selftest`: bad days, lived through for real. Too slow and too hungry for `cargo test`.
#![expect(clippy::print_stdout, reason = "the table is what this command is for")]

mod archive;
mod builder;
mod faults;
mod flows;
mod foreign;
mod hold;
mod hostile;
mod kept;
mod kills;
mod labs;
pub(crate) mod mutants;
mod pair;
mod predict;
mod releases;
mod report;
mod runs;
mod site;
mod space;

use crate::exit::{End, HostLacks};
use crate::{image, setup};
use anyhow::Context as _;
use clap::Subcommand;
use harness::cache::{Cache, InUse};
use harness::image::{Image, ensure_base};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// What to try. What starts guests or builds images needs root.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Builders that are killed, two at once, full disks, dead mirrors, foreign images; asks the archive
    #[command(after_help = "Example:\n\n    cargo xtask selftest images space")]
    Images(Choice),
    /// Copies of labs, damaged templates, runs that are killed while they freeze a lab, full disks
    #[command(after_help = "Example:\n\n    cargo xtask selftest labs damage")]
    Labs(Choice),
    /// Runs that are interrupted or killed, guests that panic, a QEMU that ends; kept checkpoints that are damaged
    #[command(after_help = "Example:\n\n    cargo xtask selftest runs")]
    Runs(Choice),
    /// Kills in every phase, hostile and hanging guests, hosts that lack something, ways out of a lab; what one process holds
    #[command(after_help = "Example, with what takes long:\n\n    cargo xtask selftest faults --all")]
    Faults {
        /// Also what takes long: kills while a lab is frozen, guests that hang, 10 rounds on a busy host, 200 labs by one process
        #[arg(long)]
        all: bool,
        /// Only the rounds on a busy host
        #[arg(long)]
        load: bool,
        /// Install missing programs without asking
        #[arg(long)]
        yes: bool,
    },
    /// Attacks from outside: archives, disks, places of results, paths, caches of others; ordinary users; asks the archive
    #[command(after_help = "Example:\n\n    cargo xtask selftest hostile")]
    Hostile(Choice),
    /// Labs that are held by hand: reached from other processes, closed terminals, killed holders
    #[command(after_help = "Example:\n\n    cargo xtask selftest hold")]
    Hold {
        /// Install missing programs without asking
        #[arg(long)]
        yes: bool,
    },
    /// Breakages of the labs, each of which a step of a case must notice
    #[command(after_help = mutants::EXAMPLE)]
    Mutants(mutants::Args),
    /// What `predict` says of configuration files, against an upgrade by the rpm of this host
    #[command(after_help = "Example:\n\n    cargo xtask selftest predict")]
    Predict,
    /// Whole releases, against the rpm of this host: whether packages fit together, over Debian's tree and over each other
    #[command(after_help = "Example:\n\n    cargo xtask selftest releases")]
    Releases,
    /// The page of a report, in a browser without a window: requests, keys, phones, contrast, hostile text
    #[command(after_help = "Example:\n\n    cargo xtask selftest report")]
    Report,
    /// What captures show of who contacted whom, against tshark
    #[command(after_help = "Example:\n\n    cargo xtask selftest flows")]
    Flows {
        /// The directory of a run; the last one, if none is given
        directory: Option<PathBuf>,
    },
}

/// What of it.
#[derive(clap::Args)]
pub(crate) struct Choice {
    /// Only groups whose name contains this
    filter: Option<String>,
    /// Install missing programs without asking
    #[arg(long)]
    yes: bool,
}

/// How a row of the table ended, if nothing went wrong.
pub(crate) enum Outcome {
    /// As it must; with what was seen.
    Passed(String),
    /// It cannot be tried here.
    Skipped(String),
}

/// The table.
#[derive(Default)]
struct Report {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Report {
    /// Runs one row and prints it.
    fn row(&mut self, name: &str, try_it: impl FnOnce() -> anyhow::Result<Outcome>) {
        let started = Instant::now();
        let result = try_it();
        let seconds = started.elapsed().as_secs_f64();
        let (word, detail) = match result {
            Ok(Outcome::Passed(seen)) => {
                self.passed += 1;
                ("ok", seen)
            }
            Ok(Outcome::Skipped(reason)) => {
                self.skipped += 1;
                ("skip", reason)
            }
            Err(error) => {
                self.failed += 1;
                ("FAILED", format!("{error:#}"))
            }
        };
        println!("{word:<6} {name} ({seconds:.1} s)");
        for line in detail.lines().filter(|line| !line.trim().is_empty()) {
            println!("         {line}");
        }
    }

    /// Prints the closing line.
    fn close(&self) {
        println!("\n{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped);
    }

    /// Prints the closing line, and says what it means.
    fn end(&self) -> ExitCode {
        self.close();
        let tried = self.passed + self.failed + self.skipped > 0;
        if tried && self.failed == 0 { ExitCode::SUCCESS } else { End::Failed.into() }
    }
}

/// What all groups are given: the user's cache, with an image to try things with, and the tree that it builds on.
struct Given {
    cache: Cache,
    image: Image,
    base: InUse,
}

/// The recipe that is built again and again: the smaller one of those that boot.
const RECIPE: &str = "directory";

type Group = fn(&Given, &mut Report);

const HOSTILE: &[(&str, Group)] = &[
    ("archive", hostile::archive),
    ("disk", hostile::disk),
    ("output", hostile::output),
    ("path", hostile::path),
    ("cache", hostile::cache),
    ("user", hostile::user),
    ("qemu", hostile::taken),
];

const IMAGES: &[(&str, Group)] = &[
    ("kills", kills::run),
    ("pair", pair::run),
    ("space", space::run),
    ("archive", archive::run),
    ("foreign", foreign::run),
];

const LABS: &[(&str, Group)] =
    &[("copies", labs::copies), ("damage", labs::damage), ("interrupted", labs::interrupted)];

const RUNS: &[(&str, Group)] = &[("runs", runs::run), ("kept", kept::run)];

/// Runs the command; fails if any row failed.
pub(crate) fn run(action: &Action) -> anyhow::Result<ExitCode> {
    let (Choice { filter, yes }, groups) = match action {
        Action::Images(choice) => (choice, IMAGES),
        Action::Labs(choice) => (choice, LABS),
        Action::Runs(choice) => (choice, RUNS),
        Action::Hostile(choice) => (choice, HOSTILE),
        Action::Faults { all, load, yes } => {
            needs_root()?;
            setup::ensure_tools(*yes)?;
            let mut report = Report::default();
            if *load {
                faults::run_load(&given()?, *all, &mut report);
            } else {
                faults::run(&given()?, *all, &mut report);
            }
            return Ok(report.end());
        }
        Action::Hold { yes } => {
            let mut report = Report::default();
            hold::run(*yes, &mut report)?;
            return Ok(report.end());
        }
        Action::Mutants(args) => return mutants::run(args),
        Action::Predict => return predict::run(),
        Action::Releases => return releases::run(),
        Action::Report => return report::run(),
        Action::Flows { directory } => return flows::run(directory.as_deref()),
    };
    needs_root()?;
    setup::ensure_tools(*yes)?;
    let given = given()?;
    let mut report = Report::default();
    for (_, group) in groups.iter().filter(|(name, _)| filter.as_ref().is_none_or(|filter| name.contains(filter))) {
        group(&given, &mut report);
    }
    Ok(report.end())
}

/// This program, for processes of it that run beside it: a build meanwhile puts another file in the place of its own.
fn own_program() -> PathBuf {
    PathBuf::from(format!("/proc/{}/exe", std::process::id()))
}

fn needs_root() -> anyhow::Result<()> {
    let is_root = nix::unistd::geteuid().is_root();
    if is_root { Ok(()) } else { Err(HostLacks("it needs root here: run it as root".into()).into()) }
}

fn given() -> anyhow::Result<Given> {
    let cache = Cache::open_default().context("failed to open the cache")?;
    let built = image::build(&[RECIPE.to_owned()], false, &cache)?;
    let made = built.into_iter().next().context("no image was built")?;
    let catalogue = image::catalogue()?;
    let base = ensure_base(&catalogue, RECIPE, &cache, &mut |event| println!("{event}"))?;
    Ok(Given { cache, image: made, base: base.context("the recipe builds on nothing")? })
}
