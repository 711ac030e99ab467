//! How much memory there is for guests: what this host can give, and what the control groups allow that this process is in.

use std::path::{Path, PathBuf};

/// Memory that can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Available {
    /// Without swapping, in bytes.
    pub bytes: u64,
    /// Who allows no more.
    pub limit: Limit,
}

/// Who says how much memory there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The host has no more.
    Host,
    /// A control group, such as a container's, allows no more.
    Group,
}

impl Available {
    /// What is left when something else needs so many bytes.
    #[must_use]
    pub fn without(self, bytes: u64) -> Self {
        Self { bytes: self.bytes.saturating_sub(bytes), ..self }
    }

    /// In MiB, as memory of guests is given.
    #[must_use]
    pub fn mib(self) -> u32 {
        u32::try_from(self.bytes >> 20).unwrap_or(u32::MAX)
    }
}

/// What can be had; none if the kernel does not tell (proc(5), `MemAvailable`).
#[must_use]
pub fn available() -> Option<Available> {
    let host = parse(&fs_err::read_to_string("/proc/meminfo").ok()?)?;
    let group = groups().iter().filter_map(Group::left).min();
    Some(match group {
        Some(group) if group < host => Available { bytes: group, limit: Limit::Group },
        _ => Available { bytes: host, limit: Limit::Host },
    })
}

/// The control groups of this process that know of memory.
#[must_use]
pub fn groups() -> Vec<Group> {
    let groups = fs_err::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    hierarchies(&groups, &mounts)
}

/// How often the kernel has killed a process since memory was short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kills {
    host: u64,
    group: u64,
}

impl Kills {
    /// Up to now: of any process of this host (`/proc/vmstat`), and of one in the control groups of this process.
    #[must_use]
    pub fn so_far() -> Self {
        let host = fs_err::read_to_string("/proc/vmstat").unwrap_or_default();
        Self { host: count(&host).unwrap_or(0), group: groups().iter().filter_map(Group::kills).sum() }
    }

    /// Who had no memory left since then, if the kernel has killed anybody meanwhile.
    #[must_use]
    pub fn since(self, before: Self) -> Option<Limit> {
        if self.group > before.group { Some(Limit::Group) } else { (self.host > before.host).then_some(Limit::Host) }
    }
}

fn count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

fn parse(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// What files of a hierarchy of control groups are called.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// In `memory.stat`: file contents that the kernel drops when memory is needed.
    droppable: &'static str,
    /// Where `oom_kill` is counted.
    kills: &'static str,
}

/// The kernel's Documentation/admin-guide/cgroup-v1/memory.rst.
const FIRST: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    droppable: "total_inactive_file",
    kills: "memory.oom_control",
};
/// Documentation/admin-guide/cgroup-v2.rst.
const SECOND: Files =
    Files { limit: "memory.max", usage: "memory.current", droppable: "inactive_file", kills: "memory.events" };

/// A control group of this process, in a hierarchy that knows of memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// Where the hierarchy begins.
    mounted: PathBuf,
    directory: PathBuf,
    files: &'static Files,
}

impl Group {
    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file with the limit of this group, or of one in it.
    #[must_use]
    pub fn limit_file(&self) -> &'static str {
        self.files.limit
    }

    fn kills(&self) -> Option<u64> {
        count(&fs_err::read_to_string(self.directory.join(self.files.kills)).ok()?)
    }

    /// The file that tells how much of it is used.
    #[must_use]
    pub fn usage_file(&self) -> &'static str {
        self.files.usage
    }

    /// What the group, and each above it, leaves; none where none has a limit.
    fn left(&self) -> Option<u64> {
        self.directory
            .ancestors()
            .take_while(|group| group.starts_with(&self.mounted))
            .filter_map(|group| self.left_in(group))
            .min()
    }

    fn left_in(&self, group: &Path) -> Option<u64> {
        let read = |file: &str| fs_err::read_to_string(group.join(file)).ok();
        // `max` is no number: there is no limit.
        let limit: u64 = read(self.files.limit)?.trim().parse().ok()?;
        let used: u64 = read(self.files.usage)?.trim().parse().ok()?;
        let stat = read("memory.stat").unwrap_or_default();
        let droppable = stat.lines().find_map(|line| line.strip_prefix(self.files.droppable)?.trim().parse().ok());
        Some(limit.saturating_sub(used.saturating_sub(droppable.unwrap_or(0))))
    }
}

/// The hierarchies that are mounted here, by `/proc/self/cgroup` (cgroups(7)) and `/proc/self/mountinfo` (proc(5)).
fn hierarchies(groups: &str, mounts: &str) -> Vec<Group> {
    let line = |line: &str| {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, mounted) = (place.next()?, PathBuf::from(place.next()?));
        let mut kind = kind.split(' ');
        let files = match kind.next()? {
            "cgroup2" => &SECOND,
            "cgroup" if kind.nth(1)?.split(',').any(|option| option == "memory") => &FIRST,
            _ => return None,
        };
        let group = Path::new(group_of(groups, files)?);
        let directory = mounted.join(group.strip_prefix(root).ok()?);
        Some(Group { mounted, directory, files })
    };
    mounts.lines().filter_map(line).collect()
}

/// The group of this process in a hierarchy.
fn group_of<'a>(groups: &'a str, files: &Files) -> Option<&'a str> {
    groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, group) = rest.split_once(':')?;
        let is_it =
            if *files == SECOND { controllers.is_empty() } else { controllers.split(',').any(|it| it == "memory") };
        is_it.then_some(group)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_bytes() {
        let meminfo = "MemTotal:       24684084 kB\nMemAvailable:   23990496 kB\n";
        assert_eq!(parse(meminfo), Some(23_990_496 * 1024));
        assert_eq!(parse("MemTotal: 1 kB"), None);
    }

    #[rstest::rstest]
    #[case::nobody((3, 1), None)]
    #[case::in_a_group((4, 2), Some(Limit::Group))]
    #[case::elsewhere((4, 1), Some(Limit::Host))]
    fn who_had_no_memory_is_told_by_the_kernels_counts(
        #[case] (host, group): (u64, u64),
        #[case] expected: Option<Limit>,
    ) {
        assert_eq!(Kills { host, group }.since(Kills { host: 3, group: 1 }), expected);
    }

    #[rstest::rstest]
    #[case::first("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", Some(7))]
    #[case::second("low 0\noom 2\noom_kill 1\noom_group_kill 0\n", Some(1))]
    #[case::none("low 0\n", None)]
    fn kills_are_counted(#[case] text: &str, #[case] expected: Option<u64>) {
        assert_eq!(count(text), expected);
    }

    const GROUPS: &str = "9:name=systemd:/\n4:memory:/ci/job\n0::/ci.slice/job\n";
    const MOUNTS: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
                          33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n";

    #[rstest::rstest]
    #[case::none(MOUNTS, None)]
    #[case::first(
        "34 31 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n",
        Some(("/sys/fs/cgroup/memory/ci/job", FIRST.limit))
    )]
    #[case::second("34 31 0:31 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n", Some(("/sys/fs/cgroup/ci.slice/job", SECOND.limit)))]
    #[case::of_a_container("34 31 0:31 /ci.slice /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", Some(("/sys/fs/cgroup/job", SECOND.limit)))]
    #[case::of_another("34 31 0:31 /other /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", None)]
    fn groups_are_found(#[case] mounts: &str, #[case] expected: Option<(&str, &str)>) {
        let found = hierarchies(GROUPS, mounts);
        let found: Vec<_> = found.iter().map(|it| (it.directory.to_str().unwrap(), it.files.limit)).collect();
        assert_eq!(found, Vec::from_iter(expected));
    }

    #[rstest::rstest]
    #[case::unlimited("max", "max", None)]
    #[case::limited("1000", "max", Some(500))]
    #[case::limited_above("1000", "800", Some(200))]
    #[case::full("400", "max", Some(0))]
    fn the_tightest_group_counts(#[case] own: &str, #[case] above: &str, #[case] expected: Option<u64>) {
        let mounted = tempfile::tempdir().unwrap();
        let group = mounted.path().join("job");
        fs_err::create_dir(&group).unwrap();
        for (group, limit, used) in [(&*group, own, "700"), (mounted.path(), above, "800")] {
            fs_err::write(group.join("memory.max"), limit).unwrap();
            fs_err::write(group.join("memory.current"), used).unwrap();
            fs_err::write(group.join("memory.stat"), "anon 5\ninactive_file 200\n").unwrap();
        }
        let group = Group { mounted: mounted.path().into(), directory: group, files: &SECOND };
        assert_eq!(group.left(), expected);
    }
}
