//! Cases that fail while their guests are starved of processor time: such a run says nothing about the lab.
//!
//! Daemons have time limits of their own, which no deadline of the harness stretches. So a case that fails while one of its
//! guests waited longer for a core than it had one runs once more, and both runs are reported.

use super::case_run::Engine;
use crate::host::core_meter::CoreShare;
use crate::lab::Lab;
use crate::machine::{MachineFailure, MachineName};
use crate::results::{RESULT, RunEvent, ScenarioResult, StarvedRun, StepOutcome, Verdict};
use crate::scenario::format::scenario::{Case, Scenario};
use std::io;
use std::path::Path;
use std::time::Duration;

/// A guest that was denied less than this, in seconds, was only late.
const LEAST_DENIED: f64 = 1.0;

/// Where the files of a run that counts for nothing go, in the directory of its case.
const DIRECTORY: &str = "starved";

/// Whether the guest was denied a core for longer than it had one. What a hypervisor took of this host, it took of the
/// guest's time, too.
fn is_starved(share: &CoreShare) -> bool {
    let stolen = share.ran * share.stolen;
    let denied = share.waited + stolen;
    denied >= LEAST_DENIED && denied > share.ran - stolen
}

/// The stretch in which a guest was starved most, if the case failed and one was. That a QEMU ended is no matter of time.
fn excuse(result: &ScenarioResult) -> Option<&CoreShare> {
    // What an earlier run has kept, it has carried out at another hour.
    let own = result.steps.iter().filter(|step| step.outcome != StepOutcome::Kept);
    let stretches = own.filter_map(|step| step.cores.as_deref()).chain(&result.cores);
    let failed = result.outcome == Verdict::Failed && result.lost.is_none();
    let starved = stretches.filter(|share| failed && is_starved(share));
    starved.max_by(|one, other| one.waited.total_cmp(&other.waited))
}

/// The machine, if what befell it is no matter of processor time.
pub(crate) fn lost((machine, trouble): (&MachineName, &MachineFailure)) -> Option<String> {
    (!trouble.may_be_for_want_of_time()).then(|| machine.to_string())
}

/// How long it may take until it is known that a QEMU has ended whose channels broke: it is waited for until its last words are read.
const KNOWN: Duration = Duration::from_secs(3);

/// What has befallen a machine.
pub(crate) async fn befallen(lab: &Lab) -> Option<(MachineName, MachineFailure)> {
    tokio::time::timeout(KNOWN, lab.trouble()).await.ok()
}

impl Engine<'_> {
    /// Runs one case to its verdict; once more if it fails while a guest is starved.
    pub(crate) async fn judged(&self, scenario: &Scenario, case: &Case) -> ScenarioResult {
        let first = self.attempt(scenario, case).await;
        let Some(share) = excuse(&first).filter(|_| self.course.runs_starved_again && !self.interrupt.asked()).cloned()
        else {
            return first;
        };
        let words = format!("its guests were starved, and the case runs once more: {share}");
        (self.say)(&format!("  again {words}"));
        self.run.tell(&scenario.name, &first.case, &RunEvent::Lab(words));
        if let Err(error) = self.run.case(&first.name, &first.case).and_then(|directory| put_aside(&directory)) {
            (self.say)(&format!("  note  the files of the starved run could not be put aside: {error}"));
        }
        let second = self.attempt(scenario, case).await;
        let twice = excuse(&second)
            .map(|share| format!("\nThe guests were starved twice, so this host may be to blame: {share}"));
        let reason = second.reason.clone().map(|reason| reason + &twice.unwrap_or_default());
        let ScenarioResult { reason: why, seconds, steps, .. } = first;
        let starved = StarvedRun { reason: why.unwrap_or_default(), seconds, share, steps };
        ScenarioResult { reason, starved: Some(starved), ..second }
    }
}

/// Moves all that a run has left in the directory of its case into one below it.
fn put_aside(directory: &Path) -> io::Result<()> {
    let aside = directory.join(DIRECTORY);
    fs_err::create_dir_all(&aside)?;
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name() != DIRECTORY && entry.file_name() != RESULT {
            fs_err::rename(entry.path(), aside.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::{case, step};

    fn share(ran: f64, waited: f64, stolen: f64) -> CoreShare {
        CoreShare { machine: "mail".into(), seconds: 10.0, ran, waited, stolen }
    }

    #[rstest::rstest]
    #[case::alone(9.0, 0.5, 0.0, false)]
    #[case::beside_others(5.0, 4.9, 0.0, false)]
    #[case::half_and_half(4.0, 4.0, 0.0, false)]
    #[case::starved(3.0, 6.0, 0.0, true)]
    #[case::hardly_awake(0.01, 0.5, 0.0, false)]
    #[case::without_any_core(0.0, 1.0, 0.0, true)]
    #[case::some_is_stolen(9.0, 0.5, 0.2, false)]
    #[case::most_is_stolen(9.0, 0.5, 0.6, true)]
    #[case::both_together(5.0, 4.0, 0.2, true)]
    #[case::nothing_ran(0.0, 0.0, 0.9, false)]
    fn a_guest_is_starved_when_it_waits_longer_than_it_runs(
        #[case] ran: f64,
        #[case] waited: f64,
        #[case] stolen: f64,
        #[case] expected: bool,
    ) {
        assert_eq!(is_starved(&share(ran, waited, stolen)), expected);
    }

    const FED: Option<(f64, f64)> = Some((9.0, 0.5));
    const STARVED: Option<(f64, f64)> = Some((2.0, 7.0));
    const WORSE: Option<(f64, f64)> = Some((1.0, 8.0));

    #[rstest::rstest]
    #[case::it_passed(Verdict::Passed, STARVED, STARVED, STARVED, None)]
    #[case::it_was_skipped(Verdict::Skipped, STARVED, STARVED, STARVED, None)]
    #[case::fed(Verdict::Failed, FED, FED, FED, None)]
    #[case::not_metered(Verdict::Failed, None, None, None, None)]
    #[case::in_an_earlier_step(Verdict::Failed, STARVED, FED, FED, Some(7.0))]
    #[case::in_the_step_that_failed(Verdict::Failed, FED, STARVED, FED, Some(7.0))]
    #[case::outside_all_steps(Verdict::Failed, FED, FED, STARVED, Some(7.0))]
    #[case::the_worst_is_told(Verdict::Failed, STARVED, WORSE, FED, Some(8.0))]
    fn a_failure_is_excused_by_starved_guests_alone(
        #[case] outcome: Verdict,
        #[case] earlier: Option<(f64, f64)>,
        #[case] last: Option<(f64, f64)>,
        #[case] outside: Option<(f64, f64)>,
        #[case] waited: Option<f64>,
    ) {
        let share = |times: Option<(f64, f64)>| times.map(|(ran, waited)| share(ran, waited, 0.0));
        let steps = [(1, StepOutcome::Passed, earlier), (2, StepOutcome::Failed, last)];
        let steps = steps.map(|(number, outcome, times)| {
            let mut step = step(number, outcome, "NO");
            step.cores = share(times).map(Box::new);
            step
        });
        let mut result = case("main", outcome, Some("why"), steps.into()).result;
        result.cores = share(outside).into_iter().collect();
        assert_eq!(excuse(&result).map(|share| share.waited), waited);
    }

    #[rstest::rstest]
    #[case::killed(MachineFailure::Exited { how: "signal: 9 (SIGKILL)".into() }, Some("mail"))]
    #[case::let_go(MachineFailure::Uncontrolled, Some("mail"))]
    fn what_no_lack_of_time_does_is_told(#[case] trouble: MachineFailure, #[case] machine: Option<&str>) {
        let name = MachineName::try_from("mail".to_owned()).unwrap();
        assert_eq!(lost((&name, &trouble)).as_deref(), machine);
    }

    #[test]
    fn a_machine_that_is_lost_is_not_excused() {
        let mut failed = step(1, StepOutcome::Failed, "NO");
        failed.cores = Some(Box::new(share(2.0, 7.0, 0.0)));
        let mut result = case("main", Verdict::Failed, Some("why"), vec![failed]).result;
        assert!(excuse(&result).is_some());
        result.lost = Some("mail".into());
        assert_eq!(excuse(&result), None);
    }

    #[test]
    fn what_an_earlier_run_has_kept_excuses_nothing() {
        let mut kept = step(1, StepOutcome::Kept, "OK");
        kept.cores = Some(Box::new(share(2.0, 7.0, 0.0)));
        let result = case("main", Verdict::Failed, Some("why"), vec![kept]).result;
        assert_eq!(excuse(&result), None);
    }

    #[test]
    fn the_files_of_a_run_are_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("console-mail.log"), "first").unwrap();
        std::fs::create_dir(at("boot-1")).unwrap();
        put_aside(directory.path()).unwrap();
        std::fs::write(at("console-mail.log"), "second").unwrap();
        assert_eq!(std::fs::read_to_string(at("starved/console-mail.log")).unwrap(), "first");
        assert!(at("starved/boot-1").is_dir() && !at("boot-1").exists());
    }
}
