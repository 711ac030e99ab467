//! Where scenarios are run to see whom they contact: all packets are captured, and a ruleset may stand at the filter.

use crate::exit::Invalid;
use crate::lab_context::{LabContext, case, scenario};
use crate::workbench::results;
use crate::{setup, ui};
use anyhow::Context as _;
use harness::bounded;
use harness::lab::Topology;
use harness::network::become_root_of_own_user_namespace;
use harness::network::flows::{FlowsOfLab, record};
use harness::results::{Run, ScenarioResult, StepOutcome, StepResult, Verdict};
use harness::scenario::{Engine, Preparation, RunOptions, Scenario, SetupCommand};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a step waits, at most, where a ruleset is on trial: nominal. Whether a list suffices is tried with the same patience as
/// whether it does without a rule, so what needs more is found out there.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The scenarios of one lab.
pub(super) struct EgressRun(Vec<Scenario>);

/// The scenarios of one lab, and a stage for them.
pub(super) struct EgressRunner {
    play: EgressRun,
    stage: LabContext,
}

/// Flows of a lab have fewer bytes.
pub(super) const LARGEST: u64 = 256 << 20;

/// What a performance showed.
pub(super) struct Shown {
    pub(super) result: ScenarioResult,
    pub(super) flows: FlowsOfLab,
}

/// A ruleset, and the machine that it is for.
#[derive(Clone, Copy)]
pub(super) struct AtFilter<'a> {
    pub(super) machine: &'a str,
    pub(super) ruleset: &'a str,
}

impl EgressRun {
    /// Reads the scenarios, which must all be of one lab.
    pub(super) fn read(names: &[String], directory: Option<&Path>) -> anyhow::Result<Self> {
        let scenarios: Vec<_> = names.iter().map(|name| scenario(name, directory)).collect::<anyhow::Result<_>>()?;
        let mut topologies = scenarios.iter().flat_map(|scenario| scenario.cases.iter().map(|case| &case.lab.topology));
        let first = topologies.next().context("there is no scenario")?;
        if let Some(other) = topologies.find(|other| other.name != first.name) {
            let message =
                format!("these scenarios have two labs, `{}` and `{}`: a list is of one", first.name, other.name);
            return Err(Invalid(message).into());
        }
        Ok(Self(scenarios))
    }

    /// The lab.
    pub(super) fn topology(&self) -> &Topology {
        // Reading has seen that there is a scenario; a scenario has a case.
        &self.0[0].cases[0].lab.topology
    }
}

impl EgressRunner {
    /// Builds what the lab needs.
    pub(super) fn open(play: EgressRun) -> anyhow::Result<Self> {
        setup::ensure_tools(false)?;
        become_root_of_own_user_namespace()?;
        let stage = LabContext::open(play.topology(), |_| ())?;
        Ok(Self { play, stage })
    }

    /// The cases that are performed: of each scenario, the first one that is no control.
    pub(super) fn cases(&self) -> Vec<String> {
        let first =
            |scenario: &Scenario| Some(format!("{}::{}", scenario.name, case(&scenario.name, scenario).ok()?.name));
        self.play.0.iter().filter_map(first).collect()
    }

    /// Performs a case. With a ruleset, that is loaded at the filter before the first step.
    pub(super) fn perform(&self, named: &str, run: &Run, filter: Option<AtFilter<'_>>) -> anyhow::Result<Shown> {
        let name = named.split_once("::").map_or(named, |(name, _)| name);
        let scenario = self.play.0.iter().find(|scenario| scenario.name == name);
        let scenario = scenario.with_context(|| format!("scenario `{name}` is not among those that are performed"))?;
        let case = case(named, scenario)?;
        let command = filter.map(|filter| loading(filter.ruleset));
        let errand = filter.zip(command.as_deref()).map(|(filter, command)| SetupCommand {
            name: "the filter has the list's rules, and no others",
            on: filter.machine,
            command,
        });
        let preparation = Some(Preparation { captured: true, errand });
        let longest_wait = filter.map(|_| LONGEST_WAIT);
        let course = RunOptions { preparation, longest_wait, ..RunOptions::default() };
        let say = |text: &str| ui::note(text);
        let engine = Engine { fresh: true, course, ..self.stage.engine(run, &say) };
        let result = self.stage.wait(engine.case(scenario, case));
        self.stage.interrupted()?;
        let flows = flows_in(&run.case(&scenario.name, &case.name)?)?;
        Ok(Shown { result, flows })
    }
}

impl Shown {
    /// The step that failed, if one did; none, if the case failed otherwise.
    pub(super) fn failed(&self) -> Option<&StepResult> {
        self.result.steps.iter().find(|step| step.outcome == StepOutcome::Failed)
    }

    pub(super) fn has_passed(&self) -> bool {
        self.result.outcome == Verdict::Passed
    }
}

/// A directory for the results of some performances.
pub(super) fn results_of(name: &str) -> anyhow::Result<Run> {
    Run::create(&results().join("egress").join(name)).context("failed to make a directory for results")
}

/// The flows of a case, from its directory.
pub(super) fn flows_in(case: &Path) -> anyhow::Result<FlowsOfLab> {
    let file: PathBuf = case.join(record::FILE);
    let text = bounded::read(&file, LARGEST).map_err(|error| Invalid(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| Invalid(format!("{}: {error}", file.display())).into())
}

/// A command that loads a ruleset, or says in which line it is wrong.
fn loading(ruleset: &str) -> String {
    format!("cat > /run/egress.nft << 'RULES'\n{ruleset}RULES\nnft --file /run/egress.nft")
}
