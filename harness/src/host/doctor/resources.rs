//! Checks of storage drivers, memory, disk space and cores.

use super::super::memory::{Available, Limit, available};
use super::{Check, State};
use std::path::Path;
use std::thread;

const GIB: u64 = 1 << 30;

/// How much of something is enough: below `needed` no scenario runs, below `wanted` not all do.
struct Demand {
    name: &'static str,
    unit: &'static str,
    needed: u64,
    wanted: u64,
    consequence: &'static str,
    cure: &'static str,
}

/// A lab of three guests of 1 to 2 GB; a virtualisation host with a guest in it takes 6 GB alone.
const MEMORY: Demand = Demand {
    name: "memory",
    unit: "available",
    needed: 3 * GIB,
    wanted: 8 * GIB,
    consequence: "labs with several guests or nested ones do not fit",
    cure: "end other programs, or run fewer scenarios at once",
};
/// Images, templates with their memory, and the overlays of a run.
const DISK: Demand = Demand {
    name: "disk",
    unit: "free",
    needed: 6 * GIB,
    wanted: 25 * GIB,
    consequence: "not all images and templates fit at once",
    cure: "free some space, or keep the cache elsewhere",
};

pub(super) fn examine(cache: &Path) -> Vec<Check> {
    vec![device_mapper(), loop_devices(), memory(), disk(cache), cores()]
}

const INSIDE: &str = "storage scenarios run inside a nested host";

fn device_mapper() -> Check {
    let misc = fs_err::read_to_string("/proc/misc").unwrap_or_default();
    if misc.split_whitespace().any(|word| word == "device-mapper") && Path::new("/dev/mapper/control").exists() {
        Check::ok("device-mapper", "the kernel has it")
    } else {
        Check::degraded("device-mapper", "the kernel has none loaded", INSIDE)
            .cure("modprobe dm-mod, where there is one")
    }
}

fn loop_devices() -> Check {
    let control = Path::new("/dev/loop-control");
    match std::fs::OpenOptions::new().read(true).write(true).open(control) {
        Ok(_) => Check::ok("loop devices", "/dev/loop-control opens"),
        Err(error) => Check::degraded("loop devices", format!("/dev/loop-control: {error}"), INSIDE)
            .cure("modprobe loop; run as root"),
    }
}

fn memory() -> Check {
    match available() {
        Some(Available { bytes, limit: Limit::Host }) => judge(&MEMORY, bytes, ""),
        Some(Available { bytes, limit: Limit::Group }) => judge(&MEMORY, bytes, " in this control group"),
        None => Check::degraded(MEMORY.name, "/proc/meminfo does not tell MemAvailable", MEMORY.consequence),
    }
}

fn disk(cache: &Path) -> Check {
    let existing = cache.ancestors().find(|directory| directory.is_dir()).unwrap_or(Path::new("/"));
    match nix::sys::statvfs::statvfs(existing) {
        Ok(space) => {
            let free = space.blocks_available() * space.fragment_size();
            judge(&DISK, free, &format!(" for {}", cache.display()))
        }
        Err(error) => Check::degraded(DISK.name, format!("{}: {error}", existing.display()), DISK.consequence),
    }
}

fn judge(demand: &Demand, bytes: u64, place: &str) -> Check {
    let gib = |bytes: u64| format!("{}.{} GiB", bytes / GIB, bytes % GIB * 10 / GIB);
    let finding = format!("{} {}{place}", gib(bytes), demand.unit);
    if bytes >= demand.wanted {
        return Check::ok(demand.name, finding);
    }
    let finding = format!("{finding}; {} wanted, {} needed", gib(demand.wanted), gib(demand.needed));
    let state = if bytes < demand.needed { State::Missing } else { State::Degraded };
    let consequence = if state == State::Missing { "no lab fits" } else { demand.consequence };
    Check { state, ..Check::degraded(demand.name, finding, consequence).cure(demand.cure) }
}

fn cores() -> Check {
    match thread::available_parallelism().map_or(1, std::num::NonZero::get) {
        1 => Check::degraded("cores", "1", "guests wait for each other: scenarios take much longer"),
        count => Check::ok("cores", count.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(12 * GIB + GIB / 2, State::Ok, "12.5 GiB available here")]
    #[case(4 * GIB, State::Degraded, "4.0 GiB available here; 8.0 GiB wanted, 3.0 GiB needed")]
    #[case(GIB, State::Missing, "1.0 GiB available here; 8.0 GiB wanted, 3.0 GiB needed")]
    fn an_amount_is_judged(#[case] bytes: u64, #[case] state: State, #[case] finding: &str) {
        let check = judge(&MEMORY, bytes, " here");
        assert_eq!((check.state, check.finding.as_str()), (state, finding));
    }
}
