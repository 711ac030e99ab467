//! What an upgrade will do to the configuration, said before it and held against what it did.

use crate::predict::model::wanted;
use crate::predict::proof::{self, PredictedFile};
use crate::predict::{COLLECTOR, Extent, Plan, Repository, System, predict, unpacked};
use crate::scenario::format::step::{PredictUpgrade, VerifyPrediction};
use crate::scenario::verbs::expectation::FailedPrediction;
use crate::scenario::verbs::{Done, StepContext, StepError, decided};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// How long the collector may take in the guest: nominal.
const COLLECTING: Duration = Duration::from_secs(30);

/// What a prediction said.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    machine: String,
    files: Vec<PredictedFile>,
}

impl StepContext<'_> {
    pub(crate) async fn predict(&mut self, on: &str, prediction: &PredictUpgrade) -> Result<Done, StepError> {
        let broken = |error: &dyn std::fmt::Display| StepError::Broken(error.to_string());
        let system = self.system(on).await?;
        let disk = self.lab.packages(on).ok_or_else(|| broken(&format!("machine {on} has no disk with packages")))?;
        let repository = self.repository(disk, prediction.repository.get_ref(), &system)?;
        let plan = Plan::new(&system, &repository, Extent::Repository);
        let foreseen = predict(&system, &repository, &plan);
        let lost: BTreeSet<&str> = foreseen.losses().map(|file| file.path.as_str()).collect();
        let asked = format!("what {} will do to the configuration of {on}", prediction.repository.get_ref());
        let lines =
            foreseen.files.iter().map(|file| format!("{}: {} ({}; {})", file.path, file.fate, file.package, file.why));
        let transcript = Some(lines.collect::<Vec<_>>().join("\n"));
        let files = proof::predicted_files(&foreseen, &system, &repository, &plan);
        let judged = prediction.judge(foreseen.files.len(), &lost);
        self.notes.predictions.insert(prediction.name.clone(), Said { machine: on.to_owned(), files });
        decided(&judged, asked, transcript)
    }

    pub(crate) async fn verify_prediction(&self, on: &str, verification: &VerifyPrediction) -> Result<Done, StepError> {
        let said = self.notes.predictions.get(&verification.prediction).filter(|said| said.machine == on);
        let said = said.ok_or_else(|| {
            StepError::Broken(format!("no step has made the prediction `{}` for {on}", verification.prediction))
        })?;
        let now = self.system(on).await?;
        let asked = format!("whether all that the prediction `{}` says has come true", verification.prediction);
        let wrong: Vec<_> = proof::wrong(&said.files, &now)
            .into_iter()
            .map(|wrong| FailedPrediction { words: wrong.to_string(), path: wrong.path })
            .collect();
        let lines: Vec<_> = wrong.iter().map(|wrong| wrong.words.as_str()).collect();
        decided(&verification.judge(said.files.len(), &wrong), asked, Some(lines.join("\n")))
    }

    /// What the collector finds on the machine, as on a user's server.
    async fn system(&self, on: &str) -> Result<System, StepError> {
        let deadline = self.lab.pace().deadline(COLLECTING);
        let dump = self.machine(on)?.read_from("/bin/sh", &["-c", COLLECTOR], deadline).await?;
        let name = format!("the dump of {on}");
        System::parse(&String::from_utf8_lossy(&dump), Path::new(&name))
            .map_err(|error| StepError::Broken(error.to_string()))
    }

    /// The repository on the disk that the machine upgrades with.
    fn repository(&self, disk: &Path, directory: &str, system: &System) -> Result<Repository, StepError> {
        let read = || -> Result<Repository, String> {
            let place = self.lab.directory().join("repository");
            std::fs::create_dir_all(&place).map_err(|error| error.to_string())?;
            let packages = unpacked(disk, directory, &place).map_err(|error| error.to_string())?;
            let repository = Repository::read(&packages, wanted(system)).map_err(|error| error.to_string());
            std::fs::remove_dir_all(&place).map_err(|error| error.to_string())?;
            repository
        };
        tokio::task::block_in_place(read).map_err(StepError::Broken)
    }
}
