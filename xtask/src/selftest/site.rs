//! A cache of its own for a bad day, and eyes for what is left of it.

use super::Given;
use super::builder::Builder;
use anyhow::{Context as _, bail};
use harness::cache::{Cache, InUse, Kind};
use harness::host::workspace::Workspace;
use harness::time::Deadline;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long the kernel and the janitors may take to clear up behind a killed builder.
const CLEARING: Duration = Duration::from_mins(1);

/// A cache of its own, gone with this value.
pub(super) struct Site {
    workspace: Workspace,
    home: PathBuf,
    cache: Cache,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    /// An empty one on the file system of the user's cache.
    pub(super) fn new(given: &Given) -> anyhow::Result<Self> {
        Self::named(given, "home")
    }

    /// The same, with another name for the directory that the cache is in.
    pub(super) fn named(given: &Given, home: &str) -> anyhow::Result<Self> {
        let workspace = Workspace::create(&given.cache.labs(), "selftest").context("failed to make a cache")?;
        let home = workspace.path().join(home);
        let cache = Cache::at(home.join("rehearsal"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(Self { workspace, home, cache, runtime })
    }

    /// Its directory.
    pub(super) fn path(&self) -> &Path {
        self.workspace.path()
    }

    /// Its cache.
    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// What `XDG_CACHE_HOME` is for its builders.
    pub(super) fn home(&self) -> PathBuf {
        self.home.clone()
    }

    /// Takes over the user's package versions, as if they had been asked for so long ago.
    pub(super) fn take_plans(&self, given: &Given, age: Duration) -> anyhow::Result<()> {
        self.take_plans_with(given, age, |_| {})
    }

    /// The same, with a change in each.
    pub(super) fn take_plans_with(
        &self,
        given: &Given,
        age: Duration,
        change: impl Fn(&mut serde_json::Value),
    ) -> anyhow::Result<()> {
        for file in plans(&given.cache)? {
            let copy = self.cache.building().join(file.file_name().unwrap_or_default());
            let mut plan = serde_json::from_slice(&fs_err::read(file)?)?;
            change(&mut plan);
            fs_err::write(&copy, serde_json::to_vec(&plan)?)?;
            fs_err::File::open(copy)?.into_parts().0.set_modified(SystemTime::now() - age)?;
        }
        Ok(())
    }

    /// Takes over the tree that the recipe builds on, without a copy of its bytes.
    pub(super) fn take_base(&self, given: &Given) -> anyhow::Result<()> {
        self.link(&given.base)
    }

    /// Takes over the finished image.
    pub(super) fn take_image(&self, given: &Given) -> anyhow::Result<()> {
        let name = given.image.directory.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let name = harness::cache::EntryName::parse(name).context("the image has no name of an entry")?;
        self.link(&given.cache.open(Kind::Image, &name)?.context("the image is gone")?)
    }

    /// How many templates of labs are in its cache.
    pub(super) fn templates(&self) -> anyhow::Result<usize> {
        Ok(self.cache.list(Kind::Template)?.len())
    }

    fn link(&self, entry: &InUse) -> anyhow::Result<()> {
        let target = self.cache.entries(Kind::Image).join(entry.place().file_name().unwrap_or_default());
        fs_err::create_dir(&target)?;
        for file in fs_err::read_dir(entry.place())? {
            let file = file?;
            fs_err::hard_link(file.path(), target.join(file.file_name()))?;
        }
        Ok(())
    }

    /// A builder of the recipe in this cache: a process of its own.
    pub(super) fn builder(&self, variables: &[(&str, &str)]) -> anyhow::Result<Builder> {
        Builder::start(&self.home(), variables)
    }

    /// Waits until a program of that name runs for a builder of this cache.
    pub(super) fn wait_for_process(&self, name: &str) -> anyhow::Result<()> {
        let deadline = Deadline::after(Duration::from_mins(10));
        let look = || async {
            let running: BTreeSet<_> = processes(self.path()).into_iter().map(|(_, name)| name).collect();
            if running.contains(name) { Ok(()) } else { Err(format!("{running:?}")) }
        };
        self.runtime.block_on(deadline.poll(format!("{name} to run"), look))?;
        Ok(())
    }

    /// Waits until a program that was given this argument runs for this cache, and hands back its id.
    pub(super) fn wait_for_argument(&self, argument: &str) -> anyhow::Result<u32> {
        let deadline = Deadline::after(Duration::from_mins(10));
        let has_it = |id: u32| {
            let arguments = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            arguments.split(|byte| *byte == 0).any(|it| it == argument.as_bytes())
        };
        let look = || async {
            let found = processes(self.path()).into_iter().find(|(id, _)| has_it(*id));
            found.map(|(id, _)| id).ok_or_else(|| "no such process".to_owned())
        };
        Ok(self.runtime.block_on(deadline.poll(format!("a program with `{argument}`"), look))?)
    }

    /// Waits until a file has this text in it.
    pub(super) fn wait_for_text(&self, file: &Path, text: &str) -> anyhow::Result<()> {
        let deadline = Deadline::after(Duration::from_mins(2));
        let look = || async {
            let found = std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            match found {
                Ok(found) if found.contains(text) => Ok(()),
                Ok(found) => Err(found.lines().last().unwrap_or_default().to_owned()),
                Err(error) => Err(error.to_string()),
            }
        };
        self.runtime.block_on(deadline.poll(format!("`{text}` in {}", file.display()), look))?;
        Ok(())
    }

    /// The processes of that name that run for this cache.
    pub(super) fn processes_named(&self, name: &str) -> Vec<u32> {
        let found = processes(self.path()).into_iter().filter(|(_, found)| found == name);
        found.map(|(id, _)| id).collect()
    }

    /// All processes that run for this cache, by id and name.
    pub(super) fn processes(&self) -> Vec<(u32, String)> {
        processes(self.path())
    }

    /// Waits until nothing is left of builders: no process, no mount, no working directory, and no entries but these.
    pub(super) fn wait_until_clear(&self, entries: &[&str]) -> anyhow::Result<()> {
        let deadline = Deadline::after(CLEARING);
        let look = || async { self.look(entries).map_err(|error| format!("{error:#}")) };
        self.runtime.block_on(deadline.poll("all traces of the builder to be gone", look))?;
        Ok(())
    }

    fn look(&self, entries: &[&str]) -> anyhow::Result<()> {
        let processes = processes(self.path());
        if !processes.is_empty() {
            bail!("processes {processes:?}");
        }
        let mounts = fs_err::read_to_string("/proc/self/mountinfo")?;
        let path = self.path().display().to_string();
        if let Some(mount) = mounts.lines().find(|line| line.contains(&path)) {
            bail!("a mount: {mount}");
        }
        for directory in [self.cache.building(), self.cache.labs()] {
            for entry in fs_err::read_dir(directory)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    bail!("a directory: {}", entry.path().display());
                }
            }
        }
        let found = self.cache.list(Kind::Image)?;
        let found: BTreeSet<_> = found.iter().map(|kept| kept.name.name()).collect();
        if found != entries.iter().copied().collect() {
            bail!("images {found:?} instead of {entries:?}");
        }
        Ok(())
    }
}

/// The files of a cache with package versions.
pub(super) fn plans(cache: &Cache) -> anyhow::Result<Vec<PathBuf>> {
    let files = fs_err::read_dir(cache.building())?.map(|entry| Ok(entry?.path()));
    let files = files.collect::<anyhow::Result<Vec<_>>>()?;
    let is_plan = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    Ok(files.into_iter().filter(is_plan).collect())
}

/// The processes that have to do with `path`, by id and name: children inherit the variable that names the cache, and
/// what runs in a tree has its root there.
fn processes(path: &Path) -> Vec<(u32, String)> {
    let path = path.as_os_str().as_bytes();
    let mentions = |bytes: &[u8]| bytes.windows(path.len()).any(|window| window == path);
    let concerns = |process: &Path| {
        let link =
            |name: &str| std::fs::read_link(process.join(name)).is_ok_and(|it| mentions(it.as_os_str().as_bytes()));
        std::fs::read(process.join("environ")).is_ok_and(|it| mentions(&it)) || link("root") || link("cwd")
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let found = entries.filter_map(|entry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
        (id != std::process::id() && concerns(&entry.path())).then(|| (id, name.trim().to_owned()))
    });
    found.collect()
}
