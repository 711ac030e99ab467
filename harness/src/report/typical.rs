//! How long cases and their steps usually take on this host: medians of earlier runs, for whoever waits.

use crate::results::{ScenarioResult, StepOutcome, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

/// Runs that are remembered of each: an odd number has a middle.
const REMEMBERED: usize = 9;

/// What earlier runs took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typical {
    /// By accelerator and case.
    cases: BTreeMap<String, Times>,
}

/// What one case took in earlier runs, in seconds, the newest last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Times {
    whole: Vec<f64>,
    /// By the sentence of the step.
    steps: BTreeMap<String, Vec<f64>>,
}

impl Typical {
    /// Reads the file. Without one, or from one that makes no sense, nothing is known: it is a help and no evidence.
    #[must_use]
    pub fn load(path: &Path) -> Self {
        std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// The median of a whole case, named as `scenario::case`, in seconds.
    #[must_use]
    pub fn case(&self, accelerator: &str, case: &str) -> Option<f64> {
        median(&self.cases.get(&key(accelerator, case))?.whole)
    }

    /// The median of one of its steps, in seconds.
    #[must_use]
    pub fn step(&self, accelerator: &str, case: &str, step: &str) -> Option<f64> {
        median(self.cases.get(&key(accelerator, case))?.steps.get(step)?)
    }

    /// Takes note of cases that passed. Steps that this run did not carry out itself say nothing about it.
    pub fn learn<'r>(&mut self, accelerator: &str, results: impl IntoIterator<Item = &'r ScenarioResult>) {
        for result in results.into_iter().filter(|result| result.outcome == Verdict::Passed) {
            let times = self.cases.entry(key(accelerator, &result.title())).or_default();
            remember(&mut times.whole, result.seconds);
            // Steps that are no longer in the file are forgotten.
            times.steps.retain(|name, _| result.steps.iter().any(|step| step.name == *name));
            for step in result.steps.iter().filter(|step| step.outcome == StepOutcome::Passed) {
                remember(times.steps.entry(step.name.clone()).or_default(), step.seconds);
            }
        }
    }

    /// Adds cases to what the file knows; other processes may do the same.
    pub fn update<'r>(
        path: &Path,
        accelerator: &str,
        results: impl IntoIterator<Item = &'r ScenarioResult>,
    ) -> io::Result<()> {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.lock()?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let mut typical: Self = serde_json::from_slice(&text).unwrap_or_default();
        typical.learn(accelerator, results);
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(&serde_json::to_vec(&typical)?)
    }
}

fn key(accelerator: &str, case: &str) -> String {
    format!("{accelerator} {case}")
}

fn remember(times: &mut Vec<f64>, seconds: f64) {
    // A millisecond is more than anybody sees.
    times.push((seconds * 1000.0).round() / 1000.0);
    let surplus = times.len().saturating_sub(REMEMBERED);
    times.drain(..surplus);
}

fn median(times: &[f64]) -> Option<f64> {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::super::model::samples::{case, step};
    use super::*;

    fn took(seconds: f64, verdict: Verdict) -> ScenarioResult {
        let mut result = case("fault", verdict, None, vec![step(1, StepOutcome::Passed, "OK")]).result;
        (result.seconds, result.steps[0].seconds) = (seconds, seconds / 10.0);
        result
    }

    #[test]
    fn the_median_of_what_passed_is_typical_and_survives_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("times.json");
        for seconds in [10.0, 500.0, 20.0, 30.0] {
            Typical::update(&path, "tcg", [&took(seconds, Verdict::Passed)]).unwrap();
        }
        Typical::update(&path, "tcg", [&took(1.0, Verdict::Failed)]).unwrap();
        let typical = Typical::load(&path);
        assert_eq!(typical.case("tcg", "pam-loss::fault"), Some(30.0));
        assert_eq!(typical.step("tcg", "pam-loss::fault", "step 1"), Some(3.0));
        assert_eq!(typical.case("kvm", "pam-loss::fault"), None);
    }

    #[test]
    fn old_runs_are_forgotten_and_a_damaged_file_knows_nothing() {
        let mut typical = Typical::default();
        for _ in 0..REMEMBERED {
            typical.learn("tcg", [&took(100.0, Verdict::Passed)]);
        }
        for _ in 0..REMEMBERED {
            typical.learn("tcg", [&took(5.0, Verdict::Passed)]);
        }
        assert_eq!(typical.case("tcg", "pam-loss::fault"), Some(5.0));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("times.json");
        std::fs::write(&path, "{\"cases\": {").unwrap();
        assert_eq!(Typical::load(&path), Typical::default());
        Typical::update(&path, "tcg", [&took(7.0, Verdict::Passed)]).unwrap();
        assert_eq!(Typical::load(&path).case("tcg", "pam-loss::fault"), Some(7.0));
    }
}
