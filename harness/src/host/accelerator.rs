//! What runs the guests' CPUs here, and how fast: KVM when a probe of it succeeds, else QEMU's own emulation.

use super::probe::{self, Shortfall};
use super::probe_memory::{Age, ProbeMemory};
use super::tools;
use crate::time::TimeoutScale;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// The environment variable that forces an accelerator: `kvm` or `tcg`.
pub const ACCELERATOR_VARIABLE: &str = "REHEARSAL_ACCELERATOR";
/// The environment variable that replaces the measured pace: a number from 1 to 40.
pub const PACE_VARIABLE: &str = "REHEARSAL_PACE";

/// What runs a guest's CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// The host's CPU, by the kernel's KVM.
    Kvm,
    /// QEMU's emulation.
    Tcg,
}

impl Accelerator {
    /// All, the faster one first.
    pub(crate) const ALL: [Self; 2] = [Self::Kvm, Self::Tcg];

    /// The name that QEMU's `-accel` knows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Accelerator {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|accelerator| accelerator.name() == name).ok_or(())
    }
}

/// The accelerator for this host, why, and the pace of guests under it.
#[derive(Debug, Clone)]
pub struct Selection {
    /// What runs the guests.
    pub accelerator: Accelerator,
    /// Why this one: a sentence for people.
    pub reason: String,
    /// How much slower than with KVM on an idle host a guest runs here now.
    pub pace: TimeoutScale,
    /// Whether that was measured, and not given by a person.
    pub is_measured: bool,
    /// How long ago, if not now: whoever waits should measure the pace again.
    pub remembered: Option<Duration>,
}

/// Why no accelerator could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    /// The variable names none.
    #[error("{ACCELERATOR_VARIABLE} is {0:?}, and must be kvm or tcg")]
    UnknownAccelerator(String),
    /// The variable holds no pace.
    #[error("{PACE_VARIABLE} is {0:?}, and must be a number from 1 to 40")]
    BadPace(String),
    /// KVM is asked for, and does not work.
    #[error("{ACCELERATOR_VARIABLE} asks for kvm, but {0}")]
    ForcedKvm(#[source] Shortfall),
    /// The probe of KVM did not come to its end.
    #[error("whether KVM works is not known: {0}; try again")]
    Killed(#[source] Shortfall),
    /// Not even emulation works.
    #[error("emulation does not work: {0}")]
    Emulation(#[source] Shortfall),
}

/// What the environment asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Wishes {
    accelerator: Option<Accelerator>,
    pace: Option<TimeoutScale>,
}

impl Wishes {
    pub(crate) fn from_environment() -> Result<Self, ChoiceError> {
        let variable = |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        Self::parse(variable(ACCELERATOR_VARIABLE).as_deref(), variable(PACE_VARIABLE).as_deref())
    }

    fn parse(accelerator: Option<&str>, pace: Option<&str>) -> Result<Self, ChoiceError> {
        let unknown = |name: &str| ChoiceError::UnknownAccelerator(name.to_owned());
        Ok(Self {
            accelerator: accelerator.map(|name| name.parse().map_err(|()| unknown(name))).transpose()?,
            pace: pace.map(parse_pace).transpose()?,
        })
    }
}

fn parse_pace(text: &str) -> Result<TimeoutScale, ChoiceError> {
    let bad = || ChoiceError::BadPace(text.to_owned());
    let factor: f64 = text.trim().parse().map_err(|_| bad())?;
    let pace = TimeoutScale::from_factor(factor);
    // The constructor holds a factor within belief; a person's number that it had to change is a mistake.
    if (pace.factor() - factor).abs() < f64::EPSILON { Ok(pace) } else { Err(bad()) }
}

/// Chooses the accelerator by the probe, unless the environment forces one, with the pace. What the probe said since this
/// host booted is remembered in the directory `cache`; to run it takes a second or two, and some seconds more where KVM
/// hangs. An answer of some hours ago is used, and asked for again in the background.
pub fn choose(cache: &Path) -> Result<Selection, ChoiceError> {
    let memory = ProbeMemory::of_this_host(cache);
    let (selection, age) = recall_or_measure(&memory)?;
    if age == Age::Old {
        // It ends with this process, and the probe's QEMU with it.
        std::thread::spawn(move || Accelerator::ALL.map(|accelerator| memory.measure(accelerator).is_ok()));
    }
    Ok(selection)
}

fn recall_or_measure(memory: &ProbeMemory) -> Result<(Selection, Age), ChoiceError> {
    let mut remembered: Option<Duration> = None;
    let selection = decide(Wishes::from_environment()?, |accelerator| match memory.recall(accelerator) {
        Some((probed, age)) => {
            remembered = remembered.max(Some(age));
            probed
        }
        None => memory.measure(accelerator),
    })?;
    Ok((Selection { remembered, ..selection }, remembered.map_or(Age::New, Age::of)))
}

/// How long the probe's busy work takes under an accelerator now, or why it cannot be used.
pub(crate) fn measure(accelerator: Accelerator) -> Result<Duration, Shortfall> {
    probe::run(&tools::qemu_program(), accelerator)
}

/// The same, for whoever chose before; the quietest moment is remembered in the directory `cache`.
pub(crate) fn measure_again(cache: &Path, accelerator: Accelerator) -> Result<Duration, Shortfall> {
    ProbeMemory::of_this_host(cache).measure(accelerator)
}

/// The pace when the probe's busy work takes so long.
pub(crate) fn pace_of(work: Duration) -> TimeoutScale {
    TimeoutScale::from_factor(work.div_duration_f64(probe::REFERENCE_WORK))
}

pub(crate) fn decide(
    wishes: Wishes,
    mut probe: impl FnMut(Accelerator) -> Result<Duration, Shortfall>,
) -> Result<Selection, ChoiceError> {
    let selection = |accelerator, reason, work| {
        let pace = wishes.pace.unwrap_or_else(|| pace_of(work));
        Selection { accelerator, reason, pace, is_measured: wishes.pace.is_none(), remembered: None }
    };
    let forced = |accelerator| format!("{ACCELERATOR_VARIABLE} asks for {accelerator}");
    match wishes.accelerator {
        Some(Accelerator::Kvm) => {
            let work = probe(Accelerator::Kvm).map_err(ChoiceError::ForcedKvm)?;
            Ok(selection(Accelerator::Kvm, forced(Accelerator::Kvm), work))
        }
        Some(Accelerator::Tcg) => {
            let work = probe(Accelerator::Tcg).map_err(ChoiceError::Emulation)?;
            Ok(selection(Accelerator::Tcg, forced(Accelerator::Tcg), work))
        }
        None => match again_if_killed(|| probe(Accelerator::Kvm)) {
            // It says nothing of KVM: to emulate because of it would be a slow way to be wrong.
            Err(killed @ Shortfall::Killed { .. }) => Err(ChoiceError::Killed(killed)),
            Ok(work) => Ok(selection(Accelerator::Kvm, "KVM runs kernel-like code".to_owned(), work)),
            Err(shortfall) => {
                let work = probe(Accelerator::Tcg).map_err(ChoiceError::Emulation)?;
                Ok(selection(Accelerator::Tcg, format!("KVM is of no use: {shortfall}"), work))
            }
        },
    }
}

/// Whoever kills each QEMU that he finds has killed one that was none of his.
fn again_if_killed(mut probe: impl FnMut() -> Result<Duration, Shortfall>) -> Result<Duration, Shortfall> {
    match probe() {
        Err(Shortfall::Killed { .. }) => probe(),
        probed => probed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const QUICK: Duration = Duration::from_millis(90);
    const SLOW: Duration = Duration::from_millis(495);

    fn broken() -> Result<Duration, Shortfall> {
        Err(Shortfall::Hung { passed: 5, after: Duration::from_secs(3), last_words: None })
    }

    fn wishes(accelerator: Option<&str>, pace: Option<&str>) -> Wishes {
        Wishes::parse(accelerator, pace).unwrap()
    }

    #[rstest]
    #[case::kvm_works(None, None, Ok(QUICK), "kvm ×1.0: KVM runs kernel-like code")]
    #[case::kvm_hangs(
        None,
        None,
        broken(),
        "tcg ×5.5: KVM is of no use: a probe of kernel-like code hangs after RPCLS, at the first interrupt"
    )]
    #[case::tcg_forced(Some("tcg"), None, Ok(QUICK), "tcg ×5.5: REHEARSAL_ACCELERATOR asks for tcg")]
    #[case::pace_given(Some("tcg"), Some("12"), Ok(QUICK), "tcg ×12.0: REHEARSAL_ACCELERATOR asks for tcg")]
    #[case::kvm_forced(Some("kvm"), None, Ok(QUICK), "kvm ×1.0: REHEARSAL_ACCELERATOR asks for kvm")]
    fn the_choice(
        #[case] accelerator: Option<&str>,
        #[case] pace: Option<&str>,
        #[case] kvm: Result<Duration, Shortfall>,
        #[case] expected: &str,
    ) {
        let mut kvm = Some(kvm);
        let probe = |accelerator| if accelerator == Accelerator::Kvm { kvm.take().unwrap() } else { Ok(SLOW) };
        let chosen = decide(wishes(accelerator, pace), probe).unwrap();
        assert_eq!(format!("{} {}: {}", chosen.accelerator, chosen.pace, chosen.reason), expected);
    }

    #[rstest]
    #[case::once(1, Ok("kvm"))]
    #[case::twice(2, Err("whether KVM works is not known"))]
    fn a_probe_that_somebody_kills_is_made_again(#[case] kills: usize, #[case] expected: Result<&str, &str>) {
        let mut probes = 0;
        let probe = |accelerator| {
            probes += 1;
            let killed = Shortfall::Killed { signal: nix::sys::signal::Signal::SIGKILL };
            if accelerator == Accelerator::Kvm && probes <= kills { Err(killed) } else { Ok(QUICK) }
        };
        let chosen = decide(wishes(None, None), probe).map(|chosen| chosen.accelerator.to_string());
        match (chosen, expected) {
            (Ok(chosen), Ok(expected)) => assert_eq!(chosen, expected),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (chosen, _) => panic!("{chosen:?}"),
        }
    }

    #[test]
    fn kvm_that_is_forced_and_broken_is_an_error() {
        let error = decide(wishes(Some("kvm"), None), |_| broken()).unwrap_err();
        assert!(matches!(error, ChoiceError::ForcedKvm(_)), "{error}");
    }

    #[rstest]
    #[case::accelerator(Some("xen"), None)]
    #[case::no_accelerator(Some(""), None)]
    #[case::faster_than_light(None, Some("0.5"))]
    #[case::stalled(None, Some("41"))]
    #[case::no_number(None, Some("slow"))]
    #[case::not_a_number(None, Some("NaN"))]
    fn bad_wishes_are_errors(#[case] accelerator: Option<&str>, #[case] pace: Option<&str>) {
        assert!(Wishes::parse(accelerator, pace).is_err());
    }
}
