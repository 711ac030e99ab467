//! What became of mutants so far, in a file: a run that was ended goes on where it stopped.

use super::definition::Placed;
use super::verdict::Verdict;
use anyhow::Context as _;
use harness::cache::ContentKey;
use harness::scenario::Scenario;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Verdicts by the names of mutants.
pub(super) struct Record {
    path: PathBuf,
    judged: BTreeMap<String, Judged>,
}

/// A verdict, what it is about, and how long it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Judged {
    /// Covers the mutant and its scenario's text: a verdict on others is none.
    key: String,
    pub(super) verdict: Verdict,
    pub(super) seconds: f64,
}

impl Record {
    /// Reads the record of a directory; without one, nothing is judged yet.
    pub(super) fn open(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join("verdicts.json");
        let judged = match fs_err::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).with_context(|| {
                format!("{} is damaged: remove it, and all mutants are tried again", path.display())
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { path, judged })
    }

    /// The verdict of an earlier run, if it is about the same mutant and the same scenario.
    pub(super) fn earlier(&self, placed: &Placed, scenario: &Scenario) -> anyhow::Result<Option<&Judged>> {
        let key = key(placed, scenario)?;
        Ok(self.judged.get(&placed.mutant.name).filter(|judged| judged.key == key))
    }

    /// Adds a verdict, and writes all down.
    pub(super) fn add(
        &mut self,
        placed: &Placed,
        scenario: &Scenario,
        verdict: Verdict,
        seconds: f64,
    ) -> anyhow::Result<()> {
        let judged = Judged { key: key(placed, scenario)?, verdict, seconds };
        self.judged.insert(placed.mutant.name.clone(), judged);
        let directory = self.path.parent().context("the record is in no directory")?;
        fs_err::create_dir_all(directory)?;
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        serde_json::to_writer_pretty(&mut file, &self.judged)?;
        file.persist(&self.path)?;
        Ok(())
    }
}

fn key(placed: &Placed, scenario: &Scenario) -> anyhow::Result<String> {
    let mutant = serde_json::to_vec(&placed.mutant)?;
    let text = fs_err::read(&scenario.file)?;
    Ok(ContentKey::of([mutant.as_slice(), text.as_slice()]).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::mutants::definition::Mutants;

    #[test]
    fn a_verdict_is_found_again_until_the_mutant_changes() {
        let directory = tempfile::tempdir().unwrap();
        let mutants = Mutants::load().unwrap();
        let mut placed = mutants.mutants[0].clone();
        let (scenario, _) = mutants.case(&placed.mutant).unwrap();
        let mut record = Record::open(directory.path()).unwrap();
        assert_eq!(record.earlier(&placed, scenario).unwrap(), None);
        record.add(&placed, scenario, Verdict::Caught, 2.5).unwrap();
        let record = Record::open(directory.path()).unwrap();
        assert_eq!(record.earlier(&placed, scenario).unwrap().unwrap().verdict, Verdict::Caught);
        placed.mutant.probe.push_str(" && true");
        assert_eq!(record.earlier(&placed, scenario).unwrap(), None);
    }

    #[test]
    fn refuses_a_damaged_record() {
        let directory = tempfile::tempdir().unwrap();
        fs_err::write(directory.path().join("verdicts.json"), "{").unwrap();
        let error = Record::open(directory.path()).err().unwrap().to_string();
        assert!(error.contains("verdicts.json is damaged: remove it"), "{error}");
    }
}
