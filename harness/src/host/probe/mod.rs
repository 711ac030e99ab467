//! The probe: a small firmware that does what a kernel does in its first second, run in QEMU under one accelerator.
//!
//! That `/dev/kvm` opens says little: some hosts offer one that starts a virtual CPU and fails at the first interrupt, or
//! hangs for ever in a kernel. The probe finds out without an image. It also measures: its busy work is always the same.
//! `probe.S` is the source, `probe.bin` what an assembler makes of it: kept here, as a bare host has no assembler.

use super::accelerator::Accelerator;
use super::child::{self, Finished};
use super::core_time::CoreTime;
use nix::sys::signal::Signal;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What the busy work takes on the reference, a host with KVM. The work never leaves the guest, so KVM runs it at the
/// host's own speed: 57 to 101 ms on a 3 GHz server core of 2021, as its branch predictor has luck with the addresses.
pub(crate) const REFERENCE_WORK: Duration = Duration::from_millis(90);

const PROGRAM: &[u8] = include_bytes!("probe.bin");
const ROM_SIZE: usize = 0x1_0000;
/// Where a CPU starts, 16 bytes before the ROM's end, and the jump to the ROM's begin: `ljmp $0xf000, $0`.
const RESET_VECTOR: (usize, [u8; 5]) = (0xfff0, [0xea, 0x00, 0x00, 0x00, 0xf0]);

/// The probe's stages in order: the letter that it writes when one is passed, and the stage's name.
const STAGES: [(u8, &str); 11] = [
    (b'R', "real mode"),
    (b'P', "protected mode"),
    (b'C', "paging"),
    (b'L', "long mode"),
    (b'S', "the switch of page tables"),
    (b'I', "the first interrupt"),
    (b'T', "the timer"),
    (b'F', "a page fault"),
    (b'B', "the begin of the busy work"),
    (b'W', "the busy work"),
    (b'U', "cpuid"),
];
/// What QEMU's isa-debug-exit makes of the probe's 0x10: (value << 1) | 1.
const GOOD_EXIT: i32 = 33;

/// How long QEMU may take until the probe's first letter. QEMU itself starts slowly on a busy host, whatever runs guests.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Longer than any stage takes with working KVM, by far.
const KVM_LIMIT: Duration = Duration::from_secs(3);
/// Emulation always works; only a broken host is that slow.
const TCG_LIMIT: Duration = Duration::from_mins(1);
/// So many times its limit a stage may take in all, however long it waits for a core.
const MOST_WAITING: u32 = 10;

/// Why an accelerator cannot run guests here.
#[derive(Debug, thiserror::Error)]
pub enum Shortfall {
    /// The device does not exist.
    #[error("/dev/kvm does not exist")]
    NoDevice,
    /// The device may not be opened by this user.
    #[error("/dev/kvm may not be opened by this user")]
    NotPermitted,
    /// The device cannot be opened for another reason.
    #[error("/dev/kvm cannot be opened: {0}")]
    DeviceFails(#[source] io::Error),
    /// QEMU could not be started.
    #[error("{} cannot be run: {error}", program.display())]
    NoQemu {
        /// The program that was tried.
        program: PathBuf,
        /// Why it did not start.
        #[source]
        error: io::Error,
    },
    /// The probe ended before its last stage.
    #[error("a probe of kernel-like code ends {}{}", place(*passed), quoted(last_words.as_deref()))]
    Ended {
        /// How many stages it passed.
        passed: usize,
        /// QEMU's last line on standard error.
        last_words: Option<String>,
    },
    /// Somebody killed QEMU meanwhile, which says nothing about the accelerator.
    #[error("QEMU was killed ({signal}) while it was probed")]
    Killed {
        /// What somebody sent to QEMU.
        signal: Signal,
    },
    /// The probe did not end in time.
    #[error("a probe of kernel-like code hangs {}{}", place(*passed), quoted(last_words.as_deref()))]
    Hung {
        /// How many stages it passed.
        passed: usize,
        /// How long nothing came, by the host's clock.
        after: Duration,
        /// QEMU's last line on standard error.
        last_words: Option<String>,
    },
}

fn place(passed: usize) -> String {
    let letters: String = STAGES[..passed].iter().map(|&(letter, _)| char::from(letter)).collect();
    match STAGES.get(passed) {
        Some((_, stage)) if passed == 0 => format!("before {stage}"),
        Some((_, stage)) => format!("after {letters}, at {stage}"),
        None => "after its last stage".to_owned(),
    }
}

fn quoted(words: Option<&str>) -> String {
    words.map(|words| format!(" ({words})")).unwrap_or_default()
}

/// Runs the probe with `qemu` under `accelerator` and says how long its busy work took.
pub(crate) fn run(qemu: &Path, accelerator: Accelerator) -> Result<Duration, Shortfall> {
    if accelerator == Accelerator::Kvm {
        open_kvm(Path::new("/dev/kvm"))?;
    }
    let no_qemu = |error| Shortfall::NoQemu { program: qemu.to_owned(), error };
    let rom = unnamed_file(&rom()).map_err(no_qemu)?;
    let mut watch = Watch::new(accelerator);
    let mut command = Command::new(qemu);
    command.args(arguments(accelerator)).stdin(Stdio::from(rom));
    let finished = child::run_while(&mut command, |process, output| watch.goes_on(process, output.len()));
    judge(&finished.map_err(no_qemu)?, watch.quiet())
}

/// Watches that the probe gets on. Each piece of its output begins a new wait, so a slow start of QEMU takes nothing from
/// the time of the stages; and the time in which QEMU's threads wait for a core does not count.
struct Watch {
    stage_limit: Duration,
    pieces: usize,
    since: Instant,
    /// How long QEMU's threads had waited for a core when the last piece came.
    waited: f64,
}

impl Watch {
    fn new(accelerator: Accelerator) -> Self {
        let stage_limit = match accelerator {
            Accelerator::Kvm => KVM_LIMIT,
            Accelerator::Tcg => TCG_LIMIT,
        };
        Self { stage_limit, pieces: 0, since: Instant::now(), waited: 0.0 }
    }

    fn goes_on(&mut self, process: u32, pieces: usize) -> bool {
        let waited = CoreTime::of(process).unwrap_or_default().waited;
        if pieces > self.pieces {
            (self.pieces, self.since, self.waited) = (pieces, Instant::now(), waited);
        }
        let limit = if self.pieces == 0 { START_LIMIT } else { self.stage_limit };
        !is_hung(limit, self.quiet(), waited - self.waited)
    }

    /// How long nothing has come.
    fn quiet(&self) -> Duration {
        self.since.elapsed()
    }
}

/// Whether a stage takes too long; `waited` is how many of its seconds threads were waiting for a core.
fn is_hung(limit: Duration, quiet: Duration, waited: f64) -> bool {
    let own = quiet.as_secs_f64() - waited.max(0.0);
    own > limit.as_secs_f64() || quiet > limit * MOST_WAITING
}

fn open_kvm(device: &Path) -> Result<(), Shortfall> {
    match OpenOptions::new().read(true).write(true).open(device) {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::NotFound => Shortfall::NoDevice,
            io::ErrorKind::PermissionDenied => Shortfall::NotPermitted,
            _ => Shortfall::DeviceFails(error),
        }),
    }
}

/// Tells one firmware from another.
pub(super) fn identity() -> String {
    blake3::hash(PROGRAM).to_hex().to_string()
}

/// How many stages were passed, of those that there are: whoever says so may be a file.
pub(super) fn stage(passed: usize) -> usize {
    passed.min(STAGES.len())
}

/// The firmware: the program at the head, the reset vector at the tail, nothing between.
fn rom() -> Vec<u8> {
    let mut rom = vec![0; ROM_SIZE];
    rom[..PROGRAM.len()].copy_from_slice(PROGRAM);
    let (place, jump) = RESET_VECTOR;
    rom[place..place + jump.len()].copy_from_slice(&jump);
    rom
}

/// A file without a name: nothing to remove, whatever way we end.
fn unnamed_file(content: &[u8]) -> io::Result<std::fs::File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(content)?;
    Ok(file)
}

fn arguments(accelerator: Accelerator) -> Vec<&'static str> {
    let mut arguments = vec!["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"];
    arguments.extend(["-machine", "q35", "-cpu", "max", "-m", "16", "-accel", accelerator.name()]);
    // The firmware is what we pass as standard input: QEMU opens it anew by this name.
    arguments.extend(["-bios", "/proc/self/fd/0"]);
    arguments.extend(["-chardev", "stdio,id=letters", "-device", "isa-debugcon,iobase=0xe9,chardev=letters"]);
    arguments.extend(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
    arguments
}

fn judge(finished: &Finished, after: Duration) -> Result<Duration, Shortfall> {
    let letters: Vec<(Instant, u8)> =
        finished.output.iter().flat_map(|(when, piece)| piece.iter().map(|&letter| (*when, letter))).collect();
    let passed = STAGES.iter().zip(&letters).take_while(|((stage, _), (_, letter))| stage == letter).count();
    let last_words = finished.last_error_line().map(str::to_owned);
    match finished.status {
        None => Err(Shortfall::Hung { passed, after, last_words }),
        Some(status) if passed == STAGES.len() && status.code() == Some(GOOD_EXIT) => Ok(work_time(&letters)),
        Some(status) => Err(match killer(status) {
            Some(signal) => Shortfall::Killed { signal },
            None => Shortfall::Ended { passed, last_words },
        }),
    }
}

/// The signal by which somebody else ended it. A failed assertion and a fault of memory are QEMU's own doing.
fn killer(status: ExitStatus) -> Option<Signal> {
    let signal = Signal::try_from(status.signal()?).ok()?;
    matches!(signal, Signal::SIGKILL | Signal::SIGTERM | Signal::SIGINT | Signal::SIGHUP).then_some(signal)
}

fn work_time(letters: &[(Instant, u8)]) -> Duration {
    let moment = |stage| letters.iter().find(|(_, letter)| *letter == stage).map(|(when, _)| *when);
    match (moment(b'B'), moment(b'W')) {
        (Some(begin), Some(end)) => end.duration_since(begin),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const EXITED_WELL: i32 = GOOD_EXIT << 8;

    fn finished(letters: &str, status: Option<i32>, errors: &str) -> Finished {
        let begin = Instant::now();
        let output =
            letters.bytes().zip(0..).map(|(letter, n)| (begin + Duration::from_millis(n), vec![letter])).collect();
        Finished { status: status.map(ExitStatus::from_raw), output, errors: errors.to_owned() }
    }

    fn verdict(finished: &Finished) -> Result<Duration, Shortfall> {
        judge(finished, Duration::from_secs(3))
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[rstest]
    #[case::soon(2.9, 0.0, false)]
    #[case::too_long(3.1, 0.0, true)]
    #[case::without_a_core(20.0, 18.0, false)]
    #[case::with_a_core_and_too_long(20.0, 16.5, true)]
    #[case::without_a_core_for_ever(31.0, 31.0, true)]
    #[case::more_threads_than_one_waited(5.0, 40.0, false)]
    #[case::threads_that_have_ended(2.0, -7.0, false)]
    fn a_stage_hangs_by_its_own_time(#[case] quiet: f64, #[case] waited: f64, #[case] expected: bool) {
        assert_eq!(is_hung(SECOND * 3, Duration::from_secs_f64(quiet), waited), expected);
    }

    /// A program in the place of QEMU that needs its time before it writes the probe's letters.
    fn slow_qemu(directory: &Path, script: &str) -> PathBuf {
        let program = directory.join("qemu");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        program
    }

    #[test]
    fn the_start_of_qemu_takes_nothing_from_the_stages() {
        let directory = tempfile::tempdir().unwrap();
        let watched = |script: &str| {
            let mut watch = Watch { stage_limit: SECOND, ..Watch::new(Accelerator::Kvm) };
            let mut command = Command::new(slow_qemu(directory.path(), script));
            let finished =
                child::run_while(&mut command, |process, output| watch.goes_on(process, output.len())).unwrap();
            judge(&finished, watch.quiet())
        };
        // It is silent for longer than a stage may be, and then gets on.
        let work = watched("sleep 2; printf RPCLSITFB; sleep 0.2; printf WU; exit 33").unwrap();
        assert!(work >= Duration::from_millis(150), "{work:?}");
        // It gets on, and then it is silent.
        let shortfall = watched("printf RPCLS; exec sleep 60").unwrap_err();
        assert!(matches!(shortfall, Shortfall::Hung { passed: 5, after, .. } if after >= SECOND), "{shortfall}");
    }

    #[rstest]
    #[case::killed(9, true)]
    #[case::told_to_end(15, true)]
    #[case::an_assertion(6, false)]
    #[case::a_fault_of_memory(11, false)]
    #[case::an_exit(1 << 8, false)]
    fn who_was_killed_has_shown_nothing(#[case] status: i32, #[case] killed: bool) {
        let shortfall = verdict(&finished("RPC", Some(status), "")).unwrap_err();
        assert_eq!(matches!(shortfall, Shortfall::Killed { .. }), killed, "{shortfall}");
    }

    #[test]
    fn all_stages_and_the_right_exit_are_needed() {
        assert_eq!(verdict(&finished("RPCLSITFBWU", Some(EXITED_WELL), "")).unwrap(), Duration::from_millis(1));
        assert!(verdict(&finished("RPCLSITFBWU", Some(0), "")).is_err());
        assert!(verdict(&finished("RPCLSITFBW", Some(EXITED_WELL), "")).is_err());
    }

    #[rstest]
    #[case::abort("", Some(6), "error: x\nAssertion `y' failed.\n", "ends before real mode (Assertion `y' failed.)")]
    #[case::hang("RPCLS", None, "", "hangs after RPCLS, at the first interrupt")]
    #[case::exit("RPCLSITFBWU", Some(0), "", "ends after its last stage")]
    #[case::noise("RPxCLS", Some(0), "", "ends after RP, at paging")]
    fn a_shortfall_says_where(
        #[case] letters: &str,
        #[case] status: Option<i32>,
        #[case] errors: &str,
        #[case] said: &str,
    ) {
        let shortfall = verdict(&finished(letters, status, errors)).unwrap_err();
        assert_eq!(shortfall.to_string(), format!("a probe of kernel-like code {said}"));
    }

    #[test]
    fn without_the_device_there_is_no_kvm() {
        assert!(matches!(open_kvm(Path::new("/nonexistent/kvm")), Err(Shortfall::NoDevice)));
    }

    #[test]
    fn emulation_passes_all_stages() {
        let qemu = super::super::tools::qemu_program();
        match run(&qemu, Accelerator::Tcg) {
            Ok(work) => assert!(work > Duration::from_millis(20), "the busy work took only {work:?}"),
            Err(Shortfall::NoQemu { program, .. }) => println!("skipped: no {} here", program.display()),
            Err(shortfall) => panic!("{shortfall}"),
        }
    }

    #[test]
    fn the_committed_bytes_are_this_source() {
        let place = tempfile::tempdir().unwrap();
        let (object, binary) = (place.path().join("probe.o"), place.path().join("probe.bin"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/host/probe/probe.S");
        let made = Command::new("as").arg("--64").arg("-o").arg(&object).arg(source).status();
        let Ok(assembled) = made else {
            println!("skipped: no assembler here to compare probe.bin with probe.S");
            return;
        };
        assert!(assembled.success());
        let link = ["-m", "elf_x86_64", "-e", "start", "-Ttext=0", "--oformat", "binary", "-o"];
        assert!(Command::new("ld").args(link).arg(&binary).arg(&object).status().unwrap().success());
        assert!(
            std::fs::read(&binary).unwrap() == PROGRAM,
            "make probe.bin anew: its recipe is at the head of probe.S"
        );
    }
}
