//! How fast the time-stamp counter runs that guests without KVM tell the time by.
//!
//! Without KVM a guest sees this host's counter (QEMU, `cpu_get_host_ticks`), and its kernel finds out how fast it runs by comparing it
//! with an emulated timer while it boots. On a busy host that goes wrong, as the guest does not run all the time: of four guests that
//! booted at once, one took a counter of 2596 MHz for one of 230, and its clock ran eleven times too fast ever after, in every
//! copy of it. So a guest is told (kernel-parameters.txt, `tsc_early_khz`): what its kernel measures later refines that by at most 1 %.

use super::raw::time_stamp_counter;
use std::time::{Duration, Instant};

/// How long the counter is watched. It and the clock are read within some 20 ns, so 50 ms tell to a millionth.
const WATCHED: Duration = Duration::from_millis(50);
/// Of so many readings the one counts between which least time passed: in the others this process was interrupted.
const READINGS: usize = 50;
/// What proc(5) calls a counter that runs at the same speed whatever the processor does.
const CONSTANT: [&str; 2] = ["constant_tsc", "nonstop_tsc"];

/// The frequency of a time-stamp counter, in whole MHz: as exact as a guest needs, and the same at each measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frequency(u32);

impl Frequency {
    /// Some frequency, for tests of what is made with one.
    #[cfg(test)]
    pub(crate) const TEST: Self = Self(2596);

    /// In kHz.
    #[must_use]
    pub fn khz(self) -> u32 {
        self.0 * 1000
    }

    /// Of so many ticks in a time, rounded; none if nobody could believe it.
    fn of(ticks: u64, time: Duration) -> Option<Self> {
        let nanoseconds = u64::try_from(time.as_nanos()).ok().filter(|nanoseconds| *nanoseconds > 0)?;
        // Ticks in a nanosecond are GHz.
        let mhz = (ticks.checked_mul(1000)?.checked_add(nanoseconds / 2)?) / nanoseconds;
        u32::try_from(mhz).ok().filter(|mhz| (100..20_000).contains(mhz)).map(Self)
    }
}

/// How fast this host's counter runs; none if it has none, or one whose speed changes.
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn frequency() -> Option<Frequency> {
    let known = fs_err::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if !is_constant(&known) {
        return None;
    }
    let (begin, first) = read();
    std::thread::sleep(WATCHED);
    let (end, last) = read();
    Frequency::of(last.checked_sub(first)?, end.duration_since(begin))
}

/// There is no such counter here.
#[cfg(not(target_arch = "x86_64"))]
#[must_use]
pub fn frequency() -> Option<Frequency> {
    None
}

/// The clock and the counter at one moment.
#[cfg(target_arch = "x86_64")]
fn read() -> (Instant, u64) {
    let reading = |_| {
        let (before, ticks) = (Instant::now(), time_stamp_counter());
        let between = before.elapsed();
        (between, before + between / 2, ticks)
    };
    let closest = (0..READINGS).map(reading).min_by_key(|(between, ..)| *between);
    let (_, at, ticks) = closest.expect("READINGS is not 0");
    (at, ticks)
}

fn is_constant(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find_map(|line| line.strip_prefix("flags")).unwrap_or_default();
    CONSTANT.iter().all(|flag| flags.split_whitespace().any(|word| word == *flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::usual(129_806_800, 50, Some(2_596_000))]
    #[case::rounded(129_830_000, 50, Some(2_597_000))]
    #[case::stands_still(0, 50, None)]
    #[case::no_time(100, 0, None)]
    #[case::absurd(u64::MAX / 2, 50, None)]
    fn ticks_and_time_make_a_frequency(#[case] ticks: u64, #[case] milliseconds: u64, #[case] khz: Option<u32>) {
        assert_eq!(Frequency::of(ticks, Duration::from_millis(milliseconds)).map(Frequency::khz), khz);
    }

    #[rstest::rstest]
    #[case("flags\t\t: fpu constant_tsc nonstop_tsc\n", true)]
    #[case("flags\t\t: fpu constant_tsc\n", false)]
    #[case("", false)]
    fn a_counter_that_changes_is_not_believed(#[case] cpuinfo: &str, #[case] constant: bool) {
        assert_eq!(is_constant(cpuinfo), constant);
    }

    #[test]
    fn measured_twice_it_is_the_same() {
        let (first, second) = (frequency(), frequency());
        assert_eq!(first, second);
    }
}
