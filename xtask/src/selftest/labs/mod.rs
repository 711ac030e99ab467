//! Templates of labs on good and bad days. The lab is the smallest there is: the directory by itself.

mod copies;
mod cycles;
mod damage;
mod interrupted;

pub(super) use copies::run as copies;
pub(super) use cycles::run as cycles;
pub(super) use damage::run as damage;
pub(super) use interrupted::run as interrupted;

use super::Given;
use super::site::Site;
use crate::lab::part;
use crate::workbench::{Workbench, lab_file};
use harness::cache::Cache;
use harness::lab::{LabError, Progress, Template, TemplateRequest, TemplateStore, Topology};
use harness::scenario::ReadySteps;
use std::sync::{Arc, Mutex};

/// The lab, and the machine of it.
const LAB: &str = "mail-lan";
const MACHINE: &str = "directory";

/// Labs with templates in one cache.
struct Labs {
    workbench: Workbench,
    topology: Topology,
    runtime: tokio::runtime::Runtime,
}

/// What happened on the way to a template.
#[derive(Default)]
struct Story(Mutex<Vec<String>>);

impl Story {
    fn note(&self, progress: &Progress) {
        self.0.lock().expect("nothing panics with it").push(progress.to_string());
    }

    /// How many of its sentences have these words.
    fn count(&self, words: &str) -> usize {
        self.0.lock().expect("nothing panics with it").iter().filter(|said| said.contains(words)).count()
    }

    fn text(&self) -> String {
        self.0.lock().expect("nothing panics with it").join("; ")
    }
}

impl Labs {
    fn open(cache: &Cache) -> anyhow::Result<Self> {
        let (topology, _) = part(&lab_file(LAB)?, Some(MACHINE))?;
        let workbench = Workbench::open(cache.clone(), &topology)?;
        Ok(Self { workbench, topology, runtime: tokio::runtime::Runtime::new()? })
    }

    /// The same in a cache of its own, which has the image already.
    fn in_site(given: &Given, site: &Site) -> anyhow::Result<Self> {
        site.take_plans(given, std::time::Duration::ZERO)?;
        site.take_image(given)?;
        Self::open(site.cache())
    }

    /// The template, and what happened until it was there.
    async fn template(&self, stock: &TemplateStore) -> (Result<Arc<Template>, LabError>, Story) {
        let story = Story::default();
        let order = TemplateRequest {
            topology: &self.topology,
            setup: &self.workbench.setup,
            budget: &self.workbench.budget,
            readiness: &ReadySteps { domain: &self.topology.domain, steps: &[] },
            logs: &self.workbench.scratch.path().join("template"),
            progress: &|progress| story.note(&progress),
        };
        let made = stock.template(&order).await;
        (made, story)
    }
}
