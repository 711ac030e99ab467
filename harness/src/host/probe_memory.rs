//! What the probe said, remembered while nothing changes that it depends on: the host's boot, QEMU, and `/dev/kvm`.

use super::accelerator::{self, Accelerator};
use super::probe::{self, Shortfall};
use super::tools;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file in the cache.
const FILE: &str = "probe.json";

/// How long an answer is used without asking again.
const NEW: Duration = Duration::from_hours(1);
/// How long it is used at all.
const USABLE: Duration = Duration::from_hours(12);

/// How old an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// It needs no other.
    New,
    /// It is used, and asked for again meanwhile.
    Old,
}

impl Age {
    pub(super) fn of(age: Duration) -> Self {
        if age > NEW { Self::Old } else { Self::New }
    }
}

/// What the probe said on this host, as it is now.
#[derive(Debug)]
pub(super) struct ProbeMemory {
    file: PathBuf,
    host: HostState,
}

/// All that the answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostState {
    boot: String,
    kernel: String,
    /// The firmware that is run.
    probe: String,
    qemu: Option<Program>,
    kvm: Option<Device>,
    /// Parameters of KVM's modules.
    modules: BTreeMap<String, String>,
}

/// A program, told by its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    path: PathBuf,
    bytes: u64,
    changed: (i64, i64),
}

/// A device, and whether this user may open it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    mode: u32,
    owner: (u32, u32),
    number: u64,
    opens: bool,
}

/// The file's content.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    host: HostState,
    answers: BTreeMap<Accelerator, Answer>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    at: Timestamp,
    said: Said,
}

/// What is worth to be remembered: what takes long to find out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    /// The busy work took so many seconds.
    Works {
        seconds: f64,
    },
    Ended {
        passed: usize,
        last_words: Option<String>,
    },
    Hung {
        passed: usize,
        after: Duration,
        last_words: Option<String>,
    },
}

impl ProbeMemory {
    /// The memory in the directory `cache`.
    pub(super) fn of_this_host(cache: &Path) -> Self {
        Self { file: cache.join(FILE), host: HostState::now() }
    }

    /// What the probe said, and how long ago.
    pub(super) fn recall(&self, accelerator: Accelerator) -> Option<(Result<Duration, Shortfall>, Duration)> {
        let Answer { at, said } = self.read()?.answers.remove(&accelerator)?;
        // An answer from the future is one of another clock.
        let age = Duration::try_from(Timestamp::now().duration_since(at)).ok().filter(|age| *age <= USABLE)?;
        Some((said.into_verdict(), age))
    }

    /// Runs the probe now, and remembers what it says.
    pub(super) fn measure(&self, accelerator: Accelerator) -> Result<Duration, Shortfall> {
        let probed = accelerator::measure(accelerator);
        if let Some(said) = Said::of(&probed) {
            self.keep(accelerator, said);
        }
        probed
    }

    /// Forgets all answers.
    pub(super) fn forget(&self) {
        let _ = std::fs::remove_file(&self.file);
    }

    /// Who cannot write it down asks again the next time.
    fn keep(&self, accelerator: Accelerator, said: Said) {
        let mut answers = self.read().map(|known| known.answers).unwrap_or_default();
        let before = answers.get(&accelerator).map(|known| &known.said);
        answers.insert(accelerator, Answer { at: Timestamp::now(), said: said.or_faster(before) });
        let known = Remembered { host: self.host.clone(), answers };
        let new = self.file.with_extension(format!("new-{}", std::process::id()));
        let written = serde_json::to_vec_pretty(&known).map_err(std::io::Error::from);
        let written =
            written.and_then(|text| std::fs::write(&new, text)).and_then(|()| std::fs::rename(&new, &self.file));
        if written.is_err() {
            let _ = std::fs::remove_file(&new);
        }
    }

    fn read(&self) -> Option<Remembered> {
        let known: Remembered = serde_json::from_slice(&std::fs::read(&self.file).ok()?).ok()?;
        (known.host == self.host).then_some(known)
    }
}

impl Said {
    fn of(probed: &Result<Duration, Shortfall>) -> Option<Self> {
        Some(match probed {
            Ok(work) => Self::Works { seconds: work.as_secs_f64() },
            Err(Shortfall::Ended { passed, last_words }) => {
                Self::Ended { passed: *passed, last_words: last_words.clone() }
            }
            Err(Shortfall::Hung { passed, after, last_words }) => {
                Self::Hung { passed: *passed, after: *after, last_words: last_words.clone() }
            }
            // They are known at once, or say nothing about an accelerator.
            Err(
                Shortfall::NoDevice
                | Shortfall::NotPermitted
                | Shortfall::DeviceFails(_)
                | Shortfall::NoQemu { .. }
                | Shortfall::Killed { .. },
            ) => {
                return None;
            }
        })
    }

    fn into_verdict(self) -> Result<Duration, Shortfall> {
        match self {
            Self::Works { seconds } => Ok(Duration::try_from_secs_f64(seconds).unwrap_or_default()),
            Self::Ended { passed, last_words } => Err(Shortfall::Ended { passed: probe::stage(passed), last_words }),
            Self::Hung { passed, after, last_words } => {
                Err(Shortfall::Hung { passed: probe::stage(passed), after, last_words })
            }
        }
    }

    /// The host at its quietest is what a pace begins with: how busy it is, is measured again and again.
    fn or_faster(self, before: Option<&Self>) -> Self {
        match (self, before) {
            (Self::Works { seconds }, Some(Self::Works { seconds: before })) => {
                Self::Works { seconds: seconds.min(*before) }
            }
            (said, _) => said,
        }
    }
}

impl HostState {
    fn now() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self {
            boot: read("/proc/sys/kernel/random/boot_id"),
            kernel: read("/proc/sys/kernel/osrelease"),
            probe: probe::identity(),
            qemu: program(&tools::qemu_program()),
            kvm: device(Path::new("/dev/kvm")),
            modules: ["kvm", "kvm_amd", "kvm_intel"].into_iter().flat_map(parameters).collect(),
        }
    }
}

/// A program by its path, or as a shell would find it.
fn program(name: &Path) -> Option<Program> {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let found =
        || std::env::split_paths(&directories).map(|directory| directory.join(name)).find(|path| path.is_file());
    let path = if name.components().count() > 1 { name.to_owned() } else { found()? };
    let path = path.canonicalize().ok()?;
    let about: Metadata = path.metadata().ok()?;
    Some(Program { path, bytes: about.len(), changed: (about.mtime(), about.ctime()) })
}

fn device(path: &Path) -> Option<Device> {
    let about = path.metadata().ok()?;
    let opens = File::options().read(true).write(true).open(path).is_ok();
    Some(Device { mode: about.mode(), owner: (about.uid(), about.gid()), number: about.rdev(), opens })
}

fn parameters(module: &str) -> Vec<(String, String)> {
    let directory = Path::new("/sys/module").join(module).join("parameters");
    let files = std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let told = |file: std::fs::DirEntry| {
        let value = std::fs::read_to_string(file.path()).ok()?;
        Some((format!("{module}.{}", file.file_name().to_string_lossy()), value.trim().to_owned()))
    };
    files.filter_map(told).collect()
}

/// An age in words: the largest unit that it fills.
pub(super) fn age_in_words(age: Duration) -> String {
    let minutes = SignedDuration::try_from(age).unwrap_or_default().as_mins();
    match (minutes, minutes / 60) {
        (0, _) => "less than a minute ago".into(),
        (minutes, 0) => format!("{minutes} min ago"),
        (_, hours) => format!("{hours} h ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn works(seconds: f64) -> Said {
        Said::Works { seconds }
    }

    fn hung() -> Said {
        Said::Hung { passed: 5, after: Duration::from_secs(3), last_words: Some("KVM: entry failed".into()) }
    }

    fn memory(directory: &Path) -> ProbeMemory {
        ProbeMemory::of_this_host(directory)
    }

    #[test]
    fn what_was_said_is_remembered_by_accelerator() {
        let directory = tempfile::tempdir().unwrap();
        let known = memory(directory.path());
        assert!(known.recall(Accelerator::Kvm).is_none());
        known.keep(Accelerator::Kvm, hung());
        known.keep(Accelerator::Tcg, works(0.5));
        let again = memory(directory.path());
        let (kvm, age) = again.recall(Accelerator::Kvm).unwrap();
        let words = "a probe of kernel-like code hangs after RPCLS, at the first interrupt (KVM: entry failed)";
        assert_eq!(kvm.unwrap_err().to_string(), words);
        assert!(age < NEW);
        assert_eq!(again.recall(Accelerator::Tcg).unwrap().0.unwrap(), Duration::from_millis(500));
    }

    #[test]
    fn the_quietest_moment_is_remembered_and_a_failure_replaces_it() {
        let directory = tempfile::tempdir().unwrap();
        let known = memory(directory.path());
        for (said, expected) in
            [(works(0.5), Some(500)), (works(2.0), Some(500)), (works(0.4), Some(400)), (hung(), None)]
        {
            known.keep(Accelerator::Tcg, said);
            let work = known.recall(Accelerator::Tcg).unwrap().0.ok();
            assert_eq!(work, expected.map(Duration::from_millis));
        }
    }

    #[test]
    fn that_a_probe_was_killed_is_not_remembered() {
        let killed = Shortfall::Killed { signal: nix::sys::signal::Signal::SIGKILL };
        assert_eq!(Said::of(&Err(killed)), None);
    }

    #[test]
    fn what_is_forgotten_is_asked_for_again() {
        let directory = tempfile::tempdir().unwrap();
        let known = memory(directory.path());
        known.keep(Accelerator::Tcg, works(0.5));
        known.forget();
        assert!(known.recall(Accelerator::Tcg).is_none());
        known.keep(Accelerator::Tcg, works(2.0));
        assert_eq!(known.recall(Accelerator::Tcg).unwrap().0.unwrap(), Duration::from_secs(2));
    }

    type Change = fn(&mut HostState);

    #[rstest]
    #[case::nothing(|_: &mut HostState| (), true)]
    #[case::a_reboot(|host: &mut HostState| host.boot.push('x'), false)]
    #[case::a_kernel(|host: &mut HostState| host.kernel.push('x'), false)]
    #[case::a_probe(|host: &mut HostState| host.probe.push('x'), false)]
    #[case::a_qemu(|host: &mut HostState| host.qemu = Some(Program { path: "/q".into(), bytes: 1, changed: (0, 0) }), false)]
    #[case::a_device(|host: &mut HostState| host.kvm = Some(Device { mode: 0o20000, owner: (0, 0), number: 1, opens: false }), false)]
    #[case::a_parameter(|host: &mut HostState| drop(host.modules.insert("kvm_amd.nested".into(), "no".into())), false)]
    fn another_host_knows_nothing(#[case] change: Change, #[case] known: bool) {
        let directory = tempfile::tempdir().unwrap();
        memory(directory.path()).keep(Accelerator::Tcg, works(0.5));
        let mut other = memory(directory.path());
        change(&mut other.host);
        assert_eq!(other.recall(Accelerator::Tcg).is_some(), known);
    }

    #[rstest]
    #[case::nothing("")]
    #[case::half("{\"host\": {")]
    #[case::something_else("[]")]
    fn what_cannot_be_read_is_forgotten(#[case] text: &str) {
        let directory = tempfile::tempdir().unwrap();
        let known = memory(directory.path());
        known.keep(Accelerator::Tcg, works(0.5));
        std::fs::write(directory.path().join(FILE), text).unwrap();
        assert!(known.recall(Accelerator::Tcg).is_none());
        known.keep(Accelerator::Tcg, works(0.5));
        assert!(known.recall(Accelerator::Tcg).is_some());
    }

    #[rstest]
    #[case::now(0, true, Age::New)]
    #[case::some_time_ago(2, true, Age::Old)]
    #[case::yesterday(20, false, Age::Old)]
    #[case::tomorrow(-20, false, Age::New)]
    fn an_answer_gets_old(#[case] hours: i64, #[case] usable: bool, #[case] age: Age) {
        let directory = tempfile::tempdir().unwrap();
        let known = memory(directory.path());
        let at = Timestamp::now() - SignedDuration::from_hours(hours);
        let answers = [(Accelerator::Tcg, Answer { at, said: works(0.5) })].into();
        let written = Remembered { host: known.host.clone(), answers };
        std::fs::write(&known.file, serde_json::to_vec(&written).unwrap()).unwrap();
        let recalled = known.recall(Accelerator::Tcg);
        assert_eq!(recalled.is_some(), usable);
        if let Some((_, old)) = recalled {
            assert_eq!(Age::of(old), age);
        }
    }

    #[rstest]
    #[case(20, "less than a minute ago")]
    #[case(150, "2 min ago")]
    #[case(7300, "2 h ago")]
    fn an_age_is_told(#[case] seconds: u64, #[case] words: &str) {
        assert_eq!(age_in_words(Duration::from_secs(seconds)), words);
    }
}
