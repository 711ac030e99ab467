//! Measures of disks, and how figures are recorded.

use super::fio_keys::Fio;
use crate::figures::{FILES, Figure, told};
use crate::machine::quoted;
use crate::scenario::verbs::expectation::Instead;
use crate::scenario::verbs::test_state::Artifact;
use crate::scenario::verbs::{Done, StepContext, StepError};
use crate::storage::fio;
use std::time::Duration;

/// How long the part of a measure may take that is not bounded by itself: nominal.
const PATIENCE: Duration = Duration::from_secs(30);

impl StepContext<'_> {
    pub(crate) async fn fio(&mut self, on: &str, measure: &Fio) -> Result<Done, StepError> {
        let (disk, each) = (measure.disk.get_ref(), measure.each.duration());
        let command = fio::command(&quoted(disk), measure.format(), each);
        let deadline = self.lab.pace().deadline(PATIENCE + 4 * each);
        let output = self.machine(on)?.execute(&command, deadline).await?;
        let asked = format!("fio on {disk}, served by qemu-nbd");
        let transcript = Some(format!("{command}\n\n{}{}", output.stdout, output.stderr));
        if output.status != 0 {
            let done = Done { asked, answered: format!("status {}", output.status), transcript };
            return Err(StepError::Unmet(done, Instead::Unclear));
        }
        match fio::figures(&measure.label, &output.stdout) {
            Ok(figures) => {
                Ok(Done { asked, answered: self.record_figures("fio", &measure.label, &figures)?, transcript })
            }
            Err(unreadable) => {
                let done = Done { asked, answered: unreadable.to_string(), transcript };
                Err(StepError::Unmet(done, Instead::Unclear))
            }
        }
    }

    /// Puts figures into the results, and tells them.
    pub(crate) fn record_figures(&mut self, verb: &str, called: &str, figures: &[Figure]) -> Result<String, StepError> {
        let name: String = called.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let number = self.notes.figures;
        self.notes.figures += 1;
        let artifact = Artifact::json(format!("{FILES}{number}-{verb}-{name}.json"), &figures);
        self.artifacts.push(artifact.map_err(|error| StepError::Broken(error.to_string()))?);
        let words = figures.iter().map(|it| format!("{}: {} {}", it.quantity, told(it.value), it.unit));
        Ok(words.collect::<Vec<_>>().join("; "))
    }
}
