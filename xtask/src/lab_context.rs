//! Where commands carry cases of scenarios out themselves: a workbench, a stock of templates, and a way to be interrupted.

use crate::exit::{Interrupted, Invalid};
use crate::workbench::{Workbench, project};
use anyhow::{Context as _, anyhow};
use harness::cache::Cache;
use harness::lab::{TemplateStore, Topology};
use harness::results::Run;
use harness::scenario::{Case, Engine, ExplainError, Interrupt, Kind, RunOptions, Scenario};
use std::path::Path;

/// A workbench, and what an engine needs beside it.
pub(crate) struct LabContext {
    pub(crate) workbench: Workbench,
    pub(crate) interrupt: Interrupt,
    stock: TemplateStore,
    runtime: tokio::runtime::Runtime,
}

impl LabContext {
    /// Builds what is missing for labs of this topology. `interrupted` is called at each Ctrl-C.
    pub(crate) fn open(topology: &Topology, interrupted: impl Fn(bool) + Send + 'static) -> anyhow::Result<Self> {
        let cache = Cache::open_default().context("failed to open the cache")?;
        let workbench = Workbench::open(cache, topology)?;
        let stock = workbench.stock()?;
        let runtime = tokio::runtime::Runtime::new()?;
        let interrupt = Interrupt::default();
        let entered = runtime.enter();
        interrupt.listen(interrupted)?;
        drop(entered);
        Ok(Self { workbench, interrupt, stock, runtime })
    }

    /// What carries cases out, their evidence in `run`. It starts at kept checkpoints, with nothing otherwise than usual.
    pub(crate) fn engine<'a>(&'a self, run: &'a Run, say: &'a (dyn Fn(&str) + Send + Sync)) -> Engine<'a> {
        Engine {
            setup: &self.workbench.setup,
            stock: &self.stock,
            budget: &self.workbench.budget,
            run,
            interrupt: &self.interrupt,
            fresh: false,
            course: RunOptions::default(),
            say,
        }
    }

    /// An error, if a person wants it to end: what came of the work then is no result.
    pub(crate) fn interrupted(&self) -> Result<(), Interrupted> {
        if self.interrupt.asked() { Err(Interrupted) } else { Ok(()) }
    }

    /// Carries something out to its end.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// The scenario that is named, by itself or with a case.
pub(crate) fn scenario(named: &str, directory: Option<&Path>) -> anyhow::Result<Scenario> {
    let directory = directory.map_or_else(|| project("scenarios"), Path::to_owned);
    let name = named.split_once("::").map_or(named, |(name, _)| name);
    let path = directory.join(format!("{name}.toml"));
    if !path.is_file() {
        let files = Scenario::files_in(&directory)
            .with_context(|| format!("failed to look for scenarios in {}", directory.display()))?;
        let stems = files.iter().filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
        let known: Vec<_> = stems.collect();
        return Err(Invalid(format!("there is no scenario `{name}`; there are: {}", known.join(", "))).into());
    }
    Scenario::load(&path).map_err(crate::report)
}

/// The case that is named, or the first one that is no control.
pub(crate) fn case<'s>(named: &str, scenario: &'s Scenario) -> anyhow::Result<&'s Case> {
    let found = match named.split_once("::") {
        Some((_, name)) => scenario.cases.iter().find(|case| case.name == name),
        None => scenario.cases.iter().find(|case| case.kind != Kind::Control).or(scenario.cases.first()),
    };
    found.ok_or_else(|| {
        let known: Vec<_> = scenario.cases.iter().map(|case| case.name.as_str()).collect();
        Invalid(format!("scenario {} has no such case; there are: {}", scenario.name, known.join(", "))).into()
    })
}

/// Why a command that looks into a case had no answer.
pub(crate) fn unexplained(error: ExplainError) -> anyhow::Error {
    match error {
        ExplainError::Scenario(reason) => Invalid(reason).into(),
        ExplainError::Failed(reason) => anyhow!("{reason}"),
    }
}
