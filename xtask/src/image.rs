//! `cargo xtask image`: builds images and shows the cache.

mod carry;

use crate::cache_entry;
use crate::setup;
use crate::ui;
use anyhow::Context as _;
use clap::Subcommand;
use harness::cache::{Cache, Kind, Trust};
use harness::distro::Archive;
use harness::image::{Asked, Catalogue, Image, Progress, Source, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

const EXPORT_EXAMPLE: &str = "\
Examples:

    cargo xtask image export -o images.rehearsal                 what one job has built, for others
    cargo xtask image export mail --templates -o mail.rehearsal  with the labs that were frozen on it

A frozen lab is of use where QEMU, the accelerator (under KVM the processor, too) and the path of the cache are the same; elsewhere
it is made again. Its passwords are derived from the secret of this cache, which the file then holds: keep it to yourself.";

const IMPORT_EXAMPLE: &str = "\
Example, in a job that runs scenarios:

    cargo xtask image import images.rehearsal

Disks and kernels run in guests only, and are taken from anybody. Frozen labs, trees that images are built on, and releases are run
or loaded by this host, as root if you are: with --trust they are taken as you would run a program of whoever made the file.";

/// What to do with images.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Build images that are not in the cache yet
    #[command(after_help = "Example, with the package versions of now:\n\n    cargo xtask image build --refresh mail")]
    Build {
        /// The recipes; all that can boot, if none is named
        names: Vec<String>,
        /// Ask the archive for package versions even if that was done today
        #[arg(long)]
        refresh: bool,
    },
    /// Show the images in the cache, and whether the recipes ask for them
    #[command(after_help = "Example, for a script:\n\n    cargo xtask image list --json")]
    List {
        /// Print one JSON array instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Write images into one file, for another host
    #[command(after_help = EXPORT_EXAMPLE)]
    Export {
        /// The recipes; all whose images are here and current, if none is named
        names: Vec<String>,
        /// The file; only you can read it
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        /// Also the labs that were frozen on these images alone, and the secret that their passwords are derived from
        #[arg(long)]
        templates: bool,
    },
    /// Take the images of such a file into the cache: all of them, or none
    #[command(after_help = IMPORT_EXAMPLE)]
    Import {
        /// The file
        file: PathBuf,
        /// Also take what this host runs or loads as root: frozen labs with their secret, trees, releases
        #[arg(long)]
        trust: bool,
    },
    /// Print the directory of an image, building it first if need be
    #[command(
        after_help = "Example, to look into a disk:\n\n    qemu-img info $(cargo xtask image path mail)/disk.qcow2"
    )]
    Path {
        /// The recipe
        name: String,
    },
}

/// Runs the command.
pub(crate) fn run(action: Action) -> anyhow::Result<ExitCode> {
    let cache = Cache::open_default().context("failed to open the cache")?;
    match action {
        Action::Build { names, refresh } => {
            for image in build(&names, refresh, &cache)? {
                print(&format!("{}  {}  {}", image.name, image.key, image.directory.display()));
            }
        }
        Action::List { json } => list(&cache, json)?,
        Action::Export { names, output, templates } => carry::export(&cache, &names, &output, templates)?,
        Action::Import { file, trust } => {
            carry::import(&cache, &file, if trust { Trust::Author } else { Trust::Guests })?;
        }
        Action::Path { name } => {
            for image in build(&[name], false, &cache)? {
                print(&image.directory.display().to_string());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the named images, or all, with a line of progress for each.
pub(crate) fn build(names: &[String], refresh: bool, cache: &Cache) -> anyhow::Result<Vec<Image>> {
    let catalogue = catalogue_with_releases(cache)?;
    let all = || catalogue.bootable().map(|recipe| recipe.name.clone()).collect();
    let names = if names.is_empty() { all() } else { names.to_vec() };
    // Before the first is built, which takes a while.
    for name in &names {
        catalogue.get(name).map_err(crate::report)?;
    }
    setup::ensure_tools(false)?;
    names.iter().map(|name| one(&catalogue, name, refresh, cache)).collect()
}

/// Builds those of these images that packages make: not the images of releases, which take a release to be made first. A case
/// that wants one has it built.
pub(crate) fn build_common(names: &BTreeSet<String>, cache: &Cache) -> anyhow::Result<()> {
    let catalogue = catalogue()?;
    let common = catalogue.bootable().filter(|recipe| !matches!(recipe.source, Source::Release(_)));
    let wanted = common.filter(|recipe| names.contains(&recipe.name));
    wanted.map(|recipe| one(&catalogue, &recipe.name, false, cache)).collect::<anyhow::Result<Vec<_>>>().map(drop)
}

/// Where the project's recipes are.
fn recipes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../images")
}

/// The project's recipes.
pub(crate) fn catalogue() -> anyhow::Result<Catalogue> {
    Catalogue::load(&recipes()).map_err(crate::report)
}

/// The same, with the releases that images are made of.
fn catalogue_with_releases(cache: &Cache) -> anyhow::Result<Catalogue> {
    let archive = Archive::open(&recipes(), cache.clone()).map_err(crate::report)?;
    Ok(catalogue()?.with_releases(Arc::new(archive)))
}

fn one(catalogue: &Catalogue, name: &str, refresh: bool, cache: &Cache) -> anyhow::Result<Image> {
    let bar = ProgressBar::new_spinner().with_prefix(name.to_owned());
    bar.set_style(ProgressStyle::with_template("{spinner} image {prefix}: {msg} ({elapsed})")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let image = ensure(catalogue, name, cache, refresh, &mut |event| {
        let words = event.to_string();
        // Without a terminal the bar is silent, and a log wants lines.
        if bar.is_hidden() && !matches!(event, Progress::Installed { .. }) {
            say(&format!("image {name}: {words}"));
        }
        bar.set_message(words);
    });
    bar.finish_and_clear();
    image.with_context(|| format!("failed to make image `{name}`"))
}

fn list(cache: &Cache, json: bool) -> anyhow::Result<()> {
    let asked = Asked::of(&catalogue()?, cache)?;
    let kept = cache.list(Kind::Image)?;
    if json {
        let entries = kept.iter().map(|image| cache_entry::as_json(image, Some(asked.standing(&image.name))));
        ui::json(&entries.collect::<Vec<_>>())?;
        return Ok(());
    }
    for image in &kept {
        print(&format!("{}  {}", cache_entry::line(image), asked.standing(&image.name)));
    }
    print(&cache_entry::total(&kept, &cache.entries(Kind::Image)));
    Ok(())
}

fn print(line: &str) {
    ui::line(format_args!("{line}"));
}

pub(crate) fn say(line: &str) {
    ui::note(format_args!("{line}"));
}
