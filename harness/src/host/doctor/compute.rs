//! Checks of what runs the guests' CPUs.

use super::Check;
use crate::host::accelerator::{
    self, ACCELERATOR_VARIABLE, Accelerator, ChoiceError, PACE_VARIABLE, Selection, Wishes,
};
use crate::host::confinement::{self, Kept};
use crate::host::counter::{self, Frequency};
use crate::host::probe::Shortfall;
use crate::host::probe_memory::{ProbeMemory, age_in_words};
use crate::host::{child, tools};
use crate::time::Deadline;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What the probe says, or said since this host booted unless `fresh` is wanted.
pub(super) fn examine(cache: &Path, fresh: bool) -> (Vec<Check>, Option<Selection>) {
    let memory = ProbeMemory::of_this_host(cache);
    if fresh {
        memory.forget();
    }
    let mut oldest: Option<Duration> = None;
    let mut probe = |accelerator| match memory.recall(accelerator) {
        Some((probed, age)) => {
            oldest = oldest.max(Some(age));
            probed
        }
        None => memory.measure(accelerator),
    };
    let (kvm, tcg) = (probe(Accelerator::Kvm), probe(Accelerator::Tcg));
    let mut checks = vec![kvm_check(&kvm), tcg_check(&tcg)];
    let (mut kvm, mut tcg) = (Some(kvm), Some(tcg));
    let probed = |accelerator| {
        let once = if accelerator == Accelerator::Kvm { kvm.take() } else { tcg.take() };
        once.unwrap_or(Err(Shortfall::NoDevice))
    };
    let chosen = Wishes::from_environment().and_then(|wishes| accelerator::decide(wishes, probed));
    let told = [ACCELERATOR_VARIABLE, PACE_VARIABLE].into_iter().filter(|name| std::env::var_os(name).is_some());
    checks.push(choice_check(&chosen, &told.collect::<Vec<_>>(), oldest));
    checks.push(confinement_check(confinement::kept()));
    let selection = chosen.ok();
    if let Some(selection) = &selection {
        checks.push(nested_check(selection.accelerator));
        if selection.accelerator == Accelerator::Tcg {
            checks.push(counter_check(counter::frequency()));
        }
    }
    (checks, selection)
}

fn kvm_check(probed: &Result<Duration, Shortfall>) -> Check {
    let shortfall = match probed {
        Ok(work) => return Check::ok("KVM", format!("kernel-like code runs; {}", measured(*work))),
        Err(shortfall) => shortfall,
    };
    let cure = match shortfall {
        Shortfall::NoDevice => {
            "switch virtualisation on in the firmware, or for the machine that this one runs in; \
             then modprobe kvm_amd or kvm_intel"
        }
        Shortfall::NotPermitted => "add this user to the group of /dev/kvm (usually kvm), and log in again",
        Shortfall::NoQemu { .. } => "cargo xtask setup",
        _ => {
            "`cargo xtask doctor --fresh` tries again; if nothing changes, none on this host: \
             a bare machine, or one with real nested virtualisation, has a KVM that works"
        }
    };
    Check::degraded("KVM", shortfall.to_string(), "guests are emulated, several times slower").cure(cure)
}

fn tcg_check(probed: &Result<Duration, Shortfall>) -> Check {
    match probed {
        Ok(work) => Check::ok("emulation", format!("QEMU's TCG runs kernel-like code; {}", measured(*work))),
        Err(shortfall) => {
            Check::missing("emulation", shortfall.to_string(), "without KVM no guest runs").cure("cargo xtask setup")
        }
    }
}

fn measured(work: Duration) -> String {
    format!("its work takes {:.2} s: {}", work.as_secs_f64(), accelerator::pace_of(work))
}

fn choice_check(chosen: &Result<Selection, ChoiceError>, told: &[&str], remembered: Option<Duration>) -> Check {
    let told = if told.is_empty() { String::new() } else { format!("; asked for by {}", told.join(" and ")) };
    let remembered = remembered.map_or_else(String::new, |age| {
        format!("; remembered from {}, `cargo xtask doctor --fresh` tries again", age_in_words(age))
    });
    match chosen {
        // Why KVM is of no use stands in its own check.
        Ok(Selection { accelerator, pace, .. }) => {
            Check::ok("accelerator", format!("{accelerator} at pace {pace}{told}{remembered}"))
        }
        Err(error) => {
            let check = Check::missing("accelerator", error.to_string(), "no guest runs");
            match error {
                ChoiceError::Emulation(_) => check.cure("cargo xtask setup"),
                _ => check.cure("change that variable, or unset it"),
            }
        }
    }
}

fn counter_check(frequency: Option<Frequency>) -> Check {
    match frequency {
        Some(frequency) => {
            Check::ok("guests' clocks", format!("they are told that their counter runs at {} kHz", frequency.khz()))
        }
        None => Check::degraded(
            "guests' clocks",
            "this host's time-stamp counter has no constant speed that guests could be told",
            "their kernels measure it, and wrongly where they boot on a busy host: clocks may run at a wrong speed",
        ),
    }
}

/// It keeps a QEMU that its guest has taken over from the files of this host.
fn confinement_check(kept: Kept) -> Check {
    let (finding, consequence) = match kept {
        Kept::Whole => {
            return Check::ok(
                "confinement",
                "the kernel's Landlock keeps each QEMU to the files of its machine, and from signals and TCP",
            );
        }
        Kept::Partly => (
            "this kernel's Landlock is older than 6.12: it keeps other files from being read and written, but not all of the rest",
            "a QEMU that its guest has taken over could signal your other processes, and before 6.2 empty your files",
        ),
        Kept::Nothing => (
            "this kernel has no Landlock, or it is switched off",
            "a QEMU that its guest has taken over could read and write what you can",
        ),
    };
    Check::degraded("confinement", finding, consequence).cure("a kernel from 6.12 on, with landlock among its `lsm=`")
}

fn nested_check(accelerator: Accelerator) -> Check {
    let name = "nested guests";
    let lost = "scenarios of a virtualisation host cannot run";
    match accelerator {
        Accelerator::Kvm => {
            let on = ["kvm_amd", "kvm_intel"].into_iter().find(|module| {
                let parameter = fs_err::read_to_string(format!("/sys/module/{module}/parameters/nested"));
                parameter.is_ok_and(|value| ["1", "Y"].contains(&value.trim()))
            });
            match on {
                Some(module) => Check::ok(name, format!("{module} has nested on")),
                None => Check::degraded(name, "the KVM module does not allow nested guests", lost)
                    .cure("options kvm_amd nested=1 (or kvm_intel) in /etc/modprobe.d, then load the module anew"),
            }
        }
        Accelerator::Tcg => {
            let mut command = Command::new(tools::qemu_program());
            command.args(["-cpu", "help"]).stdin(Stdio::null());
            let finished = child::run(&mut command, Deadline::after(Duration::from_secs(20)));
            if finished.is_ok_and(|finished| finished.text().split_whitespace().any(|word| word == "svm")) {
                Check::ok(name, "QEMU emulates AMD's virtualisation (-cpu max,+svm)")
            } else {
                Check::degraded(name, "this QEMU does not know the CPU feature svm", lost)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::doctor::State;
    use crate::time::TimeoutScale;

    #[test]
    fn a_broken_kvm_degrades_and_broken_emulation_is_fatal() {
        let hung = || Err(Shortfall::Hung { passed: 5, after: Duration::from_secs(3), last_words: None });
        assert_eq!(kvm_check(&hung()).state, State::Degraded);
        assert_eq!(tcg_check(&hung()).state, State::Missing);
        assert_eq!(
            kvm_check(&Ok(Duration::from_millis(90))).finding,
            "kernel-like code runs; its work takes 0.09 s: ×1.0"
        );
    }

    #[test]
    fn what_the_environment_forces_is_told() {
        let selection = || Selection {
            accelerator: Accelerator::Tcg,
            reason: String::new(),
            pace: TimeoutScale::REFERENCE,
            is_measured: true,
            remembered: None,
        };
        assert_eq!(choice_check(&Ok(selection()), &[], None).finding, "tcg at pace ×1.0");
        let told = [ACCELERATOR_VARIABLE, PACE_VARIABLE];
        let finding = choice_check(&Ok(selection()), &told, None).finding;
        assert_eq!(finding, "tcg at pace ×1.0; asked for by REHEARSAL_ACCELERATOR and REHEARSAL_PACE");
        let finding = choice_check(&Ok(selection()), &[], Some(Duration::from_mins(7))).finding;
        let words = "tcg at pace ×1.0; remembered from 7 min ago, `cargo xtask doctor --fresh` tries again";
        assert_eq!(finding, words);
    }

    #[test]
    fn a_bad_wish_is_told_with_its_cure() {
        let check = choice_check(&Err(ChoiceError::BadPace("fast".to_owned())), &[], None);
        assert_eq!(check.state, State::Missing);
        assert_eq!(check.cure.as_deref(), Some("change that variable, or unset it"));
    }
}
